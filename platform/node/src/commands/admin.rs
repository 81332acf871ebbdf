//! `troupe admin …`: works on the node's own data through its services, as the system.

use std::io::{BufRead, IsTerminal};

use troupe_actors::ServiceRef;
use troupe_auth::messages::{AdminCreateUser, AdminResetSecondFactor, AdminResetSetup};
use troupe_auth::{AuthHandle, SecretText};
use troupe_authz_messages::{AuthzMessage, Grant};
use troupe_identity_messages::{FindOrganisationBySlug, FindUserByEmail, IdentityMessage, User};

use crate::cli::AdminCommand;
use crate::compose::{self, Offline};
use crate::config::Config;
use crate::failure::{Exit, Stop};
use crate::print;

pub async fn run(config: Config, command: &AdminCommand) -> Result<(), Stop> {
    let offline = compose::compose(config).await?.start_offline().await?;
    let result = work(&offline, command).await;
    offline.finish().await;
    result
}

async fn work(offline: &Offline, command: &AdminCommand) -> Result<(), Stop> {
    let scope = compose::own_scope("admin");
    let auth = offline.around.container.require::<AuthHandle>().map_err(anyhow::Error::from)?;
    match command {
        AdminCommand::CreateUser { email, name, organisation } => {
            let request = AdminCreateUser {
                email: email.clone(),
                display_name: name.clone(),
                password: Some(read_password()?),
                organisation: organisation.clone(),
            };
            let created = auth.accounts.ask(&scope, request).await?;
            print(&format!("created {email} as {}\n", created.user));
        }
        AdminCommand::Grant { email, role, organisation } => {
            grant(offline, email, role, organisation.as_deref()).await?;
            print(&format!("{email} has the role {role} now\n"));
        }
        AdminCommand::ResetSecondFactor { email } => {
            let user = account(offline, email).await?.id;
            auth.second_factors.ask(&scope, AdminResetSecondFactor { user }).await?;
            print(&format!("{email} logs in without a code now\n"));
        }
        AdminCommand::SetupLink => {
            let link = auth.accounts.ask(&scope, AdminResetSetup).await?;
            print(&format!("{}\n", auth.link_text(&link)));
        }
    }
    Ok(())
}

/// The account with this address.
async fn account(offline: &Offline, email: &str) -> Result<User, Stop> {
    let scope = compose::own_scope("admin.account");
    let container = &offline.around.container;
    let identity =
        container.require::<ServiceRef<IdentityMessage>>().map_err(anyhow::Error::from)?;
    identity.ask(&scope, FindUserByEmail { email: email.to_owned() }).await?.ok_or_else(|| {
        Stop::new(
            Exit::Failed,
            format!(
                "nobody has the address {email}; make the account with `troupe admin create-user`"
            ),
        )
    })
}

async fn grant(
    offline: &Offline,
    email: &str,
    role: &str,
    organisation: Option<&str>,
) -> Result<(), Stop> {
    let scope = compose::own_scope("admin.grant");
    let container = &offline.around.container;
    let identity =
        container.require::<ServiceRef<IdentityMessage>>().map_err(anyhow::Error::from)?;
    let authz = container.require::<ServiceRef<AuthzMessage>>().map_err(anyhow::Error::from)?;
    let user = account(offline, email).await?;
    let tenant = match organisation {
        None => None,
        Some(slug) => {
            let found =
                identity.ask(&scope, FindOrganisationBySlug { slug: slug.to_owned() }).await?;
            let missing = || Stop::new(Exit::Failed, format!("no organisation is named {slug}"));
            Some(found.ok_or_else(missing)?.id)
        }
    };
    let request = Grant {
        subject: user.id.uuid(),
        tenant,
        role: role.to_owned(),
        condition: None,
        expires_at: None,
    };
    authz.ask(&scope, request).await?;
    Ok(())
}

/// One line of standard input, so that the password is in no process list and no shell history.
fn read_password() -> Result<SecretText, Stop> {
    let input = std::io::stdin();
    if input.is_terminal() {
        print("Password (at least 12 characters, it is shown while you type): ");
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(anyhow::Error::from)?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Stop::new(
            Exit::Failed,
            "the password comes on standard input: echo … | troupe admin create-user …",
        ));
    }
    Ok(SecretText::new(password))
}
