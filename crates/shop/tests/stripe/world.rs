//! A stand-in for Stripe with a door of ours before it: what our client sends is judged and remembered, and fails at will.
//!
//! The buyer's browser and the merchant's dashboard go past the door: they are not our client.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kernel::Clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::openapi::DOCUMENT;
use crate::{straight, told};

/// What goes wrong with one call at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has its effect, but its answer breaks off.
    LoseAnswer,
    /// It never gets through, and is answered with this status.
    Refuse(u16),
    /// It arrives with this added to its form.
    Add(&'static str),
}

/// A call of our client's that came to the door.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Method and path, as Stripe's document names them.
    pub(crate) name: String,
    /// Its idempotency key, or nothing.
    pub(crate) key: String,
}

/// What is done to each answer of a stand-in that speaks another version of Stripe's language.
type Translation = fn(&mut Value);

#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    faults: VecDeque<(&'static str, Fault)>,
    away: Option<&'static str>,
    complaints: BTreeSet<String>,
}

struct Door {
    upstream: String,
    client: reqwest::Client,
    translation: Option<Translation>,
    log: Mutex<Log>,
}

impl Door {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account at a stand-in; it fails the test when our client sent anything that Stripe's document does not allow.
pub(crate) struct World {
    door: Arc<Door>,
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl World {
    /// An account of its own at seahaven-stripe-world.
    pub(crate) async fn seahaven() -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (number, now) = (NEXT.fetch_add(1, Ordering::Relaxed), Clock::system().now().as_millis());
        // A name that no earlier run has used: a server that somebody else started may live long.
        World::start(format!("{}/worlds/shop-{}-{now}-{number}", told("TEST_STRIPE_URL"), std::process::id()), None).await
    }

    /// The one account of localstripe.
    pub(crate) async fn localstripe(translation: Translation) -> World {
        World::start(told("TEST_LOCALSTRIPE_URL"), Some(translation)).await
    }

    /// The same for a stand-in of any kind.
    pub(crate) async fn start(upstream: String, translation: Option<Translation>) -> World {
        let door = Arc::new(Door { upstream, client: straight(), translation, log: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(pass_on).with_state(door.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        World { door, address, _server: server }
    }

    /// What `shop.payments.stripe.api_base` is set to.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the next call whose path contains `path` go wrong; several are met in their order.
    pub(crate) fn fail_next(&self, path: &'static str, fault: Fault) {
        self.door.log().faults.push_back((path, fault));
    }

    /// Refuses every call whose path contains `path` from now on; none of them when it is absent.
    pub(crate) fn refuse_all(&self, path: Option<&'static str>) {
        self.door.log().away = path;
    }

    /// What our client sent so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.door.log().calls.clone()
    }

    /// How often our client sent this call.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.calls().iter().filter(|call| call.name == name).count()
    }

    /// What the document did not allow so far; it fails the test no more.
    pub(crate) fn take_complaints(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.door.log().complaints)
    }

    /// What somebody else sends: the status and the answer.
    pub(crate) async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.door.client.post(format!("{}{path}", self.door.upstream)).bearer_auth("sk_test_somebody").form(form);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// The same, which must succeed.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, answer) = self.try_post(path, form).await;
        assert_eq!(status, 200, "{path}: {answer:#}");
        answer
    }

    /// What somebody else reads.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let request = self.door.client.get(format!("{}{path}", self.door.upstream)).bearer_auth("sk_test_somebody").query(query);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Everything on a list, newest first.
    pub(crate) async fn list(&self, path: &str, query: &[(&str, &str)]) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let last = all.last().map(|item| item["id"].as_str().unwrap().to_owned());
            let mut page: Vec<(&str, &str)> = query.to_vec();
            page.push(("limit", "100"));
            page.extend(last.as_deref().map(|id| ("starting_after", id)));
            let answer = self.get(path, &page).await;
            all.extend(answer["data"].as_array().unwrap().iter().cloned());
            if answer["has_more"] != true {
                return all;
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let complaints = self.take_complaints();
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "Stripe's document does not allow what our client sent: {complaints:#?}");
        }
    }
}

async fn pass_on(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let judgement = DOCUMENT.judge(&head.method, path, query, &head.headers, &body);
    let fault = note(&door, path, &head.headers, judgement);
    match &fault {
        Some(Fault::Refuse(status)) => {
            return answer(*status, json!({ "error": { "type": "api_error", "code": "asked_for" } }).to_string());
        }
        Some(Fault::Add(more)) => body.extend_from_slice(format!("&{more}").as_bytes()),
        Some(Fault::LoseAnswer) | None => {}
    }
    let mut headers = head.headers.clone();
    for name in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    let url = format!("{}{path}", door.upstream);
    let url = if query.is_empty() { url } else { format!("{url}?{query}") };
    let said = door.client.request(head.method.clone(), url).headers(headers).body(body).send().await.unwrap();
    let (status, bytes) = (said.status().as_u16(), said.bytes().await.unwrap());
    if fault == Some(Fault::LoseAnswer) {
        let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]);
        return Response::new(Body::from_stream(broken));
    }
    answer(status, translated(&door, &bytes))
}

/// Remembers a call and tells what shall go wrong with it.
fn note(door: &Door, path: &str, headers: &HeaderMap, judgement: Result<String, String>) -> Option<Fault> {
    let mut log = door.log();
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    match judgement {
        Ok(name) => log.calls.push(Call { name, key }),
        Err(complaint) => drop(log.complaints.insert(complaint)),
    }
    if log.away.is_some_and(|part| path.contains(part)) {
        return Some(Fault::Refuse(503));
    }
    let asked = log.faults.iter().position(|(part, _)| path.contains(part));
    asked.and_then(|index| log.faults.remove(index)).map(|(_, fault)| fault)
}

fn translated(door: &Door, bytes: &[u8]) -> String {
    let mut value: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    if let Some(translate) = door.translation {
        translate(&mut value);
    }
    value.to_string()
}

fn answer(status: u16, body: String) -> Response {
    (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
