//! Looks for what keeps a server from taking part, and for what would harm it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mysql_async::Row;
use tokio::time::timeout;

use super::{
    errors,
    marker::Marker,
    sessions::{Server, Session, Sessions, Stopped},
    xa,
};
use crate::{
    Finding,
    Level::{self, Error, Ok as Fine, Warning},
};

/// The first MariaDB whose prepared branches outlive their session.
const MARIADB_MIN: (u16, u16, u16) = (10, 5, 2);
/// The first MySQL whose binary log and engine agree after a crash in the middle of XA.
const MYSQL_MIN: (u16, u16, u16) = (8, 0, 30);
/// Most time to look.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);
/// The server's settings that matter.
const SETTINGS: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'read_only', \
    'super_read_only', 'innodb_read_only', 'innodb_flush_log_at_trx_commit', 'sync_binlog', \
    'wsrep_on', 'default_storage_engine', 'xa_detach_on_prepare', 'binlog_do_db', \
    'binlog_ignore_db') OR Variable_name LIKE 'replicate\\_%'";

/// Connects and looks.
pub(super) async fn check(sessions: &Arc<Sessions>, marker: &Marker) -> Vec<Finding> {
    let look = async {
        let mut session = match sessions.fresh().await {
            Ok(session) => session,
            Err(why) => {
                let code =
                    if why.code == "login_refused" { "login_refused" } else { "unreachable" };
                let cure = match code {
                    "unreachable" => "start the server, or correct the address",
                    _ => "correct user, password or database",
                };
                return vec![finding(Error, code, why.message, cure)];
            }
        };
        let found = findings(&mut session, marker).await;
        if found.is_ok() {
            session.give_back();
        }
        found.unwrap_or_else(|stopped| {
            let cure = "look at the server's log";
            vec![finding(Error, "check_failed", errors::in_words(&stopped.error), cure)]
        })
    };
    timeout(CHECK_TIMEOUT, look).await.unwrap_or_else(|_| {
        let message = format!("no answer within {CHECK_TIMEOUT:?}");
        vec![finding(Error, "check_failed", message, "look at the server's log")]
    })
}

async fn findings(session: &mut Session, marker: &Marker) -> Result<Vec<Finding>, Stopped> {
    let sets = session.batch("SELECT VERSION(), CURRENT_USER()").await?;
    let version: String = xa::cell(&sets, 0).unwrap_or_default();
    let user: String = xa::cell(&sets, 1).unwrap_or_default();
    let rows = session.batch(SETTINGS).await?.into_iter().flatten();
    let settings: BTreeMap<String, String> = rows.filter_map(|row| pair(&row)).collect();
    let name = if session.server.mariadb { "MariaDB" } else { "MySQL" };
    let mut found = vec![finding(Fine, "reachable", format!("{name} {version}"), "")];
    found.extend(judge(session.server, &settings));
    if let Err(stopped) = xa::prepared(session).await {
        server_said(&stopped)?;
        found.push(finding(
            Error,
            "permission",
            format!("user {user} may not list prepared branches (XA RECOVER)"),
            format!("GRANT XA_RECOVER_ADMIN ON *.* TO {}", quoted(&user)),
        ));
    }
    found.extend(rights(session, marker, &user).await?);
    Ok(found)
}

/// Tries what every branch does, up to but not including the prepare.
async fn rights(
    session: &mut Session,
    marker: &Marker,
    user: &str,
) -> Result<Option<Finding>, Stopped> {
    let tried = match marker.ensure(session).await {
        Ok(()) => session.batch(&marker.trial(session)).await.map(drop),
        failed => failed,
    };
    let Err(stopped) = tried else { return Ok(None) };
    server_said(&stopped)?;
    // The trial may have left its branch open.
    session.soiled = true;
    let message = format!("a branch cannot leave its mark: {}", errors::in_words(&stopped.error));
    let table = marker.name();
    let cure = format!("GRANT CREATE, SELECT, INSERT, DELETE ON {table} TO {}", quoted(user));
    Ok(Some(finding(Error, "permission", message, cure)))
}

