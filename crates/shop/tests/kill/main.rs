//! Kill-anywhere checkout: many buyers, few units in two places, a scarce coupon, a server that is killed at every step boundary, a
//! provider that is not.
//!
//! The provider's stand-in lives in the test, so that it outlives the server, and kills it at the moments that matter: after T1 when
//! its call arrives, and after its own effect before it answers. The buyers kill it too: right after sending, and right after the
//! answer; and somebody does while mails are queued. Afterwards orders, intents, ledger, stock, coupons and mails agree, and the
//! negative control shows that the harness bites (INV-I4).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a test that starts its own server and calls it from outside")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use db::testing::TestDatabase;
use db::{Db, Settings};
use kernel::http::{Listening, router, serve};
use kernel::platform::{HttpSettings, Platform};
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{App, Clock, Launch, Module, Plan, Random};
use serde_json::{Value, json};
use shop::Shop;
use testkit::Doorman;
use testkit::stripe::{Moment, StripeFake};

/// Tells the child where its database, its key and its provider are.
const CHILD: &str = "SHOP_TEST_KILL";
const STAFF: &str = "staff/*";
const BUYERS: usize = 24;
/// How many of the rare thing lie in each of the two places.
const UNITS: [i64; 2] = [10, 6];
/// How many of the other thing lie there: as many as the orders take, so that some must come from both places.
const OTHERS: [i64; 2] = [13, 19];
/// How many orders there can be.
const ORDERS: i64 = UNITS[0] + UNITS[1];
/// How many of the other thing each order takes.
const OTHERS_EACH: i64 = 2;
/// How often the coupon may be used; so many of the winners have entered it at least.
const USES: i64 = 4;
const KILLS: usize = 10;

fn plan() -> Plan {
    let modules: Vec<Arc<dyn Module>> = vec![Arc::new(Platform), Arc::new(Doorman), Arc::new(Shop::new())];
    Plan::of(modules).unwrap()
}

/// What the child does until it is killed: serves the shop. Without its variable it is an empty test.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let [url, key, base, keys] = task.split(' ').collect::<Vec<_>>()[..] else { panic!("{task}") };
    testkit::stripe::prepare_tls();
    let flags = [
        ("http.listen", "127.0.0.1:0"),
        ("limits.enabled", "false"),
        ("shop.payments.methods", r#"["stripe"]"#),
        ("shop.payments.stripe.secret_key", "sk_test_kill"),
        ("shop.payments.stripe.api_base", base),
        ("shop.payments.stripe.idempotency_keys", keys),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let source = Source::read(None, Vec::new(), flags).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(Settings { url: url.to_owned(), max_connections: 8, ..Settings::default() }).unwrap();
        let launch = Launch { source, db, keyring: Keyring::load(key).unwrap(), clock: Clock::system(), random: Random::system() };
        let app = App::build(plan(), launch).unwrap();
        app.start().await.unwrap();
        let listening = Listening::bind(app.settings::<HttpSettings>()).unwrap();
        println!("listening {}", listening.address);
        serve(&app, router(&app), listening, Duration::from_secs(1)).await.unwrap();
    });
}

/// The server, as long as somebody has not killed it.
struct Server {
    task: String,
    child: Mutex<Child>,
    address: tokio::sync::watch::Sender<SocketAddr>,
    kills: AtomicUsize,
}

fn start(task: &str) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, task)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.ok()?.split_once("listening ")?.1.trim().parse().ok()).expect("the server starts");
    // Whatever it says later is read, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address)
}

impl Server {
    fn start(task: String) -> Arc<Server> {
        let (child, address) = start(&task);
        Arc::new(Server { task, child: Mutex::new(child), address: tokio::sync::watch::Sender::new(address), kills: AtomicUsize::new(0) })
    }

    fn address(&self) -> SocketAddr {
        *self.address.borrow()
    }

    /// Kills it, unless it was killed often enough, and starts another over the same data.
    fn kill(&self) {
        if self.kills.fetch_add(1, Ordering::SeqCst) < KILLS {
            self.kill_once_more();
        }
    }

    fn kill_once_more(&self) {
        let mut child = self.child.lock().unwrap();
        // SIGKILL, on Unix: no destructor runs and nothing is flushed.
        child.kill().unwrap();
        child.wait().unwrap();
        let (next, address) = start(&self.task);
        *child = next;
        self.address.send_replace(address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        child.kill().ok();
        child.wait().ok();
    }
}

/// What a request to a server that may die comes to.
async fn send(server: &Server, method: reqwest::Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Option<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(30)).build().unwrap();
    let mut request = client.request(method, format!("http://{}{path}", server.address()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.unwrap_or(Value::Null)))
}

