//! Stripe's OpenAPI document as a judge: a call that it does not allow is told in words.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderMap, Method};
use serde_json::Value;

use crate::told;

/// The one that seahaven-stripe-world carries: 8 MB, read once.
pub(crate) static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let path = told("TEST_STRIPE_OPENAPI");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    Document(serde_json::from_str(&text).unwrap())
});

/// What may be asked of Stripe, and how.
pub(crate) struct Document(Value);

/// A parameter as brackets spell it.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Document {
    /// The call as the document names it, such as `POST /v1/payment_intents/{intent}/capture`; or what is wrong with it.
    pub(crate) fn judge(&self, method: &Method, path: &str, query: &str, headers: &HeaderMap, body: &[u8]) -> Result<String, String> {
        let template = self.template(path).ok_or_else(|| format!("{method} {path}: Stripe has no such path"))?;
        let name = format!("{method} {template}");
        let operation = &self.0["paths"][template][method.as_str().to_ascii_lowercase()];
        if operation.is_null() {
            return Err(format!("{name}: Stripe has no such method there"));
        }
        let complain = |complaint: String| format!("{name}: {complaint}");
        judge_head(method, headers, body).map_err(complain)?;
        judge_query(operation, query).map_err(complain)?;
        judge_form(operation, body).map_err(complain)?;
        Ok(name)
    }

    /// The path that fits with the fewest places left open.
    fn template(&self, path: &str) -> Option<&str> {
        let is_open = |part: &str| part.starts_with('{');
        let fits = |template: &&String| {
            let (ours, theirs) = (path.split('/'), template.split('/'));
            ours.clone().count() == theirs.clone().count()
                && ours.zip(theirs).all(|(our, their)| our == their || (is_open(their) && !our.is_empty()))
        };
        let all = self.0["paths"].as_object()?.keys().filter(fits);
        all.min_by_key(|template| template.split('/').filter(|part| is_open(part)).count()).map(String::as_str)
    }
}

fn judge_head(method: &Method, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !header("authorization").starts_with("Bearer sk_test_") {
        return Err("no secret key".to_owned());
    }
    if header("stripe-version").is_empty() {
        return Err("no version is asked for".to_owned());
    }
    let is_keyed = (1..=255).contains(&header("idempotency-key").len());
    if method == Method::POST && !is_keyed {
        return Err("a change without an idempotency key of 1 to 255 characters".to_owned());
    }
    if !body.is_empty() && header("content-type") != "application/x-www-form-urlencoded" {
        return Err(format!("a body of the type {:?}", header("content-type")));
    }
    Ok(())
}

fn judge_query(operation: &Value, query: &str) -> Result<(), String> {
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query").collect();
    let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name);
    let given = nest(query.as_bytes())?;
    for (name, node) in &given {
        let parameter = named(name).ok_or_else(|| format!("unknown query parameter {name}"))?;
        fits(&parameter["schema"], node, name)?;
    }
    let missing = parameters.iter().filter(|one| one["required"] == true).find(|one| !given.contains_key(one["name"].as_str().unwrap()));
    missing.map_or(Ok(()), |parameter| Err(format!("the query lacks {}", parameter["name"])))
}

fn judge_form(operation: &Value, body: &[u8]) -> Result<(), String> {
    let schema = &operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    let form = nest(body)?;
    match schema.is_object() {
        true => fits(schema, &Node::Map(form), ""),
        false if form.is_empty() => Ok(()),
        false => Err("a body where none is taken".to_owned()),
    }
}

/// `a[b][c]=1&d[]=2` as the tree that it means.
fn nest(form: &[u8]) -> Result<BTreeMap<String, Node>, String> {
    let mut root = BTreeMap::new();
    for (key, value) in url::form_urlencoded::parse(form) {
        let parts: Vec<&str> = key.split('[').map(|part| part.trim_end_matches(']')).collect();
        if !put(&mut root, &parts, &value) {
            return Err(format!("{key} is given twice, or as two kinds of thing"));
        }
    }
    Ok(root)
}

/// Puts a value at its place; false when something else is there.
fn put(map: &mut BTreeMap<String, Node>, parts: &[&str], value: &str) -> bool {
    let leaf = Node::Text(value.to_owned());
    match parts {
        [name] => map.insert((*name).to_owned(), leaf).is_none(),
        [name, ""] => match map.entry((*name).to_owned()).or_insert_with(|| Node::List(Vec::new())) {
            Node::List(list) => {
                list.push(leaf);
                true
            }
            _ => false,
        },
        [name, rest @ ..] => match map.entry((*name).to_owned()).or_insert_with(|| Node::Map(BTreeMap::new())) {
            Node::Map(inner) => put(inner, rest, value),
            _ => false,
        },
        [] => false,
    }
}

