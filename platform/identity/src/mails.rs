//! The mails that identity sends: templates of notify with their data. Links hold one-time tokens.

use serde_json::json;
use troupe_kernel::clock::Timestamp;
use troupe_kernel::{Mail, NoticeDef};

use crate::messages::TellWebhookDisabled;
use crate::repository::organisations::OrganisationRow;
use crate::repository::users::UserRow;

/// The letter about an endpoint that was disabled.
pub(crate) const WEBHOOK_DISABLED: NoticeDef = NoticeDef {
    key: "identity.webhook_disabled",
    title: "An endpoint of an organisation's webhooks was disabled",
};

pub(crate) fn verify_email(user: &UserRow, link: &str, expires: Timestamp) -> Mail {
    let data = json!({
        "display_name": user.display_name,
        "email": user.email,
        "link": link,
        "expires_at": expires,
    });
    Mail::new("identity.verify_email", &user.email, &data).locale(&user.locale)
}

pub(crate) fn email_change(user: &UserRow, to: &str, link: &str, expires: Timestamp) -> Mail {
    let data = json!({
        "display_name": user.display_name,
        "email": to,
        "link": link,
        "expires_at": expires,
    });
    Mail::new("identity.email_change", to, &data).locale(&user.locale)
}

/// To the old address.
pub(crate) fn email_change_notice(user: &UserRow, to: &str) -> Mail {
    let data = json!({ "display_name": user.display_name, "email": to });
    Mail::new("identity.email_change_notice", &user.email, &data).locale(&user.locale)
}

pub(crate) fn deletion_requested(user: &UserRow, due: Timestamp) -> Mail {
    let data = json!({ "display_name": user.display_name, "due_at": due });
    Mail::new("identity.deletion_requested", &user.email, &data).locale(&user.locale)
}

/// What an invitation says.
pub(crate) struct InvitationText<'a> {
    pub(crate) email: &'a str,
    pub(crate) organisation: &'a str,
    pub(crate) inviter: &'a str,
    pub(crate) role: &'a str,
    pub(crate) link: &'a str,
    pub(crate) expires: Timestamp,
    pub(crate) locale: &'a str,
}

pub(crate) fn invitation(text: &InvitationText<'_>) -> Mail {
    let data = json!({
        "email": text.email,
        "organisation": text.organisation,
        "inviter": text.inviter,
        "role": text.role,
        "link": text.link,
        "expires_at": text.expires,
    });
    Mail::new("identity.invitation", text.email, &data).locale(text.locale)
}

/// To each owner and admin.
pub(crate) fn webhook_disabled(
    user: &UserRow,
    organisation: &OrganisationRow,
    told: &TellWebhookDisabled,
) -> Mail {
    let data = json!({
        "display_name": user.display_name,
        "organisation": organisation.name,
        "host": told.host,
        "because": told.because,
    });
    let mail = Mail::new(WEBHOOK_DISABLED.key, &user.email, &data);
    mail.locale(&user.locale).for_user(user.user_id())
}
