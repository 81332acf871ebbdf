//! `troupe audit verify`: checks the trail against its keys, without the node.

use troupe_audit::{Anchor, AuditConfig, VerifyOptions, verify};

use crate::cli::AuditCommand;
use crate::compose;
use crate::config::{Config, refuse};
use crate::failure::{Exit, Stop};
use crate::print;

pub async fn run(config: Config, command: &AuditCommand) -> Result<(), Stop> {
    let AuditCommand::Verify { json } = command;
    let composed = compose::compose(config).await?;
    let settings: AuditConfig =
        composed.around.config.section().map_err(|faults| refuse(&faults))?;
    let unusable = |error: troupe_audit::AuditError| Stop::new(Exit::Data, error.to_string());
    let keys = settings.public_keys().map_err(unusable)?;
    let anchor = if settings.anchor_file.as_os_str().is_empty() {
        None
    } else {
        Anchor::read(&settings.anchor_file).map_err(unusable)?
    };
    let options = VerifyOptions { anchor, ..VerifyOptions::default() };
    let report = verify(&composed.db, &keys, &options).await?;
    if *json {
        let text = serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?;
        print(&format!("{text}\n"));
    } else {
        print(&format!(
            "{} trails, {} entries, {} checkpoints checked; {} records wait to be sealed\n",
            report.trails, report.entries, report.checkpoints, report.waiting
        ));
        for finding in &report.findings {
            print(&format!("  - {finding}\n"));
        }
        if report.intact {
            print("the audit trail is intact\n");
        }
    }
    if report.intact {
        return Ok(());
    }
    let message = format!("the audit trail was changed: {} findings", report.findings_total);
    Err(Stop::new(Exit::Tampered, message))
}
