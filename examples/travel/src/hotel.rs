//! Hotels: a reservation. A try holds rooms, confirm makes it final, cancel gives them back. Held
//! rooms are nobody else's, and nobody takes them for booked.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{delete, post, put},
};
use handfast_client::barrier::{Call, Settled};
use handfast_example_kit::service::{Failure, Service, done, refused};
use rusqlite::params;
use serde::Deserialize;
use serde_json::json;

/// How many rooms there are.
pub const ROOMS: i64 = 1_000_000;

/// The one row of `rooms` holds [`ROOMS`] at first.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS rooms (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        free INTEGER NOT NULL CHECK (free >= 0)
    ) STRICT;
    INSERT OR IGNORE INTO rooms VALUES (1, 1000000);
    CREATE TABLE IF NOT EXISTS booking (
        id INTEGER PRIMARY KEY,
        trip TEXT NOT NULL,
        rooms INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'held'
    ) STRICT;
    CREATE INDEX IF NOT EXISTS booking_of_trip ON booking (trip)";

pub fn routes() -> Router<Service> {
    Router::new()
        .route("/rooms", post(hold))
        .route("/rooms/{trip}", delete(release))
        .route("/rooms/{trip}/confirmed", put(confirm))
}

#[derive(Deserialize)]
struct Reservation {
    trip: String,
    rooms: i64,
}

async fn hold(
    State(hotel): State<Service>,
    call: Call,
    Json(new): Json<Reservation>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        let taken = db.execute(
            "UPDATE rooms SET free = free - ?1 WHERE ?1 > 0 AND free >= ?1",
            [new.rooms],
        )?;
        if taken == 0 {
            return Ok(refused("there are not so many rooms"));
        }
        db.execute(
            "INSERT INTO booking (trip, rooms) VALUES (?1, ?2)",
            params![new.trip, new.rooms],
        )?;
        Ok(done(json!({ "reservation": db.last_insert_rowid() })))
    };
    hotel.settle(call, work).await
}

async fn confirm(
    State(hotel): State<Service>,
    call: Call,
    Path(trip): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute("UPDATE booking SET status = 'confirmed' WHERE trip = ?1", [trip])?;
        Ok(done(json!({})))
    };
    hotel.settle(call, work).await
}

async fn release(
    State(hotel): State<Service>,
    call: Call,
    Path(trip): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute(
            "UPDATE rooms SET free = free + booking.rooms FROM booking
             WHERE trip = ?1 AND status = 'held'",
            [&trip],
        )?;
        db.execute("UPDATE booking SET status = 'cancelled' WHERE trip = ?1", [&trip])?;
        Ok(done(json!({})))
    };
    hotel.settle(call, work).await
}
