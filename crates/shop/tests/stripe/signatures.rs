//! Who may say what happened, judged by Stripe's own library beside ours (INV-P1).

use serde_json::json;
use testkit::stripe::StripeFake;

use crate::relay::send;
use crate::sdk;
use crate::support::*;
use crate::till::Till;

#[tokio::test]
async fn inv_p1_what_stripes_library_signs_is_taken_and_what_it_refuses_is_refused() {
    let till = Till::open(5).await;
    let now = till.shop.now().as_secs();
    let event = json!({
        "id": "evt_1", "object": "event", "type": "customer.updated", "created": now, "livemode": false,
        "data": { "object": { "id": "cus_1", "object": "customer", "name": "Zoë 🦔 Ωmega" } }
    });
    let body = event.to_string();
    let good = sdk::sign(WEBHOOK_SECRET, now, &body);
    let (time, signature) = good.split_once(',').unwrap();
    let stranger = sdk::sign("whsec_of_a_stranger", now, &body);
    let other = stranger.split_once(',').unwrap().1;
    for (header, is_good) in [
        (good.clone(), true),
        (sdk::sign(WEBHOOK_SECRET, now - 299, &body), true),
        // While a secret is being replaced Stripe signs with both.
        (format!("{time},{other},{signature}"), true),
        (format!("{time},{signature},v0=00"), true),
        (stranger.clone(), false),
        (sdk::sign(WEBHOOK_SECRET, now - 301, &body), false),
        (format!("{time},v0={}", &signature[3..]), false),
        (format!("{time},{}", &signature[..40]), false),
        (time.to_owned(), false),
        (signature.to_owned(), false),
        (format!("t={},{signature}", now - 1), false),
        (String::new(), false),
    ] {
        assert_eq!(sdk::judge(WEBHOOK_SECRET, now, &header, &body).is_ok(), is_good, "Stripe's library: {header}");
        send(&till, &header, body.clone()).await.expect(if is_good { 204 } else { 400 });
    }
    send(&till, &good, body.replace("cus_1", "cus_2")).await.expect(400).problem("signature_invalid");
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p1_stripes_library_believes_what_our_own_stand_in_signs() {
    for (number, text) in ["plain", "Zoë 🦔 Ωmega", "\"quoted\" \\ and\nbroken", ""].iter().enumerate() {
        let event =
            json!({ "id": format!("evt_{number}"), "object": "event", "type": "charge.refunded", "data": { "object": { "note": text } } });
        let (header, body) = StripeFake::signed(WEBHOOK_SECRET, 1_795_348_800, &event);
        let body = String::from_utf8(body).unwrap();
        assert_eq!(sdk::judge(WEBHOOK_SECRET, 1_795_348_800, &header, &body), Ok(format!("evt_{number}")));
        assert_eq!(sdk::sign(WEBHOOK_SECRET, 1_795_348_800, &body), header);
        assert!(sdk::judge("whsec_of_a_stranger", 1_795_348_800, &header, &body).is_err());
    }
}
