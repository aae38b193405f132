-- Times are INTEGER microseconds since 1970 (UTC), ids are 16-byte UUIDs (version 7), dates are YYYY-MM-DD.
-- `sort_key`, `name_key` and `search_text` are folded to lower case by the server, so both databases order and find alike.

-- Secrets made once for the installation and shared by all its nodes (for example the key that seals cursors).
CREATE TABLE installation_secrets (
    name       TEXT PRIMARY KEY NOT NULL,
    value      BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY NOT NULL,
    private_key BLOB NOT NULL,
    public_key  BLOB NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id            BLOB PRIMARY KEY NOT NULL,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    version       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE refresh_tokens (
    token_hash BLOB PRIMARY KEY NOT NULL,
    family_id  BLOB NOT NULL,
    user_id    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

CREATE TABLE organisations (
    id         BLOB PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    sort_key   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    id              BLOB PRIMARY KEY NOT NULL,
    organisation_id BLOB NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    user_id         BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role            TEXT NOT NULL CHECK (role IN ('owner', 'organiser', 'viewer', 'door')),
    created_at      INTEGER NOT NULL,
    UNIQUE (user_id, organisation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_organisation ON members (organisation_id);

CREATE TABLE events (
    id                BLOB PRIMARY KEY NOT NULL,
    organisation_id   BLOB NOT NULL REFERENCES organisations (id),
    slug              TEXT NOT NULL UNIQUE,
    name              TEXT NOT NULL,
    sort_key          TEXT NOT NULL,
    time_zone         TEXT NOT NULL,
    starts_on         TEXT NOT NULL,
    ends_on           TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    booking_opens_at  INTEGER,
    booking_closes_at INTEGER,
    admission         TEXT NOT NULL CHECK (admission IN ('open', 'attendees_only')),
    -- rises with every change of the programme: the ETag of the programme document
    programme_version INTEGER NOT NULL,
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    CHECK (starts_on <= ends_on)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_organisation ON events (organisation_id);
CREATE INDEX events_starts_on ON events (starts_on, id);

CREATE TABLE streams (
    id         BLOB PRIMARY KEY NOT NULL,
    event_id   BLOB NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    name       TEXT NOT NULL,
    sort_key   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (event_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    id         BLOB PRIMARY KEY NOT NULL,
    event_id   BLOB NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    name       TEXT NOT NULL,
    sort_key   TEXT NOT NULL,
    capacity   INTEGER CHECK (capacity >= 0),
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (event_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE speakers (
    id          BLOB PRIMARY KEY NOT NULL,
    event_id    BLOB NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    key         TEXT NOT NULL,
    name        TEXT NOT NULL,
    sort_name   TEXT,
    sort_key    TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    search_text TEXT NOT NULL,
    affiliation TEXT,
    country     TEXT,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (event_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX speakers_sort ON speakers (event_id, sort_key, id);
CREATE INDEX speakers_name ON speakers (event_id, name_key, id);

CREATE TABLE sessions (
    id                BLOB PRIMARY KEY NOT NULL,
    event_id          BLOB NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    code              TEXT NOT NULL,
    title             TEXT NOT NULL,
    summary           TEXT,
    search_text       TEXT NOT NULL,
    starts_at         INTEGER NOT NULL,
    ends_at           INTEGER NOT NULL,
    stream_id         BLOB REFERENCES streams (id),
    room_id           BLOB REFERENCES rooms (id),
    capacity          INTEGER CHECK (capacity >= 0),
    waitlist_mode     TEXT NOT NULL CHECK (waitlist_mode IN ('none', 'auto')),
    booking_opens_at  INTEGER,
    booking_closes_at INTEGER,
    status            TEXT NOT NULL CHECK (status IN ('draft', 'published', 'cancelled')),
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    UNIQUE (event_id, code),
    CHECK (starts_at < ends_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_starts_at ON sessions (event_id, starts_at, id);
CREATE INDEX sessions_room ON sessions (room_id) WHERE room_id IS NOT NULL;
CREATE INDEX sessions_stream ON sessions (stream_id) WHERE stream_id IS NOT NULL;

CREATE TABLE session_chairs (
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    speaker_id BLOB NOT NULL REFERENCES speakers (id),
    PRIMARY KEY (session_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_chairs_speaker ON session_chairs (speaker_id);

CREATE TABLE session_parts (
    session_id        BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number            INTEGER NOT NULL,
    title             TEXT NOT NULL,
    abstract          TEXT,
    audience          TEXT,
    -- a JSON array of strings, in order
    learning_outcomes TEXT NOT NULL,
    PRIMARY KEY (session_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE part_speakers (
    session_id BLOB NOT NULL,
    number     INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    speaker_id BLOB NOT NULL REFERENCES speakers (id),
    PRIMARY KEY (session_id, number, position),
    FOREIGN KEY (session_id, number) REFERENCES session_parts (session_id, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX part_speakers_speaker ON part_speakers (speaker_id);

-- One row a session: the counters of its seats. The CHECK refuses an oversell even if the code is wrong.
CREATE TABLE session_seats (
    session_id  BLOB PRIMARY KEY NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seats_limit INTEGER,
    seats_taken INTEGER NOT NULL DEFAULT 0,
    seats_over  INTEGER NOT NULL DEFAULT 0,
    waitlisted  INTEGER NOT NULL DEFAULT 0 CHECK (waitlisted >= 0),
    last_seq    INTEGER NOT NULL DEFAULT 0,
    last_change INTEGER NOT NULL DEFAULT 0,
    CHECK (seats_taken >= 0 AND seats_over >= 0 AND (seats_limit IS NULL OR seats_taken <= seats_limit + seats_over))
) STRICT, WITHOUT ROWID;

CREATE TABLE attendees (
    id                 BLOB PRIMARY KEY NOT NULL,
    event_id           BLOB NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    user_id            BLOB REFERENCES users (id),
    name               TEXT NOT NULL,
    sort_name          TEXT,
    sort_key           TEXT NOT NULL,
    search_text        TEXT NOT NULL,
    email              TEXT,
    affiliation        TEXT,
    country            TEXT,
    external_reference TEXT,
    claim_hash         BLOB UNIQUE,
    version            INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    UNIQUE (event_id, external_reference)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX attendees_user ON attendees (user_id, event_id) WHERE user_id IS NOT NULL;
CREATE INDEX attendees_sort ON attendees (event_id, sort_key, id);

CREATE TABLE registrations (
    id            BLOB PRIMARY KEY NOT NULL,
    session_id    BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    attendee_id   BLOB NOT NULL REFERENCES attendees (id) ON DELETE CASCADE,
    status        TEXT NOT NULL CHECK (status IN ('confirmed', 'waitlisted', 'cancelled')),
    seq           INTEGER NOT NULL,
    cancel_reason TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    cancelled_at  INTEGER,
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL) AND (status = 'cancelled') = (cancelled_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX registrations_seq ON registrations (session_id, seq);
CREATE UNIQUE INDEX registrations_active ON registrations (attendee_id, session_id) WHERE status <> 'cancelled';
CREATE INDEX registrations_attendee ON registrations (attendee_id, created_at);
CREATE INDEX registrations_waitlist ON registrations (session_id, seq) WHERE status = 'waitlisted';

-- One row a change, written in the change's own transaction; `change` counts without a gap within a session.
CREATE TABLE journal (
    id              INTEGER PRIMARY KEY,
    event_id        BLOB NOT NULL,
    session_id      BLOB,
    change          INTEGER,
    kind            TEXT NOT NULL,
    registration_id BLOB,
    attendee_id     BLOB,
    actor_id        BLOB,
    at              INTEGER NOT NULL,
    details         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_change ON journal (session_id, change) WHERE session_id IS NOT NULL;
