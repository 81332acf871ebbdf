//! A user's own account, and what administrators do with accounts. A pool over the database.

use std::sync::Arc;

use troupe_actors::{Context, Handled, Lent, Service};

use super::{Shared, answer, deletion, users, verification};
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
            Ask::SearchUsers(query) => {
                ctx.reply(query, users::search(shared, &scope, query).await?)
            }
            Ask::PreviewEmailToken(query) => {
                ctx.reply(query, verification::preview(shared, query).await?)
            }
            Ask::UpdateProfile(command) => {
                answer(ctx, command, users::update(shared, &scope, command).await?)
            }
            Ask::RequestVerification(command) => {
                answer(ctx, command, verification::request(shared, &scope, command).await?)
            }
            Ask::RequestEmailChange(command) => {
                answer(ctx, command, verification::request_change(shared, &scope, command).await?)
            }
            Ask::ConfirmEmail(command) => {
                answer(ctx, command, verification::confirm(shared, &scope, command).await?)
            }
            Ask::RequestDeletion(command) => {
                answer(ctx, command, deletion::request(shared, &scope, command).await?)
            }
            Ask::CancelDeletion(command) => {
                answer(ctx, command, deletion::cancel(shared, &scope, command).await?)
            }
            Ask::AnonymiseUser(command) => {
                ctx.reply(command, deletion::anonymise(shared, &scope, command).await?)
            }
            Ask::SuspendUser(command) => {
                answer(ctx, command, users::suspend(shared, &scope, command).await?)
            }
            Ask::ReinstateUser(command) => {
                answer(ctx, command, users::reinstate(shared, &scope, command).await?)
            }
            Ask::PurgeEmailTokens(command) => {
                ctx.reply(command, verification::purge(shared, &scope).await?)
            }
        }
    }
}
