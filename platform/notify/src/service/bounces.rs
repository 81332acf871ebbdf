//! Marks on addresses that mail comes back from.

use lettre::Address;
use serde_json::json;
use troupe_actors::Scope;
use troupe_database::{Commanded, DbConn, UnitOfWork};
use troupe_kernel::pagination::Page;
use troupe_kernel::{AuditRecord, Failure};

use super::Mails;
use crate::error::{self, one_line};
use crate::messages::{Bounce, BounceCause, ClearBounce, ListBounces, ReportBounce};
use crate::repository::bounces::{self, BounceRow};

impl Mails {
    pub(super) async fn list_bounces(&self, query: &ListBounces) -> Result<Page<Bounce>, Failure> {
        let after: String = query.page.position()?.unwrap_or_default();
        let rows = query.page.rows();
        let found = self
            .db
            .read(async move |conn: &mut DbConn| Ok(bounces::page(conn, after, rows).await?))
            .await?;
        let items = found.into_iter().map(BounceRow::into_bounce).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(items, &query.page, |bounce| bounce.recipient.clone()))
    }

    pub(super) async fn report_bounce(
        &self,
        scope: &Scope,
        command: &ReportBounce,
    ) -> Result<Commanded<Bounce>, Failure> {
        let recipient = command.recipient.trim().to_owned();
        if recipient.parse::<Address>().is_err() {
            return Err(error::bounce_invalid());
        }
        let detail = one_line(&command.detail);
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                let row = BounceRow::new(&recipient, BounceCause::Reported, &detail, uow.now());
                if bounces::mark(uow.conn(), &row).await? {
                    uow.audit(record(uow.scope(), "notify.bounce.report", &row.address));
                }
                let kept = bounces::find(uow.conn(), &recipient).await?;
                kept.unwrap_or(row).into_bounce()
            })
            .await
    }

    pub(super) async fn clear_bounce(
        &self,
        scope: &Scope,
        command: &ClearBounce,
    ) -> Result<Commanded<()>, Failure> {
        let recipient = command.recipient.clone();
        self.db
            .command_marked(scope, async move |uow: &mut UnitOfWork| {
                if !bounces::clear(uow.conn(), &recipient).await? {
                    return Err(error::bounce_not_found());
                }
                uow.audit(record(uow.scope(), "notify.bounce.clear", &recipient));
                Ok(())
            })
            .await
    }

    /// Whether an address is marked.
    pub(super) async fn bounces(&self, recipient: &str) -> Result<bool, Failure> {
        let recipient = recipient.to_owned();
        let found = self
            .db
            .read(async move |conn: &mut DbConn| Ok(bounces::find(conn, &recipient).await?))
            .await?;
        Ok(found.is_some())
    }
}

/// A record of the platform; its chain holds a part of the address only, because it is kept for ever.
fn record(scope: &Scope, action: &str, address: &str) -> AuditRecord {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first = local.chars().next().unwrap_or_default();
    let mut record = AuditRecord::new(scope, action, "mail_address");
    record.tenant = None;
    record.detail(json!({ "address": format!("{first}…@{domain}") }))
}
