//! The HTTP face of webhooks, for the organisation of the token.

use serde::Deserialize;
use troupe_actors::ServiceRef;
use troupe_kernel::pagination::Page;
use troupe_kernel::{HttpResponse, Route, StatusCode};
use utoipa::ToSchema;

use super::messages::{
    ChangeEndpoint, CreateEndpoint, Delivery, DeliveryDetails, DeliveryState, Endpoint,
    EndpointChanges, EndpointId, EndpointSecret, GetDelivery, GetEndpoint, ListDeliveries,
    ListEndpoints, RemoveEndpoint, ResendDelivery, RotateSecret, SendTest, WebhookMessage,
};
use crate::permissions::{WEBHOOK_MANAGE, WEBHOOK_READ};

const TAG: &str = "webhooks";

/// Which deliveries to answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeliveryQuery {
    /// Only those of this endpoint.
    endpoint: Option<EndpointId>,
    /// Only those in this state.
    state: Option<DeliveryState>,
}

/// All routes of webhooks.
pub(crate) fn routes(webhooks: &ServiceRef<WebhookMessage>) -> Vec<Route> {
    let mut routes = endpoints(webhooks);
    routes.extend(changes(webhooks));
    routes.extend(deliveries(webhooks));
    routes
}

fn endpoints(webhooks: &ServiceRef<WebhookMessage>) -> Vec<Route> {
    vec![
        Route::post("/v1/webhooks/endpoints")
            .permission(WEBHOOK_MANAGE)
            .summary("Add an endpoint")
            .description(
                "Events of the organisation are posted to it, signed as Standard Webhooks say. The \
                 secret is shown in this answer and never again.",
            )
            .tag(TAG)
            .body::<CreateEndpoint>()
            .returns::<EndpointSecret>(201)
            .ask(
                webhooks,
                |request| request.json::<CreateEndpoint>(),
                |made: EndpointSecret| {
                    let location = format!("/v1/webhooks/endpoints/{}", made.endpoint.id);
                    let response = HttpResponse::created(location, &made);
                    Ok(response.etag(made.endpoint.version).cache("no-store"))
                },
            ),
        Route::get("/v1/webhooks/endpoints")
            .permission(WEBHOOK_READ)
            .summary("List endpoints")
            .tag(TAG)
            .paginated()
            .returns::<Page<Endpoint>>(200)
            .ask(
                webhooks,
                |request| Ok(ListEndpoints { page: request.page()? }),
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/webhooks/endpoints/{id}")
            .permission(WEBHOOK_READ)
            .summary("See an endpoint")
            .tag(TAG)
            .returns::<Endpoint>(200)
            .ask(
                webhooks,
                |request| Ok(GetEndpoint { id: request.parameter("id")? }),
                |endpoint| Ok(HttpResponse::ok(&endpoint).etag(endpoint.version)),
            ),
    ]
}

fn changes(webhooks: &ServiceRef<WebhookMessage>) -> Vec<Route> {
    vec![
        Route::patch("/v1/webhooks/endpoints/{id}")
            .permission(WEBHOOK_MANAGE)
            .summary("Change, disable or enable an endpoint")
            .tag(TAG)
            .versioned()
            .body::<EndpointChanges>()
            .returns::<Endpoint>(200)
            .ask(
                webhooks,
                |request| {
                    let (id, version) = (request.parameter("id")?, request.if_match()?);
                    Ok(ChangeEndpoint { id, version, changes: request.json()? })
                },
                |endpoint| Ok(HttpResponse::ok(&endpoint).etag(endpoint.version)),
            ),
        Route::delete("/v1/webhooks/endpoints/{id}")
            .permission(WEBHOOK_MANAGE)
            .summary("Remove an endpoint")
            .tag(TAG)
            .returns_nothing(204)
            .ask(
                webhooks,
                |request| Ok(RemoveEndpoint { id: request.parameter("id")? }),
                |()| Ok(HttpResponse::no_content()),
            ),
        Route::post("/v1/webhooks/endpoints/{id}/rotate-secret")
            .permission(WEBHOOK_MANAGE)
            .summary("Give an endpoint a new secret")
            .description(
                "Messages carry a signature of each secret until `old_secret_until`. The new one is \
                 shown in this answer and never again.",
            )
            .tag(TAG)
            .returns::<EndpointSecret>(200)
            .ask(
                webhooks,
                |request| Ok(RotateSecret { id: request.parameter("id")? }),
                |made: EndpointSecret| {
                    let response = HttpResponse::ok(&made).etag(made.endpoint.version);
                    Ok(response.cache("no-store"))
                },
            ),
        Route::post("/v1/webhooks/endpoints/{id}/test")
            .permission(WEBHOOK_MANAGE)
            .summary("Send a test message to an endpoint")
            .tag(TAG)
            .returns::<Delivery>(202)
            .ask(
                webhooks,
                |request| Ok(SendTest { id: request.parameter("id")? }),
                |delivery| Ok(HttpResponse::json(StatusCode::ACCEPTED, &delivery)),
            ),
    ]
}

fn deliveries(webhooks: &ServiceRef<WebhookMessage>) -> Vec<Route> {
    vec![
        Route::get("/v1/webhooks/deliveries")
            .permission(WEBHOOK_READ)
            .summary("List messages and what became of them, newest first")
            .tag(TAG)
            .query::<DeliveryQuery>()
            .paginated()
            .returns::<Page<Delivery>>(200)
            .ask(
                webhooks,
                |request| {
                    let DeliveryQuery { endpoint, state } = request.query()?;
                    Ok(ListDeliveries { endpoint, state, page: request.page()? })
                },
                |page| Ok(HttpResponse::ok(&page)),
            ),
        Route::get("/v1/webhooks/deliveries/{id}")
            .permission(WEBHOOK_READ)
            .summary("See a message and every attempt at it")
            .tag(TAG)
            .returns::<DeliveryDetails>(200)
            .ask(
                webhooks,
                |request| Ok(GetDelivery { id: request.parameter("id")? }),
                |details| Ok(HttpResponse::ok(&details)),
            ),
        Route::post("/v1/webhooks/deliveries/{id}/resend")
            .permission(WEBHOOK_MANAGE)
            .summary("Send a message again")
            .tag(TAG)
            .returns::<Delivery>(202)
            .ask(
                webhooks,
                |request| Ok(ResendDelivery { id: request.parameter("id")? }),
                |delivery| Ok(HttpResponse::json(StatusCode::ACCEPTED, &delivery)),
            ),
    ]
}
