//! The audit trail: sealed into a chain that shows every change, erased and pruned without breaking it (PRV-2, POS-11, POS-12, LOG-6).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::{Sql, Value, params};
use futures_util::future::join_all;
use kernel::audit::{Fault, FaultKind, KnownHead, Report};
use kernel::{Actor, AuditEntry, CredentialKind, Ctx, Error, Id, Identity, Permissions, RequestInfo, UserId};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use testkit::{Doorman, Node, TestApp};

use crate::{app, app_with};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Where everybody calls from.
const ADDRESS: &str = "203.0.113.77";

/// Somebody who calls from [`ADDRESS`] with a browser.
fn caller(node: &Node, user: Option<UserId>) -> Ctx {
    called_from(node, user, ADDRESS)
}

fn called_from(node: &Node, user: Option<UserId>, address: &str) -> Ctx {
    let request = RequestInfo {
        client_address: address.parse::<IpAddr>().unwrap(),
        user_agent: Some("Browser of a person".to_owned()),
        ..RequestInfo::internal("request-7")
    };
    let actor = user.map_or_else(Actor::anonymous, |user_id| {
        let authenticated_at = node.kernel().clock().now();
        let identity = Identity { user_id, session_id: Id::from_uuid(user_id.uuid()), authenticated_at, admin_until: None };
        Actor::user(Arc::new(identity), Permissions::none(), CredentialKind::Bearer)
    });
    Ctx::new(node.kernel().clone(), actor, Arc::new(request))
}

fn person(number: u128) -> UserId {
    Id::from_uuid(uuid::Uuid::from_u128(0x019a_b0b2_8f00_7000_8000_0000_0000_0000 + number))
}

/// Ada does something to Bob, whose name changes.
async fn act(node: &Node) {
    let ctx = caller(node, Some(person(1)));
    let subject = format!("user:{}", person(2));
    ctx.write(move |tx| {
        let entry = AuditEntry::ok("notes.person.rename", &subject).with_detail(json!({ "with": "a detail" }));
        tx.audit(entry.with_personal(json!({ "name": ["Bob Before", "Bob After"] })))
    })
    .await
    .unwrap();
}

async fn act_times(node: &Node, times: usize) {
    for _ in 0..times {
        act(node).await;
    }
}

async fn seal(node: &Node) -> u64 {
    node.kernel().seal_audit().await.unwrap()
}

async fn verify(node: &Node) -> Report {
    node.kernel().verify_audit(None).await.unwrap()
}

async fn fault(node: &Node) -> Option<(i64, FaultKind)> {
    verify(node).await.fault.map(|Fault { seq, kind }| (seq, kind))
}

/// An app whose chain has so many rows.
async fn chain_of(rows: usize) -> TestApp {
    let app = app().await;
    act_times(&app, rows).await;
    assert_eq!(seal(&app).await, rows as u64);
    app
}

