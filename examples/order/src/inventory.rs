//! The inventory: what is in stock, and every movement of it.

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

/// How many of each item there are at the start.
pub const STOCK: i64 = 10_000_000;

/// The stock is [`STOCK`].
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS stock (
        item TEXT PRIMARY KEY,
        available INTEGER NOT NULL CHECK (available >= 0)
    ) STRICT;
    INSERT OR IGNORE INTO stock VALUES
        ('lamp', 10000000), ('chair', 10000000), ('table', 10000000);
    CREATE TABLE IF NOT EXISTS movement (
        id INTEGER PRIMARY KEY,
        order_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('reserved', 'released')),
        item TEXT NOT NULL,
        quantity INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS movement_of_order ON movement (order_id)";

pub fn routes() -> Router<Service> {
    Router::new()
        .route("/reservations", post(reserve))
        .route("/reservations/{order}", delete(release))
}

#[derive(Deserialize)]
struct Reservation {
    order: String,
    item: String,
    quantity: i64,
}

async fn reserve(
    State(inventory): State<Service>,
    call: Call,
    Json(new): Json<Reservation>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        // One statement that looks and takes: nobody can come in between.
        let taken = db.execute(
            "UPDATE stock SET available = available - ?2 WHERE item = ?1 AND available >= ?2",
            params![new.item, new.quantity],
        )?;
        if taken == 0 {
            return Ok(refused("there are not so many in stock"));
        }
        db.execute(
            "INSERT INTO movement (order_id, kind, item, quantity) VALUES (?1, 'reserved', ?2, ?3)",
            params![new.order, new.item, new.quantity],
        )?;
        Ok(done(json!({ "warehouse": "north" })))
    };
    inventory.settle(call, work).await
}

async fn release(
    State(inventory): State<Service>,
    call: Call,
    Path(order): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute(
            "UPDATE stock SET available = available + movement.quantity FROM movement
             WHERE movement.item = stock.item AND order_id = ?1 AND kind = 'reserved'",
            [&order],
        )?;
        db.execute(
            "INSERT INTO movement (order_id, kind, item, quantity)
             SELECT order_id, 'released', item, quantity FROM movement
             WHERE order_id = ?1 AND kind = 'reserved'",
            [&order],
        )?;
        Ok(done(json!({})))
    };
    inventory.settle(call, work).await
}
