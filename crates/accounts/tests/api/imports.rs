//! Hashes that other systems made: they verify, and become ours with the first login (PWD-7, PWD-8); unknown names cost as much (ENU-2).

use accounts::Accounts;
use accounts::hashing::Hasher;
use serde_json::json;
use testkit::{PASSWORD, TestApp, TestResponse};

use crate::support::*;

/// Stores a hash as an import would, for the person with this address; a scheme is noted later.
async fn import(app: &TestApp, email: &'static str, phc: &str) {
    let phc = phc.to_owned();
    let sql = "UPDATE accounts_passwords SET phc = ?, scheme = NULL WHERE user_id = (SELECT user_id FROM accounts_user_emails WHERE email_norm = ?)";
    let changed = app.kernel().db().write(move |tx| tx.execute(sql, db::params![phc, email]));
    assert_eq!(changed.await.unwrap_or_else(|error: db::Error| panic!("{error}")), 1);
}

async fn stored(app: &TestApp, email: &'static str) -> (String, Option<String>, bool) {
    let found = app.kernel().db().read(move |c| {
        let sql = "SELECT p.phc, p.scheme, p.must_change FROM accounts_passwords p \
                   JOIN accounts_user_emails e ON e.user_id = p.user_id WHERE e.email_norm = ?";
        c.one::<(String, Option<String>, bool)>(sql, db::params![email])
    });
    found.await.unwrap_or_else(|error| panic!("{error}"))
}

