//! Mails: it receives CloudEvents, as any consumer of events does, and has no part in the
//! transaction. An event may come twice; its id tells.

use axum::{Json, Router, extract::State, routing::post};
use handfast_example_kit::service::{Failure, Service};
use rusqlite::params;
use serde::Deserialize;

pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS mail (
        event TEXT PRIMARY KEY,
        trip TEXT NOT NULL,
        address TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT";

pub fn routes() -> Router<Service> {
    Router::new().route("/events", post(send))
}

#[derive(Deserialize)]
struct Event {
    id: String,
    subject: String,
    data: Booked,
}

#[derive(Deserialize)]
struct Booked {
    to: String,
    seat: String,
}

async fn send(State(mailer): State<Service>, Json(event): Json<Event>) -> Result<(), Failure> {
    let Event { id, subject, data } = event;
    let text = format!("Your seat is {}.", data.seat);
    let work = move |local: &mut rusqlite::Transaction<'_>| {
        local.execute(
            "INSERT INTO mail (event, trip, address, text) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (event) DO NOTHING",
            params![id, subject, data.to, text],
        )?;
        Ok(())
    };
    mailer.transaction(work).await
}
