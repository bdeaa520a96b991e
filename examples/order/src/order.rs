//! Orders: pending until the saga has committed, so that nobody takes one for confirmed that may
//! still be cancelled.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{delete, post, put},
};
use handfast_client::barrier::{Call, Settled};
use handfast_example_kit::service::{Failure, Service, done, refused};
use rusqlite::{OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::json;

pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS item (name TEXT PRIMARY KEY, price INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO item VALUES ('lamp', 40), ('chair', 75), ('table', 230);
    CREATE TABLE IF NOT EXISTS purchase (
        id TEXT PRIMARY KEY,
        item TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        total INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending'
    ) STRICT";

pub fn routes() -> Router<Service> {
    Router::new()
        .route("/orders", post(create))
        .route("/orders/{id}", delete(cancel))
        .route("/orders/{id}/confirmed", put(confirm))
}

#[derive(Deserialize)]
struct New {
    id: String,
    item: String,
    quantity: i64,
}

async fn create(
    State(orders): State<Service>,
    call: Call,
    Json(new): Json<New>,
) -> Result<Settled, Failure> {
    let New { id, item, quantity } = new;
    let work = move |db: &rusqlite::Connection| {
        let price = db.query_row("SELECT price FROM item WHERE name = ?1", [&item], |row| {
            row.get::<_, i64>(0)
        });
        let total = match price.optional()?.and_then(|price| price.checked_mul(quantity)) {
            Some(total) => total,
            None => return Ok(refused("we do not sell that")),
        };
        db.execute(
            "INSERT INTO purchase (id, item, quantity, total) VALUES (?1, ?2, ?3, ?4)",
            params![id, item, quantity, total],
        )?;
        Ok(done(json!({ "total": total })))
    };
    orders.settle(call, work).await
}

async fn cancel(
    State(orders): State<Service>,
    call: Call,
    Path(id): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute("UPDATE purchase SET status = 'cancelled' WHERE id = ?1", [id])?;
        Ok(done(json!({})))
    };
    orders.settle(call, work).await
}

async fn confirm(
    State(orders): State<Service>,
    call: Call,
    Path(id): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute("UPDATE purchase SET status = 'confirmed' WHERE id = ?1", [id])?;
        Ok(done(json!({})))
    };
    orders.settle(call, work).await
}
