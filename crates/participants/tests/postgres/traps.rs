//! Traps that only PostgreSQL has, each found by running a real server into it.

use std::{future::poll_fn, sync::Arc, time::Duration};

use handfast_core::{
    id::BranchId,
    vote::{
        Ack,
        Cause::{Business, Passing, Request},
        Proof, Vote,
    },
    work::{Isolation, Param, Sql, Statement, Work},
};
use handfast_participants::{
    Level, Participant,
    conformance::{
        AMPLE, Bed, START, branch, no, own, plain, refused, sql, until_known, work, yes,
    },
};

use tokio_postgres::{AsyncMessage, NoTls};

use super::bed::{Postgres, alone, bed, second};

fn returning(text: &str) -> Statement {
    Statement { returns: true, ..plain(text) }
}

async fn committed(db: &Arc<dyn Participant>, id: &BranchId, proof: &Proof) -> Ack {
    until_known(async || db.commit(id.clone(), proof.clone()).await).await
}

async fn text(db: &dyn Participant, bed: &Postgres, select: &str) -> String {
    let prepared = db.prepare(branch(bed), work([returning(select)]), AMPLE).await;
    match prepared.rows[0].rows[0][0].clone() {
        Param::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn settings_do_not_leak_to_the_next_branch() {
    let Some(bed) = bed("settings").await else { return };
    let db = bed.participant(2);
    for abort in [false, true] {
        let id = branch(&bed);
        let leak = work([
            plain("SET search_path = nowhere"),
            plain("SET ROLE pg_monitor"),
            plain("RESET ROLE"),
            plain("SET statement_timeout = 1"),
            plain("SET default_transaction_read_only = off"),
            plain("SELECT set_config('app.user', 'mallory', false)"),
            plain("SET search_path = public"),
            bed.add(1, 1),
            plain("SET search_path = nowhere"),
        ]);
        let vote = db.prepare(id.clone(), leak, AMPLE).await.vote;
        // A statement timeout of 1 ms may hit; then this branch proves nothing, and the next does.
        if let Vote::Yes(proof) = vote {
            let finished =
                if abort { db.abort(id, proof).await } else { db.commit(id, proof).await };
            assert_eq!(finished, Ack::Finished);
        }
        let seen = "SELECT concat_ws(' ', current_setting('search_path'), \
                    current_setting('statement_timeout'), current_setting('app.user', true))";
        assert_eq!(text(&*db, &bed, seen).await.trim_end(), "\"$user\", public 30s");
    }
}

#[tokio::test]
async fn roles_do_not_leak_to_the_next_branch() {
    let Some(bed) = bed("roles").await else { return };
    let db = bed.participant(2);
    let user = text(&*db, &bed, "SELECT current_user::text").await;
    let id = branch(&bed);
    let leak = work([bed.add(1, 1), plain("SET ROLE pg_monitor")]);
    let proof = yes(db.prepare(id.clone(), leak, AMPLE).await);
    assert_eq!(text(&*db, &bed, "SELECT current_user::text").await, user);
    assert_eq!(db.abort(id, proof).await, Ack::Finished);
}

#[tokio::test]
async fn advisory_locks_do_not_stay_on_a_pooled_connection() {
    let Some(bed) = bed("advisory").await else { return };
    let db = bed.participant(2);
    let key = i64::from(std::process::id()) << 20;
    let lock = plain(&format!("SELECT pg_advisory_lock({key})"));
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([lock.clone(), bed.add(1, 1)]), AMPLE).await);
    let read_only = db.prepare(branch(&bed), work([lock]), AMPLE).await;
    assert_eq!(read_only.vote, Vote::ReadOnly);
    // The adapter is idle now; this waits only until the lock is let go.
    let wait = format!("SET lock_timeout = '20s'; SELECT pg_advisory_lock({key})");
    bed.client.batch_execute(&wait).await.unwrap();
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
}

