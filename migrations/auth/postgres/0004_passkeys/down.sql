ALTER TABLE auth_challenges DROP COLUMN passkey_state;
DROP TABLE auth_ceremonies;
DROP TABLE auth_passkeys;
