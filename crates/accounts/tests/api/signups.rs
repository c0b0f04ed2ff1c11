//! Sign-up: who may, what completes it, what does not (SGN-1 to SGN-7, RST-2, RST-3).

use serde_json::json;
use testkit::{PASSWORD, SmtpSink, TestApp, code_in, token_in};

use crate::support::*;

#[tokio::test]
async fn sgn1_nobody_exists_before_the_mailbox_is_proven() {
    let app = app().await;
    pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    for table in ["accounts_users", "accounts_user_emails", "accounts_passwords", "accounts_sessions"] {
        assert_eq!(rows(&app, table).await, 0, "{table}");
    }
    log_in(&app, ADA, PASSWORD).await.problem("invalid_credentials");
    ask_reset(&app, ADA).await.expect(202);
    assert_eq!(app.mails().await.len(), 1);
}

#[tokio::test]
async fn sgn2_a_mailed_token_completes_only_its_own_sign_up() {
    let app = app().await;
    let first = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    let second = pending(&app, json!({ "email": ADA, "password": OTHER })).await;
    for body in [
        json!({ "token": first.token, "signup_token": second.handle }),
        json!({ "token": second.token, "signup_token": first.handle }),
        json!({ "token": first.token, "password": OTHER }),
        json!({ "token": second.token, "password": PASSWORD }),
        json!({ "code": first.code, "signup_token": second.handle }),
        json!({ "code": second.code, "signup_token": first.handle }),
    ] {
        complete(&app, &body).await.expect(400).problem("token_invalid");
    }
    complete(&app, &json!({ "token": second.token, "signup_token": second.handle })).await.expect(201);
    log_in(&app, ADA, OTHER).await.expect(200);
}

#[tokio::test]
async fn sgn2_completing_one_sign_up_ends_the_others_of_the_address() {
    let app = app().await;
    let (first, second) = (pending_of(&app, ADA).await, pending_of(&app, "ADA@example.com").await);
    let bob = pending_of(&app, BOB).await;
    complete(&app, &json!({ "token": first.token, "signup_token": first.handle })).await.expect(201);
    for body in [
        json!({ "token": second.token, "signup_token": second.handle }),
        json!({ "code": second.code, "signup_token": second.handle }),
        json!({ "token": first.token, "signup_token": first.handle }),
        json!({ "code": first.code, "signup_token": first.handle }),
    ] {
        complete(&app, &body).await.expect(410).problem("token_spent");
    }
    complete(&app, &json!({ "token": bob.token, "signup_token": bob.handle })).await.expect(201);
    assert_eq!(rows(&app, "accounts_users").await, 2);
}

#[tokio::test]
async fn sgn3_the_mailed_token_alone_creates_nothing() {
    let app = app().await;
    let bare = pending_of(&app, ADA).await;
    let chosen = pending(&app, json!({ "email": BOB, "password": PASSWORD })).await;
    for body in [
        json!({ "token": bare.token }),
        json!({ "token": bare.token, "password": PASSWORD }),
        json!({ "token": bare.token, "signup_token": chosen.handle }),
        json!({ "token": bare.token, "signup_token": "A".repeat(43) }),
        json!({ "token": bare.token, "signup_token": bare.token }),
        json!({ "token": bare.handle, "signup_token": bare.handle }),
        json!({ "token": chosen.token }),
        json!({ "token": chosen.token, "password": WRONG }),
        json!({ "code": bare.code }),
        json!({ "code": bare.code, "password": PASSWORD }),
        json!({ "code": chosen.code, "password": PASSWORD }),
    ] {
        complete(&app, &body).await.expect(400).problem("token_invalid");
    }
    for body in [json!({ "signup_token": bare.handle }), json!({ "token": bare.token, "code": bare.code, "signup_token": bare.handle })] {
        complete(&app, &body).await.expect(422).field("/token", "required");
    }
    assert_eq!(rows(&app, "accounts_users").await, 0);
    complete(&app, &json!({ "token": bare.token, "signup_token": bare.handle })).await.expect(201);
}

