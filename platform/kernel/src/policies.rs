//! Policies as modules declare them: data that the authorization service compiles at start.
//!
//! A prohibition that holds wins, then a permit that holds allows, otherwise the answer is no. An
//! action that no permit is about needs its permission alone.

/// Whether a policy permits or forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyEffect {
    /// Allows when its condition holds and nothing forbids.
    Permit,
    /// Refuses when its condition holds, or when it cannot be evaluated.
    Forbid,
}

/// One rule about resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyDef {
    /// Its id, shown in explanations: `blog.own_drafts`.
    pub id: &'static str,
    /// The permissions it is about: a key, or a pattern as in [`crate::event::matches`]
    /// (`blog.post.*`). Whoever registers a permit asks the authorizer for a decision before each
    /// such action.
    pub action: &'static str,
    /// What it does when its condition holds.
    pub effect: PolicyEffect,
    /// When it applies, in the Common Expression Language, over `principal` (id, kind, tenant,
    /// session, label), `resource` (kind, id, tenant, owner, attributes), `request` (time, hour,
    /// weekday, address), `action` and `permitted('key')`. What is absent is null.
    pub condition: &'static str,
    /// What it is for, a clause for people: `authors edit their own drafts`.
    pub description: &'static str,
}