/// What follows from version and settings alone.
fn judge(server: Server, settings: &BTreeMap<String, String>) -> Vec<Finding> {
    let is = |name: &str, value: &str| {
        settings.get(name).is_some_and(|set| set.eq_ignore_ascii_case(value))
    };
    let on = |name| is(name, "ON") || is(name, "1");
    let set = |name: &str, value: &str| match server.mariadb {
        true => format!("SET GLOBAL {name} = {value}; and the same in the server's option file"),
        false => format!("SET PERSIST {name} = {value}"),
    };
    let mut found = Vec::new();
    let mut add = |level, code, message: &str, cure: String| {
        found.push(finding(level, code, message, cure));
    };
    if server.mariadb && server.version < MARIADB_MIN {
        let message = "a prepared branch is rolled back with its session before MariaDB 10.5.2";
        add(Error, "version_too_old", message, "upgrade to MariaDB 10.5 or later".into());
    }
    if !server.mariadb && server.version < MYSQL_MIN {
        let message = "a crash may leave binary log and tables different before MySQL 8.0.30";
        add(Error, "version_too_old", message, "upgrade to MySQL 8.0.30 or later".into());
    }
    if on("wsrep_on") {
        let message = "it is a Galera node, and Galera does not take XA";
        add(Error, "galera", message, "use a server without Galera".into());
    }
    for name in ["read_only", "super_read_only", "innodb_read_only"] {
        // Newer servers have more words for on.
        if settings.contains_key(name) && !is(name, "OFF") && !is(name, "0") {
            let message = format!("it takes no writes ({name} is on)");
            add(Error, "read_only", &message, set(name, "OFF"));
        }
    }
    if !server.mariadb && server.version >= MYSQL_MIN && !server.detaches {
        let message = "xa_detach_on_prepare is off: each prepared branch keeps a connection";
        add(Warning, "attached", message, set("xa_detach_on_prepare", "ON"));
    }
    if !is("innodb_flush_log_at_trx_commit", "1") {
        let message = "what was prepared or committed may be gone after a crash \
                       (innodb_flush_log_at_trx_commit is not 1)";
        add(Warning, "not_durable", message, set("innodb_flush_log_at_trx_commit", "1"));
    }
    if on("log_bin") && !is("sync_binlog", "1") {
        let message = "after a crash, the binary log may lack branches (sync_binlog is not 1)";
        add(Warning, "binlog_not_durable", message, set("sync_binlog", "1"));
    }
    if server.mariadb && on("log_bin") {
        let message = "MariaDB does not repair prepared branches from its binary log after a \
                       crash: replicas may differ, do not fail over to them";
        add(Warning, "binlog", message, String::new());
    }
    if has_replication_filter(settings) {
        let message = "replication filters do not work together with XA";
        add(Warning, "replication_filters", message, "remove the filters".into());
    }
    if !is("default_storage_engine", "InnoDB") {
        let message = "new tables do not take part in transactions (default_storage_engine)";
        add(Warning, "default_engine", message, set("default_storage_engine", "InnoDB"));
    }
    found
}

fn has_replication_filter(settings: &BTreeMap<String, String>) -> bool {
    settings.iter().any(|(name, value)| {
        let filters = name.starts_with("replicate_")
            && !name.starts_with("replicate_annotate")
            && !name.starts_with("replicate_events");
        (filters || name.starts_with("binlog_")) && !value.is_empty()
    })
}

/// Passes on what is no answer of the server.
fn server_said(stopped: &Stopped) -> Result<(), Stopped> {
    if errors::number(&stopped.error) > 0 {
        return Ok(());
    }
    let error = mysql_async::DriverError::ConnectionClosed.into();
    Err(Stopped { done: 0, error })
}

fn pair(row: &Row) -> Option<(String, String)> {
    Some((row.get_opt(0)?.ok()?, row.get_opt(1)?.ok()?))
}

/// `user@host` as it is written in a GRANT.
fn quoted(user: &str) -> String {
    match user.rsplit_once('@') {
        Some((name, host)) => format!("'{name}'@'{host}'"),
        None => format!("'{user}'"),
    }
}

fn finding(
    level: Level,
    code: &'static str,
    message: impl Into<String>,
    cure: impl Into<String>,
) -> Finding {
    Finding { level, code, message: message.into(), cure: cure.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("log_bin", "OFF"),
        ("read_only", "OFF"),
        ("innodb_flush_log_at_trx_commit", "1"),
        ("default_storage_engine", "InnoDB"),
        ("replicate_do_db", ""),
    ];

    fn codes(
        mariadb: bool,
        version: (u16, u16, u16),
        change: &[(&str, &str)],
    ) -> Vec<&'static str> {
        let settings = GOOD.iter().chain(change);
        let settings = settings.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let detaches = change.contains(&("xa_detach_on_prepare", "ON"));
        let found = judge(Server { mariadb, version, detaches, autocommit: true }, &settings);
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_good_server_has_no_findings() {
        assert_eq!(codes(true, (10, 11, 19), &[]), [""; 0]);
        let on = [("xa_detach_on_prepare", "ON"), ("log_bin", "ON"), ("sync_binlog", "1")];
        assert_eq!(codes(false, (8, 4, 0), &on), [""; 0]);
    }

    #[test]
    fn each_flaw_has_its_finding() {
        let maria = |change: &[(&str, &str)]| codes(true, (10, 11, 19), change);
        assert_eq!(codes(true, (10, 4, 30), &[]), ["version_too_old"]);
        assert_eq!(codes(false, (8, 0, 29), &[]), ["version_too_old"]);
        assert_eq!(codes(false, (8, 4, 0), &[]), ["attached"]);
        assert_eq!(maria(&[("wsrep_on", "ON")]), ["galera"]);
        assert_eq!(maria(&[("read_only", "NO_LOCK")]), ["read_only"]);
        assert_eq!(maria(&[("innodb_flush_log_at_trx_commit", "2")]), ["not_durable"]);
        let log = [("log_bin", "ON"), ("sync_binlog", "0")];
        assert_eq!(maria(&log), ["binlog_not_durable", "binlog"]);
        assert_eq!(maria(&[("replicate_ignore_db", "a")]), ["replication_filters"]);
        assert_eq!(maria(&[("default_storage_engine", "Aria")]), ["default_engine"]);
    }
}
