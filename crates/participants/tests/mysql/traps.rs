//! What MariaDB and MySQL do that an adapter must know.

use std::time::Duration;

use futures_util::future::join;
use handfast_core::{
    vote::{
        Ack,
        Cause::{Passing, Request},
        Proof, Vote,
    },
    work::{Isolation, Param, Sql, Statement, Work},
};
use handfast_participants::{
    Participant, Prepared,
    conformance::{self, Bed, START, branch, plain, sql, until_known, work, yes},
};
use mysql_async::{Error, prelude::Queryable};

use super::bed::{FORMAT, Mysql, bed};

const AMPLE: Duration = Duration::from_secs(30);

/// Runs a branch to its end; the rows that it returned.
async fn done(db: &dyn Participant, bed: &Mysql, work: Work) -> Prepared {
    let id = branch(bed);
    let prepared = db.prepare(id.clone(), work, AMPLE).await;
    match &prepared.vote {
        Vote::Yes(proof) => assert_eq!(db.commit(id, proof.clone()).await, Ack::Finished),
        vote => assert_eq!(*vote, Vote::ReadOnly),
    }
    prepared
}

fn returning(text: &str) -> Statement {
    Statement { returns: true, ..plain(text) }
}

async fn mariadb(case: &str) -> Option<Mysql> {
    let bed = bed(case).await?;
    bed.is_mariadb().await.then_some(bed)
}

/// While the session that prepared lives, everybody else is told that there is no such branch,
/// although it is on the list. It would be wrong to take that for finished.
#[tokio::test]
async fn no_such_branch_does_not_mean_finished() {
    let Some(bed) = mariadb("no_such_branch_does_not_mean_finished").await else { return };
    let (owner, other) = (bed.participant(4), bed.participant(4));
    let (one, two) = (branch(&bed), branch(&bed));
    let proof = yes(owner.prepare(one.clone(), work([bed.add(1, 1)]), AMPLE).await);
    yes(owner.prepare(two.clone(), work([bed.add(2, 1)]), AMPLE).await);
    let told = bed.connect().await.query_drop(format!("XA COMMIT '{one}','',{FORMAT}")).await;
    assert!(matches!(told, Err(Error::Server(said)) if said.code == 1397), "the trap is gone");
    assert_eq!(conformance::own(&*other).await.len(), 2);

    // Another process ends the owner first, and then finishes.
    assert_eq!(other.commit(one.clone(), proof.clone()).await, Ack::Finished);
    assert_eq!(other.abort(two.clone(), Proof::default()).await, Ack::Finished);
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START)));
    // The owner finds out.
    assert_eq!(owner.commit(one, proof).await, Ack::Finished);
    assert_eq!(owner.abort(two, Proof::default()).await, Ack::Finished);
}