/// Does to the database what somebody does who got into it: no trigger stops them for long.
async fn tamper(node: &Node, statements: &[(&'static str, Vec<Value>)]) {
    static FIRST: Sql = Sql::new("DROP TRIGGER IF EXISTS platform_audit_kept")
        .postgres("DROP TRIGGER IF EXISTS platform_audit_guard ON platform_audit")
        .mysql("DO 1");
    static SECOND: Sql = Sql::new("DROP TRIGGER IF EXISTS platform_audit_stays").postgres("SELECT 1").mysql("DO 1");
    let statements = statements.to_vec();
    let done = node.kernel().db().write(move |tx| {
        tx.execute(&FIRST, params![])?;
        tx.execute(&SECOND, params![])?;
        let mut changed = Vec::new();
        for (sql, values) in &statements {
            let values: Vec<db::Param<'_>> = values.iter().map(db::ToParam::to_param).collect();
            changed.push(tx.execute(*sql, &values)?);
        }
        Ok::<_, db::Error>(changed)
    });
    assert!(done.await.unwrap().iter().all(|changed| *changed > 0), "the statement met no row");
}

fn int(number: i64) -> Vec<Value> {
    vec![Value::Int(number)]
}

#[tokio::test]
async fn prv2_rows_are_sealed_one_after_the_other_and_the_chain_is_whole() {
    let app = app().await;
    act_times(&app, 450).await;
    assert!(verify(&app).await.has_waiting);
    assert_eq!((seal(&app).await, seal(&app).await), (450, 0));
    let report = verify(&app).await;
    assert_eq!((report.first_seq, report.last_seq, report.row_count, report.erased_count), (1, 450, 450, 0));
    assert_eq!((report.has_waiting, report.fault), (false, None));
    act(&app).await;
    assert_eq!((seal(&app).await, verify(&app).await.last_seq), (1, 451));
}

#[tokio::test]
async fn prv2_an_empty_trail_is_whole() {
    let app = app().await;
    assert_eq!(seal(&app).await, 0);
    let report = verify(&app).await;
    assert_eq!((report.last_seq, report.row_count, report.fault), (0, 0, None));
}

#[tokio::test]
async fn prv2_an_audit_row_is_one_statement_and_sealing_nothing_writes_nothing() {
    let app = app().await;
    let ((), one) = app.statements(act(&app)).await;
    assert_eq!(one, 1);
    seal(&app).await;
    let ((), none) = app.statements(async { assert_eq!(seal(&app).await, 0) }).await;
    assert_eq!(none, 1, "one look at an index");
}

/// The value of a column of the third row.
async fn third(node: &Node, column: &'static str) -> Value {
    let sql = format!("SELECT {column} FROM platform_audit WHERE seq = 3");
    node.kernel().db().read(move |c| c.one::<(Value,)>(sql.clone(), params![])).await.unwrap().0
}

async fn set_third(node: &Node, column: &'static str, value: Value) {
    let sql: &'static str = Box::leak(format!("UPDATE platform_audit SET {column} = ? WHERE seq = 3").into_boxed_str());
    tamper(node, &[(sql, vec![value])]).await;
}

#[tokio::test]
async fn prv2_whoever_changes_any_column_of_a_row_is_found() {
    let app = chain_of(5).await;
    let (text, bytes, id) = (|| Value::Text("42".to_owned()), || Value::Bytes(vec![4; 32]), || Value::Bytes(vec![4; 16]));
    let columns = [
        ("id", id(), FaultKind::Changed),
        ("at", Value::Int(42), FaultKind::Changed),
        ("actor", text(), FaultKind::Changed),
        ("action", text(), FaultKind::Changed),
        ("subject", text(), FaultKind::Changed),
        ("subject", Value::Null, FaultKind::Changed),
        ("result", text(), FaultKind::Changed),
        ("request_id", text(), FaultKind::Changed),
        ("request_id", Value::Null, FaultKind::Changed),
        ("detail", text(), FaultKind::Changed),
        ("detail", Value::Null, FaultKind::Changed),
        ("origin_hash", bytes(), FaultKind::Changed),
        ("origin_hash", Value::Null, FaultKind::Changed),
        ("personal_hash", bytes(), FaultKind::Changed),
        ("personal_hash", Value::Null, FaultKind::Changed),
        ("hash", bytes(), FaultKind::Changed),
        ("hash", Value::Null, FaultKind::Changed),
        ("prev_hash", bytes(), FaultKind::Unlinked),
        ("prev_hash", Value::Null, FaultKind::Unlinked),
        ("seq", Value::Int(42), FaultKind::Missing),
        ("ip", text(), FaultKind::PersonalChanged),
        ("ip", Value::Null, FaultKind::PersonalChanged),
        ("user_agent", text(), FaultKind::PersonalChanged),
        ("user_agent", Value::Null, FaultKind::PersonalChanged),
        ("origin_salt", id(), FaultKind::PersonalChanged),
        ("origin_salt", Value::Null, FaultKind::PersonalChanged),
        ("personal", text(), FaultKind::PersonalChanged),
        ("personal", Value::Null, FaultKind::PersonalChanged),
        ("personal_salt", id(), FaultKind::PersonalChanged),
        ("personal_salt", Value::Null, FaultKind::PersonalChanged),
    ];
    for (column, value, kind) in columns {
        let before = third(&app, column).await;
        set_third(&app, column, value.clone()).await;
        assert_eq!(fault(&app).await, Some((3, kind)), "{column} = {value:?}");
        if column == "seq" {
            tamper(&app, &[("UPDATE platform_audit SET seq = 3 WHERE seq = 42", vec![])]).await;
        } else {
            set_third(&app, column, before).await;
        }
        assert_eq!(fault(&app).await, None, "{column} as it was");
    }
}

#[tokio::test]
async fn prv2_a_row_that_is_removed_is_missed() {
    for (removed, first_bad) in [(1, 1), (3, 3), (5, 5)] {
        let app = chain_of(5).await;
        tamper(&app, &[("DELETE FROM platform_audit WHERE seq = ?", int(removed))]).await;
        assert_eq!(fault(&app).await, Some((first_bad, FaultKind::Missing)));
    }
    let app = chain_of(5).await;
    tamper(&app, &[("DELETE FROM platform_audit WHERE seq IS NOT NULL", vec![])]).await;
    assert_eq!(fault(&app).await, Some((1, FaultKind::Missing)));
}

#[tokio::test]
async fn prv2_a_row_taken_out_of_the_chain_is_missed_before_it_is_sealed_anew() {
    let app = chain_of(5).await;
    tamper(&app, &[("UPDATE platform_audit SET seq = NULL WHERE seq = 3", vec![])]).await;
    assert_eq!(fault(&app).await, Some((3, FaultKind::Missing)));
    seal(&app).await;
    assert_eq!(fault(&app).await, Some((3, FaultKind::Missing)));
}

#[tokio::test]
async fn prv2_rows_that_change_places_are_found() {
    let app = chain_of(5).await;
    let swap = |from: i64, to: i64| ("UPDATE platform_audit SET seq = ? WHERE seq = ?", vec![Value::Int(to), Value::Int(from)]);
    tamper(&app, &[swap(2, 99), swap(4, 2), swap(99, 4)]).await;
    assert_eq!(fault(&app).await, Some((2, FaultKind::Unlinked)));
}

#[tokio::test]
async fn prv2_a_row_put_in_is_found() {
    let app = chain_of(3).await;
    act(&app).await;
    // Hashed as the sealer would, and the head left where it is.
    let made_up = Value::Bytes(vec![7; 32]);
    tamper(&app, &[("UPDATE platform_audit SET seq = 4, prev_hash = ?, hash = ? WHERE seq IS NULL", vec![made_up.clone(), made_up])]).await;
    assert_eq!(fault(&app).await.map(|(seq, _)| seq), Some(4));
}

#[tokio::test]
async fn prv2_an_end_cut_off_is_found_unless_every_note_of_it_is_older() {
    let app = chain_of(3).await;
    let (seq, hash, at, mac) = app
        .kernel()
        .db()
        .read(|c| c.one::<(i64, [u8; 32], i64, [u8; 32])>("SELECT seq, hash, at, mac FROM platform_audit_head", params![]))
        .await
        .unwrap();
    act_times(&app, 2).await;
    seal(&app).await;
    let known = KnownHead { seq: 5, hash: verify(&app).await.last_hash };
    // The head of row 4 cannot be forged without the key file …
    let cut = ("DELETE FROM platform_audit WHERE seq > ?", int(3));
    let forged = ("UPDATE platform_audit_head SET seq = 3, hash = ?", vec![Value::Bytes(hash.to_vec())]);
    tamper(&app, &[cut, forged]).await;
    assert_eq!(fault(&app).await, Some((3, FaultKind::HeadForged)));
    // … but that of row 3 was seen before. Only a head that was kept elsewhere tells.
    let replayed = vec![Value::Int(seq), Value::Bytes(hash.to_vec()), Value::Int(at), Value::Bytes(mac.to_vec())];
    tamper(&app, &[("UPDATE platform_audit_head SET seq = ?, hash = ?, at = ?, mac = ?", replayed)]).await;
    assert_eq!(fault(&app).await, None);
    let report = app.kernel().verify_audit(Some(known)).await.unwrap();
    assert_eq!(report.fault, Some(Fault { seq: 4, kind: FaultKind::Missing }));
    // And when the chain has grown again.
    act_times(&app, 4).await;
    seal(&app).await;
    assert_eq!(fault(&app).await, None);
    let report = app.kernel().verify_audit(Some(known)).await.unwrap();
    assert_eq!(report.fault, Some(Fault { seq: 5, kind: FaultKind::OtherHead }));
}

/// Runs the jobs of the day that begins.
async fn next_day(app: &TestApp) {
    app.run_jobs().await;
    app.advance(DAY);
    app.run_jobs().await;
}

#[tokio::test]
async fn prv2_a_daily_head_shows_an_end_cut_off() {
    let app = chain_of(3).await;
    let old = app
        .kernel()
        .db()
        .read(|c| c.one::<(i64, [u8; 32], i64, [u8; 32])>("SELECT seq, hash, at, mac FROM platform_audit_head", params![]));
    let (seq, hash, at, mac) = old.await.unwrap();
    act_times(&app, 2).await;
    next_day(&app).await;
    let replayed = vec![Value::Int(seq), Value::Bytes(hash.to_vec()), Value::Int(at), Value::Bytes(mac.to_vec())];
    let head = ("UPDATE platform_audit_head SET seq = ?, hash = ?, at = ?, mac = ?", replayed);
    tamper(&app, &[("DELETE FROM platform_audit WHERE seq > ?", int(3)), head]).await;
    assert_eq!(fault(&app).await, Some((4, FaultKind::Missing)));
    tamper(&app, &[("UPDATE platform_audit_checkpoints SET seq = ? WHERE kind = 'daily'", int(2))]).await;
    assert_eq!(fault(&app).await, Some((2, FaultKind::CheckpointForged)));
}

#[tokio::test]
async fn prv2_a_head_that_is_gone_is_told_and_nothing_more_is_sealed() {
    let app = chain_of(3).await;
    tamper(&app, &[("DELETE FROM platform_audit_head", vec![])]).await;
    assert_eq!(fault(&app).await, Some((3, FaultKind::HeadMissing)));
    act(&app).await;
    assert!(app.kernel().seal_audit().await.is_err());
    assert!(verify(&app).await.has_waiting);
}

#[tokio::test]
async fn prv2_two_sealers_at_once_never_fork_the_chain() {
    let app = app().await;
    let twin = app.twin().await;
    for _ in 0..8 {
        act_times(&app, 20).await;
        act_times(&twin, 20).await;
        // What one leaves to the other, because it has the lease, is sealed at the next look.
        let outcomes =
            join_all((0..4).map(|number| if number % 2 == 0 { app.kernel().seal_audit() } else { twin.kernel().seal_audit() })).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    seal(&app).await;
    let report = verify(&app).await;
    assert_eq!((report.last_seq, report.row_count, report.fault, report.has_waiting), (320, 320, None, false));
}

#[tokio::test]
async fn prv2_fifty_writers_at_once_are_all_sealed_once() {
    let app = app().await;
    let twin = app.twin().await;
    let write = |node: &Node| {
        let node = node.clone();
        async move { act_times(&node, 4).await }
    };
    let writers = join_all((0..50).map(|number| if number % 2 == 0 { write(&app) } else { write(&twin) }));
    let sealers = async {
        for _ in 0..20 {
            let (one, other) = tokio::join!(app.kernel().seal_audit(), twin.kernel().seal_audit());
            one.and(other).unwrap();
        }
    };
    tokio::join!(writers, sealers);
    seal(&app).await;
    let report = verify(&app).await;
    assert_eq!((report.last_seq, report.row_count, report.fault, report.has_waiting), (200, 200, None, false));
}

#[tokio::test]
async fn prv2_what_is_rolled_back_leaves_no_gap_in_the_chain() {
    let app = app().await;
    act(&app).await;
    let ctx = caller(&app, None);
    let failed = ctx.write(|tx| {
        tx.audit(AuditEntry::ok("notes.note.lose", "note:1"))?;
        Err::<(), _>(Error::internal("changed its mind"))
    });
    assert!(failed.await.is_err());
    act(&app).await;
    assert_eq!(seal(&app).await, 2);
    assert_eq!((verify(&app).await.last_seq, fault(&app).await), (2, None));
}

#[tokio::test]
async fn prv2_rows_of_a_node_that_died_before_sealing_are_sealed_by_another() {
    let app = app().await;
    let twin = app.twin().await;
    act_times(&twin, 3).await;
    twin.kernel().announce_stop();
    drop(twin);
    assert_eq!(seal(&app).await, 3);
    assert_eq!(fault(&app).await, None);
}

#[tokio::test]
async fn prv2_sealing_that_fails_half_way_seals_nothing() {
    let app = chain_of(2).await;
    act_times(&app, 4).await;
    // Somebody took the fifth place: the third and fourth are sealed first, and then it fails.
    tamper(&app, &[("UPDATE platform_audit SET seq = 99 WHERE seq = 1", vec![])]).await;
    tamper(&app, &[("UPDATE platform_audit SET seq = 5 WHERE seq = 99", vec![])]).await;
    assert!(app.kernel().seal_audit().await.is_err());
    tamper(&app, &[("UPDATE platform_audit SET seq = 1 WHERE seq = 5", vec![])]).await;
    assert_eq!((verify(&app).await.last_seq, fault(&app).await), (2, None));
    assert_eq!(seal(&app).await, 4);
    assert_eq!((verify(&app).await.last_seq, fault(&app).await), (6, None));
}

#[tokio::test]
async fn prv2_a_row_that_commits_late_is_sealed_late_and_not_passed_over() {
    let app = chain_of(3).await;
    let early = Id::<()>::first_at(kernel::Timestamp::from_millis(1_000));
    let late = app.kernel().db().write(move |tx| {
        tx.execute(
            "INSERT INTO platform_audit (id, at, actor, action, result) VALUES (?, 1000, 'system', 'notes.note.think_long', 'ok')",
            params![early],
        )
    });
    late.await.unwrap();
    act(&app).await;
    assert_eq!(seal(&app).await, 2);
    assert_eq!((verify(&app).await.last_seq, fault(&app).await), (5, None));
}

#[tokio::test]
async fn prv2_a_running_server_seals_by_itself_and_a_stop_leaves_nothing_unsealed() {
    let app = app().await;
    let url = app.database_url();
    app.kernel().start_background();
    caller(&app, None).audit_attempt(AuditEntry::refused("notes.door.knock", Some("name:x"), "refused"));
    act_times(&app, 3).await;
    let sealed = async {
        while verify(&app).await.last_seq < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), sealed).await.expect("the sealer runs");
    act(&app).await;
    caller(&app, None).audit_attempt(AuditEntry::refused("notes.door.knock", Some("name:x"), "refused"));
    app.kernel().stop(Duration::from_secs(20)).await;
    let db = db::Db::open(db::Settings { url, ..db::Settings::default() }).unwrap();
    let left: (i64, i64) = db.read_blocking(|c| c.one("SELECT COUNT(*), MAX(seq) FROM platform_audit", params![])).unwrap();
    db.close_blocking();
    assert_eq!(left, (6, 6));
}

fn is_guarded(app: &TestApp) -> bool {
    // MySQL lets only administrators make triggers.
    !app.database_url().starts_with("mysql")
}

#[tokio::test]
async fn prv2_the_database_itself_refuses_to_change_or_delete_a_row() {
    let app = chain_of(2).await;
    if !is_guarded(&app) {
        return;
    }
    let refused = [
        "UPDATE platform_audit SET actor = 'nobody'",
        "UPDATE platform_audit SET subject = NULL",
        "UPDATE platform_audit SET ip = '192.0.2.1'",
        "UPDATE platform_audit SET hash = prev_hash WHERE seq = 2",
        "UPDATE platform_audit SET seq = NULL",
        "UPDATE platform_audit SET personal = '{}'",
        "DELETE FROM platform_audit WHERE seq = 1",
        "DELETE FROM platform_audit",
    ];
    for sql in refused {
        let outcome = app.kernel().db().write(move |tx| tx.execute(sql, params![])).await;
        assert!(matches!(outcome, Err(db::Error::Check { .. })), "{sql}: {outcome:?}");
    }
    assert_eq!(fault(&app).await, None);
}

fn holds(app: &TestApp, text: &str) -> bool {
    let dump = app.kernel().db().dump_text().unwrap();
    dump.iter().any(|(_, value)| matches!(value, Value::Text(value) if value.contains(text)))
}

#[tokio::test]
async fn prv1_an_erased_person_leaves_the_trail_and_the_chain_stays_whole() {
    let app = chain_of(3).await;
    // Bob tries to log in, sealed and not sealed yet; and acts himself.
    for _ in 0..2 {
        called_from(&app, None, "198.51.100.1").audit_attempt(AuditEntry::refused(
            "notes.door.knock",
            Some(&format!("user:{}", person(2))),
            "refused",
        ));
        app.kernel().flush_audit().await.unwrap();
        seal(&app).await;
        let ctx = called_from(&app, Some(person(2)), "198.51.100.2");
        ctx.write(|tx| tx.audit(AuditEntry::ok("notes.note.make", "note:1"))).await.unwrap();
    }
    assert!(holds(&app, "198.51.100.1") && holds(&app, "198.51.100.2") && holds(&app, "Bob After") && holds(&app, ADDRESS));
    let system = Ctx::system(app.kernel(), "erasure");
    for _ in 0..2 {
        kernel::audit::erase(&system, &format!("user:{}", person(2))).await.unwrap();
        assert!(!holds(&app, "198.51.100") && !holds(&app, "Bob"));
        assert!(holds(&app, ADDRESS), "where Ada called from is not Bob's");
    }
    seal(&app).await;
    let report = verify(&app).await;
    assert_eq!((report.last_seq, report.erased_count, report.fault), (7, 7, None));
    kernel::audit::erase(&system, &format!("user:{}", person(1))).await.unwrap();
    assert!(!holds(&app, ADDRESS));
    assert_eq!(fault(&app).await, None);
}

#[tokio::test]
async fn prv1_more_rows_than_one_transaction_takes_are_erased() {
    let app = chain_of(1_203).await;
    let system = Ctx::system(app.kernel(), "erasure");
    kernel::audit::erase(&system, &format!("user:{}", person(1))).await.unwrap();
    assert!(!holds(&app, ADDRESS));
    let report = verify(&app).await;
    assert_eq!((report.row_count, report.erased_count, report.fault), (1_203, 1_203, None));
}

#[tokio::test]
async fn pos11_addresses_are_erased_after_90_days_and_the_rest_of_the_row_is_kept() {
    let app = chain_of(3).await;
    app.run_jobs().await;
    app.advance(89 * DAY);
    app.run_jobs().await;
    assert!(holds(&app, ADDRESS));
    called_from(&app, Some(person(1)), "198.51.100.9").write(|tx| tx.audit(AuditEntry::ok("notes.note.make", "note:1"))).await.unwrap();
    app.advance(3 * DAY);
    app.run_jobs().await;
    assert!(!holds(&app, ADDRESS) && holds(&app, "198.51.100.9") && holds(&app, "Bob After"));
    seal(&app).await;
    let report = verify(&app).await;
    assert_eq!((report.last_seq, report.erased_count, report.fault), (4, 3, None));
    app.advance(90 * DAY);
    app.run_jobs().await;
    assert!(!holds(&app, "198.51.100.9"), "the next run goes on where the last one ended");
}

#[tokio::test]
async fn prv2_pruned_rows_leave_a_checkpoint_and_verification_begins_there() {
    let app = app_with(&[("audit.retention_days", "30")]).await;
    act_times(&app, 1_100).await;
    seal(&app).await;
    next_day(&app).await;
    act_times(&app, 3).await;
    seal(&app).await;
    next_day(&app).await;
    let known = KnownHead { seq: 1_100, hash: [0; 32] };
    app.advance(28 * DAY + Duration::from_secs(12 * 3600));
    app.run_jobs().await;
    app.advance(Duration::from_secs(6 * 3600));
    app.run_jobs().await;
    let report = verify(&app).await;
    assert_eq!((report.first_seq, report.last_seq, report.row_count, report.fault), (1_101, 1_103, 3, None));
    // An older head cannot be compared any more, which is no fault.
    assert_eq!(app.kernel().verify_audit(Some(known)).await.unwrap().fault, None);
    act(&app).await;
    seal(&app).await;
    assert_eq!((verify(&app).await.last_seq, fault(&app).await), (1_104, None));
    app.advance(60 * DAY);
    app.run_jobs().await;
    let report = verify(&app).await;
    assert_eq!((report.first_seq, report.last_seq, report.row_count, report.fault), (1_105, 1_104, 0, None));
    act(&app).await;
    seal(&app).await;
    assert_eq!((verify(&app).await.last_seq, fault(&app).await), (1_105, None));
}

#[tokio::test]
async fn prv2_pruning_by_somebody_else_is_found() {
    let app = app_with(&[("audit.retention_days", "30")]).await;
    act_times(&app, 3).await;
    seal(&app).await;
    app.run_jobs().await;
    app.advance(29 * DAY);
    act_times(&app, 3).await;
    seal(&app).await;
    app.advance(2 * DAY);
    app.run_jobs().await;
    assert_eq!((verify(&app).await.first_seq, fault(&app).await), (4, None));
    let hash: [u8; 32] = app.kernel().db().read(|c| c.one("SELECT hash FROM platform_audit WHERE seq = 4", params![])).await.unwrap();
    let moved = ("UPDATE platform_audit_checkpoints SET seq = 4, hash = ? WHERE kind = 'pruned'", vec![Value::Bytes(hash.to_vec())]);
    tamper(&app, &[moved, ("DELETE FROM platform_audit WHERE seq = ?", int(4))]).await;
    assert_eq!(fault(&app).await, Some((4, FaultKind::CheckpointForged)));
    tamper(&app, &[("DELETE FROM platform_audit_checkpoints WHERE kind = 'pruned'", vec![])]).await;
    assert_eq!(fault(&app).await, Some((1, FaultKind::Missing)));
}

#[tokio::test]
async fn prv2_the_daily_head_is_mailed_when_the_chain_has_grown() {
    let app = app_with(&[("audit.head_mail", "auditor@example.com")]).await;
    act_times(&app, 2).await;
    next_day(&app).await;
    let report = verify(&app).await;
    let head: String = report.last_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mail = app.last_mail_to("auditor@example.com").await;
    assert!(mail.text.contains(&format!("\n2:{head}\n")), "{}", mail.text);
    next_day(&app).await;
    assert_eq!(app.mails().await.len(), 1, "nothing new, no mail");
    act(&app).await;
    next_day(&app).await;
    assert_eq!(app.mails().await.len(), 2);
}

fn knock(node: &Node, address: &str, subject: &str) {
    called_from(node, None, address).audit_attempt(AuditEntry::refused("notes.door.knock", Some(subject), "refused"));
}

#[tokio::test]
async fn prv2_a_flood_of_attempts_becomes_one_row_and_the_others_keep_theirs() {
    let app = app().await;
    for number in 0..250 {
        knock(&app, "198.51.100.1", &format!("name:{number}"));
    }
    knock(&app, "198.51.100.2", "name:other");
    assert_eq!(app.audit().await.len(), 102);
    let owner = Doorman::person("owner", &["*"]);
    let flood = app.get("/api/v1/audit-events?limit=100").by(&owner).await.expect(200);
    let flood = flood["items"].as_array().unwrap().iter().find(|row| row["subject"].is_null()).unwrap().clone();
    assert_eq!(
        (&flood["detail"]["count"], &flood["detail"]["same"], &flood["address"]),
        (&json!(150), &json!("address"), &json!("198.51.100.1"))
    );
    assert_eq!((&flood["action"], &flood["result"], &flood["actor"]), (&json!("notes.door.knock"), &json!("refused"), &json!("anonymous")));
    app.advance(Duration::from_secs(60));
    knock(&app, "198.51.100.1", "name:7");
    assert_eq!(app.audit().await.len(), 103, "a new minute, a row of its own");
    assert_eq!((seal(&app).await, fault(&app).await), (103, None));
}

fn auditor() -> testkit::Person {
    Doorman::person("auditor", &["system:audit_events:read", "system:audit_events:export", "system:audit_events:verify"])
}

#[tokio::test]
async fn prv2_the_trail_is_listed_page_by_page_and_filtered() {
    let app = app().await;
    for number in 0..7 {
        act(&app).await;
        knock(&app, "198.51.100.1", &format!("name:{number}"));
        app.advance(Duration::from_secs(1));
    }
    app.kernel().flush_audit().await.unwrap();
    let mut path = "/api/v1/audit-events?limit=3".to_owned();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let page = app.get(&path).by(&auditor()).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|row| format!("{}/{}", row["at"], row["id"])));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/audit-events?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    sorted.reverse();
    assert_eq!((seen.len(), &seen), (14, &sorted));
    let ada = format!("user:{}", person(1));
    let bob = format!("user:{}", person(2));
    let filters = [
        (format!("actor={ada}"), 7),
        (format!("subject={bob}"), 7),
        ("subject=name:3".to_owned(), 1),
        ("action=notes.door.knock".to_owned(), 7),
        ("result=refused".to_owned(), 7),
        ("request_id=request-7".to_owned(), 14),
        ("action=notes.door.knock&result=ok".to_owned(), 0),
        ("from=2026-11-22T12:00:05Z".to_owned(), 4),
        ("to=2026-11-22T12:00:05Z".to_owned(), 10),
        ("from=2026-11-22T12:00:02Z&to=2026-11-22T12:00:04Z&actor=anonymous".to_owned(), 2),
        ("sort=at&to=2026-11-22T12:00:01Z".to_owned(), 2),
    ];
    for (filter, count) in filters {
        let page = app.get(&format!("/api/v1/audit-events?{filter}")).by(&auditor()).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{filter}");
    }
    app.get("/api/v1/audit-events?sort=actor").by(&auditor()).await.expect(422).problem("sort_not_supported");
    let other = app.get("/api/v1/audit-events?limit=3").by(&auditor()).await.expect(200);
    let stolen = format!("/api/v1/audit-events?limit=3&result=ok&cursor={}", other.text("/next_cursor"));
    app.get(&stolen).by(&auditor()).await.expect(400).problem("cursor_invalid");
}

