//! Cars: a step, at the same time as the flight.

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

/// A class that is not rented out.
pub const NO_CAR: &str = "tank";

/// Without a unique key on purpose: a car that is rented twice shall show.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS booking (
        id INTEGER PRIMARY KEY,
        trip TEXT NOT NULL,
        class TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'booked'
    ) STRICT;
    CREATE INDEX IF NOT EXISTS booking_of_trip ON booking (trip)";

pub fn routes() -> Router<Service> {
    Router::new().route("/rentals", post(rent)).route("/rentals/{trip}", delete(cancel))
}

#[derive(Deserialize)]
struct Rental {
    trip: String,
    class: String,
}

async fn rent(
    State(cars): State<Service>,
    call: Call,
    Json(new): Json<Rental>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        if new.class == NO_CAR {
            return Ok(refused("there is no such car"));
        }
        db.execute(
            "INSERT INTO booking (trip, class) VALUES (?1, ?2)",
            params![new.trip, new.class],
        )?;
        Ok(done(json!({ "rental": db.last_insert_rowid() })))
    };
    cars.settle(call, work).await
}

async fn cancel(
    State(cars): State<Service>,
    call: Call,
    Path(trip): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute("UPDATE booking SET status = 'cancelled' WHERE trip = ?1", [trip])?;
        Ok(done(json!({})))
    };
    cars.settle(call, work).await
}