/// In the moment in which the session that prepared goes, MariaDB may tell others that it committed
/// the branch although it did not. The adapter is never taken in, however often it is tried.
#[tokio::test]
async fn answers_in_the_moment_of_parting_are_no_proof() {
    let case = "answers_in_the_moment_of_parting_are_no_proof";
    let Some(bed) = mariadb(case).await else { return };
    let other = bed.participant(4);
    for round in 1..=100 {
        let owner = bed.participant(4);
        let id = branch(&bed);
        let proof = yes(owner.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
        let commit = until_known(async || other.commit(id.clone(), proof.clone()).await);
        assert_eq!(join(commit, bed.kill()).await.0, Ack::Finished);
        assert_eq!(bed.value(1).await, Some(START + round));
    }
}

/// Somebody without manners may still make the server lose sight of a branch. As long as the
/// engine has it, that is neither committed nor rolled back, and neither is claimed.
#[tokio::test]
async fn a_branch_that_the_server_lost_sight_of_is_unknown() {
    let case = "a_branch_that_the_server_lost_sight_of_is_unknown";
    let Some(bed) = bed(case).await else { return };
    let db = bed.participant(4);
    done(&*db, &bed, work([bed.add(1, 1)])).await;
    let id = branch(&bed);
    let mut lost = bed.connect().await;
    lost.query_drop(format!(
        "BEGIN; INSERT INTO {}.handfast_marker (branch) VALUES ('{id}')",
        bed.db
    ))
    .await
    .unwrap();
    let ack = db.commit(id.clone(), Proof::default()).await;
    assert!(matches!(ack, Ack::Unknown(_)), "{ack:?}");
    let ack = db.abort(id.clone(), Proof::default()).await;
    assert!(matches!(ack, Ack::Unknown(_)), "{ack:?}");
    lost.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(db.abort(id.clone(), Proof::default()).await, Ack::Finished);
    let ack = db.commit(id, Proof(format!("my:{}", now_s(&bed).await))).await;
    assert!(matches!(ack, Ack::Heuristic(_)), "{ack:?}");
}

async fn now_s(bed: &Mysql) -> i64 {
    bed.number("SELECT UNIX_TIMESTAMP()").await.unwrap()
}

/// A marker may be gone for its age. Then its absence is no proof, of whatever.
#[tokio::test]
async fn a_marker_past_its_age_proves_nothing() {
    let Some(bed) = bed("a_marker_past_its_age_proves_nothing").await else { return };
    let db = bed.participant(4);
    let id = branch(&bed);
    // Whatever time the caller's statements believe in, the marker bears the server's.
    let timeless = work([plain("SET timestamp = 1"), bed.add(1, 1)]);
    let proof = yes(db.prepare(id.clone(), timeless, AMPLE).await);
    assert_eq!(db.commit(id.clone(), proof.clone()).await, Ack::Finished);
    let table = format!("{}.handfast_marker", bed.db);
    let young = format!("SELECT COUNT(*) FROM {table} WHERE at > NOW() - INTERVAL 1 HOUR");
    assert_eq!(bed.number(&young).await, Some(1));
    let now_s = now_s(&bed).await;
    let began_s: i64 = proof.0.strip_prefix("my:").unwrap().parse().unwrap();
    assert!((now_s - 60..=now_s).contains(&began_s), "{began_s} {now_s}");
    bed.sql(&format!("DELETE FROM {table}")).await;
    let late = Proof(format!("my:{}", now_s - 22 * 3600));
    for (proof, word) in [(late, "proof expired"), (Proof::default(), "no proof of ours")] {
        let ack = db.commit(id.clone(), proof.clone()).await;
        assert!(matches!(&ack, Ack::Broken(why) if why.contains(word)), "{ack:?}");
        let ack = db.commit_one_phase(id.clone(), proof).await;
        assert!(matches!(&ack, Ack::Broken(why) if why.contains(word)), "{ack:?}");
    }
    let young = Proof(format!("my:{}", now_s - 21 * 3600));
    let ack = db.commit(id, young).await;
    assert!(matches!(ack, Ack::Heuristic(_)), "{ack:?}");
}

/// A session that prepared can do nothing else. The adapter works on others meanwhile, and uses
/// it again once the branch is finished.
#[tokio::test]
async fn a_session_is_bound_to_its_branch_and_then_free() {
    let Some(bed) = mariadb("a_session_is_bound_to_its_branch_and_then_free").await else { return };
    let db = bed.participant(4);
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(bed.sessions().await, 1);
    for _ in 0..3 {
        done(&*db, &bed, work([bed.add(2, 1)])).await;
    }
    assert_eq!(bed.sessions().await, 2);
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
    let (one, two) = (branch(&bed), branch(&bed));
    for (id, key) in [(&one, 3), (&two, 4)] {
        yes(db.prepare(id.clone(), work([bed.add(key, 1)]), AMPLE).await);
    }
    assert_eq!(bed.sessions().await, 2, "both sessions are used again");
    for id in [one, two] {
        assert_eq!(db.abort(id, Proof::default()).await, Ack::Finished);
    }
}

/// A prepared branch that wrote nothing is forgotten in a crash. So none is ever prepared: one that
/// only locks drops out, and a read that writes by a function is no read.
#[tokio::test]
async fn only_branches_that_wrote_are_prepared() {
    let Some(bed) = bed("only_branches_that_wrote_are_prepared").await else { return };
    let db = bed.participant(4);
    let lock = "SELECT v FROM t WHERE id = 1 FOR UPDATE";
    for held in [false, true] {
        let id = branch(&bed);
        let work = work([returning(lock)]);
        let voted = match held {
            true => db.hold(id, work, AMPLE).await,
            false => db.prepare(id, work, AMPLE).await,
        };
        assert_eq!(voted.vote, Vote::ReadOnly);
        assert_eq!(voted.rows[0].rows, [[Param::Int(START)]]);
    }
    let open = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx t \
         JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.db = '{}'",
        bed.db
    );
    assert_eq!(bed.number(&open).await, Some(0));
    bed.sql(&format!(
        "CREATE FUNCTION {}.sly() RETURNS INT DETERMINISTIC MODIFIES SQL DATA \
         BEGIN UPDATE t SET v = v + 1 WHERE id = 1; RETURN 7; END",
        bed.db
    ))
    .await;
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([returning("SELECT sly()")]), AMPLE).await);
    assert_eq!(bed.value(1).await, Some(START));
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
    assert_eq!(bed.value(1).await, Some(START + 1));
}