#[tokio::test]
async fn prv2_one_row_shows_who_did_what_from_where() {
    let app = chain_of(1).await;
    let page = app.get("/api/v1/audit-events").by(&auditor()).await.expect(200);
    let row = app.get(&format!("/api/v1/audit-events/{}", page.text("/items/0/id"))).by(&auditor()).await.expect(200);
    assert_eq!((&row["seq"], &row["address"], &row["user_agent"]), (&json!(1), &json!(ADDRESS), &json!("Browser of a person")));
    assert_eq!((&row["detail"]["with"], &row["personal"]["name"][1]), (&json!("a detail"), &json!("Bob After")));
    assert_eq!((&row["request_id"], &row["prev_hash"]), (&json!("request-7"), &json!("0".repeat(64))));
    app.get(&format!("/api/v1/audit-events/{}", person(9))).by(&auditor()).await.expect(404).problem("not_found");
    app.get("/api/v1/audit-events/nonsense").by(&auditor()).await.expect(404);
}

#[tokio::test]
async fn prv2_each_operation_needs_its_own_administrative_permission() {
    let app = app().await;
    for (path, permission) in [("/api/v1/audit-events", "read"), ("/api/v1/audit-events/export", "export")] {
        let others = ["read", "export", "verify"]
            .into_iter()
            .filter(|other| *other != permission)
            .map(|other| format!("system:audit_events:{other}"));
        let others: Vec<String> = others.collect();
        app.get(path).await.expect(401);
        app.get(path).by(&Doorman::person("ada", &others.iter().map(String::as_str).collect::<Vec<_>>())).await.expect(403);
    }
    let almost = Doorman::person("ada", &["system:audit_events:read", "system:audit_events:export"]);
    app.post("/api/v1/audit-events/actions/verify").by(&almost).await.expect(403).problem("forbidden");
    let permissions: Vec<_> = app.kernel().plan().permissions().filter(|permission| permission.name.starts_with("system:audit")).collect();
    assert!(permissions.len() == 3 && permissions.iter().all(|permission| permission.is_administrative));
}

