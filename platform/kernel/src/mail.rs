//! Mail as a module asks for it: a template, a recipient and the data; the notifier does the rest.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::UserId;
use crate::job::Job;

/// The kind of the job that sends a mail.
pub const MAIL_JOB: &str = "notify.mail";

/// A kind of letter that its recipient may switch off. A letter whose template no module declares so is
/// always sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeDef {
    /// Name of the template.
    pub key: &'static str,
    /// What it tells, one line for the person who decides.
    pub title: &'static str,
}

/// A mail to be rendered and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// Name of the template, `owner.name`, for example `auth.password_reset`.
    pub template: String,
    /// Address of the recipient.
    pub to: String,
    /// Language of the recipient (BCP 47), for example `en`.
    pub locale: String,
    /// What the template shows. It may hold one-time links: it is never logged.
    pub data: Value,
    /// The account of the recipient, for letters that may be switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

impl Mail {
    /// A mail in English.
    ///
    /// # Panics
    /// When the data cannot be JSON (a map whose keys are not strings): a defect of its type.
    #[must_use]
    pub fn new(template: impl Into<String>, to: impl Into<String>, data: &impl Serialize) -> Self {
        Self {
            template: template.into(),
            to: to.into(),
            locale: "en".to_owned(),
            data: serde_json::to_value(data).expect("mail data is representable as JSON"),
            user: None,
        }
    }

    /// Says whose letter it is, so that they may switch off its like.
    #[must_use]
    pub fn for_user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Sets the language.
    #[must_use]
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = locale.into();
        self
    }

    /// The job that sends it.
    #[must_use]
    pub fn into_job(self) -> Job {
        Job::new(MAIL_JOB, &self).queue("mail")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_becomes_a_job_that_carries_it_whole() {
        let mail = Mail::new("auth.reset", "a@example.org", &serde_json::json!({"link": "x"}));
        let job = mail.clone().into_job();
        assert_eq!(job.kind, MAIL_JOB);
        assert_eq!(serde_json::from_value::<Mail>(job.payload).unwrap(), mail);
    }
}