/// A session may die between prepare and commit; any other finishes the branch.
#[tokio::test]
async fn a_branch_outlives_its_session() {
    let Some(bed) = bed("a_branch_outlives_its_session").await else { return };
    let (kept, undone) = (branch(&bed), branch(&bed));
    let db = bed.participant(4);
    let proof = yes(db.prepare(kept.clone(), work([bed.add(1, 1)]), AMPLE).await);
    yes(db.prepare(undone.clone(), work([bed.add(2, 1)]), AMPLE).await);
    bed.kill().await;
    for (id, commit) in [(&kept, true), (&undone, false)] {
        let ack = until_known(async || match commit {
            true => db.commit(id.clone(), proof.clone()).await,
            false => db.abort(id.clone(), Proof::default()).await,
        });
        assert_eq!(ack.await, Ack::Finished);
    }
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START)));
}

/// A server does not notice that its client has gone while a statement waits for a lock; so it is
/// told. Nobody else waits for what the branch had locked.
#[tokio::test]
async fn a_dropped_branch_frees_its_locks_at_once() {
    let Some(bed) = bed("a_dropped_branch_frees_its_locks_at_once").await else { return };
    let db = bed.participant(8);
    let holder = branch(&bed);
    let proof = yes(db.prepare(holder.clone(), work([bed.add(1, 1)]), AMPLE).await);
    {
        let waits = db.prepare(branch(&bed), work([bed.add(2, 1), bed.add(1, 1)]), AMPLE);
        tokio::select! {
            done = waits => panic!("it did not wait: {done:?}"),
            () = bed.blocked() => {}
        }
    }
    // Far less than the time that the dropped one would have waited for its lock.
    let next = branch(&bed);
    let soon = Duration::from_secs(8);
    let next_proof = yes(db.prepare(next.clone(), work([bed.add(2, 1)]), soon).await);
    for (id, proof) in [(holder, proof), (next, next_proof)] {
        assert_eq!(db.commit(id, proof).await, Ack::Finished);
    }
    assert_eq!((bed.value(1).await, bed.value(2).await), (Some(START + 1), Some(START + 1)));
}

/// Locks of a session outlive its transactions. None is left to the next branch.
#[tokio::test]
async fn named_locks_do_not_leak() {
    let Some(bed) = bed("named_locks_do_not_leak").await else { return };
    let db = bed.participant(4);
    let lock = format!("SELECT GET_LOCK('{}', 0)", bed.db);
    let free = format!("SELECT IS_FREE_LOCK('{}')", bed.db);
    done(&*db, &bed, work([plain(&lock)])).await;
    assert_eq!(bed.number(&free).await, Some(1));
    done(&*db, &bed, work([plain(&lock), bed.add(1, 1)])).await;
    assert_eq!(bed.number(&free).await, Some(1));
    let refused = work([plain(&lock), bed.add(1, 1), plain("COMMIT")]);
    conformance::refused(&*db, &bed, refused, "sql_not_allowed", Request).await;
    assert_eq!(bed.number(&free).await, Some(1));
}

/// Releasing all locks would release the one that tells others that the branch is worked on.
#[tokio::test]
async fn the_branchs_own_lock_cannot_be_released() {
    let Some(bed) = bed("the_branchs_own_lock_cannot_be_released").await else { return };
    let db = bed.participant(4);
    let release = work([bed.add(1, 1), plain("SELECT RELEASE_ALL_LOCKS()")]);
    conformance::refused(&*db, &bed, release, "sql_not_allowed", Request).await;
    assert_eq!(bed.value(1).await, Some(START));
}

