//! API keys of an organisation: make, list, rename, revoke.
//!
//! A pool of two over a mailbox of 256. A key acts on behalf of the user who made it and never may
//! more: its permissions are an upper bound on theirs. Permanent; a crash loses the request being
//! handled.

use std::collections::BTreeSet;

use troupe_actors::{
    ChildSpec, Context, Handled, Lent, PrincipalKind, Scope, Service, ServiceRef, Spec, System,
};
use troupe_database::{DbTimestamp, DbUuid, TextList, UnitOfWork};
use troupe_kernel::audit::AuditRecord;
use troupe_kernel::error::Failure;
use troupe_kernel::event::Event;
use troupe_kernel::invalidation::RevokeSession;
use troupe_kernel::pagination::Page;

use super::{Desk, unrepeated};
use crate::api_key::{NewKey, generate};
use crate::error;
use crate::events::{self, ApiKeyEvent};
use crate::messages::{
    ApiKey, ApiKeyId, ApiKeyMessage, CreateApiKey, CreatedApiKey, GetApiKey, ListApiKeys,
    RenameApiKey, RevokeApiKey,
};
use crate::repository::api_keys::{self, ApiKeyRow};

const WORKERS: usize = 2;
const CAPACITY: usize = 256;
const NAME_CHARACTERS_MAX: usize = 100;
const PERMISSIONS_MAX: usize = 500;

/// One worker of the pool.
pub struct ApiKeys {
    desk: Desk,
}

impl ApiKeys {
    /// The pool's reference and specification.
    #[must_use]
    pub fn pool(system: &System, desk: &Desk) -> (ServiceRef<ApiKeyMessage>, ChildSpec) {
        let desk = desk.clone();
        Spec::new(system, "api-keys", move || Self { desk: desk.clone() })
            .workers(WORKERS)
            .capacity(CAPACITY)
            .build()
    }

