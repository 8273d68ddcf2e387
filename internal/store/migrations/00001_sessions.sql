-- +goose Up
CREATE TABLE sessions (
    id               TEXT PRIMARY KEY,
    server           TEXT NOT NULL,
    principal        TEXT NOT NULL,
    protocol_version TEXT NOT NULL,
    client_info      TEXT NOT NULL,
    capabilities     TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL
);
CREATE INDEX sessions_seen_at ON sessions (seen_at);

-- +goose Down
DROP TABLE sessions;
