//! The HTTP side of roles, bindings and explanations.
//!
//! The tenant is always the token's: what belongs to another organisation is not found. Bindings on
//! the whole platform have paths and permissions of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use troupe_actors::ServiceRef;
use troupe_authz_messages::{
    AuthzMessage, Binding, BindingId, CreateRole, DeleteRole, Explain, ExplainDecision,
    Explanation, GetBinding, GetRole, Grant, ListBindings, ListOwnPermissions, ListPermissions,
    ListRoles, Permission, Revoke, Role, UpdateRole,
};
use troupe_kernel::clock::Timestamp;
use troupe_kernel::http::{HttpRequest, HttpResponse};
use troupe_kernel::ids::TenantId;
use troupe_kernel::pagination::Page;
use troupe_kernel::ports::Resource;
use troupe_kernel::{Failure, Route};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::permissions::{
    BINDING_READ, BINDING_WRITE, DECISION_EXPLAIN, PERMISSION_READ, PLATFORM_READ, PLATFORM_WRITE,
    ROLE_READ, ROLE_WRITE,
};

const TAG: &str = "authorization";

/// A role to be created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Name of the role: lower-case letters, digits, `-` and `_`.
    pub key: String,
    /// Name to show.
    pub title: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Keys of its permissions.
    pub permissions: Vec<String>,
}

/// Changes of a role; what is left out stays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleChanges {
    /// New name to show.
    pub title: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New permissions, replacing the old ones.
    pub permissions: Option<Vec<String>>,
}

/// A role to be given.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBinding {
    /// Who gets the role.
    pub subject: Uuid,
    /// Key of the role.
    pub role: String,
    /// A condition (Common Expression Language) under which it counts.
    pub condition: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Which bindings a list shows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingQuery {
    /// Only those of this subject.
    pub subject: Option<Uuid>,
    /// Only those of this role.
    pub role: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Items wanted.
    pub limit: Option<u32>,
}

/// What is to be explained.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuestion {
    /// Whose permissions; none asks about oneself.
    pub subject: Option<Uuid>,
    /// Key of a permission.
    pub action: String,
    /// The thing; none explains the permission alone, as the gate sees it.
    pub resource: Option<ExplainedResource>,
}

/// A thing that an explanation is about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedResource {
    /// What it is: `blog.post`.
    pub kind: String,
    /// Which one.
    #[serde(default)]
    pub id: String,
    /// The tenant it belongs to; none takes the token's.
    pub tenant: Option<Uuid>,
    /// Whom it belongs to.
    pub owner: Option<Uuid>,
    /// What else policies ask about.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, Value>,
}

/// All routes.
#[must_use]
pub fn routes(service: &ServiceRef<AuthzMessage>) -> Vec<Route> {
    let mut routes = permission_routes(service);
    routes.extend(role_routes(service));
    routes.extend(binding_routes(service, &TENANT));
    routes.extend(binding_routes(service, &PLATFORM));
    routes
}

fn permission_routes(service: &ServiceRef<AuthzMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/authz/permissions")
            .permission(PERMISSION_READ)
            .summary("Lists every permission")
            .tag(TAG)
            .returns::<Page<Permission>>(200)
            .ask(service, |_| Ok(ListPermissions), |items| Ok(all(items))),
        Route::get("/v1/authz/permissions/mine")
            .authenticated()
            .summary("Lists the caller's own permissions")
            .tag(TAG)
            .returns::<Page<String>>(200)
            .ask(service, |_| Ok(ListOwnPermissions), |items| Ok(all(items).cache("no-store"))),
        Route::post("/v1/authz/explain")
            .permission(DECISION_EXPLAIN)
            .summary("Explains a decision")
            .description(
                "Answers which roles give the permission, which policy decides and which part of a \
                 condition fails, with the values it saw. Secrets are redacted.",
            )
            .tag(TAG)
            .body::<ExplainQuestion>()
            .returns::<Explanation>(200)
            .ask(service, explain, |explanation| Ok(HttpResponse::ok(&explanation))),
    ]
}