/// What a stranger makes of an exported line by what `docs/audit.md` says.
fn hash_of(line: &serde_json::Value) -> String {
    let hash = |what: &str, members: &[(&str, Option<String>)]| {
        let mut text = format!("{what}\n");
        for (name, value) in members.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            text += &format!("{name} {}\n{value}\n", value.len());
        }
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let member = |name: &'static str| match &line[name] {
        serde_json::Value::String(text) => (name, Some(text.clone())),
        serde_json::Value::Number(number) => (name, Some(number.to_string())),
        _ => (name, None),
    };
    if !line["origin_salt"].is_null() {
        let origin = hash("undercroft audit origin 1", &[("salt", member("origin_salt").1), member("ip"), member("user_agent")]);
        assert_eq!(origin, line["origin_hash"]);
    }
    if !line["personal_salt"].is_null() {
        assert_eq!(hash("undercroft audit personal 1", &[("salt", member("personal_salt").1), member("personal")]), line["personal_hash"]);
    }
    let members = [
        member("seq"),
        member("prev_hash"),
        member("id"),
        ("at", member("at_ms").1),
        member("actor"),
        member("action"),
        member("subject"),
        member("result"),
        member("request_id"),
        member("detail"),
        member("origin_hash"),
        member("personal_hash"),
    ];
    hash("undercroft audit row 1", &members)
}

