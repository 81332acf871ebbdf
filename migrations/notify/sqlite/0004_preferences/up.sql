-- What users have said about letters that may be switched off; who says nothing gets them.
CREATE TABLE notify_preferences (
    user_id BLOB NOT NULL,
    notice TEXT NOT NULL,
    mail INTEGER NOT NULL CHECK (mail IN (0, 1)),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, notice)
) STRICT;
-- Whose letter it is, when the recipient may switch it off.
ALTER TABLE notify_mails ADD COLUMN user_id BLOB;
