//! The user that a native service runs as: servers such as PostgreSQL refuse to run as root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// A user to run a server as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The named account when we are root, ourselves otherwise (`None`).
    ///
    /// # Errors
    /// When we are root and there is no such account.
    pub(super) fn for_server(name: &str) -> Result<Option<Self>> {
        if current()? != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = find(&accounts, name);
        account
            .map(Some)
            .with_context(|| format!("root cannot run it and there is no user `{name}`"))
    }

    /// Gives a folder to the account.
    pub(super) fn give(self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
            .with_context(|| format!("cannot give {} away", path.display()))
    }

    /// Makes the command run as the account.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }
}

/// The user that runs us.
pub(super) fn current() -> Result<u32> {
    let mut id = Command::new("id");
    id.arg("-u");
    process::capture(id)?.trim().parse().context("the answer of `id -u`")
}

/// The user that a path belongs to; a link is not followed.
pub(super) fn owner(path: &Path) -> Result<u32> {
    let metadata =
        fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(metadata.uid())
}

fn find(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_named = fields.next() == Some(name);
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        is_named.then_some(Account { user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:102:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(find(accounts, "postgres"), Some(Account { user: 101, group: 102 }));
        assert_eq!(find(accounts, "post"), None);
    }
}
