//! Roles, permissions and resource policies, and why a decision was made.
