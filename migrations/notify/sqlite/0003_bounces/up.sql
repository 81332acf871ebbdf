-- Addresses that are not written to until somebody clears them, in lower case.
CREATE TABLE notify_bounces (
    address TEXT NOT NULL PRIMARY KEY,
    cause TEXT NOT NULL CHECK (cause IN ('refused', 'reported')),
    detail TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
