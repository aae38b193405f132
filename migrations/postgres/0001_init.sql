-- The same tables and columns as in migrations/sqlite, in this database's types. Text that is sorted or
-- compared is COLLATE "C" (by bytes), as SQLite does it, so that pages come in the same order on both.
-- `sort_key`, `name_key` and `search_text` are folded to lower case by the server, so both databases order and find alike.

-- Secrets made once for the installation and shared by all its nodes (for example the key that seals cursors).
CREATE TABLE installation_secrets (
    name TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" PRIMARY KEY,
    private_key BYTEA NOT NULL,
    public_key BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE users (
    id            UUID PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    password_hash TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE refresh_tokens (
    token_hash BYTEA PRIMARY KEY,
    family_id UUID NOT NULL,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issued_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

CREATE TABLE organisations (
    id         UUID PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    sort_key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE members (
    id              UUID PRIMARY KEY,
    organisation_id UUID NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'organiser', 'viewer', 'door')),
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (user_id, organisation_id)
);
CREATE INDEX members_organisation ON members (organisation_id);

CREATE TABLE events (
    id                UUID PRIMARY KEY,
    organisation_id UUID NOT NULL REFERENCES organisations (id),
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    sort_key TEXT COLLATE "C" NOT NULL,
    time_zone TEXT NOT NULL,
    starts_on TEXT COLLATE "C" NOT NULL,
    ends_on TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    booking_opens_at TIMESTAMPTZ,
    booking_closes_at TIMESTAMPTZ,
    admission TEXT NOT NULL CHECK (admission IN ('open', 'attendees_only')),
    -- rises with every change of the programme: the ETag of the programme document
    programme_version BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CHECK (starts_on <= ends_on)
);
CREATE INDEX events_organisation ON events (organisation_id);
CREATE INDEX events_starts_on ON events (starts_on, id);

CREATE TABLE streams (
    id         UUID PRIMARY KEY,
    event_id UUID NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sort_key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (event_id, key)
);

CREATE TABLE rooms (
    id         UUID PRIMARY KEY,
    event_id UUID NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sort_key TEXT COLLATE "C" NOT NULL,
    capacity BIGINT CHECK (capacity >= 0),
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (event_id, key)
);

CREATE TABLE speakers (
    id          UUID PRIMARY KEY,
    event_id UUID NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sort_name TEXT,
    sort_key TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    search_text TEXT COLLATE "C" NOT NULL,
    affiliation TEXT,
    country TEXT,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (event_id, key)
);
CREATE INDEX speakers_sort ON speakers (event_id, sort_key, id);
CREATE INDEX speakers_name ON speakers (event_id, name_key, id);

CREATE TABLE sessions (
    id                UUID PRIMARY KEY,
    event_id UUID NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    code TEXT COLLATE "C" NOT NULL,
    title TEXT NOT NULL,
    summary TEXT,
    search_text TEXT COLLATE "C" NOT NULL,
    starts_at TIMESTAMPTZ NOT NULL,
    ends_at TIMESTAMPTZ NOT NULL,
    stream_id UUID REFERENCES streams (id),
    room_id UUID REFERENCES rooms (id),
    capacity BIGINT CHECK (capacity >= 0),
    waitlist_mode TEXT NOT NULL CHECK (waitlist_mode IN ('none', 'auto')),
    booking_opens_at TIMESTAMPTZ,
    booking_closes_at TIMESTAMPTZ,
    status TEXT NOT NULL CHECK (status IN ('draft', 'published', 'cancelled')),
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (event_id, code),
    CHECK (starts_at < ends_at)
);
CREATE INDEX sessions_starts_at ON sessions (event_id, starts_at, id);
CREATE INDEX sessions_room ON sessions (room_id) WHERE room_id IS NOT NULL;
CREATE INDEX sessions_stream ON sessions (stream_id) WHERE stream_id IS NOT NULL;

CREATE TABLE session_chairs (
    session_id UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    speaker_id UUID NOT NULL REFERENCES speakers (id),
    PRIMARY KEY (session_id, position)
);
CREATE INDEX session_chairs_speaker ON session_chairs (speaker_id);

CREATE TABLE session_parts (
    session_id UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    title TEXT NOT NULL,
    abstract TEXT,
    audience TEXT,
    -- a JSON array of strings, in order
    learning_outcomes TEXT NOT NULL,
    PRIMARY KEY (session_id, number)
);

CREATE TABLE part_speakers (
    session_id UUID NOT NULL,
    number BIGINT NOT NULL,
    position BIGINT NOT NULL,
    speaker_id UUID NOT NULL REFERENCES speakers (id),
    PRIMARY KEY (session_id, number, position),
    FOREIGN KEY (session_id, number) REFERENCES session_parts (session_id, number) ON DELETE CASCADE
);
CREATE INDEX part_speakers_speaker ON part_speakers (speaker_id);

-- One row a session: the counters of its seats. The CHECK refuses an oversell even if the code is wrong.
CREATE TABLE session_seats (
    session_id  UUID PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    seats_limit BIGINT,
    seats_taken BIGINT NOT NULL DEFAULT 0,
    seats_over BIGINT NOT NULL DEFAULT 0,
    waitlisted BIGINT NOT NULL DEFAULT 0 CHECK (waitlisted >= 0),
    last_seq BIGINT NOT NULL DEFAULT 0,
    last_change BIGINT NOT NULL DEFAULT 0,
    CHECK (seats_taken >= 0 AND seats_over >= 0 AND (seats_limit IS NULL OR seats_taken <= seats_limit + seats_over))
);

CREATE TABLE attendees (
    id                 UUID PRIMARY KEY,
    event_id UUID NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    user_id UUID REFERENCES users (id),
    name TEXT COLLATE "C" NOT NULL,
    sort_name TEXT,
    sort_key TEXT COLLATE "C" NOT NULL,
    search_text TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C",
    affiliation TEXT,
    country TEXT,
    external_reference TEXT COLLATE "C",
    claim_hash BYTEA UNIQUE,
    version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (event_id, external_reference)
);
CREATE UNIQUE INDEX attendees_user ON attendees (user_id, event_id) WHERE user_id IS NOT NULL;
CREATE INDEX attendees_sort ON attendees (event_id, sort_key, id);

CREATE TABLE registrations (
    id            UUID PRIMARY KEY,
    session_id UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    attendee_id UUID NOT NULL REFERENCES attendees (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('confirmed', 'waitlisted', 'cancelled')),
    seq BIGINT NOT NULL,
    cancel_reason TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    cancelled_at TIMESTAMPTZ,
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL) AND (status = 'cancelled') = (cancelled_at IS NOT NULL))
);
CREATE UNIQUE INDEX registrations_seq ON registrations (session_id, seq);
CREATE UNIQUE INDEX registrations_active ON registrations (attendee_id, session_id) WHERE status <> 'cancelled';
CREATE INDEX registrations_attendee ON registrations (attendee_id, created_at);
CREATE INDEX registrations_waitlist ON registrations (session_id, seq) WHERE status = 'waitlisted';

-- One row a change, written in the change's own transaction; `change` counts without a gap within a session.
CREATE TABLE journal (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id UUID NOT NULL,
    session_id UUID,
    change BIGINT,
    kind TEXT NOT NULL,
    registration_id UUID,
    attendee_id UUID,
    actor_id UUID,
    at TIMESTAMPTZ NOT NULL,
    details TEXT NOT NULL
);
CREATE UNIQUE INDEX journal_change ON journal (session_id, change) WHERE session_id IS NOT NULL;