#[tokio::test]
async fn rst3_a_sign_up_lives_for_a_day() {
    let app = app().await;
    let (first, second) = (pending_of(&app, ADA).await, pending_of(&app, BOB).await);
    app.advance(DAY - MINUTE);
    complete(&app, &json!({ "token": first.token, "signup_token": first.handle })).await.expect(201);
    app.advance(MINUTE);
    complete(&app, &json!({ "token": second.token, "signup_token": second.handle })).await.expect(410).problem("token_spent");
    complete(&app, &json!({ "code": second.code, "signup_token": second.handle })).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst3_a_code_can_be_typed_five_times() {
    let app = app().await;
    let waiting = pending_of(&app, ADA).await;
    let wrong = if waiting.code == "00000000" { "00000001" } else { "00000000" };
    for _ in 0..5 {
        complete(&app, &json!({ "code": wrong, "signup_token": waiting.handle })).await.expect(400).problem("token_invalid");
    }
    let body = json!({ "code": waiting.code, "signup_token": waiting.handle });
    let refused = complete(&app, &body).await;
    assert!(refused.status.is_client_error(), "{refused}");
    // The link still works: its 256 bits cannot be guessed.
    complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
}

#[tokio::test]
async fn rst3_of_fifty_guesses_at_once_five_are_read() {
    let app = app().await;
    let waiting = pending_of(&app, ADA).await;
    let right = json!({ "code": waiting.code, "signup_token": waiting.handle });
    let guess = |number: usize| complete(&app, &json!({ "code": format!("ZZZZZZ{number:02}"), "signup_token": waiting.handle }));
    let answers = at_once((0..50).map(guess)).await;
    assert_eq!(count(&answers, 201) + count(&answers, 500), 0);
    let late = complete(&app, &right).await;
    assert_eq!((late.status.is_client_error(), rows(&app, "accounts_users").await), (true, 0), "{late}");
}

#[tokio::test]
async fn a_sign_up_is_mailed_again_at_most_once_a_minute_and_the_old_link_ends() {
    let app = app().await;
    let first = pending_of(&app, ADA).await;
    let again = || app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": first.handle }));
    again().await.expect(202);
    assert_eq!(app.mails().await.len(), 1);
    app.advance(MINUTE);
    again().await.expect(202);
    again().await.expect(202);
    let mails = app.mails().await;
    assert_eq!(mails.len(), 2);
    complete(&app, &json!({ "token": first.token, "signup_token": first.handle })).await.problem("token_invalid");
    complete(&app, &json!({ "code": first.code, "signup_token": first.handle })).await.problem("token_invalid");
    complete(&app, &json!({ "token": token_in(&mails[1]), "signup_token": first.handle })).await.expect(201);
}

#[tokio::test]
async fn a_new_mail_brings_five_new_tries() {
    let app = app().await;
    let first = pending_of(&app, ADA).await;
    for _ in 0..6 {
        let refused = complete(&app, &json!({ "code": "00000000", "signup_token": first.handle })).await;
        assert!(matches!(refused.status.as_u16(), 400 | 410), "{refused}");
    }
    app.advance(MINUTE);
    app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": first.handle })).await.expect(202);
    let code = code_in(&app.last_mail_to(ADA).await);
    complete(&app, &json!({ "code": code, "signup_token": first.handle })).await.expect(201);
}

#[tokio::test]
async fn five_sign_ups_of_an_address_wait_and_the_oldest_makes_room() {
    let app = app().await;
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(pending_of(&app, ADA).await);
        app.advance(MINUTE);
    }
    let body = |waiting: &Pending| json!({ "token": waiting.token, "signup_token": waiting.handle });
    complete(&app, &body(&all[0])).await.expect(410).problem("token_spent");
    complete(&app, &body(&all[1])).await.expect(201);
}

#[tokio::test]
async fn sgn5_what_is_no_address_is_refused_before_anything_else() {
    let app = app().await;
    let long = format!("{}@{}.example.com", "l".repeat(64), ["d".repeat(63), "d".repeat(63), "d".repeat(50)].join("."));
    assert!(long.len() > 254, "{}", long.len());
    for typed in [
        "a@b",
        "x\r\nBcc:victim@example.com",
        "x@example.com\r\nBcc: victim@example.com",
        "x\u{0}@example.com",
        "mıke@example.com",
        &long,
        "a b@example.com",
    ] {
        let refused = app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": typed })).await;
        // NUL is refused with the JSON itself.
        if typed.contains('\0') {
            refused.expect(400).problem("malformed_json");
        } else {
            refused.expect(422).field("/email", "email_invalid");
        }
    }
    let most = format!("{}@{}.{}.{}.com", "l".repeat(64), "d".repeat(63), "d".repeat(63), "d".repeat(57));
    assert_eq!(most.len(), 254);
    pending_of(&app, &most).await;
    assert_eq!(app.mails().await.len(), 1);
}

#[tokio::test]
async fn sgn5_no_line_break_reaches_the_mail_server() {
    let smtp = SmtpSink::start().await;
    let app = app_with(&[("mail.transport", "smtp"), ("mail.smtp_url", &smtp.url())]).await;
    for typed in ["x\r\nBcc:victim@example.com", "x@example.com\nBcc: victim@example.com", "x@example.com>\r\nRCPT TO:<victim@example.com"]
    {
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": typed })).await.expect(422);
        ask_reset(&app, typed).await.expect(422);
    }
    let body = json!({ "email": ADA, "locale": "en-BCC" });
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&body).await.expect(202);
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": BOB, "locale": "e\r\nBcc: v@x.y" })).await.expect(422);
    app.run_jobs().await;
    let got = smtp.messages();
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(!got[0].to_lowercase().contains("bcc"), "{}", got[0]);
}

