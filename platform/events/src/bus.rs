//! The port [`EventBus`] on the embedded log: publishing is adding to the outbox.

use std::time::Duration;

use troupe_actors::Scope;
use troupe_database::UnitOfWork;
use troupe_kernel::{BoxFuture, Event, EventBus, Failure};

use crate::events::Events;

/// How long publishing may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(20);

impl EventBus for Events {
    /// All of them are added or none. An event whose id is in the log is not added again.
    fn publish<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let scope = Scope::system("events.publish", PUBLISH_TIMEOUT);
            self.db()
                .transaction(&scope, async |uow: &mut UnitOfWork| {
                    for event in events {
                        uow.event(event.clone());
                    }
                    Ok(())
                })
                .await
        })
    }
}