    async fn create(
        &self,
        request: &CreateApiKey,
        scope: &Scope,
    ) -> Result<CreatedApiKey, Failure> {
        let name = checked_name(&request.name)?;
        self.check_permissions(request, scope)?;
        if request.expires_at.is_some_and(|ends| ends <= self.desk.now()) {
            return Err(invalid("/expires_at", "must be in the future"));
        }
        let NewKey { key, prefix, digest } = generate()?;
        let (request, keys_max) = (request.clone(), self.desk.config.api_keys_max);
        let row = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let tenant = request.organisation;
                if api_keys::count(uow.conn(), tenant).await? >= i64::from(keys_max) {
                    return Err(Failure::conflict(
                        "auth.api_key.limit",
                        format!(
                            "an organisation has at most {keys_max} API keys; revoke one first"
                        ),
                    ));
                }
                let row = ApiKeyRow {
                    id: uow.new_id::<DbUuid>(),
                    tenant_id: DbUuid::of(tenant),
                    prefix,
                    secret_hash: digest.to_vec(),
                    name,
                    permissions: TextList(sorted(request.permissions)),
                    created_by: DbUuid::of(request.user),
                    created_at: DbTimestamp(uow.now()),
                    expires_at: request.expires_at.map(DbTimestamp),
                    last_used_at: None,
                    revoked_at: None,
                };
                api_keys::insert(uow.conn(), &row).await?;
                let event = ApiKeyEvent { tenant, key: row.id(), by: request.user.uuid() };
                uow.event(Event::new(events::API_KEY_CREATED, tenant, &event).tenant(tenant));
                let record =
                    AuditRecord::new(uow.scope(), "auth.api_key.create", resource(row.id()));
                uow.audit(record.detail(serde_json::json!({ "permissions": row.permissions.0 })));
                Ok(row)
            })
            .await?;
        Ok(CreatedApiKey { secret: key, key: row.into() })
    }

    /// Every key must exist and be the caller's own.
    fn check_permissions(&self, request: &CreateApiKey, scope: &Scope) -> Result<(), Failure> {
        if request.permissions.is_empty() || request.permissions.len() > PERMISSIONS_MAX {
            return Err(invalid("/permissions", "name 1 to 500 permissions"));
        }
        let principal = scope.principal().filter(|one| one.kind == PrincipalKind::User);
        let principal = principal.ok_or_else(error::not_a_person)?;
        let catalog = &self.desk.declarations.get().catalog;
        let mut unknown = invalid_key();
        let mut exceeding = Failure::forbidden(
            "auth.api_key.exceeds",
            "an API key cannot have permissions that you do not have",
        );
        for (index, key) in request.permissions.iter().enumerate() {
            let pointer = format!("/permissions/{index}");
            match catalog.bit(key) {
                None => unknown = unknown.field(pointer, "is not a permission"),
                Some(bit) if !principal.permissions.contains(bit) => {
                    exceeding = exceeding.field(pointer, "is not one of yours");
                }
                Some(_) => {}
            }
        }
        if !unknown.fields().is_empty() {
            return Err(unknown);
        }
        if exceeding.fields().is_empty() { Ok(()) } else { Err(exceeding) }
    }

    async fn get(&self, query: &GetApiKey) -> Result<ApiKey, Failure> {
        let GetApiKey { organisation, id } = *query;
        let row = self
            .desk
            .db
            .read(async move |conn| Ok(api_keys::find(conn, organisation, id).await?))
            .await?;
        row.map(Into::into).ok_or_else(error::api_key_not_found)
    }

    async fn list(&self, query: &ListApiKeys) -> Result<Page<ApiKey>, Failure> {
        let (organisation, rows) = (query.organisation, query.page.rows());
        let after: Option<ApiKeyId> = query.page.position()?;
        let found = self
            .desk
            .db
            .read(async move |conn| Ok(api_keys::page(conn, organisation, after, rows).await?))
            .await?;
        Ok(Page::from_rows(found, &query.page, ApiKeyRow::id).map(Into::into))
    }

    async fn rename(&self, request: &RenameApiKey, scope: &Scope) -> Result<ApiKey, Failure> {
        let name = checked_name(&request.name)?;
        let RenameApiKey { organisation, id, .. } = *request;
        self.desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let row = api_keys::rename(uow.conn(), organisation, id, &name).await?;
                let row = row.ok_or_else(error::api_key_not_found)?;
                uow.audit(AuditRecord::new(uow.scope(), "auth.api_key.rename", resource(id)));
                Ok(row.into())
            })
            .await
    }

    async fn revoke(&self, request: &RevokeApiKey, scope: &Scope) -> Result<(), Failure> {
        let RevokeApiKey { organisation, id } = *request;
        let revoked = self
            .desk
            .db
            .transaction(scope, async move |uow: &mut UnitOfWork| {
                let now = uow.now();
                if !api_keys::revoke(uow.conn(), organisation, id, now).await? {
                    if api_keys::is_known(uow.conn(), organisation, id).await? {
                        return Ok(false);
                    }
                    return Err(error::api_key_not_found());
                }
                let by = uow.scope().subject().unwrap_or_default();
                let event = ApiKeyEvent { tenant: organisation, key: id, by };
                let event = Event::new(events::API_KEY_REVOKED, organisation, &event);
                uow.event(event.tenant(organisation));
                uow.audit(AuditRecord::new(uow.scope(), "auth.api_key.revoke", resource(id)));
                Ok(true)
            })
            .await?;
        // Also when it was revoked before: the caches may not all have heard of it then.
        let ended = RevokeSession { session: id.uuid() };
        self.desk.invalidations.publish(scope, ended).await?;
        if revoked { Ok(()) } else { Err(error::api_key_not_found()) }
    }
}

fn resource(id: ApiKeyId) -> String {
    format!("api_key/{id}")
}

fn invalid_key() -> Failure {
    Failure::invalid("auth.api_key.invalid", "the API key cannot be made as asked; see `errors`")
}

fn invalid(pointer: &str, detail: &str) -> Failure {
    invalid_key().field(pointer, detail)
}

fn checked_name(name: &str) -> Result<String, Failure> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        return Err(invalid("/name", "must have 1 to 100 characters"));
    }
    Ok(name.to_owned())
}

fn sorted(permissions: Vec<String>) -> Vec<String> {
    permissions.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

impl Service for ApiKeys {
    type Message = ApiKeyMessage;

    async fn handle(
        &mut self,
        message: &mut Lent<ApiKeyMessage>,
        ctx: &mut Context<ApiKeyMessage>,
    ) -> Handled {
        let scope = unrepeated(ctx.scope());
        match &**message {
            ApiKeyMessage::CreateApiKey(request) => {
                let created = self.create(request, &scope).await?;
                ctx.reply(request, created)
            }
            ApiKeyMessage::GetApiKey(query) => {
                let key = self.get(query).await?;
                ctx.reply(query, key)
            }
            ApiKeyMessage::ListApiKeys(query) => {
                let page = self.list(query).await?;
                ctx.reply(query, page)
            }
            ApiKeyMessage::RenameApiKey(request) => {
                let key = self.rename(request, &scope).await?;
                ctx.reply(request, key)
            }
            ApiKeyMessage::RevokeApiKey(request) => {
                self.revoke(request, &scope).await?;
                ctx.reply(request, ())
            }
        }
    }
}
