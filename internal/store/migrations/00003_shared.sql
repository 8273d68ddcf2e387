-- What replicas share beside sessions. Times are milliseconds since 1970.
-- BYTEA is Postgres's word; SQLite keeps bytes as bytes in a column of any type.
-- +goose Up
ALTER TABLE sessions ADD COLUMN log_level TEXT NOT NULL DEFAULT '';

CREATE TABLE session_subscriptions (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    uri        TEXT NOT NULL,
    PRIMARY KEY (session_id, uri)
);

CREATE TABLE streams (
    id         TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    replica    TEXT NOT NULL,
    request    BYTEA,
    closed     BOOLEAN NOT NULL,
    bytes      BIGINT NOT NULL,
    written_at BIGINT NOT NULL
);
CREATE INDEX streams_session ON streams (session_id, bytes);
CREATE INDEX streams_written_at ON streams (written_at);

CREATE TABLE stream_events (
    stream_id TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    sequence  BIGINT NOT NULL,
    data      BYTEA NOT NULL,
    last      BOOLEAN NOT NULL,
    PRIMARY KEY (stream_id, sequence)
);

-- Postgres numbers the rows. SQLite leaves that column empty and has its rowid.
CREATE TABLE mail (
    number  BIGSERIAL,
    address TEXT NOT NULL,
    body    BYTEA NOT NULL,
    put_at  BIGINT NOT NULL
);
CREATE INDEX mail_address ON mail (address);
CREATE INDEX mail_put_at ON mail (put_at);

CREATE TABLE nonces (
    nonce      TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE TABLE keys (
    name  TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE tasks (
    id         TEXT PRIMARY KEY,
    server     TEXT NOT NULL,
    principal  TEXT NOT NULL,
    session_id TEXT NOT NULL,
    tool       TEXT NOT NULL,
    status     TEXT NOT NULL,
    message    TEXT NOT NULL,
    replica    TEXT NOT NULL,
    outcome    BYTEA,
    asked      BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tasks_owner ON tasks (server, principal, session_id, id);
CREATE INDEX tasks_expires_at ON tasks (expires_at);

CREATE TABLE replicas (
    id         TEXT PRIMARY KEY,
    generation TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE replicas;
DROP TABLE tasks;
DROP TABLE keys;
DROP TABLE nonces;
DROP TABLE mail;
DROP TABLE stream_events;
DROP TABLE streams;
DROP TABLE session_subscriptions;
ALTER TABLE sessions DROP COLUMN log_level;
