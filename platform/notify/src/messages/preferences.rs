//! What users say about letters that may be switched off.

use serde::{Deserialize, Serialize};
use troupe_kernel::SecretText;
use troupe_kernel::ids::UserId;
use utoipa::ToSchema;

/// A kind of letter that may be switched off, and what the user says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preference {
    /// Which kind.
    pub notice: String,
    /// What it tells.
    pub title: String,
    /// Whether it is sent by mail.
    pub mail: bool,
}

/// Answers every kind of letter that may be switched off.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListPreferences {
    /// Whose.
    pub user: UserId,
}

/// Says whether a kind of letter is sent. Fails with `notify.preference.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetPreference {
    /// Whose.
    pub user: UserId,
    /// Which kind.
    pub notice: String,
    /// Whether it is sent by mail.
    pub mail: bool,
}

/// Which letters a link switches off. Fails with `notify.unsubscribe.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviewUnsubscribe {
    /// The token of the link.
    pub token: SecretText,
}

/// Switches letters off by their link (RFC 8058). Fails with `notify.unsubscribe.invalid`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unsubscribe {
    /// The token of the link.
    pub token: SecretText,
}
