-- The rules of an event.
ALTER TABLE events ADD COLUMN overlap TEXT NOT NULL DEFAULT 'reject' CHECK (overlap IN ('reject', 'allow'));
ALTER TABLE events ADD COLUMN overlap_buffer_minutes INTEGER NOT NULL DEFAULT 0 CHECK (overlap_buffer_minutes >= 0);
ALTER TABLE events ADD COLUMN on_promotion_clash TEXT NOT NULL DEFAULT 'skip' CHECK (on_promotion_clash IN ('skip', 'swap'));
ALTER TABLE events ADD COLUMN leave_overlapping_waitlists INTEGER NOT NULL DEFAULT 0 CHECK (leave_overlapping_waitlists IN (0, 1));
ALTER TABLE events ADD COLUMN max_sessions INTEGER CHECK (max_sessions > 0);
ALTER TABLE events ADD COLUMN max_sessions_per_day INTEGER CHECK (max_sessions_per_day > 0);
ALTER TABLE events ADD COLUMN offer_ttl_minutes INTEGER NOT NULL DEFAULT 1440 CHECK (offer_ttl_minutes > 0);
ALTER TABLE events ADD COLUMN offer_last_day_ttl_minutes INTEGER NOT NULL DEFAULT 120 CHECK (offer_last_day_ttl_minutes > 0);
ALTER TABLE events ADD COLUMN offer_automatic_minutes INTEGER NOT NULL DEFAULT 60 CHECK (offer_automatic_minutes >= 0);

-- SQLite can't change the CHECK of a column, and rebuilding the table would take along what refers to it.
ALTER TABLE sessions ADD COLUMN waitlist_mode_now TEXT NOT NULL DEFAULT 'none' CHECK (waitlist_mode_now IN ('none', 'auto', 'offer'));
UPDATE sessions SET waitlist_mode_now = waitlist_mode;
ALTER TABLE sessions DROP COLUMN waitlist_mode;
ALTER TABLE sessions RENAME COLUMN waitlist_mode_now TO waitlist_mode;
ALTER TABLE sessions ADD COLUMN waitlist_limit INTEGER CHECK (waitlist_limit >= 0);
-- A JSON array of the categories whose attendees may book it; an empty one admits all.
ALTER TABLE sessions ADD COLUMN categories TEXT NOT NULL DEFAULT '[]';
-- A JSON array of the seats held for a category: {category, seats, releasesAt}.
ALTER TABLE sessions ADD COLUMN pools TEXT NOT NULL DEFAULT '[]';

ALTER TABLE attendees ADD COLUMN category TEXT;
ALTER TABLE attendees ADD COLUMN erased_at INTEGER;

-- Not later than the next moment at which the session's seats change by themselves: an offer expires, a pool is released.
ALTER TABLE session_seats ADD COLUMN due_at INTEGER;
CREATE INDEX session_seats_due ON session_seats (due_at) WHERE due_at IS NOT NULL;

-- Sessions whose waitlist somebody must look at, because a change elsewhere may have made somebody eligible. Rows are only
-- added and removed, never changed, so that marking a session waits for nobody who has it locked.
CREATE TABLE due_sessions (
    id         INTEGER PRIMARY KEY,
    session_id BLOB NOT NULL
) STRICT;

CREATE TABLE registrations_now (
    id               BLOB PRIMARY KEY NOT NULL,
    session_id       BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    attendee_id      BLOB NOT NULL REFERENCES attendees (id) ON DELETE CASCADE,
    status           TEXT NOT NULL CHECK (status IN ('confirmed', 'waitlisted', 'offered', 'cancelled')),
    seq              INTEGER NOT NULL,
    priority         INTEGER NOT NULL DEFAULT 0 CHECK (priority >= 0),
    offer_expires_at INTEGER,
    checked_in_at    INTEGER,
    cancel_reason    TEXT,
    -- the registration that took its place, where it was moved
    moved_to         BLOB,
    -- 0 while it is active, then its seq: one index finds an attendee's registrations and refuses a second active one
    ended_seq        INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    cancelled_at     INTEGER,
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL) AND (status = 'cancelled') = (cancelled_at IS NOT NULL)
        AND ended_seq = CASE WHEN status = 'cancelled' THEN seq ELSE 0 END),
    CHECK ((status = 'offered') = (offer_expires_at IS NOT NULL)),
    CHECK (moved_to IS NULL OR cancel_reason = 'moved')
) STRICT, WITHOUT ROWID;
INSERT INTO registrations_now (id, session_id, attendee_id, status, seq, cancel_reason, ended_seq, created_at, updated_at, cancelled_at)
    SELECT id, session_id, attendee_id, status, seq, cancel_reason, CASE WHEN status = 'cancelled' THEN seq ELSE 0 END, created_at,
        updated_at, cancelled_at FROM registrations;
DROP TABLE registrations;
ALTER TABLE registrations_now RENAME TO registrations;
CREATE UNIQUE INDEX registrations_seq ON registrations (session_id, seq);
CREATE UNIQUE INDEX registrations_attendee ON registrations (attendee_id, session_id, ended_seq);
CREATE INDEX registrations_waitlist ON registrations (session_id, priority DESC, seq) WHERE status = 'waitlisted';
CREATE INDEX registrations_offers ON registrations (session_id, offer_expires_at) WHERE status = 'offered';

-- The journal is read by event, in order. An index by session would be one more page a booking to write: that `change`
-- has no gap is kept by the lock on the session's seats.
DROP INDEX journal_change;
CREATE INDEX journal_event ON journal (event_id, id);
