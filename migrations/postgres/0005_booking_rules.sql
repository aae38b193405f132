-- The rules of an event.
ALTER TABLE events
    ADD COLUMN overlap TEXT NOT NULL DEFAULT 'reject' CHECK (overlap IN ('reject', 'allow')),
    ADD COLUMN overlap_buffer_minutes BIGINT NOT NULL DEFAULT 0 CHECK (overlap_buffer_minutes >= 0),
    ADD COLUMN on_promotion_clash TEXT NOT NULL DEFAULT 'skip' CHECK (on_promotion_clash IN ('skip', 'swap')),
    ADD COLUMN leave_overlapping_waitlists BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN max_sessions BIGINT CHECK (max_sessions > 0),
    ADD COLUMN max_sessions_per_day BIGINT CHECK (max_sessions_per_day > 0),
    ADD COLUMN offer_ttl_minutes BIGINT NOT NULL DEFAULT 1440 CHECK (offer_ttl_minutes > 0),
    ADD COLUMN offer_last_day_ttl_minutes BIGINT NOT NULL DEFAULT 120 CHECK (offer_last_day_ttl_minutes > 0),
    ADD COLUMN offer_automatic_minutes BIGINT NOT NULL DEFAULT 60 CHECK (offer_automatic_minutes >= 0);

ALTER TABLE sessions
    DROP CONSTRAINT sessions_waitlist_mode_check,
    ADD CHECK (waitlist_mode IN ('none', 'auto', 'offer')),
    ADD COLUMN waitlist_limit BIGINT CHECK (waitlist_limit >= 0),
    -- A JSON array of the categories whose attendees may book it; an empty one admits all.
    ADD COLUMN categories TEXT NOT NULL DEFAULT '[]',
    -- A JSON array of the seats held for a category: {category, seats, releasesAt}.
    ADD COLUMN pools TEXT NOT NULL DEFAULT '[]';

ALTER TABLE attendees ADD COLUMN category TEXT COLLATE "C", ADD COLUMN erased_at TIMESTAMPTZ;

-- Not later than the next moment at which the session's seats change by themselves: an offer expires, a pool is released.
ALTER TABLE session_seats ADD COLUMN due_at TIMESTAMPTZ;
CREATE INDEX session_seats_due ON session_seats (due_at) WHERE due_at IS NOT NULL;

-- Sessions whose waitlist somebody must look at, because a change elsewhere may have made somebody eligible. Rows are only
-- added and removed, never changed, so that marking a session waits for nobody who has it locked.
CREATE TABLE due_sessions (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id UUID NOT NULL
);

ALTER TABLE registrations
    ADD COLUMN priority BIGINT NOT NULL DEFAULT 0 CHECK (priority >= 0),
    ADD COLUMN offer_expires_at TIMESTAMPTZ,
    ADD COLUMN checked_in_at TIMESTAMPTZ,
    -- the registration that took its place, where it was moved
    ADD COLUMN moved_to UUID,
    -- 0 while it is active, then its seq: one index finds an attendee's registrations and refuses a second active one
    ADD COLUMN ended_seq BIGINT NOT NULL DEFAULT 0,
    DROP CONSTRAINT registrations_status_check,
    ADD CHECK (status IN ('confirmed', 'waitlisted', 'offered', 'cancelled'));
UPDATE registrations SET ended_seq = seq WHERE status = 'cancelled';
ALTER TABLE registrations
    ADD CHECK (ended_seq = CASE WHEN status = 'cancelled' THEN seq ELSE 0 END),
    ADD CHECK ((status = 'offered') = (offer_expires_at IS NOT NULL)),
    ADD CHECK (moved_to IS NULL OR cancel_reason = 'moved');
DROP INDEX registrations_active;
DROP INDEX registrations_attendee;
DROP INDEX registrations_waitlist;
CREATE UNIQUE INDEX registrations_attendee ON registrations (attendee_id, session_id, ended_seq);
CREATE INDEX registrations_waitlist ON registrations (session_id, priority DESC, seq) WHERE status = 'waitlisted';
CREATE INDEX registrations_offers ON registrations (session_id, offer_expires_at) WHERE status = 'offered';

-- The journal is read by event, in order. An index by session would be one more page a booking to write: that `change`
-- has no gap is kept by the lock on the session's seats.
DROP INDEX journal_change;
CREATE INDEX journal_event ON journal (event_id, id);
