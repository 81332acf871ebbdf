//! Another way to the mail server while the node runs: its address, its login, its authorities.

use std::sync::Arc;

use troupe_kernel::{Change, ConfigFault, Reload};

use super::{Delivery, Office, Open, Way};
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
        // Everything else stays as it was at the start.
        let config = NotifyConfig { smtp, ..(*self.config).clone() };
        let is_used = config.delivery == Delivery::Smtp;
        let fresh = Open::read(Arc::new(config)).await;
        let fresh = fresh.map_err(|failure| fault(first, failure.detail()))?;
        if is_used
            && let Way::Smtp(way) = &fresh.way
            && let Some(refusal) = way.refusal().await
        {
            return Err(fault(first, &refusal));
        }
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