/// Whether a value may stand at this place.
fn fits(schema: &Value, node: &Node, place: &str) -> Result<(), String> {
    if let Some(choices) = schema["anyOf"].as_array() {
        let outcomes: Vec<_> = choices.iter().map(|choice| fits(choice, node, place)).collect();
        return if outcomes.iter().any(Result::is_ok) { Ok(()) } else { outcomes.into_iter().next().unwrap_or(Ok(())) };
    }
    match (schema["type"].as_str().unwrap_or_default(), node) {
        ("integer", Node::Text(text)) => text.parse::<i64>().map(drop).map_err(|_| format!("{place} is no integer: {text}")),
        ("number", Node::Text(text)) => text.parse::<f64>().map(drop).map_err(|_| format!("{place} is no number: {text}")),
        ("boolean", Node::Text(text)) if text == "true" || text == "false" => Ok(()),
        ("string", Node::Text(text)) => fits_text(schema, text, place),
        ("array", Node::List(items)) => items.iter().try_for_each(|item| fits(&schema["items"], item, &format!("{place}[]"))),
        ("object", Node::Map(members)) => fits_map(schema, members, place),
        (kind, _) => Err(format!("{place} is no {kind}")),
    }
}

fn fits_text(schema: &Value, text: &str, place: &str) -> Result<(), String> {
    let is_listed = schema["enum"].as_array().is_none_or(|all| all.iter().any(|one| one == text));
    let is_short = schema["maxLength"].as_u64().is_none_or(|most| text.chars().count() as u64 <= most);
    if is_listed && is_short { Ok(()) } else { Err(format!("{place} must not be {text:?}")) }
}

fn fits_map(schema: &Value, members: &BTreeMap<String, Node>, place: &str) -> Result<(), String> {
    for (name, node) in members {
        let inner = if place.is_empty() { name.clone() } else { format!("{place}[{name}]") };
        let (known, other) = (&schema["properties"][name], &schema["additionalProperties"]);
        let schema = if known.is_object() { known } else { other };
        if !schema.is_object() {
            return Err(format!("unknown parameter {inner}"));
        }
        fits(schema, node, &inner)?;
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.into_iter().find(|name| !members.contains_key(*name));
    missing.map_or(Ok(()), |name| Err(format!("{place} lacks {name}")))
}

/// What the judge says to a call with all the right headers.
fn verdict(method: &Method, path: &str, query: &str, body: &str) -> Result<String, String> {
    let headers = [
        ("authorization", "Bearer sk_test_x"),
        ("stripe-version", "2025-03-31.basil"),
        ("idempotency-key", "k"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    DOCUMENT.judge(method, path, query, &headers, body.as_bytes())
}

#[test]
fn the_judge_knows_what_stripe_takes() {
    let create = "amount=1&currency=eur&metadata[a]=b&automatic_payment_methods[enabled]=true&payment_method_types[]=card";
    assert_eq!(verdict(&Method::POST, "/v1/payment_intents", "", create), Ok("POST /v1/payment_intents".to_owned()));
    let one = verdict(&Method::GET, "/v1/payment_intents/pi_1", "expand[]=latest_charge.balance_transaction", "");
    assert_eq!(one, Ok("GET /v1/payment_intents/{intent}".to_owned()));
    let events = verdict(&Method::GET, "/v1/events", "limit=100&created[gte]=5&starting_after=evt_1", "");
    assert_eq!(events, Ok("GET /v1/events".to_owned()));
    let search = verdict(&Method::GET, "/v1/payment_intents/search", "query=a&limit=1", "");
    assert_eq!(search, Ok("GET /v1/payment_intents/search".to_owned()));
}

#[test]
fn the_judge_notices_what_stripe_does_not_take() {
    let (post, get) = (Method::POST, Method::GET);
    for (method, path, query, body, complaint) in [
        (&post, "/v1/payment_intents", "", "amount=1&currency=eur&colour=red", "unknown parameter colour"),
        (
            &post,
            "/v1/payment_intents",
            "",
            "amount=1&currency=eur&automatic_payment_methods[on]=true",
            "unknown parameter automatic_payment_methods[on]",
        ),
        (&post, "/v1/payment_intents", "", "amount=1.5&currency=eur", "amount is no integer"),
        (&post, "/v1/payment_intents", "", "amount=1&currency=eur&capture_method=later", "capture_method must not be"),
        (&post, "/v1/payment_intents", "", "amount=1&currency=eur&metadata=x", "metadata is no object"),
        (&post, "/v1/payment_intents", "", "currency=eur", "lacks amount"),
        (&post, "/v1/payment_intents/pi_1/cancel", "", "because=i+like", "unknown parameter because"),
        (&post, "/v1/refunds", "", "payment_intent=pi_1&amount=1&amount=2", "given twice"),
        (&get, "/v1/events", "since=5", "", "unknown query parameter since"),
        (&get, "/v1/events", "created[after]=5", "", "unknown parameter created[after]"),
        (&get, "/v1/payment_intents/search", "limit=1", "", "the query lacks"),
        (&get, "/v1/payments", "", "", "no such path"),
        (&Method::DELETE, "/v1/payment_intents", "", "", "no such method"),
    ] {
        let said = verdict(method, path, query, body).unwrap_err();
        assert!(said.contains(complaint), "{said}");
    }
    let bare = DOCUMENT.judge(&post, "/v1/payment_intents/pi_1/cancel", "", &HeaderMap::new(), b"").unwrap_err();
    assert!(bare.contains("no secret key"), "{bare}");
}
