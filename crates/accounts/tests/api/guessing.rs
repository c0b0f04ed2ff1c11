//! Guessing gets slower and slower, and never locks anybody out for good (LOG-1 to LOG-6).

use std::time::Duration;

use db::Value;
use testkit::{PASSWORD, TestApp, TestResponse};

use crate::support::*;

/// Fails once more for this name, after waiting as long as was asked.
async fn fail_again(app: &TestApp, name: &str) -> TestResponse {
    let answer = log_in(app, name, WRONG).await;
    if answer.status != 429 {
        return answer;
    }
    let wait: u64 = answer.header("retry-after").parse().unwrap_or_else(|_| panic!("{answer}"));
    app.advance(Duration::from_secs(wait));
    log_in(app, name, WRONG).await
}

#[tokio::test]
async fn log1_after_five_failures_waits_double_up_to_a_quarter_of_an_hour() {
    let app = app().await;
    app.member(ADA).await;
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401).problem("invalid_credentials");
    }
    let mut waits = Vec::new();
    for _ in 0..13 {
        let refused = log_in(&app, ADA, PASSWORD).await.expect(429).problem("rate_limited");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        app.advance(Duration::from_millis(wait * 1000 - 1));
        log_in(&app, ADA, PASSWORD).await.expect(429);
        app.advance(Duration::from_millis(1));
        log_in(&app, ADA, WRONG).await.expect(401);
        waits.push(wait);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
}

#[tokio::test]
async fn log1_a_success_clears_the_failures() {
    let app = app().await;
    app.member(ADA).await;
    for _ in 0..3 {
        for _ in 0..5 {
            log_in(&app, ADA, WRONG).await.expect(401);
        }
        app.advance(SECOND);
        log_in(&app, ADA, PASSWORD).await.expect(200);
    }
    log_in(&app, ADA, WRONG).await.expect(401);
}

