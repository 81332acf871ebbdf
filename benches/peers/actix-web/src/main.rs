//! The bench's job on actix-web: `bench-actix-web ADDRESS DIRECTORY`.

mod data;
mod front;
mod gate;
mod limits;
mod trace;

use std::error::Error;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;

use data::{Items, Permissions};
use front::Front;
use gate::Gate;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bench-actix-web ADDRESS DIRECTORY".into());
    };
    let quota = number("BENCH_QUOTA", 1_000_000_000)?;
    let workers = number("BENCH_THREADS", 1)?;

    let keys = data::keys(&directory)?;
    let permissions: Permissions = data::read(&directory, "permissions.json")?;
    let items = web::Data::new(data::items(&directory)?);
    let front = web::Data::new(Front::new()?);
    let gate = web::Data::new(Gate::new(keys, permissions, quota)?);

    actix_web::rt::spawn(tidy(front.clone(), gate.clone()));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(items.clone())
            .app_data(front.clone())
            .app_data(gate.clone())
            .wrap(from_fn(front::pass))
            .route("/health", web::get().to(HttpResponse::Ok))
            .route("/metrics", web::get().to(front::metrics))
            .service(
                web::scope("/items")
                    .wrap(from_fn(|gate, request, next| {
                        gate::pass("items.read", gate, request, next)
                    }))
                    .route("/{id}", web::get().to(find)),
            )
    })
    .workers(workers.try_into()?)
    .shutdown_timeout(5)
    .bind(&address)?
    .run();
    println!("ready {address}");
    server.await?;
    Ok(())
}

/// Keeps the limits small: a key that has its whole quota again need not be remembered.
async fn tidy(front: web::Data<Front>, gate: web::Data<Gate>) {
    let mut minute = actix_web::rt::time::interval(Duration::from_secs(60));
    loop {
        minute.tick().await;
        front.addresses.tidy();
        gate.subjects.tidy();
    }
}

fn number(variable: &str, default: u32) -> Result<u32, Box<dyn Error>> {
    match std::env::var(variable) {
        Ok(text) => text.parse().map_err(|error| format!("{variable}: {error}").into()),
        Err(_) => Ok(default),
    }
}

async fn find(id: web::Path<String>, items: web::Data<Items>) -> HttpResponse {
    match items.get(id.as_str()) {
        Some(item) => {
            HttpResponse::Ok().insert_header((ETAG, format!("\"{}\"", item.version))).json(item)
        }
        None => problem(StatusCode::NOT_FOUND),
    }
}

/// A refusal as a problem document (RFC 9457).
fn problem(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/problem+json"))
        .json(json!({ "title": status.canonical_reason(), "status": status.as_u16() }))
}
