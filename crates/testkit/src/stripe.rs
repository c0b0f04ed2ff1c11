//! A stand-in for Stripe that remembers: intents, refunds, disputes, events, idempotency keys, and failures at will.
//!
//! It keeps the parts of Stripe's contract that the shop leans on, and it is strict about them: another body under the same key is an
//! `idempotency_error`, more than was captured cannot be refunded, a succeeded intent cannot be canceled.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call has no effect and is answered with this status.
    Refuse(u16),
    /// The card is declined with this code.
    Decline(&'static str),
    /// The call has its effect, but its answer breaks off.
    LoseAnswer,
}

/// The moment at which a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call has arrived and had no effect yet.
    Before,
    /// The call had its effect and is not answered yet.
    After,
}

type Hook = Box<dyn FnMut(Moment, &str) + Send>;
type ReadHook = Box<dyn FnMut(&str) + Send>;

#[derive(Default)]
struct World {
    intents: BTreeMap<String, Value>,
    refunds: BTreeMap<String, Value>,
    disputes: BTreeMap<String, Value>,
    events: Vec<Value>,
    keys: HashMap<String, ([u8; 32], u16, Value)>,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<String>,
    next: u64,
    seconds: i64,
    hook: Option<Hook>,
    read_hook: Option<ReadHook>,
}

/// A running stand-in; it ends with the test.
pub struct StripeFake {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl std::fmt::Debug for StripeFake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StripeFake({})", self.address)
    }
}

