//! Flights: a step. A seat is booked at once, and cancelled if the trip does not happen.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{delete, post},
};
use handfast_client::barrier::{Call, Settled};
use handfast_example_kit::service::{Failure, Service, done, refused};
use rusqlite::params;
use serde::Deserialize;
use serde_json::json;

/// A day without flights.
pub const NO_FLIGHT: &str = "2027-02-29";

/// What every seat costs.
const PRICE: i64 = 120;

/// Without a unique key on purpose: a seat that is booked twice shall show.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS booking (
        id INTEGER PRIMARY KEY,
        trip TEXT NOT NULL,
        traveller TEXT NOT NULL,
        day TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'booked'
    ) STRICT;
    CREATE INDEX IF NOT EXISTS booking_of_trip ON booking (trip)";

pub fn routes() -> Router<Service> {
    Router::new().route("/seats", post(book)).route("/seats/{trip}", delete(cancel))
}

#[derive(Deserialize)]
struct Seat {
    trip: String,
    traveller: String,
    day: String,
}

async fn book(
    State(flights): State<Service>,
    call: Call,
    Json(new): Json<Seat>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        if new.day == NO_FLIGHT {
            return Ok(refused("there is no flight on that day"));
        }
        db.execute(
            "INSERT INTO booking (trip, traveller, day) VALUES (?1, ?2, ?3)",
            params![new.trip, new.traveller, new.day],
        )?;
        let seat = format!("{}A", db.last_insert_rowid());
        Ok(done(json!({ "seat": seat, "price": PRICE })))
    };
    flights.settle(call, work).await
}

async fn cancel(
    State(flights): State<Service>,
    call: Call,
    Path(trip): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute("UPDATE booking SET status = 'cancelled' WHERE trip = ?1", [trip])?;
        Ok(done(json!({})))
    };
    flights.settle(call, work).await
}