#[tokio::test]
async fn prv2_a_stranger_can_verify_an_export() {
    let app = app().await;
    act_times(&app, 1_010).await;
    knock(&app, "2001:db8::7", "name:ü");
    app.kernel().flush_audit().await.unwrap();
    let ctx = Ctx::system(app.kernel(), "test");
    ctx.write(|tx| tx.audit(AuditEntry::ok("notes.note.make", "note:1"))).await.unwrap();
    seal(&app).await;
    kernel::audit::erase(&ctx, "anonymous").await.unwrap();
    let answer = app.get("/api/v1/audit-events/export").by(&auditor()).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(answer.bytes).unwrap();
    let lines: BTreeMap<i64, serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| Some((line["seq"].as_i64()?, line)))
        .collect();
    assert_eq!((lines.len(), text.lines().count()), (1_012, 1_013), "the export itself is audited, and not sealed yet");
    let mut prev = "0".repeat(64);
    for (seq, line) in (1..).zip(lines.values()) {
        assert_eq!((line["seq"].as_i64(), line["prev_hash"].as_str()), (Some(seq), Some(prev.as_str())));
        prev = line["hash"].as_str().unwrap().to_owned();
        assert_eq!(hash_of(line), prev, "{line}");
    }
    let some = app.get("/api/v1/audit-events/export?action=notes.door.knock").by(&auditor()).await.expect(200);
    assert_eq!(String::from_utf8(some.bytes).unwrap().lines().count(), 1);
    assert!(app.audit().await.iter().any(|(action, ..)| action == "system.audit_events.export"));
}