/// What a branch sets in its session is not seen by the next.
#[tokio::test]
async fn settings_do_not_leak() {
    let Some(bed) = bed("settings_do_not_leak").await else { return };
    let db = bed.participant(2);
    let look = "SELECT @@SESSION.sql_select_limit, @leak, @@SESSION.innodb_lock_wait_timeout";
    let look = || Sql { lock_timeout_ms: Some(7_000), ..sql([returning(look)]) };
    let before = done(&*db, &bed, Work::Sql(look())).await.rows;
    assert_eq!(before[0].rows[0][2], Param::Int(7));
    for leak in ["SET SESSION sql_select_limit = 5", "SELECT @leak := 5", "SET @leak = 5"] {
        done(&*db, &bed, work([plain(leak), bed.add(1, 1)])).await;
        assert_eq!(done(&*db, &bed, Work::Sql(look())).await.rows, before, "{leak}");
    }
    let refused = work([plain("SET SESSION sql_select_limit = 5"), plain("COMMIT")]);
    conformance::refused(&*db, &bed, refused, "sql_not_allowed", Request).await;
    assert_eq!(done(&*db, &bed, Work::Sql(look())).await.rows, before);
}

/// What the server remembers of the last statements, and what triggers and functions leave behind
/// without a word of it in the caller's text, is not seen by the next branch either.
#[tokio::test]
async fn nothing_leaks_that_no_statement_shows() {
    let Some(bed) = bed("nothing_leaks_that_no_statement_shows").await else { return };
    let db = bed.participant(2);
    let name = &bed.db;
    bed.sql(&format!("CREATE TABLE {name}.counted (id INT AUTO_INCREMENT PRIMARY KEY, v INT)"))
        .await;
    bed.sql(&format!(
        "CREATE TRIGGER {name}.sly AFTER INSERT ON {name}.counted FOR EACH ROW SET @leak = 5"
    ))
    .await;
    bed.sql(&format!(
        "CREATE FUNCTION {name}.shadow() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN \
         CREATE TEMPORARY TABLE shadowed (a INT); RETURN 1; END"
    ))
    .await;
    bed.sql(&format!("CREATE ROLE {name}; GRANT {name} TO CURRENT_USER()")).await;
    // A caller's own word of a variable would cost the session.
    bed.sql(&format!("CREATE FUNCTION {name}.leaked() RETURNS INT READS SQL DATA RETURN @leak"))
        .await;
    let look = "SELECT LAST_INSERT_ID(), FOUND_ROWS(), ROW_COUNT(), leaked(), CURRENT_ROLE()";
    let look = || work([returning(look)]);
    let before = done(&*db, &bed, look()).await.rows;
    let leaks = [
        work([plain("INSERT INTO counted (v) VALUES (1)")]),
        work([plain("SELECT id FROM t"), bed.add(1, 1)]),
    ];
    for leak in leaks {
        done(&*db, &bed, leak).await;
        assert_eq!(done(&*db, &bed, look()).await.rows, before);
    }
    let shadow = work([plain("SELECT shadow()")]);
    match bed.detaches().await {
        // Where a session lets go of what it prepared, it cannot have temporary tables there.
        true => conformance::refused(&*db, &bed, shadow, "sql_not_allowed", Request).await,
        false => drop(done(&*db, &bed, shadow).await),
    }
    assert_eq!(done(&*db, &bed, look()).await.rows, before);
    assert_eq!(bed.sessions().await, 1, "the session is used again");
    // This outlives even a reset of the session.
    done(&*db, &bed, work([plain(&format!("SET ROLE {name}")), bed.add(1, 1)])).await;
    assert_eq!(done(&*db, &bed, look()).await.rows, before);
    let shadowed = work([returning("SELECT * FROM shadowed"), bed.add(1, 1)]);
    conformance::refused(&*db, &bed, shadowed, "sql_syntax", Request).await;
}

/// What commits by itself is refused, and so is what would end or prepare the branch.
#[tokio::test]
async fn nothing_commits_from_within() {
    let Some(bed) = bed("nothing_commits_from_within").await else { return };
    let db = bed.participant(4);
    let xa = format!("XA END 'x','',{FORMAT}");
    let hidden = format!("EXECUTE IMMEDIATE \"{xa}\"");
    let all = [
        "CREATE TABLE made (a INT)",
        "DROP TABLE t",
        "ALTER TABLE t ADD COLUMN w INT",
        "TRUNCATE TABLE t",
        "LOCK TABLES t WRITE",
        "/*! COMMIT */",
        "USE mysql",
        &xa,
        &hidden,
    ];
    for text in all {
        let sly = work([bed.add(1, 1), plain(text), bed.add(1, 1)]);
        conformance::refused(&*db, &bed, sly, "sql_not_allowed", Request).await;
    }
    assert_eq!(bed.value(1).await, Some(START));
    let count = format!("SELECT COUNT(*) FROM {}.t", bed.db);
    assert_eq!(bed.number(&count).await, Some(32));
}

