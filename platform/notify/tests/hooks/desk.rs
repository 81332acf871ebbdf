//! An organisation that uses webhooks: it asks the routes, events happen in it, its jobs run.

use std::time::Duration;

use serde_json::{Value, json};
use troupe_database::prelude::*;
use troupe_database::schema::{audit_queue, jobs};
use troupe_database::{Db, UnitOfWork};
use troupe_kernel::ids::TenantId;
use troupe_kernel::{Bytes, Clock as _, Event, Failure, Job, Method, Timestamp, Uuid, header};

use crate::house::{House, json_of, person};

/// The organisation of most tests.
pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(0xa));
/// Another one.
pub(crate) const OTHER: TenantId = TenantId(Uuid::from_u128(0xb));

/// An answer of a route.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Told {
    pub(crate) fn problem(&self) -> String {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.rsplit('/').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn text(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("{pointer} is missing in {self:?}")).to_owned()
    }
}

/// An endpoint and its secret.
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A job of webhooks that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) id: Uuid,
    pub(crate) job: Job,
    pub(crate) run_at: Timestamp,
}

/// The organisation.
pub(crate) struct Desk<'a> {
    pub(crate) house: &'a House,
    pub(crate) tenant: TenantId,
}

impl<'a> Desk<'a> {
    pub(crate) fn of(house: &'a House) -> Self {
        Self { house, tenant: TENANT }
    }

    pub(crate) fn other(house: &'a House) -> Self {
        Self { house, tenant: OTHER }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> Told {
        self.ask_at(method, path, body, None).await
    }

    /// The same with `If-Match`.
    pub(crate) async fn ask_at(
        &self,
        method: Method,
        path: &str,
        body: Value,
        version: Option<i64>,
    ) -> Told {
        let path = format!("/v1/webhooks/{path}");
        let response = self
            .house
            .send(method, &path, |request| {
                let ada = person(Uuid::from_u128(0xada), Some(self.tenant.0));
                request.scope.origin_mut().principal = Some(ada);
                if !body.is_null() {
                    request.body = Bytes::from(body.to_string());
                    let media = "application/json".parse().unwrap();
                    request.headers.insert(header::CONTENT_TYPE, media);
                }
                if let Some(version) = version {
                    let tag = format!("\"{version}\"").parse().unwrap();
                    request.headers.insert(header::IF_MATCH, tag);
                }
            })
            .await;
        let body = if response.body.is_empty() { Value::Null } else { json_of(&response) };
        Told { status: response.status.as_u16(), body }
    }

    pub(crate) async fn add(&self, url: &str, events: &[&str]) -> Made {
        let body = json!({ "url": url, "events": events, "description": "ours" });
        let told = self.ask(Method::POST, "endpoints", body).await;
        assert_eq!(told.status, 201, "{told:?}");
        Made { id: told.text("/endpoint/id"), secret: told.text("/secret") }
    }

    pub(crate) async fn endpoint(&self, made: &Made) -> Value {
        let told = self.ask(Method::GET, &format!("endpoints/{}", made.id), Value::Null).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.body
    }

    /// All deliveries, newest first.
    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        let told = self.ask(Method::GET, "deliveries", Value::Null).await;
        told.body["items"].as_array().expect("a page").clone()
    }

    /// The newest delivery with its attempts.
    pub(crate) async fn last(&self) -> Value {
        let id = self.deliveries().await[0]["id"].as_str().expect("an id").to_owned();
        let told = self.ask(Method::GET, &format!("deliveries/{id}"), Value::Null).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.body
    }

    /// An event happens in the organisation and is handed on, as consumers are.
    pub(crate) async fn happens(&self, kind: &str) -> Event {
        // Ids of the same millisecond have no order.
        self.house.clock.advance(Duration::from_millis(1));
        let mut event = Event::new(kind, "p1", &json!({ "title": "Ä \"quoted\" title" }));
        event.tenant = Some(self.tenant);
        event.id = troupe_kernel::new_id(&*self.house.clock);
        event.time = self.house.clock.now();
        self.offer(&event).await.expect("the event is taken");
        event
    }

    pub(crate) async fn offer(&self, event: &Event) -> Result<(), Failure> {
        let subscriptions = &self.house.parts.subscriptions;
        let hooks = subscriptions.iter().find(|one| one.name() == "notify.webhooks").unwrap();
        hooks.run(event, &self.house.scope()).await
    }

    /// Jobs of webhooks that wait, earliest first.
    pub(crate) async fn waiting(&self) -> Vec<Waiting> {
        waiting(&self.house.db).await
    }

    /// Moves the clock to the time of the next job and runs it, as the scheduler does.
    pub(crate) async fn work(&self) {
        let next = self.waiting().await.into_iter().next().expect("a job waits");
        if next.run_at > self.house.clock.now() {
            self.house.clock.set(next.run_at);
        }
        self.house.run(next.id, &next.job, 1).await.expect("the attempt is made");
        let id = next.id;
        self.house
            .db
            .transaction(&self.house.scope(), async move |uow: &mut UnitOfWork| {
                run!(uow.conn(), |c| diesel::delete(jobs::table.find(DbUuid(id))).execute(c))?;
                Ok(())
            })
            .await
            .expect("the job can be removed");
    }

    /// Actions that were audited.
    pub(crate) async fn audited(&self) -> Vec<String> {
        self.house
            .db
            .read(async |conn: &mut DbConn| {
                let rows: Vec<Json> = run!(conn, |c| audit_queue::table
                    .order(audit_queue::position.asc())
                    .select(audit_queue::record)
                    .load(c))?;
                let action = |row: Json| row.0["action"].as_str().unwrap_or_default().to_owned();
                Ok(rows.into_iter().map(action).collect())
            })
            .await
            .expect("the audit can be read")
    }
}

async fn waiting(db: &Db) -> Vec<Waiting> {
    db.read(async |conn: &mut DbConn| {
        let rows: Vec<(DbUuid, Json, DbTimestamp)> = run!(conn, |c| jobs::table
            .filter(jobs::kind.eq("notify.webhook"))
            .order((jobs::run_at.asc(), jobs::id.asc()))
            .select((jobs::id, jobs::payload, jobs::run_at))
            .load(c))?;
        let job = |(id, payload, run_at): (DbUuid, Json, DbTimestamp)| Waiting {
            id: id.0,
            job: Job::new("notify.webhook", &payload.0).queue("webhooks"),
            run_at: run_at.into(),
        };
        Ok(rows.into_iter().map(job).collect())
    })
    .await
    .expect("jobs can be read")
}
