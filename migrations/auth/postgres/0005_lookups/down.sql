DROP INDEX auth_api_keys_page;
DROP INDEX auth_sessions_tenant;
DROP INDEX auth_sessions_user;
CREATE INDEX auth_sessions_user ON auth_sessions (user_id, last_seen_at) WHERE ended_at IS NULL;
CREATE INDEX auth_sessions_tenant ON auth_sessions (tenant_id) WHERE ended_at IS NULL;
CREATE INDEX auth_api_keys_page ON auth_api_keys (tenant_id, id) WHERE revoked_at IS NULL;
DROP INDEX auth_refresh_tokens_expiry;