/// What nearly is an address of ada's.
const VARIANTS: [&str; 8] = [
    "ɑda@example.com",
    "àda@example.com",
    "ａda@example.com",
    "ada@exаmple.com",
    "ada@ｅxample.com",
    "ada @example.com",
    "adá@example.com",
    "a\u{301}da@example.com",
];

#[tokio::test]
async fn sgn6_a_variant_of_an_address_never_matches_another_person() {
    let app = app().await;
    app.member(ADA).await;
    let before = app.mails().await.len();
    for variant in VARIANTS {
        log_in(&app, variant, PASSWORD).await.expect(401).problem("invalid_credentials");
        let asked = ask_reset(&app, variant).await;
        assert!(matches!(asked.status.as_u16(), 202 | 422), "{asked}");
    }
    assert_eq!(app.mails().await.len(), before);
}

#[tokio::test]
async fn sgn6_mail_goes_to_the_stored_address_however_it_was_typed() {
    let app = app().await;
    app.member("Ada.L@example.com").await;
    for (number, typed) in ["ADA.L@EXAMPLE.COM", "ada.l@example.com"].into_iter().enumerate() {
        app.advance(11 * MINUTE);
        ask_reset(&app, typed).await.expect(202);
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": typed })).await.expect(202);
        assert_eq!(mails_of(&app, "accounts/reset_password", "Ada.L@example.com").await.len(), number + 1);
        assert_eq!(mails_of(&app, "accounts/already_have_account", "Ada.L@example.com").await.len(), number + 1);
    }
    assert!(app.mails().await.iter().all(|mail| mail.to == "Ada.L@example.com"));
}

#[tokio::test]
async fn sgn6_a_username_in_another_script_finds_nobody() {
    let app = app().await;
    let ada = app.member(ADA).await;
    app.patch("/api/v1/me").by(&ada).json(&json!({ "username": "mike" })).await.expect(200);
    log_in(&app, "MIKE", PASSWORD).await.expect(200);
    for variant in ["mıke", "míke", "mіke", "mike\u{200b}", " mike"] {
        log_in(&app, variant, PASSWORD).await.expect(401).problem("invalid_credentials");
    }
    app.forget_jobs().await;
}

async fn sign_up_status(app: &TestApp, email: &str) -> (u16, String) {
    let answer = app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": email, "password": "short" })).await;
    (answer.status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn sgn7_a_closed_instance_says_so_before_it_looks_anybody_up() {
    for mode in ["closed", "invite"] {
        let app = app_with(&[("accounts.signup", mode)]).await;
        app.owner().await;
        for email in ["owner@example.com", ADA] {
            assert_eq!(sign_up_status(&app, email).await, (403, "signup_closed".to_owned()), "{mode}");
        }
        let statements = app.statements(sign_up_status(&app, ADA)).await.1;
        assert_eq!(statements, 0, "{mode}");
        assert_eq!(app.get("/api/v1/auth/methods").await["signup"], mode);
        assert!(app.mails().await.is_empty());
    }
}

#[tokio::test]
async fn sgn7_only_the_listed_domains_sign_up() {
    let app = app_with(&[("accounts.signup", "domains"), ("accounts.signup_domains", "example.com,bücher.example")]).await;
    for refused in ["ada@example.org", "ada@sub.example.com", "ada@example.com.evil.test", "ada@xexample.com"] {
        assert_eq!(sign_up_status(&app, refused).await, (403, "signup_closed".to_owned()), "{refused}");
    }
    pending_of(&app, "Ada@example.com").await;
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": "ada@EXAMPLE.COM" })).await.expect(202);
    app.run_jobs().await;
}

#[tokio::test]
async fn sgn7_a_listed_domain_may_have_letters_beyond_ascii() {
    for listed in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"] {
        let app = app_with(&[("accounts.signup", "domains"), ("accounts.signup_domains", listed)]).await;
        for typed in ["ada@bücher.example", "ada@Bücher.example", "ada@xn--bcher-kva.example"] {
            app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": typed })).await.expect(202);
        }
        assert_eq!(sign_up_status(&app, "ada@bucher.example").await.0, 403);
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn enu6_a_taken_username_is_told_to_a_proven_person_and_the_proof_stays_good() {
    let app = app().await;
    let ada = app.member(ADA).await;
    app.patch("/api/v1/me").by(&ada).json(&json!({ "username": "countess" })).await.expect(200);
    let bob = pending_of(&app, BOB).await;
    complete(&app, &json!({ "token": bob.token, "username": "countess" })).await.problem("token_invalid");
    let body = |name: &str| json!({ "token": bob.token, "signup_token": bob.handle, "username": name });
    complete(&app, &body("countess")).await.expect(409).problem("username_taken").field("/username", "username_taken");
    complete(&app, &body("x")).await.expect(422).field("/username", "username_invalid");
    complete(&app, &body("countess2")).await.expect(201);
}
