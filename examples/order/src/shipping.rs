//! Shipping: books the courier, and calls them off.

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

/// No courier goes there.
pub const TOO_FAR: &str = "the moon";

/// Without a unique key on purpose: a shipment that is booked twice shall show.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS shipment (
        id INTEGER PRIMARY KEY,
        order_id TEXT NOT NULL,
        warehouse TEXT NOT NULL,
        address TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'booked'
    ) STRICT;
    CREATE INDEX IF NOT EXISTS shipment_of_order ON shipment (order_id)";

pub fn routes() -> Router<Service> {
    Router::new().route("/shipments", post(book)).route("/shipments/{order}", delete(cancel))
}

#[derive(Deserialize)]
struct Shipment {
    order: String,
    warehouse: String,
    address: String,
}

async fn book(
    State(shipping): State<Service>,
    call: Call,
    Json(new): Json<Shipment>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        if new.address == TOO_FAR {
            return Ok(refused("no courier goes there"));
        }
        db.execute(
            "INSERT INTO shipment (order_id, warehouse, address) VALUES (?1, ?2, ?3)",
            params![new.order, new.warehouse, new.address],
        )?;
        Ok(done(json!({ "tracking": format!("HF{:08}", db.last_insert_rowid()) })))
    };
    shipping.settle(call, work).await
}

async fn cancel(
    State(shipping): State<Service>,
    call: Call,
    Path(order): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute("UPDATE shipment SET status = 'cancelled' WHERE order_id = ?1", [order])?;
        Ok(done(json!({})))
    };
    shipping.settle(call, work).await
}
