-- Addresses that are not written to until somebody clears them, in lower case.
CREATE TABLE notify_bounces (
    address text NOT NULL PRIMARY KEY,
    cause text NOT NULL CHECK (cause IN ('refused', 'reported')),
    detail text NOT NULL,
    created_at timestamptz NOT NULL
);