#[tokio::test]
async fn pos12_an_exported_table_holds_no_formula() {
    let app = app().await;
    let ctx = caller(&app, None);
    ctx.write(|tx| tx.audit(AuditEntry::ok("notes.note.make", "=HYPERLINK(\"http://evil.test\")"))).await.unwrap();
    let answer = app.get("/api/v1/audit-events/export?format=csv").by(&auditor()).await.expect(200);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    let text = String::from_utf8(answer.bytes).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("seq,id,at,") && lines.len() == 4, "{text}");
    assert!(lines[1].contains(",\"'=HYPERLINK(\"\"http://evil.test\"\")\",ok,203.0.113.77,Browser of a person,"), "{text}");
    app.get("/api/v1/audit-events/export?format=xml").by(&auditor()).await.expect(422);
}

#[tokio::test]
async fn prv2_a_verification_is_a_job_whose_outcome_can_be_read() {
    let app = chain_of(3).await;
    let begun = app.post("/api/v1/audit-events/actions/verify").by(&auditor()).await.expect(202);
    assert_eq!((&begun["status"], &begun["finished_at"]), (&json!("running"), &json!(null)));
    let again = app.post("/api/v1/audit-events/actions/verify").by(&auditor()).await.expect(202);
    assert_eq!(again["id"], begun["id"], "one runs already");
    app.run_jobs().await;
    let path = format!("/api/v1/audit-events/verifications/{}", begun.text("/id"));
    let whole = app.get(&path).by(&auditor()).await.expect(200);
    assert_eq!(
        (&whole["status"], &whole["row_count"], &whole["last_seq"], &whole["fault"]),
        (&json!("whole"), &json!(3), &json!(3), &json!(null))
    );
    tamper(&app, &[("UPDATE platform_audit SET result = 'no' WHERE seq = 2", vec![])]).await;
    let begun = app.post("/api/v1/audit-events/actions/verify").by(&auditor()).await.expect(202);
    app.run_jobs().await;
    let broken = app.get(&format!("/api/v1/audit-events/verifications/{}", begun.text("/id"))).by(&auditor()).await.expect(200);
    assert_eq!((&broken["status"], &broken["bad_seq"], &broken["fault"]), (&json!("broken"), &json!(2), &json!("changed")));
    assert_eq!(broken["explanation"], "the row was changed");
    let expected = [
        ("system.audit.verified", json!({ "verification_id": whole["id"], "last_seq": 3, "row_count": 3 })),
        ("system.audit.broken", json!({ "verification_id": broken["id"], "bad_seq": 2, "fault": "changed" })),
    ];
    assert_eq!(app.events().await, expected.map(|(name, data)| (name.to_owned(), data)));
    app.get(&format!("/api/v1/audit-events/verifications/{}", person(9))).by(&auditor()).await.expect(404).problem("not_found");
}
