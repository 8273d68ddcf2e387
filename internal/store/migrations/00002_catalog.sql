-- +goose Up
CREATE TABLE catalog_locations (
    id         TEXT PRIMARY KEY,
    type       TEXT NOT NULL,
    target     TEXT NOT NULL,
    registered BOOLEAN NOT NULL,
    UNIQUE (type, target)
);
CREATE TABLE catalog_entities (
    ref         TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    uid         TEXT NOT NULL UNIQUE,
    etag        TEXT NOT NULL,
    location_id TEXT NOT NULL REFERENCES catalog_locations (id) ON DELETE CASCADE,
    source      TEXT NOT NULL,
    parent      TEXT NOT NULL,
    document    TEXT NOT NULL
);
CREATE INDEX catalog_entities_location ON catalog_entities (location_id);
-- One row. It changes with every write, in the same transaction, so that other
-- replicas notice; writers lock it first and so take turns.
CREATE TABLE catalog_version (version BIGINT NOT NULL);
INSERT INTO catalog_version (version) VALUES (1);

-- +goose Down
DROP TABLE catalog_version;
DROP TABLE catalog_entities;
DROP TABLE catalog_locations;
