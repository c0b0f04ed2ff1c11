//! A postman between a provider that delivers nothing and our door: it polls events, has Stripe's own library sign them, and is not to
//! be relied on. It drops, repeats, delays and reorders by a seed, and strangers mix their own letters in (INV-P1 to INV-P4).

use std::collections::BTreeSet;

use kernel::Random;
use serde_json::{Value, json};
use testkit::Request;

use crate::sdk;
use crate::support::*;
use crate::till::Till;

/// How often each thing happened, so that a test can tell that it did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) delivered: usize,
    pub(crate) dropped: usize,
    pub(crate) delayed: usize,
    pub(crate) repeated: usize,
    pub(crate) forged: usize,
}

/// The postman.
pub(crate) struct Relay {
    random: Random,
    seen: BTreeSet<String>,
    delayed: Vec<Value>,
    pub(crate) tally: Tally,
}

impl Relay {
    /// One whose whims are those of the seed.
    pub(crate) fn seeded(seed: u64) -> Relay {
        Relay { random: Random::seeded(seed), seen: BTreeSet::new(), delayed: Vec::new(), tally: Tally::default() }
    }

    /// Delivers what has happened since the last round, more or less.
    pub(crate) async fn round(&mut self, till: &Till) {
        let mut letters = std::mem::take(&mut self.delayed);
        for event in till.world.list("/v1/events", &[]).await.into_iter().rev() {
            if self.seen.insert(event["id"].as_str().unwrap().to_owned()) {
                self.accept(event, &mut letters);
            }
        }
        let mut pile: Vec<(u32, Value)> = letters.into_iter().map(|letter| (self.random.below(u32::MAX), letter)).collect();
        pile.sort_by_key(|(place, _)| *place);
        for some in pile.chunks(16) {
            let genuine = at_once(some.iter().map(|(_, event)| genuine(till, event))).await;
            assert_eq!(count(&genuine, 204), some.len());
            self.tally.delivered += some.len();
            let strangers: Vec<Request> = some.iter().filter_map(|(_, event)| self.forgery(till, event)).collect();
            let asked = strangers.len();
            for refused in at_once(strangers).await {
                refused.expect(400).problem("signature_invalid");
            }
            self.tally.forged += asked;
        }
    }

    /// Decides what becomes of a letter.
    fn accept(&mut self, event: Value, letters: &mut Vec<Value>) {
        match self.random.below(10) {
            0 | 1 => self.tally.dropped += 1,
            2 | 3 => {
                self.tally.delayed += 1;
                self.delayed.push(event);
            }
            4 | 5 => {
                self.tally.repeated += 1;
                letters.extend([event.clone(), event]);
            }
            _ => letters.push(event),
        }
    }

    /// Now and then a letter that nobody we trust has signed.
    fn forgery(&self, till: &Till, event: &Value) -> Option<Request> {
        let now = till.shop.now().as_secs();
        let mut false_event = event.clone();
        false_event["id"] = json!("evt_forged");
        false_event["type"] = json!("payment_intent.succeeded");
        let (false_body, body) = (false_event.to_string(), event.to_string());
        let good = sdk::sign(WEBHOOK_SECRET, now, &body);
        let (header, body) = match self.random.below(16) {
            0 => (sdk::sign("whsec_of_a_stranger", now, &false_body), false_body),
            1 => (good, false_body),
            2 => (sdk::sign(WEBHOOK_SECRET, now - 301, &body), body),
            3 => (good[..good.len() - 2].to_owned(), body),
            _ => return None,
        };
        Some(send(till, &header, body))
    }
}

/// A letter as Stripe sends it.
pub(crate) fn genuine(till: &Till, event: &Value) -> Request {
    let body = event.to_string();
    send(till, &sdk::sign(WEBHOOK_SECRET, till.shop.now().as_secs(), &body), body)
}

/// Any letter at all.
pub(crate) fn send(till: &Till, header: &str, body: String) -> Request {
    let request = till.shop.post("/api/v1/shop/provider-events/stripe").header("Stripe-Signature", header);
    request.body("application/json; charset=utf-8", body)
}
