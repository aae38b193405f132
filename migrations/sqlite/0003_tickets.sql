-- What opens one link once: the hash of a ticket, whose it is, and the hash of the path and query it is for.
CREATE TABLE tickets (
    ticket_hash BLOB PRIMARY KEY NOT NULL,
    user_id     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_hash BLOB NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_expires_at ON tickets (expires_at);
CREATE INDEX tickets_user ON tickets (user_id);
