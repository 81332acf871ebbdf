//! How a rendered mail leaves the house: into a file or to an SMTP server.

mod file;
mod letter;
mod reload;
mod smtp;

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::OnceCell;
use troupe_kernel::{Failure, Mail, Timestamp, Uuid};

use crate::config::{Delivery, NotifyConfig, SmtpConfig};
use crate::error::DeliveryFault;
use crate::templates::{Branding, TemplateSet};

use file::FileDelivery;
use letter::{Letter, Letterhead, Posting};
use smtp::SmtpDelivery;

/// Templates and the way out, shared by the workers and opened by the first that starts.
#[derive(Clone)]
pub(crate) struct Office {
    config: Arc<NotifyConfig>,
    open: Arc<OnceCell<RwLock<Arc<Open>>>>,
}

struct Open {
    smtp: SmtpConfig,
    templates: Arc<TemplateSet>,
    letterhead: Arc<Letterhead>,
    way: Way,
}

enum Way {
    File(FileDelivery),
    Smtp(Box<SmtpDelivery>),
}

/// A mail that left, or why it did not; with the subject when it could be rendered.
pub(crate) struct Sent {
    pub(crate) subject: Option<String>,
    pub(crate) outcome: Result<(), DeliveryFault>,
}

impl Office {
    pub(crate) fn new(config: Arc<NotifyConfig>) -> Self {
        Self { config, open: Arc::default() }
    }

    /// Loads the templates and prepares the way out.
    ///
    /// # Errors
    /// What is wrong with the templates, the directory or the mail server's settings.
    pub(crate) async fn open(&self) -> Result<(), Failure> {
        self.opened().await.map(|_| ())
    }

    async fn opened(&self) -> Result<Arc<Open>, Failure> {
        let first = || async { Open::read(self.config.clone()).await.map(RwLock::new) };
        Ok(self.open.get_or_try_init(first).await?.read().clone())
    }

    /// Renders and delivers a mail. `id` becomes its `Message-ID`; with a link it says how to be rid of
    /// its like.
    ///
    /// # Errors
    /// When the office cannot be opened; what goes wrong with the mail itself is in [`Sent`].
    pub(crate) async fn send(
        &self,
        id: Uuid,
        mut mail: Mail,
        unsubscribe: Option<String>,
        now: Timestamp,
    ) -> Result<Sent, Failure> {
        let open = self.opened().await?;
        if let (Some(link), Some(data)) = (&unsubscribe, mail.data.as_object_mut()) {
            data.insert("unsubscribe_url".to_owned(), link.as_str().into());
        }
        let rendered = match open.templates.render(&mail) {
            Ok(rendered) => rendered,
            Err(fault) => return Ok(Sent { subject: None, outcome: Err(fault.into()) }),
        };
        let subject = rendered.subject.clone();
        let posting = Posting { id, to: &mail.to, written: now, unsubscribe };
        let outcome = match Letter::write(&open.letterhead, rendered, posting) {
            Err(fault) => Err(fault),
            Ok(letter) => match &open.way {
                Way::File(way) => way.deliver(letter).await,
                Way::Smtp(way) => way.deliver(letter).await,
            },
        };
        Ok(Sent { subject: Some(subject), outcome })
    }
}

impl Open {
    async fn read(config: Arc<NotifyConfig>) -> Result<Arc<Self>, Failure> {
        let opened = tokio::task::spawn_blocking(move || Self::new(&config)).await;
        let opened = opened.map_err(|error| {
            Failure::internal("notify.start.failed", format!("opening crashed: {error}"))
        })?;
        opened.map(Arc::new)
    }

    fn new(config: &NotifyConfig) -> Result<Self, Failure> {
        let branding = Branding {
            product: config.product.clone(),
            public_url: config.public_url.trim_end_matches('/').to_owned(),
            default_locale: config.default_locale.clone(),
        };
        let mut templates = TemplateSet::builtin(branding).map_err(|fault| refused(&fault))?;
        if !config.templates.as_os_str().is_empty() {
            templates.overlay(&config.templates).map_err(|fault| refused(&fault))?;
        }
        let letterhead = Arc::new(Letterhead::new(config)?);
        let way = match config.delivery {
            Delivery::File => Way::File(FileDelivery::new(&config.directory)),
            Delivery::Smtp => Way::Smtp(Box::new(SmtpDelivery::new(&config.smtp)?)),
        };
        Ok(Self { smtp: config.smtp.clone(), templates: Arc::new(templates), letterhead, way })
    }
}

fn refused(fault: &crate::error::TemplateFault) -> Failure {
    Failure::invalid("notify.templates.faulty", fault.to_string())
}
