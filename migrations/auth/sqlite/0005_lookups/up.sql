-- Refresh tokens are swept by their age.
CREATE INDEX auth_refresh_tokens_expiry ON auth_refresh_tokens (expires_at);

-- What has ended is asked for, too: when an account is deleted and when an organisation is suspended.
-- last_seen_at, which each refresh changes, is not worth an index of one user's few sessions.
DROP INDEX auth_sessions_user;
DROP INDEX auth_sessions_tenant;
DROP INDEX auth_api_keys_page;
CREATE INDEX auth_sessions_user ON auth_sessions (user_id);
CREATE INDEX auth_sessions_tenant ON auth_sessions (tenant_id);
CREATE INDEX auth_api_keys_page ON auth_api_keys (tenant_id, id);
