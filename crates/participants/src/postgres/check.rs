//! Looks for what keeps a server from taking part, and for what would harm it.

use handfast_core::id::Cluster;
use tokio_postgres::Client;

use super::{connect::Connector, errors::Fault};
use crate::{
    Finding,
    Level::{self, Error, Ok as Fine, Warning},
};

/// The first version with `pg_current_xact_id` and `pg_xact_status(xid8)`.
const VERSION_MIN: i32 = 130_000;

/// From this age on, prepared transactions of others are worth a word, in seconds.
const FOREIGN_AGE_S: i64 = 300;

/// Connects and looks.
pub(super) async fn check(
    connector: &Connector,
    cluster: &Cluster,
    connections_max: usize,
) -> Vec<Finding> {
    let connection = match connector.connect().await {
        Ok(connection) => connection,
        Err(fault) => return vec![unreachable(fault)],
    };
    let mut findings = Vec::new();
    let client = &connection.client;
    for looked in [
        server(client, connections_max).await,
        rights(client).await,
        foreign(client, cluster).await,
    ] {
        match looked {
            Ok(found) => findings.extend(found),
            Err(fault) => {
                let cure = "look at the server's log";
                findings.push(finding(Error, "check_failed", fault.message(), cure));
            }
        }
    }
    findings
}

fn unreachable(fault: Fault) -> Finding {
    let code = if matches!(fault, Fault::Broken(_)) { "unreachable" } else { "login_refused" };
    let cure = match code {
        "unreachable" => "start the server, or correct the address, tls or ca_file",
        _ => "correct user, password, database or pg_hba.conf",
    };
    finding(Error, code, fault.message(), cure)
}

async fn server(client: &Client, connections_max: usize) -> Result<Vec<Finding>, Fault> {
    const LOOK: &str = "SELECT current_setting('server_version'), \
        current_setting('server_version_num')::int, pg_is_in_recovery(), \
        current_setting('max_prepared_transactions')::int, \
        current_setting('fsync')::bool, current_setting('full_page_writes')::bool";
    let row = client.query_one(LOOK, &[]).await?;
    let (version, number): (String, i32) = (row.try_get(0)?, row.try_get(1)?);
    let (standby, slots): (bool, i32) = (row.try_get(2)?, row.try_get(3)?);
    let (fsync, full_page_writes): (bool, bool) = (row.try_get(4)?, row.try_get(5)?);
    let mut found = vec![finding(Fine, "reachable", format!("PostgreSQL {version}"), "")];
    let mut add = |level, code, message: &str, cure: &str| {
        found.push(finding(level, code, message, cure));
    };
    if number < VERSION_MIN {
        let message = "it cannot tell what became of a transaction before version 13";
        add(Error, "version_too_old", message, "upgrade to PostgreSQL 13 or later");
    }
    if standby {
        let message = "it is a standby, which takes no writes";
        add(Error, "standby", message, "give the address of the primary");
    }
    let set = format!(
        "ALTER SYSTEM SET max_prepared_transactions = {}; then restart the server",
        connections_max.max(100)
    );
    if slots == 0 {
        let message = "prepared transactions are off (max_prepared_transactions = 0)";
        add(Error, "prepared_transactions_off", message, &set);
    } else if usize::try_from(slots).is_ok_and(|slots| slots < connections_max) {
        let message = format!(
            "max_prepared_transactions = {slots} is lower than connections_max = {connections_max}"
        );
        add(Warning, "prepared_transactions_few", &message, &set);
    }
    if !fsync {
        let message = "fsync is off: after a power cut, what was prepared or committed may be gone";
        add(Warning, "fsync_off", message, "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()");
    }
    if !full_page_writes {
        let message = "full_page_writes is off: a power cut may tear pages";
        let cure = "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()";
        add(Warning, "full_page_writes_off", message, cure);
    }
    Ok(found)
}

async fn rights(client: &Client) -> Result<Vec<Finding>, Fault> {
    const LOOK: &str = "SELECT current_user::text, \
        has_function_privilege('pg_control_system()', 'execute'), \
        has_table_privilege('pg_catalog.pg_prepared_xacts', 'select') \
        AND has_table_privilege('pg_catalog.pg_stat_activity', 'select') \
        AND has_function_privilege('pg_terminate_backend(int, bigint)', 'execute')";
    let row = match client.query_one(LOOK, &[]).await.map_err(Fault::from) {
        Ok(row) => row,
        // The function has one parameter less before version 14.
        Err(fault) if fault.state() == "42883" => {
            let look = LOOK.replace("(int, bigint)", "(int)");
            client.query_one(&look, &[]).await?
        }
        Err(fault) => return Err(fault),
    };
    let user: String = row.try_get(0)?;
    let (identity, views): (bool, bool) = (row.try_get(1)?, row.try_get(2)?);
    let mut found = Vec::new();
    if !identity {
        found.push(finding(
            Warning,
            "identity_hidden",
            format!(
                "user {user} may not tell one server from another (pg_control_system), so a branch \
                 that is not found prepared is stuck, however it ended"
            ),
            &format!("GRANT EXECUTE ON FUNCTION pg_control_system() TO \"{user}\""),
        ));
    }
    if !views {
        found.push(finding(
            Error,
            "permission",
            format!("user {user} may not see or end what is under way"),
            &format!(
                "GRANT SELECT ON pg_prepared_xacts, pg_stat_activity TO \"{user}\"; \
                 GRANT EXECUTE ON FUNCTION pg_terminate_backend TO \"{user}\""
            ),
        ));
    }
    Ok(found)
}

async fn foreign(client: &Client, cluster: &Cluster) -> Result<Vec<Finding>, Fault> {
    const LOOK: &str = "SELECT count(*), \
        coalesce(max(extract(epoch FROM clock_timestamp() - prepared)), 0)::bigint \
        FROM pg_prepared_xacts WHERE database = current_database() AND NOT starts_with(gid, $1) \
        AND prepared < clock_timestamp() - make_interval(secs => $2)";
    let own = format!("{}{cluster}_", handfast_core::id::BranchId::PREFIX);
    let row = client.query_one(LOOK, &[&own, &(FOREIGN_AGE_S as f64)]).await?;
    let (count, age_s): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if count == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![finding(
        Warning,
        "foreign_prepared",
        format!(
            "{count} prepared transactions of others hold locks and hold VACUUM back, the oldest \
             for {age_s} s"
        ),
        "SELECT * FROM pg_prepared_xacts, and ask whose they are",
    )])
}

fn finding(level: Level, code: &'static str, message: impl Into<String>, cure: &str) -> Finding {
    Finding { level, code, message: message.into(), cure: cure.into() }
}
