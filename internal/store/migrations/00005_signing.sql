-- Keys with which the gateway signs. Times are milliseconds since 1970.
-- +goose Up
CREATE TABLE signing_keys (
    sequence    BIGINT PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    public_key  BYTEA NOT NULL, -- a JWK
    private_key BYTEA NOT NULL,
    created_at  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE signing_keys;
