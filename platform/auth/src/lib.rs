//! Passwords, tokens, sessions and API keys.
