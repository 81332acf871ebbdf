//! Routes of API keys.

use troupe_actors::ServiceRef;
use troupe_kernel::http::HttpResponse;
use troupe_kernel::pagination::Page;
use troupe_kernel::routes::Route;

use super::bodies::{CreateApiKeyBody, RenameApiKeyBody};
use super::{BODY_BYTES_MAX, NO_STORE, TAG, person};
use crate::messages::{
    ApiKey, ApiKeyMessage, CreateApiKey, CreatedApiKey, GetApiKey, ListApiKeys, RenameApiKey,
    RevokeApiKey,
};
use crate::permissions::{API_KEY_MANAGE, API_KEY_READ};

pub(super) fn routes(keys: &ServiceRef<ApiKeyMessage>) -> Vec<Route> {
    vec![list(keys), create(keys), get(keys), rename(keys), revoke(keys)]
}

fn list(keys: &ServiceRef<ApiKeyMessage>) -> Route {
    Route::get("/v1/auth/api-keys")
        .permission(API_KEY_READ)
        .tag(TAG)
        .summary("The API keys of the organisation, newest first")
        .paginated()
        .returns::<Page<ApiKey>>(200)
        .ask(
            keys,
            |request| Ok(ListApiKeys { organisation: request.tenant()?, page: request.page()? }),
            |page| Ok(HttpResponse::ok(&page)),
        )
}

fn create(keys: &ServiceRef<ApiKeyMessage>) -> Route {
    Route::post("/v1/auth/api-keys")
        .permission(API_KEY_MANAGE)
        .tag(TAG)
        .summary("Make an API key")
        .description("The answer is the only one that shows the key.")
        .body_limit(4 * BODY_BYTES_MAX)
        .body::<CreateApiKeyBody>()
        .returns::<CreatedApiKey>(201)
        .ask(
            keys,
            |request| {
                let (user, _) = person(request)?;
                let organisation = request.tenant()?;
                let body: CreateApiKeyBody = request.json()?;
                Ok(CreateApiKey {
                    organisation,
                    user,
                    name: body.name,
                    permissions: body.permissions,
                    expires_at: body.expires_at,
                })
            },
            |made| {
                let location = format!("/v1/auth/api-keys/{}", made.key.id);
                Ok(HttpResponse::created(location, &made).cache(NO_STORE))
            },
        )
}

fn get(keys: &ServiceRef<ApiKeyMessage>) -> Route {
    Route::get("/v1/auth/api-keys/{id}")
        .permission(API_KEY_READ)
        .tag(TAG)
        .summary("One API key")
        .returns::<ApiKey>(200)
        .ask(
            keys,
            |request| {
                Ok(GetApiKey { organisation: request.tenant()?, id: request.parameter("id")? })
            },
            |key| Ok(HttpResponse::ok(&key)),
        )
}

fn rename(keys: &ServiceRef<ApiKeyMessage>) -> Route {
    Route::patch("/v1/auth/api-keys/{id}")
        .permission(API_KEY_MANAGE)
        .tag(TAG)
        .summary("Rename an API key")
        .body_limit(BODY_BYTES_MAX)
        .body::<RenameApiKeyBody>()
        .returns::<ApiKey>(200)
        .ask(
            keys,
            |request| {
                let body: RenameApiKeyBody = request.json()?;
                Ok(RenameApiKey {
                    organisation: request.tenant()?,
                    id: request.parameter("id")?,
                    name: body.name,
                })
            },
            |key| Ok(HttpResponse::ok(&key)),
        )
}

fn revoke(keys: &ServiceRef<ApiKeyMessage>) -> Route {
    Route::delete("/v1/auth/api-keys/{id}")
        .permission(API_KEY_MANAGE)
        .tag(TAG)
        .summary("Revoke an API key")
        .returns_nothing(204)
        .ask(
            keys,
            |request| {
                Ok(RevokeApiKey { organisation: request.tenant()?, id: request.parameter("id")? })
            },
            |()| Ok(HttpResponse::no_content()),
        )
}
