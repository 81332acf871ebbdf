//! Questions to the database by `psql`: what the checker believes does not come through the product.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

/// How long one question may take.
const TIMEOUT: &str = "60s";

/// The rows of a query, each read from JSON.
pub(crate) fn rows<T: DeserializeOwned>(url: &str, query: &str) -> Result<Vec<T>> {
    let text = run(url, &format!("SELECT to_json(r) FROM ({query}) r"))?;
    text.lines()
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("a row of `{query}`: {line}"))
        })
        .collect()
}

/// The one number that a query answers.
pub(crate) fn number(url: &str, query: &str) -> Result<i64> {
    run(url, query)?.trim().parse().with_context(|| format!("`{query}` answers no number"))
}

/// Runs statements and gives what they print.
pub(crate) fn run(url: &str, statements: &str) -> Result<String> {
    let output = Command::new("psql")
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", url, "-c", statements])
        .env("PGCONNECT_TIMEOUT", "5")
        .env("PGOPTIONS", format!("-c statement_timeout={TIMEOUT}"))
        .stdin(Stdio::null())
        .output()
        .context("psql cannot be started: install postgresql-client")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
