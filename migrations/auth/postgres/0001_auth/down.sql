DROP TABLE auth_api_keys;
DROP TABLE auth_signing_keys;
DROP TABLE auth_failures;
DROP TABLE auth_one_time_tokens;
DROP TABLE auth_refresh_tokens;
DROP TABLE auth_sessions;
DROP TABLE auth_credentials;
