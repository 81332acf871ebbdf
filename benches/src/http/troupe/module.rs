//! The module of the items: an actor that keeps them in memory, and its routes.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use troupe_actors::{Context, Handled, Lent, Service, Spec};
use troupe_kernel::{
    Failure, HttpResponse, InitFault, Manifest, Module, ModuleContext, Parts, PermissionDef, Route,
    Uuid,
};

use crate::fixture::Item;

pub(super) const READ: &str = "items.item.read";
pub(super) const WRITE: &str = "items.item.write";

const CAPACITY: usize = 4096;

/// Asks for an item.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetItem {
    id: Uuid,
}

/// Makes the keeper panic, once: what a crash under load costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crash {}

troupe_actors::protocol! {
    /// What the keeper of the items understands.
    pub enum ItemMessage("items", 1) redact [] {
        /// Answers an item.
        GetItem => Arc<Item>,
        /// Panics.
        Crash,
    }
}

/// Keeps the items. Mailbox: 4,096. Restart: permanent; a crash loses nothing, they come from the
/// fixture. SIGUSR1 makes it crash.
struct Items {
    items: Arc<HashMap<Uuid, Arc<Item>>>,
}

impl Service for Items {
    type Message = ItemMessage;

    async fn start(&mut self, ctx: &mut Context<ItemMessage>) -> Handled {
        ctx.run(async {
            let mut kills = signal(SignalKind::user_defined1()).ok()?;
            kills.recv().await.map(|()| Crash {}.into())
        })
    }

    async fn handle(
        &mut self,
        message: &mut Lent<ItemMessage>,
        ctx: &mut Context<ItemMessage>,
    ) -> Handled {
        let ItemMessage::GetItem(get) = &**message else { panic!("the suite killed it") };
        match self.items.get(&get.id) {
            Some(item) => ctx.reply(get, item.clone()),
            None => Err(Failure::not_found("items.item.unknown", "there is no such item")),
        }
    }
}

/// The items as a module.
pub(super) struct ItemsModule {
    items: Arc<HashMap<Uuid, Arc<Item>>>,
}

impl ItemsModule {
    pub(super) fn new(items: Vec<Item>) -> Self {
        let items = items.into_iter().map(|item| (item.id, Arc::new(item)));
        Self { items: Arc::new(items.collect()) }
    }
}

impl Module for ItemsModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "items", version: "0.1.0", dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let items = self.items.clone();
        let (keeper, child) =
            Spec::new(ctx.system(), "items", move || Items { items: items.clone() })
                .capacity(CAPACITY)
                .build();
        let item = Route::get("/items/{id}")
            .permission(READ)
            .summary("Reads an item")
            .returns_nothing(200)
            .ask(
                &keeper,
                |request| Ok(GetItem { id: request.parameter("id")? }),
                |item: Arc<Item>| Ok(HttpResponse::ok(&*item).etag(item.version)),
            );
        let health = Route::get("/health")
            .public()
            .summary("Says that requests may come")
            .returns_nothing(200)
            .ask(
                &keeper,
                |_| Err::<GetItem, _>(Failure::not_found("items.none", "nothing")),
                |_| Ok(HttpResponse::no_content()),
            );
        Ok(Parts::new()
            .permissions([
                PermissionDef { key: READ, description: "Reads items." },
                PermissionDef { key: WRITE, description: "Adds items." },
            ])
            .child(child)
            .routes([item, health]))
    }
}
