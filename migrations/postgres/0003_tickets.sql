-- What opens one link once: the hash of a ticket, whose it is, and the hash of the path and query it is for.
CREATE TABLE tickets (
    ticket_hash BYTEA PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_hash BYTEA NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX tickets_expires_at ON tickets (expires_at);
CREATE INDEX tickets_user ON tickets (user_id);
