//! Another way to the mail server while the node runs: its address, its login, its authorities.

use std::sync::Arc;

use troupe_kernel::{Change, ConfigFault, Failure, Reload};

use super::{Office, Open, SmtpDelivery, Way};
use crate::config::{NotifyConfig, SmtpConfig};

impl Office {
    /// Takes another mail server. Mails under way end with the one before.
    pub(crate) fn reload(&self) -> Reload {
        let office = self.clone();
        Reload::new(&["smtp"], move |config: NotifyConfig| {
            let office = office.clone();
            Box::pin(async move { office.change_to(config.smtp).await })
        })
    }

    async fn change_to(&self, smtp: SmtpConfig) -> Result<Change, Vec<ConfigFault>> {
        let fault = |key: &str, detail: &str| vec![ConfigFault::new(key, detail)];
        let opened = self.opened().await.map_err(|failure| fault("smtp", failure.detail()))?;
        let changed = opened.smtp.differences(&smtp);
        let Some((first, others)) = changed.split_first() else { return Ok(Change::none()) };
        if matches!(opened.way, Way::File(_)) {
            return Ok(changed.iter().fold(Change::none(), |change, key| change.later(key)));
        }
        let way = way(smtp.clone()).await.map_err(|failure| fault(first, failure.detail()))?;
        if let Some(refusal) = way.refusal().await {
            return Err(fault(first, &refusal));
        }
        let (templates, letterhead) = (opened.templates.clone(), opened.letterhead.clone());
        let fresh = Arc::new(Open { smtp, templates, letterhead, way: Way::Smtp(Box::new(way)) });
        let open = self.open.clone();
        let make = move || {
            if let Some(slot) = open.get() {
                *slot.write() = fresh;
            }
        };
        let change = Change::none().of(first, make);
        Ok(others.iter().fold(change, |change, key| change.of(key, || {})))
    }
}

/// It reads the file of the authorities.
async fn way(smtp: SmtpConfig) -> Result<SmtpDelivery, Failure> {
    let prepared = tokio::task::spawn_blocking(move || SmtpDelivery::new(&smtp)).await;
    prepared.unwrap_or_else(|crash| {
        Err(Failure::internal("notify.smtp.crashed", format!("preparing crashed: {crash}")))
    })
}
