//! Mail templates and their delivery, and webhooks.
//!
//! Services add [`Mail::into_job`](troupe_kernel::Mail::into_job) to their unit of work. The job comes
//! here: the mail is written into the outbox table `notify_mails`, rendered from its templates and
//! handed to a file (development) or an SMTP server. A server that is away makes the job try again
//! later; a refusal ends it. Administrators see what became of every mail below `/v1/notify/mails`,
//! never its content: links in it work once and belong to the recipient.
//!
//! Delivery is at least once. The `Message-ID` of a mail stays the same in every attempt, so that
//! mail systems drop a second copy.

mod config;
mod delivery;
mod error;
mod events;
pub mod messages;
mod module;
pub mod permissions;
mod port;
pub mod repository;
mod routes;
mod service;
mod templates;
pub mod webhooks;

pub use config::{Delivery, Encryption, NotifyConfig, SmtpConfig, WebhookConfig};
pub use error::{DeliveryFault, TemplateFault};
pub use module::NotifyModule;
pub use repository::MIGRATIONS;
pub use templates::{Branding, Rendered, TemplateSet};