type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StripeFake {
    /// Starts one whose clock stands at `seconds`.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(seconds: i64) -> StripeFake {
        let world: Shared = Arc::new(Mutex::new(World { seconds, ..World::default() }));
        let router = Router::new()
            .route("/v1/payment_intents", post(create_intent))
            .route("/v1/payment_intents/search", get(search))
            .route("/v1/payment_intents/{id}", get(get_intent))
            .route("/v1/payment_intents/{id}/capture", post(capture))
            .route("/v1/payment_intents/{id}/cancel", post(cancel))
            .route("/v1/refunds", post(create_refund).get(list_refunds))
            .route("/v1/disputes", get(list_disputes))
            .route("/v1/events", get(list_events))
            .with_state(world.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the stand-in serves") });
        StripeFake { world, address, _server: server }
    }

    /// What `shop.payments.stripe.api_base` is set to.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next call whose path contains `path` go wrong; several are met in their order.
    pub fn fail_next(&self, path: &'static str, fault: Fault) {
        lock(&self.world).faults.push_back((path, fault));
    }

    /// Calls `hook` before and after the effect of every call that changes something.
    pub fn on_change(&self, hook: impl FnMut(Moment, &str) + Send + 'static) {
        lock(&self.world).hook = Some(Box::new(hook));
    }

    /// Calls `hook` for every call that only reads, while the answer is on its way; the world may change meanwhile.
    pub fn on_read(&self, hook: impl FnMut(&str) + Send + 'static) {
        lock(&self.world).read_hook = Some(Box::new(hook));
    }

    /// Sets the clock of its events.
    pub fn set_time(&self, seconds: i64) {
        lock(&self.world).seconds = seconds;
    }

    /// Every call so far: method and path.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.world).calls.clone()
    }

    /// Every intent, oldest first.
    pub fn intents(&self) -> Vec<Value> {
        let mut all: Vec<Value> = lock(&self.world).intents.values().cloned().collect();
        all.sort_by_key(|intent| intent["number"].as_u64());
        all
    }

    /// The intent of one of our payments.
    ///
    /// # Panics
    /// When there is not exactly one.
    pub fn intent_of(&self, payment: &str) -> Value {
        let found: Vec<Value> = self.intents().into_iter().filter(|intent| intent["metadata"]["payment"] == payment).collect();
        assert_eq!(found.len(), 1, "one intent for the payment {payment}: {found:#?}");
        found[0].clone()
    }

    /// Every refund.
    pub fn refunds(&self) -> Vec<Value> {
        lock(&self.world).refunds.values().cloned().collect()
    }

    /// Every event, oldest first.
    pub fn events(&self) -> Vec<Value> {
        lock(&self.world).events.clone()
    }

    /// What all captures brought, refunds not taken off.
    pub fn received(&self) -> i64 {
        lock(&self.world).intents.values().filter_map(|intent| intent["amount_received"].as_i64()).sum()
    }

    /// The buyer pays: the intent succeeds, or waits to be captured.
    ///
    /// # Panics
    /// When there is no such intent.
    pub fn pay(&self, intent: &str) {
        let mut world = lock(&self.world);
        let is_manual = world.intents[intent]["capture_method"] == "manual";
        let amount = world.intents[intent]["amount"].clone();
        if is_manual {
            let found = world.intents.get_mut(intent).expect("the intent");
            found["status"] = json!("requires_capture");
            found["amount_capturable"] = amount;
            world.tell("payment_intent.amount_capturable_updated", intent);
        } else {
            world.succeed(intent, amount.as_i64().unwrap_or(0));
        }
    }

    /// The buyer's bank declines a try; another can follow.
    ///
    /// # Panics
    /// When there is no such intent.
    pub fn decline(&self, intent: &str, code: &str) {
        let mut world = lock(&self.world);
        let found = world.intents.get_mut(intent).expect("the intent");
        found["last_payment_error"] = json!({ "code": "card_declined", "decline_code": code });
        world.tell("payment_intent.payment_failed", intent);
    }

    /// The buyer disputes what they paid; the bank's work costs 15.00, and nothing when the dispute is won.
    ///
    /// # Panics
    /// When there is no such intent.
    pub fn dispute(&self, intent: &str, status: &str) {
        let mut world = lock(&self.world);
        let id = format!("dp_{intent}");
        let found = world.intents.get_mut(intent).expect("the intent");
        found["latest_charge"]["disputed"] = json!(true);
        let booking = |number: u8, fee: i64| json!({ "id": format!("txn_{id}_{number}"), "fee": fee, "currency": found["currency"] });
        let bookings = match status {
            "won" => vec![booking(1, 1_500), booking(2, -1_500)],
            warning if warning.starts_with("warning_") => Vec::new(),
            _ => vec![booking(1, 1_500)],
        };
        let dispute = json!({
            "id": id, "object": "dispute", "amount": found["amount_received"], "status": status, "payment_intent": intent,
            "balance_transactions": bookings
        });
        world.disputes.insert(id, dispute);
        world.tell("charge.dispute.created", intent);
    }

    /// Money goes back from the provider's own pages.
    pub fn refund(&self, intent: &str, amount: i64) {
        let mut world = lock(&self.world);
        let id = world.id("re");
        let refund =
            json!({ "id": id, "object": "refund", "amount": amount, "payment_intent": intent, "status": "succeeded", "metadata": {} });
        world.refunds.insert(id, refund);
        world.tell("charge.refunded", intent);
    }

    /// A refund goes on: it is `pending`, has `succeeded`, or `failed`, even after it had succeeded.
    ///
    /// # Panics
    /// When there is no such refund.
    pub fn settle_refund(&self, refund: &str, status: &str) {
        let mut world = lock(&self.world);
        let found = world.refunds.get_mut(refund).expect("the refund");
        found["status"] = json!(status);
        let has_failed = status == "failed";
        if has_failed {
            found["failure_reason"] = json!("expired_or_canceled_card");
        }
        let object = found.clone();
        world.tell_of(if has_failed { "refund.failed" } else { "charge.refund.updated" }, &object);
    }

    /// The refunds of an intent, oldest first.
    pub fn refunds_of(&self, intent: &str) -> Vec<Value> {
        self.refunds().into_iter().filter(|refund| refund["payment_intent"] == intent).collect()
    }

    /// An authorisation lapses: nobody has captured it in time.
    ///
    /// # Panics
    /// When there is no such intent.
    pub fn lapse(&self, intent: &str) {
        let mut world = lock(&self.world);
        let found = world.intents.get_mut(intent).expect("the intent");
        found["status"] = json!("canceled");
        found["cancellation_reason"] = json!("automatic");
        found["amount_capturable"] = json!(0);
        world.tell("payment_intent.canceled", intent);
    }

    /// Changes a member of an intent behind everybody's back.
    ///
    /// # Panics
    /// When there is no such intent.
    pub fn alter(&self, intent: &str, member: &str, value: Value) {
        lock(&self.world).intents.get_mut(intent).expect("the intent")[member] = value;
    }

    /// So many events happen that are about nothing of ours.
    pub fn make_noise(&self, count: usize) {
        let mut world = lock(&self.world);
        for _ in 0..count {
            let customer = world.id("cus");
            world.tell_of("customer.created", &json!({ "id": customer, "object": "customer" }));
        }
    }

    /// The disputes about an intent.
    pub fn disputes_of(&self, intent: &str) -> Vec<Value> {
        lock(&self.world).disputes.values().filter(|dispute| dispute["payment_intent"] == intent).cloned().collect()
    }

    /// All events so far are lost.
    pub fn forget_events(&self) {
        lock(&self.world).events.clear();
    }

    /// An event as a webhook delivers it: the header `Stripe-Signature` and the body.
    pub fn signed(secret: &str, seconds: i64, event: &Value) -> (String, Vec<u8>) {
        let body = event.to_string().into_bytes();
        (sign(secret, seconds, &body), body)
    }
}

