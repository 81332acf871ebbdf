-- Every mail the platform was asked to send and what became of it. `data` may hold one-time links:
-- it is never shown, and erased after the configured time.
CREATE TABLE notify_mails (
    id uuid NOT NULL PRIMARY KEY,
    tenant uuid,
    template text NOT NULL,
    locale text NOT NULL,
    recipient text NOT NULL,
    subject text,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'failed')),
    attempts integer NOT NULL,
    last_error text,
    data jsonb,
    sent_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX notify_mails_state ON notify_mails (state, id);
CREATE INDEX notify_mails_data ON notify_mails (updated_at) WHERE data IS NOT NULL;
