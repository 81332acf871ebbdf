//! A user's own account, and what administrators do with accounts. A pool over the database.

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service};

use super::{Shared, deletion, settled, users, verification};
use crate::messages::AccountMessage;

/// One worker of the accounts.
pub(crate) struct Accounts {
    shared: Arc<Shared>,
}

impl Accounts {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Service for Accounts {
    type Message = AccountMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<AccountMessage>,
        ctx: &mut Context<AccountMessage>,
    ) -> Handled {
        use AccountMessage as Ask;
        let shared = &*self.shared;
        let scope = ctx.scope().clone();
        match &**message {
            Ask::GetProfile(query) => ctx.reply(query, users::get(shared, query).await?),
            Ask::SearchUsers(query) => ctx.reply(query, users::search(shared, query).await?),
            Ask::PreviewEmailToken(query) => {
                ctx.reply(query, verification::preview(shared, query).await?)
            }
            Ask::UpdateProfile(command) => {
                let done = settled(ctx, users::update(shared, &scope, command).await?);
                ctx.reply(command, done)
            }
            Ask::RequestVerification(command) => {
                settled(ctx, verification::request(shared, &scope, command).await?);
                ctx.reply(command, ())
            }
            Ask::RequestEmailChange(command) => {
                settled(ctx, verification::request_change(shared, &scope, command).await?);
                ctx.reply(command, ())
            }
            Ask::ConfirmEmail(command) => {
                let done = settled(ctx, verification::confirm(shared, &scope, command).await?);
                ctx.reply(command, done)
            }
            Ask::RequestDeletion(command) => {
                let done = settled(ctx, deletion::request(shared, &scope, command).await?);
                ctx.reply(command, done)
            }
            Ask::CancelDeletion(command) => {
                let done = settled(ctx, deletion::cancel(shared, &scope, command).await?);
                ctx.reply(command, done)
            }
            Ask::AnonymiseUser(command) => {
                ctx.reply(command, deletion::anonymise(shared, &scope, command).await?)
            }
            Ask::SuspendUser(command) => {
                let done = settled(ctx, users::suspend(shared, &scope, command).await?);
                ctx.reply(command, done)
            }
            Ask::ReinstateUser(command) => {
                let done = settled(ctx, users::reinstate(shared, &scope, command).await?);
                ctx.reply(command, done)
            }
            Ask::PurgeEmailTokens(command) => {
                ctx.reply(command, verification::purge(shared, &scope).await?)
            }
        }
    }
}