// Made with crypt(3) of Debian 12 (libxcrypt 4.4.33), and from P-H-C/phc-winner-argon2 `src/test.c`.
const IMPORTED: [(&str, &str); 9] = [
    ("correct horse battery", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.OSa6c3uceqJPfTLLPl8pPxqjzp3Vdk."),
    ("correct horse battery", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.OSa6c3uceqJPfTLLPl8pPxqjzp3Vdk."),
    ("correct horse battery", "$2x$05$/OK.fbVrR/bpIqNJ5ianF.OSa6c3uceqJPfTLLPl8pPxqjzp3Vdk."),
    ("correct horse battery", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.OSa6c3uceqJPfTLLPl8pPxqjzp3Vdk."),
    ("\u{fc}ber die Br\u{fc}cke", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.D7wKgRvWI.gp8E/u77DjasMdLKurWXi"),
    ("\u{fc}ber die Br\u{fc}cke", "$2x$05$/OK.fbVrR/bpIqNJ5ianF.a1W//6T3.BnwI3w1DGYeYwbMK2v8Syy"),
    ("password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
    ("password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"),
    ("password", "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ"),
];

#[tokio::test]
async fn pwd8_an_imported_hash_opens_the_account_and_becomes_ours() {
    let app = app().await;
    app.member(ADA).await;
    for (password, imported) in IMPORTED {
        import(&app, ADA, imported).await;
        log_in(&app, ADA, WRONG).await.expect(401).problem("invalid_credentials");
        assert_eq!(stored(&app, ADA).await.0, imported);
        let login = log_in(&app, ADA, password).await.expect(200);
        assert_eq!(login["must_change_password"], false, "{imported}");
        let (phc, scheme, must_change) = stored(&app, ADA).await;
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
        assert_eq!((scheme.as_deref(), must_change), (Some("$argon2id$v=19$m=8,t=1,p=1"), false));
        log_in(&app, ADA, password).await.expect(200);
        assert_eq!(stored(&app, ADA).await.0, phc, "made anew once");
    }
}

/// 80 times x, of which bcrypt reads 72.
const CUT: &str = "$2b$05$/OK.fbVrR/bpIqNJ5ianF.SxYtxMT6nLvr.VBQZzuIj6jr9GV37Si";

#[tokio::test]
async fn pwd7_a_password_that_bcrypt_cut_must_be_changed_and_is_not_rehashed() {
    let app = app().await;
    let person = app.owner().await;
    let wish = json!({ "name": "Uploads", "scopes": ["media:files:create"] });
    let key = app.post("/api/v1/me/api-keys").by(&person).json(&wish).await.expect(201).text("/key");
    let (email, long) = ("owner@example.com", "x".repeat(80));
    import(&app, email, CUT).await;
    log_in(&app, email, &"x".repeat(71)).await.expect(401);
    let login = log_in(&app, email, &long).await.expect(200);
    assert_eq!(login["must_change_password"], true);
    assert_eq!(stored(&app, email).await.0, CUT, "the ignored end does not become part of the password");
    // Until it is changed, the roles grant nothing, neither to this login nor to a key.
    let owner = Client::of(&login);
    let permissions = async |token: &str| app.get("/api/v1/me/permissions").bearer(token).await.expect(200).body;
    assert_eq!(permissions(&owner.access).await, json!({ "permissions": [] }));
    assert_eq!(permissions(&key).await, json!({ "permissions": [] }));
    app.get("/api/v1/messages").bearer(&owner.access).await.expect(403).problem("forbidden");
    let again = log_in(&app, email, &"x".repeat(72)).await.expect(200);
    assert_eq!(again["must_change_password"], true);
    let change = json!({ "current_password": long, "new_password": OTHER });
    app.put("/api/v1/me/password").bearer(&owner.access).json(&change).await.expect(204);
    assert_eq!(permissions(&owner.access).await, json!({ "permissions": ["*"] }));
    assert_eq!(permissions(&key).await, json!({ "permissions": ["media:files:create"] }));
    assert_eq!(log_in(&app, email, OTHER).await.expect(200)["must_change_password"], false);
    assert!(!stored(&app, email).await.2);
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd7_a_reset_satisfies_the_demand_for_a_change() {
    let app = app().await;
    app.member(ADA).await;
    import(&app, ADA, CUT).await;
    log_in(&app, ADA, &"x".repeat(80)).await.expect(200);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    assert_eq!(log_in(&app, ADA, OTHER).await.expect(200)["must_change_password"], false);
    app.run_jobs().await;
}

async fn bcrypt_app() -> TestApp {
    app_with(&[("accounts.passwords.hash", "bcrypt"), ("accounts.passwords.bcrypt_cost", "4")]).await
}

#[tokio::test]
async fn pwd7_chosen_bcrypt_hashes_what_it_reads_to_the_end() {
    let app = bcrypt_app().await;
    app.member(ADA).await;
    let (phc, scheme, _) = stored(&app, ADA).await;
    assert!(phc.starts_with("$2b$04$") && phc.len() == 60, "{phc}");
    assert_eq!(scheme.as_deref(), Some("$2b$04"));
    assert_eq!(app.get("/api/v1/auth/methods").await["password_max_length"], 71);
    let begin =
        |password: String| app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": BOB, "password": password }));
    begin(format!("{}yz", "x".repeat(69))).await.expect(202);
    for long in ["x".repeat(72), "é".repeat(36)] {
        begin(long).await.expect(422).field("/password", "password_too_long");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd5_whichever_scheme_is_chosen_a_login_makes_others_anew() {
    let app = bcrypt_app().await;
    app.member(ADA).await;
    import(&app, ADA, IMPORTED[6].1).await;
    log_in(&app, ADA, "password").await.expect(200);
    assert!(stored(&app, ADA).await.0.starts_with("$2b$04$"));
    import(&app, ADA, IMPORTED[3].1).await;
    log_in(&app, ADA, "correct horse battery").await.expect(200);
    assert!(stored(&app, ADA).await.0.starts_with("$2b$04$"), "another cost");
}

#[tokio::test]
async fn pwd7_weaker_bcrypt_does_not_start_and_says_the_rule() {
    for (cost, starts) in [("9", false), ("10", true), ("15", true), ("16", false)] {
        let settings = [("accounts.passwords.hash", "bcrypt"), ("accounts.passwords.bcrypt_cost", cost)];
        let builder = settings.iter().fold(TestApp::builder().module(Accounts::new()), |builder, (key, value)| builder.setting(key, value));
        let start = std::panic::AssertUnwindSafe(async { drop(builder.start().await) });
        match futures_util::FutureExt::catch_unwind(start).await {
            Ok(()) => assert!(starts, "{cost} starts"),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                assert!(!starts && text.contains("accounts.passwords.bcrypt_cost") && text.contains("PWD-7"), "{cost}: {text}");
            }
        }
    }
}

/// How many of a thousand unknown names, evenly spread, are checked against a hash that starts like this.
fn per_thousand(app: &TestApp, start: &str) -> usize {
    let (hasher, step) = (app.kernel().state::<Hasher>(), u64::MAX / 1000);
    (0..1000u64).filter(|number| hasher.nobodys_hash(number * step + step / 2).starts_with(start)).count()
}

#[tokio::test]
async fn enu2_unknown_names_meet_the_schemes_that_there_are() {
    let app = app().await;
    assert_eq!(per_thousand(&app, "$argon2id$v=19$m=8,"), 1000);
    for number in 0..4 {
        app.member(&format!("person-{number}@example.com")).await;
    }
    import(&app, "person-0@example.com", IMPORTED[3].1).await;
    app.advance(HOUR);
    app.run_jobs().await;
    assert_eq!((per_thousand(&app, "$2y$05$"), per_thousand(&app, "$argon2id$v=19$m=8,")), (250, 750));
    // A login makes the old hash anew, and with it the share of its scheme.
    log_in(&app, "person-0@example.com", "correct horse battery").await.expect(200);
    app.advance(HOUR);
    app.run_jobs().await;
    assert_eq!(per_thousand(&app, "$argon2id$v=19$m=8,"), 1000);
}

#[tokio::test]
async fn enu2_a_node_that_starts_knows_the_mix_at_once() {
    let app = app().await;
    app.member(ADA).await;
    import(&app, ADA, IMPORTED[3].1).await;
    app.advance(HOUR);
    app.run_jobs().await;
    let twin = app.twin().await;
    let hasher = twin.kernel().state::<Hasher>();
    assert!([0, u64::MAX / 3, u64::MAX].iter().all(|point| hasher.nobodys_hash(*point).starts_with("$2y$05$")));
}

#[tokio::test]
async fn enu1_legacy_and_unknown_names_fail_alike() {
    let app = app().await;
    app.member(ADA).await;
    import(&app, ADA, IMPORTED[3].1).await;
    let (ada, nobody) = (seen(log_in_browser(&app, ADA, WRONG)).await, seen(log_in_browser(&app, "nobody", WRONG)).await);
    assert_eq!((ada.0, &ada), (401, &nobody));
    let is_refused = |answer: &TestResponse| answer.status == 401;
    assert!(is_refused(&log_in(&app, ADA, PASSWORD).await), "her former password is gone");
}