#[tokio::test]
async fn what_cannot_be_prepared_is_refused_and_leaves_nothing() {
    let Some(bed) = bed("unpreparable").await else { return };
    let db = bed.participant(2);
    for text in ["CREATE TEMP TABLE hf_temp (a int)", "NOTIFY hf_news", "LISTEN hf_news"] {
        let all = work([bed.add(1, 1), plain(text)]);
        refused(&*db, &bed, all, "sql_not_allowed", Request).await;
    }
    let look = "SELECT coalesce(to_regclass('pg_temp.hf_temp')::text, 'none')";
    assert_eq!(text(&*db, &bed, look).await, "none");
    assert_eq!(bed.value(1).await, Some(START));
}

#[tokio::test]
async fn a_hidden_session_is_refused() {
    let Some(bed) = bed("hidden").await else { return };
    let db = bed.participant(2);
    let hide = work([bed.add(1, 1), plain("SET LOCAL application_name = 'nobody'")]);
    refused(&*db, &bed, hide, "sql_not_allowed", Request).await;
    // By a function or a trigger it is seen only in the answer to the prepare, which is taken back.
    let function = plain("SELECT set_config('application_name', 'nobody', true)");
    refused(&*db, &bed, work([bed.add(1, 1), function]), "sql_not_allowed", Request).await;
    let table = bed.table();
    let trigger = format!(
        "CREATE FUNCTION {table}_hide() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN SET LOCAL application_name = 'nobody'; RETURN new; END $$; \
         CREATE TRIGGER hide BEFORE UPDATE ON {table} \
         FOR EACH ROW EXECUTE FUNCTION {table}_hide()"
    );
    bed.client.batch_execute(&trigger).await.unwrap();
    // The first time it is prepared behind its work, and from then on together with it.
    for _ in 0..2 {
        refused(&*db, &bed, work([bed.add(1, 1)]), "sql_not_allowed", Request).await;
    }
    assert_eq!((own(&*db).await, bed.value(1).await), (Vec::new(), Some(START)));
}

#[tokio::test]
async fn deferred_constraints_are_checked_before_the_vote() {
    let Some(bed) = bed("deferred").await else { return };
    let db = bed.participant(2);
    let table = bed.table();
    let make = format!(
        "CREATE TABLE {table}_d (id bigint REFERENCES {table} DEFERRABLE INITIALLY DEFERRED)"
    );
    bed.client.batch_execute(&make).await.unwrap();
    let orphan = work([plain(&format!("INSERT INTO {table}_d VALUES (-1)"))]);
    refused(&*db, &bed, orphan.clone(), "constraint", Business).await;
    let refusal = no(db.hold(branch(&bed), orphan, AMPLE).await);
    assert_eq!((refusal.code.as_str(), refusal.cause), ("constraint", Business));
}

/// The PREPARE travels with the work: when a condition does not hold, it has been prepared already.
#[tokio::test]
async fn what_was_prepared_along_with_missed_work_is_taken_back() {
    let Some(bed) = bed("taken_back").await else { return };
    let db = bed.participant(2);
    let nobody = format!("UPDATE {} SET v = 0 WHERE id = -1", bed.table());
    let missed = Statement { rows: Some(1), ..plain(&nobody) };
    // The second time the connection knows that the statement may miss, and keeps the block open.
    for _ in 0..2 {
        let work = work([bed.add(1, 1), missed.clone()]);
        refused(&*db, &bed, work, "rows_mismatch", Business).await;
    }
    assert_eq!(bed.value(1).await, Some(START));
}

#[tokio::test]
async fn a_statement_may_use_what_an_earlier_one_makes() {
    let Some(bed) = bed("ddl").await else { return };
    let db = bed.participant(2);
    let table = format!("{}_made", bed.table());
    let all = work([
        plain(&format!("CREATE TABLE {table} (a int)")),
        Statement { rows: Some(1), ..plain(&format!("INSERT INTO {table} VALUES (1)")) },
        bed.add(1, 1),
    ]);
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), all, AMPLE).await);
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
    let count: i64 =
        bed.client.query_one_scalar(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
    assert_eq!((count, bed.value(1).await), (1, Some(START + 1)));
}