/// An update counts the rows that it found, also those that were so before; as in PostgreSQL.
#[tokio::test]
async fn rows_that_stay_the_same_count() {
    let Some(bed) = bed("rows_that_stay_the_same_count").await else { return };
    let db = bed.participant(4);
    done(&*db, &bed, work([Statement { rows: Some(1), ..bed.add(1, 0) }])).await;
}

/// The level is that of the branch, not of the session.
#[tokio::test]
async fn isolation_is_the_branchs() {
    let Some(bed) = bed("isolation_is_the_branchs").await else { return };
    let db = bed.participant(4);
    let read = || [bed.read(1), bed.sleep(0.4), bed.read(1)];
    for (isolation, seen) in [
        (Some(Isolation::ReadCommitted), [START, START + 1]),
        (Some(Isolation::RepeatableRead), [START + 1, START + 1]),
        (Some(Isolation::ReadCommitted), [START + 2, START + 3]),
        // The server's default is repeatable read.
        (None, [START + 3, START + 3]),
    ] {
        let change = async {
            bed.sql(&format!(
                "SELECT SLEEP(0.15) FROM DUAL; UPDATE {}.t SET v = v + 1 WHERE id = 1",
                bed.db
            ))
            .await;
        };
        let work = Work::Sql(Sql { isolation, ..sql(read()) });
        let (prepared, ()) = join(db.prepare(branch(&bed), work, AMPLE), change).await;
        assert_eq!(prepared.vote, Vote::ReadOnly);
        let rows: Vec<_> = prepared.rows.iter().map(|rows| rows.rows[0][0].clone()).collect();
        assert_eq!(rows, seen.map(Param::Int), "{isolation:?}");
    }
}

/// Without the table of markers nobody can tell; that is said, not guessed.
#[tokio::test]
async fn without_proof_nothing_is_claimed() {
    let Some(bed) = bed("without_proof_nothing_is_claimed").await else { return };
    let db = bed.participant(4);
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    bed.finish(id.clone(), false).await;
    bed.sql(&format!("DROP TABLE {}.handfast_marker", bed.db)).await;
    let ack = until_known(async || db.commit(id.clone(), proof.clone()).await).await;
    assert!(matches!(ack, Ack::Broken(_)), "{ack:?}");
    // The next branch notices, and the one after it makes the table anew.
    let vote = db.prepare(branch(&bed), work([bed.add(1, 1)]), AMPLE).await.vote;
    assert!(matches!(&vote, Vote::No(no) if no.cause == Passing), "{vote:?}");
    done(&*db, &bed, work([bed.add(1, 1)])).await;
}

/// Markers are kept for a day and then removed by the way: our own, and only once the server has
/// answered for a while, so that whoever waits for the end of a branch has asked before.
#[tokio::test]
async fn old_markers_are_removed() {
    let Some(bed) = bed("old_markers_are_removed").await else { return };
    // Calls take a second at most, so three seconds of answers are enough.
    let db = bed.open(|settings| {
        settings.connect_timeout = Duration::from_millis(500);
        settings.statement_timeout = Duration::from_millis(500);
    });
    done(&*db, &bed, work([bed.add(1, 1)])).await;
    let table = format!("{}.handfast_marker", bed.db);
    let (ours, others) = (format!("hf1_{}_", bed.name), format!("hf1_{}x_", bed.name));
    bed.sql(&format!(
        "INSERT INTO {table} VALUES ('{ours}old', NOW() - INTERVAL 25 HOUR), \
         ('{ours}young', NOW() - INTERVAL 23 HOUR), ('{others}old', NOW() - INTERVAL 25 HOUR)"
    ))
    .await;
    let old = format!("SELECT COUNT(*) FROM {table} WHERE branch = '{ours}old'");
    let start = tokio::time::Instant::now();
    let removed = async {
        db.in_doubt().await.unwrap();
        while bed.number(&old).await != Some(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            db.in_doubt().await.unwrap();
        }
    };
    tokio::time::timeout(AMPLE, removed).await.expect("it is removed");
    assert!(start.elapsed() >= Duration::from_secs(3), "not before the server answered for long");
    assert_eq!(bed.number(&format!("SELECT COUNT(*) FROM {table}")).await, Some(3));
}
