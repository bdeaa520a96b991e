//! Payments: a ledger of charges and refunds. Nothing is ever taken out of it.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use handfast_client::barrier::{Call, Settled};
use handfast_example_kit::service::{Failure, Service, done, refused};
use rusqlite::params;
use serde::Deserialize;
use serde_json::json;

/// The bank says no to it.
pub const DECLINED: &str = "0000";

/// Without a unique key on purpose: a charge that is made twice shall show.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        id INTEGER PRIMARY KEY,
        order_id TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('charge', 'refund')),
        card TEXT NOT NULL,
        amount INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS entry_of_order ON entry (order_id)";

pub fn routes() -> Router<Service> {
    Router::new().route("/charges", post(charge)).route("/charges/{order}/refund", post(refund))
}

#[derive(Deserialize)]
struct Charge {
    order: String,
    card: String,
    amount: i64,
}

async fn charge(
    State(payments): State<Service>,
    call: Call,
    Json(new): Json<Charge>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        if new.card == DECLINED {
            return Ok(refused("the card is declined"));
        }
        db.execute(
            "INSERT INTO entry (order_id, kind, card, amount) VALUES (?1, 'charge', ?2, ?3)",
            params![new.order, new.card, new.amount],
        )?;
        Ok(done(json!({ "charge": db.last_insert_rowid() })))
    };
    payments.settle(call, work).await
}

async fn refund(
    State(payments): State<Service>,
    call: Call,
    Path(order): Path<String>,
) -> Result<Settled, Failure> {
    let work = move |db: &rusqlite::Connection| {
        db.execute(
            "INSERT INTO entry (order_id, kind, card, amount)
             SELECT order_id, 'refund', card, amount FROM entry
             WHERE order_id = ?1 AND kind = 'charge'",
            [order],
        )?;
        Ok(done(json!({ "refund": db.last_insert_rowid() })))
    };
    payments.settle(call, work).await
}