/// The header `Stripe-Signature` of a body.
fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

impl World {
    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}_{:08}", self.next)
    }

    fn tell(&mut self, kind: &str, intent: &str) {
        let object = self.intents.get(intent).cloned().unwrap_or_default();
        self.tell_of(kind, &object);
    }

    fn tell_of(&mut self, kind: &str, object: &Value) {
        let id = self.id("evt");
        let event =
            json!({ "id": id, "object": "event", "type": kind, "created": self.seconds, "livemode": false, "data": { "object": object } });
        self.events.push(event);
    }

    fn succeed(&mut self, intent: &str, amount: i64) {
        let (charge, booking) = (self.id("ch"), self.id("txn"));
        let found = self.intents.get_mut(intent).expect("the intent");
        let currency = found["currency"].clone();
        found["status"] = json!("succeeded");
        found["amount_received"] = json!(amount);
        found["amount_capturable"] = json!(0);
        found["last_payment_error"] = Value::Null;
        found["latest_charge"] = json!({
            "id": charge, "object": "charge", "disputed": false,
            "balance_transaction": { "id": booking, "amount": amount, "fee": amount / 50 + 25, "currency": currency }
        });
        self.tell("payment_intent.succeeded", intent);
    }

    fn refunded(&self, intent: &str) -> i64 {
        let of = self.refunds.values().filter(|refund| refund["payment_intent"] == intent && refund["status"] != "failed");
        of.filter_map(|refund| refund["amount"].as_i64()).sum()
    }
}

/// Does what a server does first, for a test that starts one in a process of its own: chooses the TLS provider.
pub fn prepare_tls() {
    // Somebody else in this process may have installed it before.
    _ = rustls::crypto::ring::default_provider().install_default();
}

type Answer = (u16, Value);

fn fault(status: u16, kind: &str, code: &str) -> Answer {
    (status, json!({ "error": { "type": kind, "code": code } }))
}

