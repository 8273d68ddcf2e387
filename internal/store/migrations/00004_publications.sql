-- What plugins published. Times are milliseconds since 1970.
-- +goose Up
CREATE TABLE generations (
    plugin    TEXT NOT NULL,
    hash      TEXT NOT NULL,
    source    TEXT NOT NULL,
    verdict   TEXT NOT NULL,
    judged_at BIGINT NOT NULL,
    actions   BYTEA NOT NULL,
    findings  BYTEA,
    content   BYTEA NOT NULL, -- gzip; last, so that SQLite passes it over in lists
    PRIMARY KEY (plugin, hash)
);
CREATE INDEX generations_newest ON generations (verdict, plugin, judged_at);

CREATE TABLE registrations (
    plugin     TEXT PRIMARY KEY,
    publisher  TEXT NOT NULL,
    base_url   TEXT NOT NULL,
    hash       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    until      BIGINT NOT NULL
);

-- +goose Down
DROP TABLE registrations;
DROP TABLE generations;
