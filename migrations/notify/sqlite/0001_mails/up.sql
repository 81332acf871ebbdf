-- Every mail the platform was asked to send and what became of it. `data` may hold one-time links:
-- it is never shown, and erased after the configured time.
CREATE TABLE notify_mails (
    id BLOB NOT NULL PRIMARY KEY,
    tenant BLOB,
    template TEXT NOT NULL,
    locale TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed')),
    attempts INTEGER NOT NULL,
    last_error TEXT,
    data TEXT,
    sent_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notify_mails_state ON notify_mails (state, id);
CREATE INDEX notify_mails_data ON notify_mails (updated_at) WHERE data IS NOT NULL;
