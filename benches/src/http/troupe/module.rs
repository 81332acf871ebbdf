//! The module of the items: an actor that keeps them in memory, and its routes.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use troupe_actors::{Context, Handled, Lent, Service, Spec};
use troupe_kernel::{
    Encoded, Failure, HttpResponse, InitFault, Kept, Manifest, Module, ModuleContext, Parts,
    PermissionDef, Route, Uuid,
};

use crate::fixture::Item;
use crate::http::Documents;

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
        GetItem => Encoded,
        /// Panics.
        Crash,
    }
}

/// Keeps the items and their documents. Mailbox: 4,096. Restart: permanent; a crash loses nothing,
/// they come from the fixture. SIGUSR1 makes it crash.
struct Items {
    items: HashMap<Uuid, Kept<Arc<Item>>>,
    documents: Documents,
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
            Some(item) => {
                let document = match self.documents {
                    Documents::Kept => item.encoded()?,
                    Documents::Written => Encoded::json(item.value(), item.version())?,
                };
                ctx.reply(get, document)
            }
            None => Err(Failure::not_found("items.item.unknown", "there is no such item")),
        }
    }
}

/// The items as a module.
pub(super) struct ItemsModule {
    items: Arc<[Arc<Item>]>,
    documents: Documents,
}

impl ItemsModule {
    pub(super) fn new(items: Vec<Item>, documents: Documents) -> Self {
        Self { items: items.into_iter().map(Arc::new).collect(), documents }
    }
}

impl Module for ItemsModule {
    fn manifest(&self) -> Manifest {
        Manifest { name: "items", version: "0.1.0", dependencies: &[] }
    }

    fn init(&mut self, ctx: &mut ModuleContext<'_>) -> Result<Parts, Vec<InitFault>> {
        let (items, documents) = (self.items.clone(), self.documents);
        let keeper = move || Items {
            items: items
                .iter()
                .map(|item| (item.id, Kept::new(item.clone(), item.version.unsigned_abs().into())))
                .collect(),
            documents,
        };
        let (keepers, child) =
            Spec::new(ctx.system(), "items", keeper).capacity(CAPACITY).replicated(1);
        let item = Route::get("/items/{id}")
            .permission(READ)
            .summary("Reads an item")
            .returns_nothing(200)
            .ask(
                &keepers,
                |request| Ok(GetItem { id: request.parameter("id")? }),
                |document: Encoded| Ok(document.into()),
            );
        let health = Route::get("/health")
            .public()
            .summary("Says that requests may come")
            .returns_nothing(200)
            .ask(
                &keepers,
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
