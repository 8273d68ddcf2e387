-- Sessions of one principal at one server, the last used first: how many they
-- may be is bounded.
-- +goose Up
CREATE INDEX sessions_owner ON sessions (server, principal, seen_at, id);

-- +goose Down
DROP INDEX sessions_owner;
