//! Our own stand-in keeps the same contract as one that somebody else wrote: the same story has the same answers at both.

use serde_json::Value;
use testkit::stripe::StripeFake;

use crate::straight;
use crate::world::World;

/// Someone who tells a story to a stand-in and notes its answers.
struct Teller {
    client: reqwest::Client,
    base: String,
    notes: Vec<String>,
}

impl Teller {
    fn at(base: String) -> Teller {
        Teller { client: straight(), base, notes: Vec::new() }
    }

    async fn note(&mut self, title: &str, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth("sk_test_teller").header("Stripe-Version", "2025-03-31.basil").send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        let amounts = ["amount", "amount_capturable", "amount_received"].map(|name| body[name].to_string());
        let said = body["error"]["type"].as_str().or(body["status"].as_str()).unwrap_or_default().to_owned();
        self.notes.push(format!("{title}: {status} {said} {}", amounts.join(" ")));
        body
    }

    async fn post(&mut self, title: &str, path: &str, key: &str, form: &[(&str, &str)]) -> Value {
        let request = self.client.post(format!("{}/v1/{path}", self.base)).header("Idempotency-Key", key).form(form);
        self.note(title, request).await
    }

    async fn get(&mut self, title: &str, path: &str) -> Value {
        let request = self.client.get(format!("{}/v1/{path}", self.base));
        self.note(title, request).await
    }
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id: {value:#}")).to_owned()
}

/// The story; `pay` is how a buyer pays there.
async fn story(teller: &mut Teller, pay: impl AsyncFn(&str)) {
    let eur = |amount: &'static str| [("amount", amount), ("currency", "eur"), ("automatic_payment_methods[enabled]", "true")];
    let first = id(&teller.post("make", "payment_intents", "one", &eur("2989")).await);
    let again = id(&teller.post("make again with the same key", "payment_intents", "one", &eur("2989")).await);
    assert_eq!(first, again);
    teller.post("make something else with the same key", "payment_intents", "one", &eur("2990")).await;
    teller.post("make one of nothing", "payment_intents", "two", &eur("0")).await;
    teller.get("look at an unknown one", "payment_intents/pi_unknown").await;
    teller.post("refund what was never paid", "refunds", "four", &[("payment_intent", &first), ("amount", "1")]).await;
    pay(&first).await;
    teller.get("look at it", &format!("payment_intents/{first}")).await;
    teller.post("call it off too late", &format!("payment_intents/{first}/cancel"), "five", &[]).await;
    let part = id(&teller.post("refund a part", "refunds", "six", &[("payment_intent", &first), ("amount", "1000")]).await);
    let same = id(&teller.post("refund it again", "refunds", "six", &[("payment_intent", &first), ("amount", "1000")]).await);
    assert_eq!(part, same);
    teller.post("refund too much", "refunds", "seven", &[("payment_intent", &first), ("amount", "1990")]).await;
    teller.post("refund the rest", "refunds", "eight", &[("payment_intent", &first), ("amount", "1989")]).await;
    teller.post("refund one cent more", "refunds", "nine", &[("payment_intent", &first), ("amount", "1")]).await;
    let list = teller.get("list the refunds", &format!("refunds?payment_intent={first}&limit=100")).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let mut manual = eur("5000").to_vec();
    manual.push(("capture_method", "manual"));
    let later = id(&teller.post("make one to capture", "payment_intents", "ten", &manual).await);
    pay(&later).await;
    teller.get("look at what is promised", &format!("payment_intents/{later}")).await;
    let path = format!("payment_intents/{later}/capture");
    teller.post("capture too much", &path, "eleven", &[("amount_to_capture", "5001")]).await;
    teller.post("capture a part", &path, "twelve", &[("amount_to_capture", "1000")]).await;
    teller.post("capture again", &path, "thirteen", &[("amount_to_capture", "1000")]).await;
    let open = id(&teller.post("make one to call off", "payment_intents", "fourteen", &eur("700")).await);
    teller.post("call it off", &format!("payment_intents/{open}/cancel"), "fifteen", &[]).await;
    teller.post("call it off twice", &format!("payment_intents/{open}/cancel"), "sixteen", &[]).await;
}

#[tokio::test]
async fn our_stand_in_answers_as_somebody_elses_does() {
    let (fake, world) = (StripeFake::start(1_795_348_800).await, World::seahaven().await);
    let mut ours = Teller::at(fake.base());
    story(&mut ours, async |intent| fake.pay(intent)).await;
    let mut theirs = Teller::at(world.base());
    let card = [("type", "card"), ("card[token]", "tok_visa")];
    story(&mut theirs, async |intent| {
        let method = world.post("/v1/payment_methods", &card).await;
        world.post(&format!("/v1/payment_intents/{intent}/confirm"), &[("payment_method", method["id"].as_str().unwrap())]).await;
    })
    .await;
    assert_eq!(ours.notes, theirs.notes);
}