#[tokio::test]
async fn a_changed_table_costs_one_passing_refusal_per_connection_at_most() {
    let Some(bed) = bed("plans").await else { return };
    let db = bed.participant(2);
    let all = work([returning(&format!("SELECT * FROM {} LIMIT 1", bed.table()))]);
    assert_eq!(db.prepare(branch(&bed), all.clone(), AMPLE).await.vote, Vote::ReadOnly);
    let change = format!("ALTER TABLE {} ADD COLUMN more int", bed.table());
    bed.client.batch_execute(&change).await.unwrap();
    match db.prepare(branch(&bed), all.clone(), AMPLE).await.vote {
        Vote::No(refusal) => assert_eq!(refusal.cause, Passing, "{refusal:?}"),
        vote => panic!("the trap was not reached: {vote:?}"),
    }
    assert_eq!(db.prepare(branch(&bed), all, AMPLE).await.vote, Vote::ReadOnly);
}

#[tokio::test]
async fn another_role_or_database_is_broken_not_finished() {
    let Some(bed) = bed("elsewhere").await else { return };
    let db = bed.participant(2);
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    let name = bed.table();
    bed.client.batch_execute(&format!("CREATE ROLE {name} LOGIN")).await.unwrap();
    bed.client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let other_role = bed.open(|settings| settings.url = bed.url_for(&name, None));
    let other_database = bed.open(|settings| settings.url = bed.url_for("postgres", Some(&name)));
    for wrong in [other_role, other_database.clone()] {
        for ack in [
            wrong.commit(id.clone(), proof.clone()).await,
            wrong.abort(id.clone(), proof.clone()).await,
        ] {
            assert!(matches!(ack, Ack::Broken(_)), "{ack:?}");
        }
    }
    assert_eq!(own(&*other_database).await, [], "the list is of one database");
    assert_eq!(own(&*db).await.as_slice(), std::slice::from_ref(&id));
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
}

#[tokio::test]
async fn without_proof_a_vanished_branch_is_broken_not_finished() {
    let Some(bed) = bed("proofs").await else { return };
    let db = bed.participant(2);
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(db.commit(id.clone(), proof.clone()).await, Ack::Finished);
    let (server, _) = proof.0.rsplit_once(':').unwrap();
    let restored = proof.0.replacen("pg:", "pg:1", 1);
    let future = format!("{server}:999999999999");
    let forged = ["", "mysql:1", "pg:", "pg:1:2:3", "pg:1:'; DROP TABLE a", &restored, &future];
    for forged in forged {
        let ack = db.commit(id.clone(), Proof(forged.into())).await;
        assert!(matches!(ack, Ack::Broken(_)), "{forged}: {ack:?}");
    }
}

/// A role that may not read the server's identity cannot tell it from a restored copy of it. Then
/// a transaction id means nothing, and a vanished branch is neither committed nor rolled back.
#[tokio::test]
async fn a_server_without_identity_proves_nothing() {
    let Some(bed) = bed("identity").await else { return };
    let name = bed.table();
    bed.client.batch_execute(&format!("CREATE ROLE {name} LOGIN")).await.unwrap();
    bed.client.batch_execute(&format!("CREATE DATABASE {name} OWNER {name}")).await.unwrap();
    let hide = "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; \
                CREATE TABLE public.t (a int); GRANT ALL ON public.t TO PUBLIC";
    let owner = bed.url_for("postgres", Some(&name));
    super::bed::connect(&owner).await.batch_execute(hide).await.unwrap();
    let db = bed.open(|settings| settings.url = bed.url_for(&name, Some(&name)));
    let found = db.check().await;
    assert!(found.iter().any(|one| one.code == "identity_hidden"), "{found:?}");

    for commit in [true, false] {
        let id = branch(&bed);
        let insert = work([plain("INSERT INTO t VALUES (1)")]);
        let proof = yes(db.prepare(id.clone(), insert, AMPLE).await);
        let end = |commit| {
            let (db, id, proof) = (db.clone(), id.clone(), proof.clone());
            async move {
                match commit {
                    true => db.commit(id, proof).await,
                    false => db.abort(id, proof).await,
                }
            }
        };
        // While it is there it is finished as ever.
        assert_eq!(end(commit).await, Ack::Finished);
        for again in [end(true).await, end(false).await] {
            assert!(matches!(again, Ack::Broken(_)), "{again:?}");
        }
    }
}