fn form(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// Carries out a change once per key, with the faults that were asked for.
fn change(world: &Shared, headers: &HeaderMap, path: &str, body: &[u8], act: impl FnOnce(&mut World) -> Answer) -> Response {
    let mut world = lock(world);
    world.calls.push(format!("POST {path}"));
    let is_ours =
        headers.get("authorization").and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("Bearer sk_test_"));
    if !is_ours {
        return answer(fault(401, "invalid_request_error", "invalid_api_key"));
    }
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let fingerprint: [u8; 32] = Sha256::new().chain_update(path).chain_update(b"\n").chain_update(body).finalize().into();
    let asked = world.faults.iter().position(|(part, _)| path.contains(part));
    let asked = asked.and_then(|index| world.faults.remove(index)).map(|(_, fault)| fault);
    call_hook(&mut world, Moment::Before, path);
    if let Some(Fault::Refuse(status)) = asked {
        return answer(fault(status, "api_error", "asked_for"));
    }
    let known = key.as_ref().and_then(|key| world.keys.get(key)).cloned();
    let outcome = match known {
        Some((other, ..)) if other != fingerprint => return answer(fault(400, "idempotency_error", "idempotency_key_reused")),
        Some((_, status, body)) => (status, body),
        None => {
            let outcome = match &asked {
                Some(Fault::Decline(code)) => {
                    (402, json!({ "error": { "type": "card_error", "code": "card_declined", "decline_code": code } }))
                }
                _ => act(&mut world),
            };
            if let Some(key) = key {
                world.keys.insert(key, (fingerprint, outcome.0, outcome.1.clone()));
            }
            outcome
        }
    };
    call_hook(&mut world, Moment::After, path);
    if asked == Some(Fault::LoseAnswer) {
        let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]);
        return Response::new(Body::from_stream(broken));
    }
    answer(outcome)
}

fn call_hook(world: &mut World, moment: Moment, path: &str) {
    if let Some(mut hook) = world.hook.take() {
        hook(moment, path);
        world.hook = Some(hook);
    }
}

fn answer((status, body): Answer) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

async fn create_intent(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    change(&world, &headers, "/v1/payment_intents", &body, |world| {
        let form = form(&body);
        let Some(amount) = form.get("amount").and_then(|amount| amount.parse::<i64>().ok()).filter(|amount| *amount >= 1) else {
            return fault(400, "invalid_request_error", "parameter_invalid_integer");
        };
        if amount > 99_999_999 {
            return fault(400, "invalid_request_error", "amount_too_large");
        }
        let id = world.id("pi");
        let text = |name: &str| form.get(name).cloned().unwrap_or_default();
        let intent = json!({
            "id": id, "object": "payment_intent", "number": world.next, "amount": amount, "currency": text("currency"), "amount_received": 0,
            "amount_capturable": 0, "status": "requires_payment_method", "client_secret": format!("{id}_secret_canary"),
            "capture_method": form.get("capture_method").cloned().unwrap_or_else(|| "automatic".to_owned()),
            "metadata": { "payment": text("metadata[payment]"), "order": text("metadata[order]"), "order_number": text("metadata[order_number]") },
            "latest_charge": null, "last_payment_error": null
        });
        world.intents.insert(id.clone(), intent.clone());
        world.tell("payment_intent.created", &id);
        (200, intent)
    })
}

async fn capture(State(world): State<Shared>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    change(&world, &headers, &format!("/v1/payment_intents/{id}/capture"), &body, |world| {
        let Some(intent) = world.intents.get(&id) else { return fault(404, "invalid_request_error", "resource_missing") };
        if intent["status"] != "requires_capture" {
            return fault(400, "invalid_request_error", "payment_intent_unexpected_state");
        }
        let most = intent["amount_capturable"].as_i64().unwrap_or(0);
        let amount = form(&body).get("amount_to_capture").and_then(|amount| amount.parse().ok()).unwrap_or(most);
        if !(1..=most).contains(&amount) {
            return fault(400, "invalid_request_error", "amount_too_large");
        }
        world.succeed(&id, amount);
        (200, world.intents[&id].clone())
    })
}

async fn cancel(State(world): State<Shared>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    change(&world, &headers, &format!("/v1/payment_intents/{id}/cancel"), &body, |world| {
        let Some(intent) = world.intents.get_mut(&id) else { return fault(404, "invalid_request_error", "resource_missing") };
        if intent["status"] == "succeeded" || intent["status"] == "canceled" {
            return fault(400, "invalid_request_error", "payment_intent_unexpected_state");
        }
        intent["status"] = json!("canceled");
        intent["amount_capturable"] = json!(0);
        world.tell("payment_intent.canceled", &id);
        (200, world.intents[&id].clone())
    })
}

