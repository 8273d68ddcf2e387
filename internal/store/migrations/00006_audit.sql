-- What was called, and what was refused. Times are milliseconds since 1970, and
-- durations microseconds.
-- +goose Up
CREATE TABLE audit (
    id           TEXT PRIMARY KEY,
    at           BIGINT NOT NULL,
    ref          TEXT NOT NULL,
    face         TEXT NOT NULL,
    server       TEXT NOT NULL,
    method       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    oauth_client TEXT NOT NULL,
    actor        TEXT NOT NULL,
    client       TEXT NOT NULL,
    tool         TEXT NOT NULL,
    action       TEXT NOT NULL,
    plugin       TEXT NOT NULL,
    decision     TEXT NOT NULL,
    rule         TEXT NOT NULL,
    arguments    TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    status       INTEGER NOT NULL,
    duration     BIGINT NOT NULL,
    count        BIGINT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_subject ON audit (subject, at);
CREATE INDEX audit_action ON audit (action, at);

-- +goose Down
DROP TABLE audit;