/// What a branch that only read notifies would be sent before the decision, and despite an abort.
#[tokio::test]
async fn a_reader_notifies_nobody() {
    let Some(bed) = bed("notify").await else { return };
    let db = bed.participant(2);
    let (listener, mut driver) = tokio_postgres::connect(&bed.url, NoTls).await.unwrap();
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(said)) = poll_fn(|cx| driver.poll_message(cx)).await {
            if let AsyncMessage::Notification(said) = said {
                drop(heard.send(said.payload().to_owned()));
            }
        }
    });
    let news = bed.table();
    listener.batch_execute(&format!("LISTEN {news}")).await.unwrap();
    for isolation in [None, Some(Isolation::Serializable)] {
        let statements = [
            plain(&format!("SELECT pg_notify('{news}', 'early')")),
            plain(&format!("NOTIFY {news}, 'early'")),
            bed.read(1),
        ];
        let reads = Work::Sql(Sql { isolation, ..sql(statements) });
        assert_eq!(db.prepare(branch(&bed), reads, AMPLE).await.vote, Vote::ReadOnly);
    }
    bed.client.batch_execute(&format!("NOTIFY {news}, 'end'")).await.unwrap();
    assert_eq!(hears.recv().await.as_deref(), Some("end"));
}

/// Statements that a function prepared under a name stay on the connection; no text reaches them.
#[tokio::test]
async fn named_statements_are_out_of_reach() {
    let Some(bed) = bed("named").await else { return };
    let db = bed.participant(2);
    let leave = "DO $$ BEGIN EXECUTE 'PREPARE hf_left AS SELECT 1'; END $$";
    let vote = db.prepare(branch(&bed), work([plain(leave)]), AMPLE).await.vote;
    assert_eq!(vote, Vote::ReadOnly);
    refused(&*db, &bed, work([plain("EXECUTE hf_left")]), "sql_not_allowed", Request).await;
}

