//! Settings, and what a check finds.

use handfast_core::vote::{Ack, Cause::Passing, Vote};
use handfast_participants::{
    Level, TlsMode,
    conformance::{Bed, branch, no, own, work, yes},
};

use super::bed::{Mysql, bed};

const AMPLE: std::time::Duration = std::time::Duration::from_secs(30);

fn refused(bed: &Mysql, url: &str, marker_table: &str) -> String {
    let mut settings = bed.settings();
    settings.url = url.into();
    settings.marker_table = marker_table.into();
    match handfast_participants::open(settings) {
        Ok(_) => panic!("{url} was taken"),
        Err(why) => why,
    }
}

#[tokio::test]
async fn bad_settings_are_named_without_secrets() {
    let Some(bed) = bed("bad_settings_are_named_without_secrets").await else { return };
    for (url, marker, word) in [
        ("mysql://u:hush@h", "m", "database"),
        ("mysql://u:hush@h/", "m", "database"),
        ("mysql://u:hush@h/d?shiny=1", "m", "shiny"),
        ("mysql://u:hush@h:nan/d", "m", "valid"),
        ("mariadb://u:hush@h/d", "m;m", "marker_table"),
        ("mariadb://u:hush@h/d", "", "marker_table"),
    ] {
        let why = refused(&bed, url, marker);
        assert!(why.contains(word) && why.contains("`test`"), "{why}");
        assert!(!why.contains("hush"), "{why}");
    }
}

#[tokio::test]
async fn a_good_server_is_fine() {
    let Some(bed) = bed("a_good_server_is_fine").await else { return };
    let found = bed.participant(4).check().await;
    assert!(found.iter().all(|one| one.level != Level::Error), "{found:?}");
    assert_eq!((found[0].level, found[0].code), (Level::Ok, "reachable"));
    assert_eq!(
        bed.number(&format!("SELECT COUNT(*) FROM {}.handfast_marker", bed.db)).await,
        Some(0)
    );
}

#[tokio::test]
async fn missing_rights_are_found_and_the_cures_cure() {
    let Some(bed) = bed("missing_rights_are_found_and_the_cures_cure").await else { return };
    let user = format!("weak{}", bed.db);
    bed.sql(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'hush'")).await;
    bed.sql(&format!("GRANT SELECT, UPDATE ON {}.* TO '{user}'@'%'", bed.db)).await;
    let weak = |secret: &str| {
        bed.open(|settings| {
            let (_, server) = settings.url.rsplit_once('@').expect("an address with a user");
            settings.url = format!("mysql://{user}:wrong@{server}");
            settings.secret = Some(secret.into());
        })
    };
    let refusal = no(weak("hush").prepare(branch(&bed), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(refusal.code, "permission");
    let refusal = no(weak("other").prepare(branch(&bed), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!((refusal.code.as_str(), refusal.cause), ("login_refused", Passing));
    assert_eq!(weak("other").check().await[0].code, "login_refused");

    let found = weak("hush").check().await;
    let missing: Vec<_> = found.iter().filter(|one| one.level == Level::Error).collect();
    // MySQL alone asks for a right to list what is prepared.
    assert_eq!(missing.len(), if bed.is_mariadb().await { 1 } else { 2 }, "{missing:?}");
    for one in missing {
        assert_eq!(one.code, "permission");
        bed.sql(&one.cure).await;
    }
    let cured = weak("hush");
    let found = cured.check().await;
    assert!(found.iter().all(|one| one.level != Level::Error), "{found:?}");
    let id = branch(&bed);
    let proof = yes(cured.prepare(id.clone(), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!(own(&*cured).await.as_slice(), std::slice::from_ref(&id));
    // Another process takes the branch over, and looks for its marker the second time.
    for finisher in [weak("hush"), weak("hush")] {
        assert_eq!(finisher.commit(id.clone(), proof.clone()).await, Ack::Finished);
    }
    bed.sql(&format!("DROP USER '{user}'@'%'")).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable() {
    let Some(bed) = bed("a_server_that_is_away_is_unreachable").await else { return };
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = bed.open(|settings| settings.url = format!("mysql://root@127.0.0.1:{port}/d"));
    let refusal = no(away.prepare(branch(&bed), work([bed.add(1, 1)]), AMPLE).await);
    assert_eq!((refusal.code.as_str(), refusal.cause), ("unreachable", Passing));
    assert!(away.in_doubt().await.is_err());
    assert_eq!(away.check().await[0].code, "unreachable");
    let id = branch(&bed);
    let ack = away.abort(id, handfast_core::vote::Proof::default()).await;
    assert!(matches!(ack, Ack::Unknown(_)), "{ack:?}");
}

/// Where TLS is asked for, nothing is sent without it.
#[tokio::test]
async fn a_server_without_tls_is_not_talked_to_in_the_clear() {
    let Some(bed) = bed("a_server_without_tls_is_not_talked_to_in_the_clear").await else { return };
    let db = bed.open(|settings| settings.tls = TlsMode::Verify);
    let vote = db.prepare(branch(&bed), work([bed.add(1, 1)]), AMPLE).await.vote;
    assert!(matches!(&vote, Vote::No(no) if no.code == "unreachable"), "{vote:?}");
}
