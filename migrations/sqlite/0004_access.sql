-- Links that make whoever holds one a member. An accepted one stays until it would expire, so that a lost answer can be asked for again.
CREATE TABLE invitations (
    id              BLOB PRIMARY KEY NOT NULL,
    organisation_id BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    email           TEXT,
    role            TEXT NOT NULL CHECK (role IN ('owner', 'organiser', 'viewer', 'door')),
    token_hash      BLOB NOT NULL UNIQUE,
    created_by      BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    accepted_by     BLOB REFERENCES users (id) ON DELETE SET NULL,
    accepted_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_organisation ON invitations (organisation_id, created_at, id);

-- Keys of programs. A revoked one stays, because the journal names it.
CREATE TABLE api_keys (
    id              BLOB PRIMARY KEY NOT NULL,
    organisation_id BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    -- what the key begins with, to tell it from others
    prefix          TEXT NOT NULL,
    secret_hash     BLOB NOT NULL UNIQUE,
    -- separated by spaces
    scopes          TEXT NOT NULL,
    created_by      BLOB REFERENCES users (id) ON DELETE SET NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    last_used_at    INTEGER,
    revoked_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_organisation ON api_keys (organisation_id, created_at, id);

-- When a key that no longer signs stops verifying.
ALTER TABLE signing_keys ADD COLUMN retires_at INTEGER;