#[tokio::test]
async fn exhausted_slots_are_a_clean_no() {
    let Some(bed) = second("slots").await else { return };
    let _alone = alone().await;
    let db = bed.participant(2);
    let mut taken = Vec::new();
    loop {
        let name = format!("{}-{}", bed.name, taken.len());
        let take = format!(
            "BEGIN; INSERT INTO {} VALUES ({}, 0); PREPARE TRANSACTION '{name}'",
            bed.table(),
            1000 + taken.len()
        );
        match bed.client.batch_execute(&take).await {
            Ok(()) => taken.push(name),
            Err(full) => {
                assert_eq!(full.code().unwrap().code(), "53200");
                break;
            }
        }
    }
    refused(&*db, &bed, work([bed.add(1, 1)]), "prepared_slots", Passing).await;
    for name in taken {
        bed.abort_foreign(name).await;
    }
    let id = branch(&bed);
    let proof = yes(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(db.commit(id, proof).await, Ack::Finished);
}

/// After a crash the server no longer knows what a serializable branch in doubt read and wrote, and
/// refuses every serializable transaction that might conflict, until it is resolved.
#[tokio::test]
async fn serializable_work_waits_for_the_branch_in_doubt_after_a_crash() {
    let Some(mut bed) = second("serializable").await else { return };
    let _alone = alone().await;
    let db = bed.participant(2);
    let serializable = |statements: [Statement; 2]| {
        Work::Sql(Sql { isolation: Some(Isolation::Serializable), ..sql(statements) })
    };
    let count = returning(&format!("SELECT count(*) FROM {}", bed.table()));
    let id = branch(&bed);
    let both = serializable([count.clone(), bed.add(1, 1)]);
    let proof = yes(db.prepare(id.clone(), both, AMPLE).await);
    crash(&mut bed).await;
    let left = own(&*db).await;
    assert_eq!(left.as_slice(), std::slice::from_ref(&id), "the branch outlives the crash");
    let read = serializable([count.clone(), count]);
    for _ in 0..3 {
        let refusal = no(db.prepare(branch(&bed), read.clone(), AMPLE).await);
        assert_eq!((refusal.code.as_str(), refusal.cause), ("serialization", Passing));
    }
    assert_eq!(committed(&db, &id, &proof).await, Ack::Finished);
    assert_eq!(db.prepare(branch(&bed), read, AMPLE).await.vote, Vote::ReadOnly);
    assert_eq!(bed.value(1).await, Some(START + 1));
}

/// Kills a backend with SIGKILL, upon which the server ends all others and recovers from its log.
async fn crash(bed: &mut Postgres) {
    let witness = super::bed::connect(&bed.url).await;
    let kill = bed.client.batch_execute("COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'").await;
    assert!(kill.is_err(), "the backend that killed itself answered");
    // Until it has ended all others, the server may take a connection that it ends with them.
    while !witness.is_closed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bed.client = loop {
        if let Ok((client, driver)) = tokio_postgres::connect(&bed.url, tokio_postgres::NoTls).await
        {
            tokio::spawn(driver);
            break client;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
}

#[tokio::test]
async fn check_tells_what_is_wrong_and_how_to_mend_it() {
    let Some(bed) = bed("check").await else { return };
    let found = bed.participant(4).check().await;
    assert_eq!((found[0].level, found[0].code), (Level::Ok, "reachable"), "{found:?}");
    assert!(found.iter().all(|finding| finding.level < Level::Error), "{found:?}");
    let few = bed.participant(100_000).check().await;
    assert!(few.iter().any(|finding| finding.code == "prepared_transactions_few"), "{few:?}");
    let nowhere = bed.open(|settings| settings.url = "postgres://a@127.0.0.1:1/a".into());
    assert_eq!(nowhere.check().await[0].code, "unreachable");
    let unknown = bed.url_for("postgres", Some("hf_no_such_database"));
    let unknown = bed.open(|settings| settings.url = unknown);
    let found = unknown.check().await;
    assert_eq!((found[0].level, found[0].code), (Level::Error, "login_refused"), "{found:?}");
}

#[tokio::test]
async fn an_unreachable_server_is_a_passing_no_and_an_unknown_ack() {
    let Some(bed) = bed("unreachable").await else { return };
    let db = bed.open(|settings| settings.url = "postgres://a@127.0.0.1:1/a".into());
    let id = branch(&bed);
    let refusal = no(db.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!((refusal.code.as_str(), refusal.cause), ("unreachable", Passing));
    assert!(matches!(db.commit(id.clone(), Proof::default()).await, Ack::Unknown(_)));
    assert!(matches!(db.abort(id, Proof::default()).await, Ack::Unknown(_)));
    assert!(db.in_doubt().await.is_err());
}

#[tokio::test]
async fn settings_are_checked_and_their_secrets_kept() {
    let Some(bed) = bed("settings").await else { return };
    let wrong = [
        "postgres://u:hunter2@host:notaport/db",
        "postgres://u:hunter2@host/db?hunter2=1",
        "postgres://host/db",
        "hunter2://host/db",
    ];
    for url in wrong {
        let settings = handfast_participants::Settings { url: url.into(), ..bed.settings() };
        let why = handfast_participants::open(settings).err().unwrap();
        assert!(!why.contains(":hunter2") && !why.contains("?hunter2"), "{why}");
    }
    let lone = handfast_participants::Settings { connections_max: 1, ..bed.settings() };
    assert!(handfast_participants::open(lone).is_err());
}
