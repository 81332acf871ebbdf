//! Verifies trails on request, one at a time.

use troupe_actors::{Context, Handled, Lent, Service};
use troupe_database::Db;

use super::Keys;
use crate::anchor::Anchor;
use crate::messages::{Trail, VerifierMessage};
use crate::verify::{VerifyOptions, verify};

/// Entries verified for one request about one trail; the report says where to go on.
const ENTRIES_MAX: u64 = 100_000;
/// Entries verified for one request about all trails; the command line has no limit.
const ALL_ENTRIES_MAX: u64 = 500_000;

/// Verifies one trail after the other, so that verifications cannot crowd out other work.
pub struct Verifier {
    db: Db,
    keys: Keys,
}

impl Verifier {
    /// A verifier of a database.
    #[must_use]
    pub fn new(db: Db, keys: Keys) -> Self {
        Self { db, keys }
    }
}

impl Service for Verifier {
    type Message = VerifierMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<VerifierMessage>,
        ctx: &mut Context<VerifierMessage>,
    ) -> Handled {
        let VerifierMessage::VerifyTrail(query) = &**message;
        let options = match query.trail {
            Trail::Tenant(tenant) => VerifyOptions {
                chain: Some(tenant.uuid()),
                after: query.after,
                entries_max: Some(ENTRIES_MAX),
                anchor: None,
            },
            Trail::All => {
                let path = &self.keys.config().anchor_file;
                let anchor = if path.as_os_str().is_empty() { None } else { Anchor::read(path)? };
                VerifyOptions {
                    anchor,
                    entries_max: Some(ALL_ENTRIES_MAX),
                    ..VerifyOptions::default()
                }
            }
        };
        let keys = self.keys.public()?;
        let report = verify(&self.db, &keys, &options).await?;
        ctx.reply(query, report)
    }
}
