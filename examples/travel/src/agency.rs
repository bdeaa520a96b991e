//! The agency's database, in PostgreSQL: what travellers may spend, and what they were invoiced.
//! The invoice is a branch that prepares; Handfast runs its statements there itself.

use handfast_example_kit::fresh_name;
use tokio_postgres::{Client, NoTls};

/// A traveller without credit.
pub const BROKE: &str = "erin";
/// What the others may spend at first.
const CREDIT: i64 = 1_000_000_000;

pub struct Agency {
    url: String,
    /// Where its tables are; nobody else's.
    pub schema: String,
}

/// An invoice: the trip and the amount.
pub type Invoice = (String, i64);

/// The two statements of a trip's branch, each of which must change one row. Parameters of the
/// first are the amount and the traveller; of the second trip, traveller and amount.
pub fn statements(schema: &str) -> [String; 2] {
    [
        format!(
            "UPDATE {schema}.account SET credit = credit - $1
             WHERE traveller = $2 AND credit >= $1"
        ),
        format!("INSERT INTO {schema}.invoice (trip, traveller, amount) VALUES ($1, $2, $3)"),
    ]
}

impl Agency {
    /// Makes its tables.
    pub async fn open(url: String) -> Result<Self, String> {
        let schema = format!("handfast_{}", fresh_name().replace('-', "_"));
        let agency = Self { url, schema };
        let schema = &agency.schema;
        let tables = format!(
            "CREATE SCHEMA {schema};
             CREATE TABLE {schema}.account (traveller text PRIMARY KEY, credit bigint NOT NULL);
             INSERT INTO {schema}.account VALUES ('{BROKE}', 0), ('alice', {CREDIT}),
                 ('bob', {CREDIT}), ('carol', {CREDIT}), ('dave', {CREDIT});
             CREATE TABLE {schema}.invoice (id bigserial PRIMARY KEY, trip text NOT NULL,
                 traveller text NOT NULL, amount bigint NOT NULL);"
        );
        agency.client().await?.batch_execute(&tables).await.map_err(said)?;
        Ok(agency)
    }

    /// All invoices.
    pub async fn invoices(&self) -> Result<Vec<Invoice>, String> {
        let query = format!("SELECT trip, amount FROM {}.invoice", self.schema);
        let rows = self.client().await?.query(&query, &[]).await.map_err(said)?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// How much credit was spent.
    pub async fn spent(&self) -> Result<i64, String> {
        let query = format!("SELECT sum(credit)::bigint FROM {}.account", self.schema);
        let row = self.client().await?.query_one(&query, &[]).await.map_err(said)?;
        Ok(4 * CREDIT - row.get::<_, i64>(0))
    }

    /// Removes its tables.
    pub async fn remove(&self) -> Result<(), String> {
        let drop = format!("DROP SCHEMA {} CASCADE", self.schema);
        self.client().await?.batch_execute(&drop).await.map_err(said)
    }

    async fn client(&self) -> Result<Client, String> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.map_err(said)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn said(error: tokio_postgres::Error) -> String {
    // Its own words hide the server's.
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    format!("failed to use the agency's PostgreSQL: {error}{}", cause.unwrap_or_default())
}
