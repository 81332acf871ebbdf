//! The built-in templates, compiled in from `templates/`.

/// One built-in template in one language.
pub(super) struct Embedded {
    pub(super) locale: &'static str,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) html: &'static str,
}

/// The frame of every HTML mail.
pub(super) const LAYOUT: &str = include_str!("../../templates/layout.html");

macro_rules! embedded {
    ($($locale:literal: [$($name:literal),+ $(,)?]),+ $(,)?) => {
        &[$($(Embedded {
            locale: $locale,
            name: $name,
            text: include_str!(concat!("../../templates/", $locale, "/", $name, ".txt")),
            html: include_str!(concat!("../../templates/", $locale, "/", $name, ".html")),
        }),+),+]
    };
}

/// Every built-in template.
pub(super) const TEMPLATES: &[Embedded] = embedded! {
    "en": [
        "auth.identity_changed",
        "auth.passkey_changed",
        "auth.password_changed",
        "auth.password_reset",
        "auth.second_factor_changed",
        "auth.sessions_revoked",
        "identity.deletion_requested",
        "identity.email_change",
        "identity.email_change_notice",
        "identity.invitation",
        "identity.verify_email",
        "identity.webhook_disabled",
    ],
    "de": [
        "auth.identity_changed",
        "auth.passkey_changed",
        "auth.password_changed",
        "auth.password_reset",
        "auth.second_factor_changed",
        "auth.sessions_revoked",
        "identity.deletion_requested",
        "identity.email_change",
        "identity.email_change_notice",
        "identity.invitation",
        "identity.verify_email",
        "identity.webhook_disabled",
    ],
};
