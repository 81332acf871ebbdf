//! What notify understands: jobs that deliver, the port's direct way, and the administrators' view.

mod bounces;
mod preferences;

use serde::{Deserialize, Serialize};
use troupe_actors::protocol;
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::{Page, PageRequest};
use troupe_kernel::{Mail, Timestamp};
use utoipa::ToSchema;

pub use bounces::{Bounce, BounceCause, ClearBounce, ListBounces, ReportBounce};
pub use preferences::{
    ListPreferences, Preference, PreviewUnsubscribe, SetPreference, Unsubscribe,
};

troupe_kernel::typed_id! {
    /// Which mail in the outbox.
    MailId
}

/// Which attempt of a job this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u16,
    /// After so many the mail has failed.
    pub of: u16,
}

impl Attempt {
    /// The only attempt.
    pub const ONLY: Self = Self { number: 1, of: 1 };

    /// Whether no other follows.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.number >= self.of
    }
}

/// Delivers a mail, once per id.
///
/// Fails with `notify.mail.deferred` (transient) while another attempt may help, with
/// `notify.mail.refused` when none will.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliverMail {
    /// Id of the mail: that of the job which brings it.
    pub id: MailId,
    /// The mail.
    pub mail: Mail,
    /// Which attempt this is.
    pub attempt: Attempt,
}

/// Delivers a mail from the outbox again. Fails like [`DeliverMail`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RedeliverMail {
    /// The mail.
    pub id: MailId,
    /// Which attempt this is.
    pub attempt: Attempt,
}

/// Delivers a mail now, in one attempt. Fails like [`DeliverMail`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendMail {
    /// The mail.
    pub mail: Mail,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// Waits for its next attempt.
    Queued,
    /// Taken by the mail server, or written into its file.
    Sent,
    /// Refused, or tried too often.
    Failed,
}

impl MailState {
    /// The name as stored and as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// A mail in the outbox, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailRecord {
    /// Which mail.
    pub id: MailId,
    /// The tenant on whose behalf it was sent.
    pub tenant: Option<TenantId>,
    /// Its template.
    pub template: String,
    /// The recipient's language.
    pub locale: String,
    /// The recipient.
    pub recipient: String,
    /// Its subject, once it was rendered.
    pub subject: Option<String>,
    /// What became of it.
    pub state: MailState,
    /// Attempts so far.
    pub attempts: i32,
    /// What went wrong in the last one.
    pub last_error: Option<String>,
    /// Whether its content is still there, so that it can be sent again.
    pub resendable: bool,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// When it came.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Answers mails, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListMails {
    /// Only mails in this state.
    pub state: Option<MailState>,
    /// Only mails to this address, compared without case.
    pub recipient: Option<String>,
    /// Which page.
    pub page: PageRequest,
}

/// Answers one mail, or fails with `notify.mail.not_found`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetMail {
    /// The mail.
    pub id: MailId,
}

/// Queues a mail again that was sent or has failed.
///
/// Fails with `notify.mail.not_found`, `notify.mail.queued`, `notify.mail.erased`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResendMail {
    /// The mail.
    pub id: MailId,
}

/// Erases the content of mails whose last attempt is long ago.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EraseOldMails;

protocol! {
    /// What the mail service understands.
    pub enum MailMessage("notify", 1) redact ["data", "to", "recipient", "token"] {
        /// Delivers a mail that a job brings.
        DeliverMail => (),
        /// Delivers a mail from the outbox again.
        RedeliverMail => (),
        /// Delivers a mail now.
        SendMail => (),
        /// Answers mails.
        ListMails => Page<MailRecord>,
        /// Answers one mail.
        GetMail => MailRecord,
        /// Queues a mail again.
        ResendMail => MailRecord,
        /// Erases old content.
        EraseOldMails => (),
        /// Answers addresses that are not written to.
        ListBounces => Page<Bounce>,
        /// Marks an address.
        ReportBounce => Bounce,
        /// Takes a mark away.
        ClearBounce => (),
        /// Answers what a user says about letters.
        ListPreferences => Vec<Preference>,
        /// Says whether a kind of letter is sent.
        SetPreference => Preference,
        /// Which letters a link switches off.
        PreviewUnsubscribe => Preference,
        /// Switches letters off by their link.
        Unsubscribe => Preference,
    }
}
