//! Keeps records from outside of transactions: refusals at a gate, failed logins.

use troupe_actors::{Batch, Context, Handled, Lent, Reply, Service};
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::{AuditRecord, Failure, Scope};

use crate::error::AuditError;
use crate::messages::{IntakeMessage, Record};

/// Records written in one transaction.
const BATCH_MAX: usize = 256;
/// Longest detail of a record, in bytes of JSON; transactions have no such limit.
const DETAIL_BYTES_MAX: usize = 16 * 1024;
const WRITE_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// Writes what waits in one transaction: under an attack that fails a thousand logins a second there
/// are few commits, and beyond the mailbox's bound the caller is refused.
pub struct Intake {
    db: Db,
}

impl Intake {
    /// An intake into a database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    async fn write(&self, records: Vec<AuditRecord>) -> Result<(), Failure> {
        let scope = Scope::system("audit.intake", WRITE_WITHIN);
        self.db
            .transaction(&scope, async move |uow: &mut UnitOfWork| {
                records.into_iter().for_each(|record| uow.audit(record));
                Ok(())
            })
            .await
    }
}

impl Service for Intake {
    type Message = IntakeMessage;

    const BATCHES: bool = true;

    async fn handle(
        &mut self,
        _message: &mut Lent<IntakeMessage>,
        ctx: &mut Context<IntakeMessage>,
    ) -> Handled {
        ctx.fail(Failure::internal("audit.intake.batch", "records are kept in batches"))
    }

    async fn handle_batch(
        &mut self,
        batch: &mut Batch<'_, IntakeMessage>,
        _ctx: &mut Context<IntakeMessage>,
    ) -> Handled {
        let mut records = Vec::new();
        let mut askers: Vec<Reply<()>> = Vec::new();
        while records.len() < BATCH_MAX {
            let Some(mail) = batch.next() else { break };
            let (message, _, asker) = mail.into_parts::<Record>();
            let IntakeMessage::Record(Record { record }) = message;
            let bytes = record.detail.to_string().len();
            if bytes > DETAIL_BYTES_MAX {
                let refused = AuditError::RecordTooLarge { bytes, most: DETAIL_BYTES_MAX };
                asker.send(Err(refused.into()));
                continue;
            }
            records.push(record);
            askers.push(asker);
        }
        if records.is_empty() {
            return Ok(());
        }
        let written = self.write(records).await;
        if let Err(failure) = &written {
            tracing::error!(%failure, records = askers.len(), "audit records were not kept");
        }
        for asker in askers {
            asker.send(written.clone());
        }
        Ok(())
    }
}
