-- Links that make whoever holds one a member. An accepted one stays until it would expire, so that a lost answer can be asked for again.
CREATE TABLE invitations (
    id              UUID PRIMARY KEY,
    organisation_id UUID NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    email TEXT COLLATE "C",
    role TEXT NOT NULL CHECK (role IN ('owner', 'organiser', 'viewer', 'door')),
    token_hash BYTEA NOT NULL UNIQUE,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    accepted_by UUID REFERENCES users (id) ON DELETE SET NULL,
    accepted_at TIMESTAMPTZ
);
CREATE INDEX invitations_organisation ON invitations (organisation_id, created_at, id);

-- Keys of programs. A revoked one stays, because the journal names it.
CREATE TABLE api_keys (
    id              UUID PRIMARY KEY,
    organisation_id UUID NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    -- what the key begins with, to tell it from others
    prefix TEXT COLLATE "C" NOT NULL,
    secret_hash BYTEA NOT NULL UNIQUE,
    -- separated by spaces
    scopes TEXT NOT NULL,
    created_by UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX api_keys_organisation ON api_keys (organisation_id, created_at, id);

-- When a key that no longer signs stops verifying.
ALTER TABLE signing_keys ADD COLUMN retires_at TIMESTAMPTZ;