/// Repeats a request until it is answered for good.
async fn insist(server: &Server, method: reqwest::Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> (u16, Value) {
    for _ in 0..900 {
        match send(server, method.clone(), path, headers, body.clone()).await {
            Some((status, answer)) if status < 500 && answer["code"] != "idempotency_key_in_use" => return (status, answer),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("{path} is never answered");
}

async fn staff(server: &Server, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
    let (status, answer) = insist(server, method, path, &[("Authorization", &format!("Bearer {STAFF}"))], body).await;
    assert!((200..300).contains(&status), "{path}: {answer:#}");
    answer
}

async fn post(server: &Server, path: &str, body: Value) -> Value {
    staff(server, reqwest::Method::POST, path, Some(body)).await
}

async fn get(server: &Server, path: &str) -> Value {
    staff(server, reqwest::Method::GET, path, None).await
}

/// Puts both things on sale in both places, and lets a few save: the variants.
async fn fill(server: &Server) -> [String; 2] {
    let first = get(server, "/api/v1/shop/locations").await["items"][0]["id"].clone();
    let second = post(server, "/api/v1/shop/locations", json!({ "code": "second", "name": "Second", "priority": 9 })).await["id"].clone();
    let promotion = json!({ "name": "For a few", "action": "percent", "percent_ppm": 100_000 });
    let promotion = post(server, "/api/v1/shop/promotions", promotion).await["id"].clone();
    post(server, "/api/v1/shop/coupons", json!({ "promotion_id": promotion, "code": "FEW", "usage_limit": USES })).await;
    let places = [first, second];
    [sell(server, "Rare thing", 2_499, &places, UNITS).await, sell(server, "Other thing", 333, &places, OTHERS).await]
}

async fn sell(server: &Server, title: &str, minor: i64, places: &[Value; 2], units: [i64; 2]) -> String {
    let product = json!({
        "title": title, "status": "active",
        "variants": [{ "is_shippable": false, "prices": [{ "price": { "amount": minor, "currency": "EUR" } }] }]
    });
    let variant = post(server, "/api/v1/shop/products", product).await["variants"][0]["id"].as_str().unwrap().to_owned();
    let item = get(server, &format!("/api/v1/shop/stock?variant_id={variant}")).await["items"][0]["item_id"].clone();
    for (place, units) in places.iter().zip(units) {
        let adjustment = json!({ "item_id": item, "location_id": place, "quantity": units, "reason": "delivery" });
        post(server, "/api/v1/shop/stock/adjustments", adjustment).await;
    }
    variant
}

/// A buyer's cart.
struct Cart {
    id: String,
    secret: String,
    total: Value,
    has_code: bool,
}

impl Cart {
    /// A cart with both things, some with the code.
    async fn fill(server: &Server, number: usize, [rare, other]: &[String; 2]) -> Cart {
        let guest = json!({ "email": format!("buyer{number}@example.com") });
        let (_, begun) = insist(server, reqwest::Method::POST, "/api/v1/shop/carts", &[], Some(guest)).await;
        let text = |name: &str| begun[name].as_str().unwrap().to_owned();
        let mut cart = Cart { id: text("id"), secret: text("secret"), total: Value::Null, has_code: (number / 2).is_multiple_of(2) };
        for (variant, quantity) in [(rare, 1), (other, OTHERS_EACH)] {
            cart.send(server, reqwest::Method::POST, "/lines", Some(json!({ "variant_id": variant, "quantity": quantity }))).await;
        }
        if cart.has_code {
            cart.send(server, reqwest::Method::POST, "/codes", Some(json!({ "code": "FEW" }))).await;
        }
        cart.look(server).await;
        cart
    }

    async fn send(&self, server: &Server, method: reqwest::Method, rest: &str, body: Option<Value>) -> Value {
        let path = format!("/api/v1/shop/carts/{}{rest}", self.id);
        insist(server, method, &path, &[("Cart-Secret", &self.secret)], body).await.1
    }

    async fn look(&mut self, server: &Server) {
        self.total = self.send(server, reqwest::Method::GET, "", None).await["totals"]["total"].clone();
    }

    /// Takes the code back, whose uses others have taken; once more if the answer was lost.
    async fn drop_code(&mut self, server: &Server) {
        self.send(server, reqwest::Method::DELETE, "/codes/FEW", None).await;
        self.has_code = false;
        self.look(server).await;
    }

    fn key(&self) -> String {
        format!("the-one-key-of-cart-{}-{}", self.id, self.has_code)
    }

    fn order(&self) -> Value {
        json!({ "cart_id": self.id, "expected_total": self.total, "payment_method": "stripe" })
    }

    /// Checks out until it is answered for good.
    async fn check_out(&self, server: &Server) -> (u16, Value) {
        let headers = [("Cart-Secret", self.secret.as_str()), ("Idempotency-Key", &self.key())];
        insist(server, reqwest::Method::POST, "/api/v1/shop/orders", &headers, Some(self.order())).await
    }

    /// Sends the order and kills the server somewhere on the way to T1 and beyond: nobody waits for the answer.
    async fn check_out_and_kill(&self, server: &Server, patience: Duration) {
        let headers = [("Cart-Secret", self.secret.as_str()), ("Idempotency-Key", &self.key())];
        let sent = send(server, reqwest::Method::POST, "/api/v1/shop/orders", &headers, Some(self.order()));
        tokio::select! { _ = sent => {}, () = tokio::time::sleep(patience) => {} }
        server.kill();
    }
}

/// One buyer: checks out until it is answered for good, pays, and comes back to the shop. Tells the order, if there is one.
async fn buy(server: Arc<Server>, fake: Arc<StripeFake>, number: usize, mut cart: Cart) -> Option<String> {
    if number % 6 == 1 {
        cart.check_out_and_kill(&server, Duration::from_millis(number as u64 / 2)).await;
    }
    let (mut status, mut answer) = cart.check_out(&server).await;
    if cart.has_code && (answer["code"] == "price_changed" || answer["code"] == "code_invalid") {
        cart.drop_code(&server).await;
        (status, answer) = cart.check_out(&server).await;
    }
    if status != 201 {
        assert_eq!((status, &answer["code"]), (409, &json!("out_of_stock")), "{answer:#}");
        return None;
    }
    if number % 6 == 4 {
        server.kill();
    }
    let payment = answer["payment"]["id"].as_str().unwrap().to_owned();
    let intents = fake.intents();
    let mine: Vec<&Value> = intents.iter().filter(|intent| intent["metadata"]["payment"] == payment.as_str()).collect();
    // The buyer pays what the page shows: the intent whose secret the answer holds.
    let shown = answer["payment"]["client_data"]["client_secret"].as_str().unwrap().to_owned();
    let intent = mine.iter().find(|intent| intent["client_secret"] == shown.as_str()).expect("the intent of the page");
    fake.pay(intent["id"].as_str().unwrap());
    let order_secret = answer["order_secret"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/shop/payments/{payment}/actions/sync");
    insist(&server, reqwest::Method::POST, &path, &[("Order-Secret", &order_secret)], Some(json!({}))).await;
    answer["order"]["id"].as_str().map(str::to_owned)
}

/// What is left after everything has settled.
struct Aftermath {
    fake: Arc<StripeFake>,
    server: Arc<Server>,
    bought: BTreeSet<String>,
    database: TestDatabase,
    _folder: tempfile::TempDir,
}

async fn massacre(has_keys: bool) -> Aftermath {
    testkit::stripe::prepare_tls();
    let database = TestDatabase::create(plan().migrations());
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    Keyring::create(&key).unwrap();
    let fake = Arc::new(StripeFake::start(Clock::system().now().as_secs()).await);
    let server = Server::start(format!("{} {} {} {has_keys}", database.url(), key.display(), fake.base()));
    let variants = fill(&server).await;
    let mut carts = Vec::new();
    for number in 0..BUYERS {
        carts.push(Cart::fill(&server, number, &variants).await);
    }
    let (killer, calls) = (server.clone(), AtomicUsize::new(0));
    fake.on_change(move |moment, path| {
        if moment == Moment::Before {
            calls.fetch_add(1, Ordering::SeqCst);
        }
        let number = calls.load(Ordering::SeqCst);
        let is_time = match moment {
            Moment::Before => number % 6 == 2,
            Moment::After => number % 6 == 5,
        };
        if is_time && path.ends_with("payment_intents") {
            killer.kill();
        }
    });
    let buyers = carts.into_iter().enumerate().map(|(number, cart)| buy(server.clone(), fake.clone(), number, cart));
    let bought: BTreeSet<String> = futures_util::future::join_all(buyers).await.into_iter().flatten().collect();
    assert!(server.kills.load(Ordering::SeqCst) >= KILLS, "killed {} times only", server.kills.load(Ordering::SeqCst));
    Aftermath { fake, server, bought, database, _folder: folder }
}

/// Every order, as staff sees it.
async fn orders(server: &Server) -> Vec<Value> {
    let page = get(server, "/api/v1/shop/orders?limit=100").await;
    let mut orders = Vec::new();
    for summary in page["items"].as_array().unwrap() {
        orders.push(get(server, &format!("/api/v1/shop/orders/{}", summary["id"].as_str().unwrap())).await);
    }
    orders
}

/// Who got a confirmation, or is about to, in order: once for each.
async fn confirmations(database: &TestDatabase) -> Vec<String> {
    let all = database.db().read(|c| {
        // Who pays at once gets no other mail.
        c.all::<(String,)>("SELECT recipient FROM platform_messages", db::params![])
    });
    let mut recipients: Vec<String> = all.await.unwrap().into_iter().map(|(recipient,)| recipient).collect();
    recipients.sort();
    recipients
}

/// How many mails are noted and not queued yet.
async fn due_mails(database: &TestDatabase) -> i64 {
    let due = database.db().read(|c| c.one("SELECT COUNT(*) FROM shop_order_mails WHERE queued_at IS NULL", db::params![]));
    due.await.unwrap()
}

/// Waits until every mail that is noted is queued, and kills the server as soon as one is.
async fn let_mails_be_queued(after: &Aftermath) {
    let mut is_killed = false;
    for _ in 0..3_000 {
        if !is_killed && !confirmations(&after.database).await.is_empty() {
            after.server.kill_once_more();
            is_killed = true;
        }
        if is_killed && due_mails(&after.database).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("mails stay where they are");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn inv_i4_killed_at_every_step_boundary_nothing_is_charged_sold_or_lost_twice() {
    let after = massacre(true).await;
    let orders = orders(&after.server).await;
    // Nobody who was told of an order lost it, and nobody bought what was not there.
    let ids: BTreeSet<String> = orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect();
    assert!(after.bought.is_subset(&ids), "orders were acknowledged and are lost");
    assert_eq!((orders.len() as i64, after.bought.len() as i64), (ORDERS, ORDERS));
    // One intent per payment, one payment per order, and what came is what was owed.
    let mut per_payment: BTreeMap<String, usize> = BTreeMap::new();
    for intent in after.fake.intents() {
        *per_payment.entry(intent["metadata"]["payment"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(per_payment.values().all(|count| *count == 1), "a payment has two intents: {per_payment:#?}");
    for order in &orders {
        assert_eq!((&order["status"], &order["payment_status"]), (&json!("confirmed"), &json!("paid")), "{order:#}");
        assert_eq!((order["payments"].as_array().unwrap().len(), order["lines"].as_array().unwrap().len()), (1, 2));
        assert_eq!(order["captured"], order["total"]);
    }
    // The coupon was used as often as it may be, by the orders that have it; they are that much cheaper.
    let with_code = orders.iter().filter(|order| order["discounts"][0]["code"] == "FEW").count() as i64;
    let coupon = get(&after.server, "/api/v1/shop/coupons").await["items"][0].clone();
    assert_eq!((with_code, &coupon["used_count"]), (USES, &json!(USES)));
    let full = 2_499 + OTHERS_EACH * 333;
    let ours: i64 = orders.iter().map(|order| order["captured"]["amount"].as_i64().unwrap()).sum();
    assert_eq!((ours, after.fake.received()), (ORDERS * full - USES * 317, ours));
    // Both shelves are promised to the last unit.
    let levels = get(&after.server, "/api/v1/shop/stock").await;
    let sum = |name: &str| -> i64 { levels["items"].as_array().unwrap().iter().map(|level| level[name].as_i64().unwrap()).sum() };
    assert_eq!((sum("on_hand"), sum("reserved")), (ORDERS * (1 + OTHERS_EACH), ORDERS * (1 + OTHERS_EACH)));
    // One confirmation for each order, and none for an order that is not there.
    let_mails_be_queued(&after).await;
    let mut buyers: Vec<&str> = orders.iter().map(|order| order["email"].as_str().unwrap()).collect();
    buyers.sort_unstable();
    assert_eq!(confirmations(&after.database).await, buyers);
    let audit = post(&after.server, "/api/v1/shop/audits", json!({})).await;
    assert_eq!(audit["differences"], json!([]), "{audit:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn inv_i1_without_the_providers_keys_the_same_harness_shows_duplicates() {
    let after = massacre(false).await;
    let payments: BTreeSet<String> =
        after.fake.intents().iter().map(|intent| intent["metadata"]["payment"].as_str().unwrap().to_owned()).collect();
    assert!(after.fake.intents().len() > payments.len(), "the negative control shows no duplicate: the harness does not bite");
}