fn role_routes(service: &ServiceRef<AuthzMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/authz/roles")
            .permission(ROLE_READ)
            .summary("Lists the built-in roles and the organisation's own")
            .tag(TAG)
            .returns::<Page<Role>>(200)
            .ask(
                service,
                |request| Ok(ListRoles { tenant: Some(request.tenant()?) }),
                |items| Ok(all(items)),
            ),
        Route::post("/v1/authz/roles")
            .permission(ROLE_WRITE)
            .summary("Creates a role")
            .tag(TAG)
            .body::<NewRole>()
            .returns::<Role>(201)
            .ask(service, create_role, |role: Role| {
                let location = format!("/v1/authz/roles/{}", role.key);
                Ok(HttpResponse::created(location, &role).etag(role.version))
            }),
        Route::get("/v1/authz/roles/{key}")
            .permission(ROLE_READ)
            .summary("Shows a role")
            .tag(TAG)
            .returns::<Role>(200)
            .ask(
                service,
                |request| {
                    Ok(GetRole { tenant: Some(request.tenant()?), key: request.parameter("key")? })
                },
                shown,
            ),
        Route::patch("/v1/authz/roles/{key}")
            .permission(ROLE_WRITE)
            .summary("Changes a role")
            .tag(TAG)
            .versioned()
            .body::<RoleChanges>()
            .returns::<Role>(200)
            .ask(service, update_role, shown),
        Route::delete("/v1/authz/roles/{key}")
            .permission(ROLE_WRITE)
            .summary("Deletes a role that nobody has")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                service,
                |request| {
                    Ok(DeleteRole {
                        tenant: request.tenant()?,
                        key: request.parameter("key")?,
                        version: request.if_match_optional()?,
                    })
                },
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

/// Where bindings are reached, and who may.
struct Reach {
    path: &'static str,
    read: &'static str,
    write: &'static str,
    whose: &'static str,
    tenant: fn(&HttpRequest) -> Result<Option<TenantId>, Failure>,
}

const TENANT: Reach = Reach {
    path: "/v1/authz/bindings",
    read: BINDING_READ,
    write: BINDING_WRITE,
    whose: "in the organisation",
    tenant: |request| request.tenant().map(Some),
};
const PLATFORM: Reach = Reach {
    path: "/v1/authz/platform/bindings",
    read: PLATFORM_READ,
    write: PLATFORM_WRITE,
    whose: "on the whole platform",
    tenant: |_| Ok(None),
};

fn binding_routes(service: &ServiceRef<AuthzMessage>, reach: &'static Reach) -> Vec<Route> {
    let one = format!("{}/{{id}}", reach.path);
    vec![
        Route::get(reach.path)
            .permission(reach.read)
            .summary(&format!("Lists who has which role {}", reach.whose))
            .tag(TAG)
            .query::<BindingQuery>()
            .paginated()
            .returns::<Page<Binding>>(200)
            .ask(
                service,
                |request| {
                    let query: BindingQuery = request.query()?;
                    Ok(ListBindings {
                        tenant: (reach.tenant)(request)?,
                        subject: query.subject,
                        role: query.role,
                        page: request.page()?,
                    })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::post(reach.path)
            .permission(reach.write)
            .summary(&format!("Gives a role {}", reach.whose))
            .tag(TAG)
            .body::<NewBinding>()
            .returns::<Binding>(201)
            .ask(
                service,
                |request| {
                    let body: NewBinding = request.json()?;
                    Ok(Grant {
                        subject: body.subject,
                        tenant: (reach.tenant)(request)?,
                        role: body.role,
                        condition: body.condition,
                        expires_at: body.expires_at,
                    })
                },
                |binding: Binding| {
                    Ok(HttpResponse::created(
                        format_args!("{}/{}", reach.path, binding.id),
                        &binding,
                    ))
                },
            ),
        Route::get(one.clone())
            .permission(reach.read)
            .summary("Shows who has a role")
            .tag(TAG)
            .returns::<Binding>(200)
            .ask(
                service,
                |request| Ok(GetBinding { id: id(request)?, tenant: (reach.tenant)(request)? }),
                |binding| Ok(HttpResponse::ok(&binding)),
            ),
        Route::delete(one)
            .permission(reach.write)
            .summary(&format!("Takes a role back {}", reach.whose))
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                service,
                |request| Ok(Revoke { id: id(request)?, tenant: (reach.tenant)(request)? }),
                |()| Ok(HttpResponse::no_content()),
            ),
    ]
}

fn id(request: &HttpRequest) -> Result<BindingId, Failure> {
    request.parameter("id")
}

fn create_role(request: &HttpRequest) -> Result<CreateRole, Failure> {
    let body: NewRole = request.json()?;
    Ok(CreateRole {
        tenant: request.tenant()?,
        key: body.key,
        title: body.title,
        description: body.description,
        permissions: body.permissions,
    })
}

fn update_role(request: &HttpRequest) -> Result<UpdateRole, Failure> {
    let body: RoleChanges = request.json()?;
    Ok(UpdateRole {
        tenant: request.tenant()?,
        key: request.parameter("key")?,
        version: request.if_match()?,
        title: body.title,
        description: body.description,
        permissions: body.permissions,
    })
}

fn explain(request: &HttpRequest) -> Result<ExplainDecision, Failure> {
    let body: ExplainQuestion = request.json()?;
    let principal = request.principal()?;
    let question = Explain {
        subject: body.subject.unwrap_or(principal.subject),
        tenant: principal.tenant,
        action: body.action,
        resource: body.resource.map(|resource| Resource {
            kind: resource.kind,
            id: resource.id,
            tenant: resource.tenant.or(principal.tenant),
            owner: resource.owner,
            attributes: resource.attributes,
        }),
    };
    Ok(ExplainDecision { question })
}

fn shown(role: Role) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::ok(&role).etag(role.version))
}

fn all<T: Serialize>(items: Vec<T>) -> HttpResponse {
    HttpResponse::ok(&Page { items, next_cursor: None })
}