async fn create_refund(State(world): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    change(&world, &headers, "/v1/refunds", &body, |world| {
        let form = form(&body);
        let intent = form.get("payment_intent").cloned().unwrap_or_default();
        let amount: i64 = form.get("amount").and_then(|amount| amount.parse().ok()).unwrap_or(0);
        let received = world.intents.get(&intent).and_then(|intent| intent["amount_received"].as_i64()).unwrap_or(0);
        if amount < 1 || world.refunded(&intent) + amount > received {
            return fault(400, "invalid_request_error", "charge_already_refunded");
        }
        let id = world.id("re");
        let metadata = json!({ "refund": form.get("metadata[refund]") });
        let refund = json!({ "id": id, "object": "refund", "amount": amount, "payment_intent": intent, "status": "succeeded", "metadata": metadata });
        world.refunds.insert(id, refund.clone());
        world.tell("charge.refunded", &intent);
        (200, refund)
    })
}

/// Reads, with the faults that were asked for.
fn read(shared: &Shared, path: &str, find: impl FnOnce(&World) -> Answer) -> Response {
    let mut world = lock(shared);
    world.calls.push(format!("GET {path}"));
    let asked = world.faults.iter().position(|(part, _)| path.contains(part));
    match asked.and_then(|index| world.faults.remove(index)) {
        Some((_, Fault::Refuse(status))) => answer(fault(status, "api_error", "asked_for")),
        Some(_) => answer(fault(500, "api_error", "asked_for")),
        None => {
            let (found, hook) = (find(&world), world.read_hook.take());
            drop(world);
            if let Some(mut hook) = hook {
                hook(path);
                lock(shared).read_hook = Some(hook);
            }
            answer(found)
        }
    }
}

fn list(items: Vec<Value>, has_more: bool) -> Answer {
    (200, json!({ "object": "list", "data": items, "has_more": has_more }))
}

async fn get_intent(State(world): State<Shared>, Path(id): Path<String>) -> Response {
    read(&world, &format!("/v1/payment_intents/{id}"), |world| match world.intents.get(&id) {
        Some(intent) => (200, intent.clone()),
        None => fault(404, "invalid_request_error", "resource_missing"),
    })
}

async fn search(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = form(query.unwrap_or_default().as_bytes()).remove("query").unwrap_or_default();
    let payment = query.split(['\'', '"']).nth(3).unwrap_or_default().to_owned();
    read(&world, "/v1/payment_intents/search", |world| {
        list(world.intents.values().filter(|intent| intent["metadata"]["payment"] == payment.as_str()).cloned().collect(), false)
    })
}

fn of_intent(items: &BTreeMap<String, Value>, query: Option<String>) -> Answer {
    let intent = form(query.unwrap_or_default().as_bytes()).remove("payment_intent").unwrap_or_default();
    list(items.values().filter(|item| item["payment_intent"] == intent.as_str()).cloned().collect(), false)
}

async fn list_refunds(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    read(&world, "/v1/refunds", |world| of_intent(&world.refunds, query))
}

async fn list_disputes(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    read(&world, "/v1/disputes", |world| of_intent(&world.disputes, query))
}

async fn list_events(State(world): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = form(query.unwrap_or_default().as_bytes());
    let limit: usize = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    let since: i64 = query.get("created[gte]").and_then(|since| since.parse().ok()).unwrap_or(0);
    read(&world, "/v1/events", |world| {
        let newest = world.events.iter().rev().filter(|event| event["created"].as_i64().unwrap_or(0) >= since);
        let mut rest: Vec<Value> = match query.get("starting_after") {
            Some(id) => newest.skip_while(|event| event["id"] != id.as_str()).skip(1).take(limit + 1).cloned().collect(),
            None => newest.take(limit + 1).cloned().collect(),
        };
        let has_more = rest.len() > limit;
        rest.truncate(limit);
        list(rest, has_more)
    })
}
