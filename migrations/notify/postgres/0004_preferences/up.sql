-- What users have said about letters that may be switched off; who says nothing gets them.
CREATE TABLE notify_preferences (
    user_id uuid NOT NULL,
    notice text NOT NULL,
    mail boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, notice)
);
-- Whose letter it is, when the recipient may switch it off.
ALTER TABLE notify_mails ADD COLUMN user_id uuid;