#[tokio::test]
async fn log1_after_a_hundred_failures_only_the_mailbox_helps() {
    let app = app().await;
    app.member(ADA).await;
    for name in [ADA, "nobody@example.com"] {
        for _ in 0..100 {
            fail_again(&app, name).await.expect(401);
        }
        app.advance(15 * MINUTE);
        for password in [WRONG, PASSWORD] {
            let refused = log_in(&app, name, password).await.expect(403).problem("challenge_required");
            assert_eq!(refused["methods"], serde_json::json!(["password_reset"]), "{name}");
        }
    }
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    log_in(&app, ADA, OTHER).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn log1_a_reset_clears_every_name_of_the_owner() {
    let app = app().await;
    let ada = app.member(ADA).await;
    app.patch("/api/v1/me").by(&ada).json(&serde_json::json!({ "username": "countess" })).await.expect(200);
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
        log_in(&app, "Countess", WRONG).await.expect(401);
    }
    log_in(&app, "countess", PASSWORD).await.expect(429);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    log_in(&app, ADA, OTHER).await.expect(200);
    log_in(&app, "countess", OTHER).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn log1_a_reset_clears_the_count_of_the_owners_device_too() {
    let app = app().await;
    app.member(ADA).await;
    let device = device_in(&log_in_browser(&app, ADA, PASSWORD).await.expect(200));
    for _ in 0..5 {
        log_in_on(&app, &device, ADA, WRONG).await.expect(401);
    }
    log_in_on(&app, &device, ADA, PASSWORD).await.expect(429).problem("rate_limited");
    app.advance(SECOND);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    log_in_on(&app, &device, ADA, WRONG).await.expect(401);
    log_in_on(&app, &device, ADA, OTHER).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn log1_failures_are_forgotten_after_a_day() {
    let app = app().await;
    app.member(ADA).await;
    for _ in 0..100 {
        fail_again(&app, ADA).await.expect(401);
    }
    app.run_jobs().await;
    app.advance(DAY + HOUR);
    app.run_jobs().await;
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn log1_a_burst_gets_no_more_guesses_than_a_sequence_once_waits_began() {
    let app = app().await;
    app.member(ADA).await;
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
    }
    app.advance(SECOND);
    let answers = at_once((0..50).map(|_| log_in(&app, ADA, WRONG))).await;
    assert_eq!((count(&answers, 401), count(&answers, 429)), (1, 49));
}

#[tokio::test]
async fn log1_the_free_failures_are_a_setting() {
    let app = app_with(&[("accounts.limits.free_failures", "1"), ("accounts.limits.max_wait", "3s")]).await;
    log_in(&app, ADA, WRONG).await.expect(401);
    for wait in ["1", "2", "3", "3"] {
        let refused = log_in(&app, ADA, WRONG).await.expect(429);
        assert_eq!(refused.header("retry-after"), wait);
        fail_again(&app, ADA).await.expect(401);
    }
}

/// A login of a browser that sends this device cookie.
fn log_in_on(node: &testkit::Node, device: &str, name: &str, password: &str) -> testkit::Request {
    log_in_browser(node, name, password).header("Cookie", device)
}

#[tokio::test]
async fn log2_on_a_known_device_the_owner_logs_in_at_once_whatever_an_attacker_does() {
    let app = app().await;
    app.member(ADA).await;
    let device = device_in(&log_in_browser(&app, ADA, PASSWORD).await.expect(200));
    for _ in 0..100 {
        fail_again(&app, ADA).await.expect(401);
    }
    for _ in 0..200 {
        log_in(&app, ADA, WRONG).await;
    }
    app.advance(15 * MINUTE);
    log_in_browser(&app, ADA, PASSWORD).await.expect(403).problem("challenge_required");
    let login = log_in_on(&app, &device, ADA, PASSWORD).await.expect(200);
    assert_ne!(device_in(&login), device, "its year begins anew");
    // Her success forgives the name, and the device goes on being known.
    log_in(&app, ADA, PASSWORD).await.expect(200);
    log_in_on(&app, &device_in(&login), "ADA@example.com", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn log2_a_known_device_has_waits_of_its_own() {
    let app = app().await;
    app.member(ADA).await;
    let device = device_in(&log_in_browser(&app, ADA, PASSWORD).await.expect(200));
    for _ in 0..5 {
        log_in_on(&app, &device, ADA, WRONG).await.expect(401);
    }
    log_in_on(&app, &device, ADA, PASSWORD).await.expect(429).problem("rate_limited");
    // They say nothing about the name elsewhere.
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
    }
    app.advance(SECOND);
    log_in_on(&app, &device, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn log2_a_stolen_device_cookie_is_no_way_to_guess_for_ever() {
    let app = app().await;
    app.member(ADA).await;
    let device = device_in(&log_in_browser(&app, ADA, PASSWORD).await.expect(200));
    for _ in 0..100 {
        let answer = log_in_on(&app, &device, ADA, WRONG).await;
        if answer.status == 429 {
            app.advance(Duration::from_secs(answer.header("retry-after").parse().unwrap()));
            log_in_on(&app, &device, ADA, WRONG).await.expect(401);
        }
    }
    app.advance(15 * MINUTE);
    // It is now like any other client, and counts like one.
    for _ in 0..5 {
        log_in_on(&app, &device, ADA, WRONG).await.expect(401);
    }
    log_in(&app, ADA, PASSWORD).await.expect(429);
    log_in_on(&app, &device, ADA, PASSWORD).await.expect(429);
}

#[tokio::test]
async fn log2_a_device_cookie_is_good_for_its_person_for_a_year_and_not_forged() {
    let app = app().await;
    app.member(ADA).await;
    app.member(BOB).await;
    let ada = device_in(&log_in_browser(&app, ADA, PASSWORD).await.expect(200));
    let bob = device_in(&log_in_browser(&app, BOB, PASSWORD).await.expect(200));
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
    }
    let mut forged = ada.clone().into_bytes();
    let place = "device=".len() + 24;
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for other in [bob.as_str(), &forged, "device=", "device=A", "sid=A", &format!("device={}", "A".repeat(96)), &format!("{ada}A")] {
        log_in_on(&app, other, ADA, PASSWORD).await.expect(429).problem("rate_limited");
    }
    // With the right one she is let in among the others that a browser sends.
    log_in_on(&app, &format!("theme=dark; {ada}; x=y"), ADA, PASSWORD).await.expect(200);
    app.advance(366 * DAY);
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
    }
    log_in_on(&app, &ada, ADA, PASSWORD).await.expect(429);
    app.run_jobs().await;
}

#[tokio::test]
async fn log2_a_device_cookie_opens_nothing_and_a_failed_login_sets_none() {
    let app = app_with(&[("public_url", "https://undercroft.test")]).await;
    app.member(ADA).await;
    let login = log_in_browser(&app, ADA, PASSWORD).await.expect(200);
    let (_, devices) = cookies_in(&login);
    let attributes = devices[0].split_once(';').unwrap().1;
    assert_eq!(attributes, " Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=31536000");
    assert!(devices[0].starts_with("__Host-device="));
    let device = device_in(&login);
    app.get("/api/v1/me").header("Cookie", &device).await.expect(401);
    let value = device.split_once('=').unwrap().1;
    app.get("/api/v1/me").header("Cookie", &format!("__Host-sid={value}")).await.expect(401);
    app.get("/api/v1/me").bearer(value).await.expect(401);
    assert_eq!(log_in_on(&app, &device, ADA, WRONG).await.expect(401).header("set-cookie"), "");
    assert_eq!(log_in(&app, ADA, PASSWORD).await.expect(200).header("set-cookie"), "");
    app.run_jobs().await;
}

#[tokio::test]
async fn log3_thirty_failures_from_one_address_are_enough_for_ten_minutes() {
    let app = app_with(&[("accounts.limits.address_failures", "30/10m"), ("http.trusted_proxies", "loopback")]).await;
    app.member(ADA).await;
    let from = |address: &str, name: &str, password: &str| log_in(&app, name, password).header("X-Forwarded-For", address);
    for number in 0..30 {
        from("203.0.113.1", &format!("nobody-{number}"), WRONG).await.expect(401);
    }
    let refused = from("203.0.113.1", ADA, PASSWORD).await.expect(429).problem("rate_limited");
    assert_eq!(refused.header("retry-after"), "600");
    from("203.0.113.2", ADA, PASSWORD).await.expect(200);
    // A success takes nothing back: whoever has an account could guess on otherwise.
    from("203.0.113.1", "nobody-99", WRONG).await.expect(429);
    app.advance(10 * MINUTE - SECOND);
    from("203.0.113.1", ADA, PASSWORD).await.expect(429);
    app.advance(SECOND);
    from("203.0.113.1", ADA, PASSWORD).await.expect(200);
    // One network of IPv6 is one address.
    for number in 0..30 {
        from(&format!("2001:db8:1:2::{number}"), &format!("nobody-{number}"), WRONG).await.expect(401);
    }
    from("2001:db8:1:2:ffff::1", ADA, PASSWORD).await.expect(429);
    from("2001:db8:1:3::1", ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn log3_a_known_device_behind_a_busy_address_is_let_in() {
    let app = app_with(&[("accounts.limits.address_failures", "30/10m")]).await;
    app.member(ADA).await;
    let device = device_in(&log_in_browser(&app, ADA, PASSWORD).await.expect(200));
    for number in 0..30 {
        log_in(&app, &format!("nobody-{number}"), WRONG).await.expect(401);
    }
    log_in(&app, ADA, PASSWORD).await.expect(429);
    log_in_on(&app, &device, ADA, PASSWORD).await.expect(200);
    log_in_on(&app, &device, "nobody", PASSWORD).await.expect(429);
}

#[tokio::test]
async fn log3_limits_of_addresses_are_off_where_all_limits_are() {
    let app = app_with(&[("accounts.limits.address_failures", "3/10m"), ("limits.enabled", "false")]).await;
    app.member(ADA).await;
    for number in 0..5 {
        log_in(&app, &format!("nobody-{number}"), WRONG).await.expect(401);
    }
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn log5_two_nodes_allow_no_more_than_one() {
    let app = app_with(&[("accounts.limits.address_failures", "30/10m")]).await;
    let twin = app.twin().await;
    app.member(ADA).await;
    for _ in 0..2 {
        log_in(&app, ADA, WRONG).await.expect(401);
        log_in(&twin, ADA, WRONG).await.expect(401);
    }
    log_in(&twin, ADA, WRONG).await.expect(401);
    log_in(&app, ADA, WRONG).await.expect(429);
    log_in(&twin, ADA, WRONG).await.expect(429);
    app.advance(SECOND);
    let answers = at_once((0..25).flat_map(|_| [log_in(&app, ADA, WRONG), log_in(&twin, ADA, WRONG)])).await;
    assert_eq!((count(&answers, 401), count(&answers, 429)), (1, 49));
    for number in 0..12 {
        log_in(&app, &format!("nobody-{number}"), WRONG).await.expect(401);
        log_in(&twin, &format!("nobody-{number}"), WRONG).await.expect(401);
    }
    log_in(&app, "somebody-else", WRONG).await.expect(429);
    log_in(&twin, "somebody-else", WRONG).await.expect(429);
}

#[tokio::test]
async fn log5_a_flood_of_made_up_names_leaves_rows_that_go_and_nothing_in_memory() {
    let app = app().await;
    let answers = at_once((0..200).map(|number| log_in(&app, &format!("made-up-{number}"), WRONG))).await;
    assert_eq!(count(&answers, 401), 200);
    // One row each, and one of the address they came from.
    assert_eq!(rows(&app, "accounts_throttles").await, 201);
    app.run_jobs().await;
    app.advance(DAY + HOUR);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_throttles").await, 0);
}

#[tokio::test]
async fn log6_attempts_that_were_turned_away_are_audited_too() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
    }
    for _ in 0..5 {
        log_in(&app, "nobody at all", WRONG).await.expect(401);
    }
    let before = app.audit().await.len();
    log_in(&app, ADA, PASSWORD).await.expect(429);
    log_in(&app, "nobody at all", PASSWORD).await.expect(429);
    let audited = app.audit().await.split_off(before);
    assert_eq!(audited.len(), 2, "{audited:?}");
    assert!(audited.iter().all(|row| row.0 == "accounts.session.start" && row.2 == "rate_limited"), "{audited:?}");
    assert_eq!(audited[0].1, Some(format!("user:{}", ada.user_id)));
    assert!(audited[1].1.as_deref().is_some_and(|subject| subject.starts_with("name:")), "{audited:?}");
}

#[tokio::test]
async fn log3_a_made_up_forwarding_header_changes_nothing() {
    let app = app_with(&[("limits.auth_per_minute", "3")]).await;
    let from = |number: usize| {
        let address = format!("203.0.113.{number}");
        log_in(&app, "nobody", WRONG)
            .header("X-Forwarded-For", &address)
            .header("Forwarded", &format!("for={address}"))
            .header("X-Real-IP", &address)
    };
    for number in 0..3 {
        from(number).await.expect(401);
    }
    let refused = from(4).await.expect(429).problem("rate_limited");
    assert_eq!(refused["violated_policies"], serde_json::json!(["auth"]));
}

#[tokio::test]
async fn log3_behind_a_trusted_proxy_each_client_has_a_limit_of_its_own() {
    let app = app_with(&[("limits.auth_per_minute", "3"), ("http.trusted_proxies", "loopback")]).await;
    let from = |address: &str| log_in(&app, "nobody", WRONG).header("X-Forwarded-For", address);
    for _ in 0..3 {
        from("203.0.113.1").await.expect(401);
    }
    from("203.0.113.1").await.expect(429);
    // Walked from the right: what the client wrote itself stands further left.
    from("203.0.113.99, 203.0.113.1").await.expect(429);
    from("203.0.113.2").await.expect(401);
    from("2001:db8:1:2::1").await.expect(401);
}

#[tokio::test]
async fn log6_every_attempt_is_audited_and_an_unknown_name_only_as_a_keyed_hash() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let before = app.audit().await.len();
    let typed_into_the_wrong_field = "my secret password 12345";
    log_in(&app, ADA, WRONG).await.expect(401);
    log_in(&app, typed_into_the_wrong_field, WRONG).await.expect(401);
    log_in(&app, ADA, PASSWORD).await.expect(200);
    let rows = app.audit().await.split_off(before);
    let subject = Some(format!("user:{}", ada.user_id));
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!((rows[0].0.as_str(), &rows[0].1, rows[0].2.as_str()), ("accounts.session.start", &subject, "invalid_credentials"));
    assert_eq!((rows[2].0.as_str(), &rows[2].1, rows[2].2.as_str()), ("accounts.session.start", &subject, "ok"));
    assert!(rows[1].1.as_deref().is_some_and(|subject| subject.starts_with("name:") && subject.len() > 20), "{rows:?}");
    let dump = app.kernel().db().dump_text().unwrap();
    let holds = |value: &Value| matches!(value, Value::Text(text) if text.contains("my secret"));
    assert!(!dump.iter().any(|(_, value)| holds(value)));
}
