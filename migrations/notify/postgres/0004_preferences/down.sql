ALTER TABLE notify_mails DROP COLUMN user_id;
DROP TABLE notify_preferences;
