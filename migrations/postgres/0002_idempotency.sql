-- What was answered to a creation that carried an Idempotency-Key, written in the creation's own transaction and kept for a day.
CREATE TABLE idempotency_keys (
    principal_id UUID NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    -- 0 only inside the transaction that makes the row.
    status BIGINT NOT NULL,
    location TEXT,
    etag TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (principal_id, operation, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
