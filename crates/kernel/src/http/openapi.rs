//! The OpenAPI 3.1 document, made from the operations that serve requests.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::error::{self, Error, Problem, Result};
use crate::http::guard::MAX_HEADER_CHARS;
use crate::http::operation::{Access, OperationDoc, RateClass, ResponseDoc, TypeRef};
use crate::http::{Operation, status_of};
use crate::module::Plan;

/// Beyond this, a JSON number is not exact in every client.
const MAX_INTEGER: i64 = (1 << 53) - 1;

/// The schemas of every wire type, by name.
#[derive(Debug)]
pub(crate) struct Components(Map<String, Value>);

impl Components {
    /// The schemas that these operations use.
    ///
    /// # Errors
    /// When two different types share a name.
    pub(crate) fn of<'a>(operations: impl Iterator<Item = &'a Operation>) -> Result<Components> {
        let mut schemas = Map::new();
        let mut answered = BTreeSet::new();
        let mut read = BTreeSet::new();
        for operation in operations {
            let doc = operation.doc();
            for input in [doc.body, doc.query].into_iter().flatten() {
                collect(&mut schemas, &input, &mut read)?;
            }
            for output in doc.responses.iter().filter_map(|response| response.body) {
                collect(&mut schemas, &output, &mut answered)?;
            }
        }
        for name in answered.difference(&read) {
            require_every_member(&mut schemas[name.as_str()]);
        }
        schemas.insert("Problem".to_owned(), problem_schema());
        Ok(Components(schemas))
    }

    pub(crate) fn schemas(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn collect(schemas: &mut Map<String, Value>, root: &TypeRef, names: &mut BTreeSet<String>) -> Result<()> {
    let mut found = vec![((root.name)().into_owned(), (root.schema)())];
    (root.schemas)(&mut found);
    for (name, schema) in found {
        let mut schema = serde_json::to_value(schema).map_err(Error::internal)?;
        bound_integers(&mut schema);
        names.insert(name.clone());
        match schemas.get(&name) {
            Some(other) if *other != schema => {
                return Err(Error::internal(format!("two different wire types are named {name}: rename one of them")));
            }
            _ => schemas.insert(name, schema),
        };
    }
    Ok(())
}

/// Gives every integer a range that JSON clients can represent.
fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_integer =
                members.get("type").is_some_and(|t| t == "integer" || t.as_array().is_some_and(|a| a.contains(&json!("integer"))));
            if is_integer {
                let max = if members.get("format").is_some_and(|f| f == "int32") { i64::from(i32::MAX) } else { MAX_INTEGER };
                members.entry("minimum").or_insert(json!(-max));
                members.entry("maximum").or_insert(json!(max));
            }
            members.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// A response contains every declared member.
fn require_every_member(schema: &mut Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let names: Vec<Value> = properties.keys().map(|name| json!(name)).collect();
    schema["required"] = Value::Array(names);
    schema["additionalProperties"] = json!(false);
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong and what to do (RFC 9457).",
        "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "The page that explains the code.", "maxLength": 128 },
            "title": { "type": "string", "description": "What happened, in general.", "maxLength": 256 },
            "status": { "type": "integer", "format": "int32", "minimum": 400, "maximum": 599, "description": "The HTTP status." },
            "code": { "type": "string", "description": "The stable code.", "pattern": "^[a-z0-9_]+$", "maxLength": 64 },
            "detail": { "type": "string", "description": "What happened this time, or what to do.", "maxLength": 1024 },
            "instance": { "type": "string", "description": "The path that was asked.", "maxLength": 8192 },
            "request_id": { "type": "string", "description": "The id of the request in the server's log.", "maxLength": 64 },
            "errors": {
                "type": "array", "maxItems": 1000, "description": "The values that need attention.",
                "items": {
                    "type": "object", "required": ["code", "detail"], "additionalProperties": false,
                    "properties": {
                        "pointer": { "type": "string", "description": "A JSON Pointer into the body.", "maxLength": 8192 },
                        "parameter": { "type": "string", "description": "The name of a query parameter.", "maxLength": 8192 },
                        "header": { "type": "string", "description": "The name of a header.", "maxLength": 256 },
                        "code": { "type": "string", "description": "The stable code.", "maxLength": 64 },
                        "detail": { "type": "string", "description": "One sentence for people.", "maxLength": 4096 }
                    }
                }
            }
        },
        "example": {
            "type": "/problems/not_found", "title": "There is nothing here.", "status": 404, "code": "not_found",
            "detail": "Check the address; what you may not see looks the same as what does not exist.",
            "instance": "/api/v1/me", "request_id": "k3J9xQ2mZt7B"
        }
    })
}

/// The document of everything that this plan's modules serve.
///
/// # Errors
/// When two different wire types share a name.
pub fn document(plan: &Plan) -> Result<Value> {
    let components = Components::of(plan.operations())?;
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let (mut tags, mut failures) = (BTreeSet::new(), Map::new());
    for operation in plan.operations().filter(|operation| !operation.doc().is_hidden) {
        let doc = operation.doc();
        tags.insert(doc.tag);
        for (status, problems) in problems(doc) {
            failures.entry(failure_name(status, &problems)).or_insert_with(|| failure(status, &problems));
        }
        paths.entry(doc.path).or_default().insert(doc.method.as_str().to_ascii_lowercase(), describe(doc, &components));
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Undercroft", "version": env!("CARGO_PKG_VERSION"),
            "description": "Accounts, content, commerce, short links and your own data behind one API.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This server." }],
        "tags": tags.into_iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "webhooks": webhooks(plan),
        "components": {
            "schemas": components.0,
            "responses": failures,
            "headers": headers(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token." },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-sid", "description": "The session cookie; sid in development." },
            },
        },
    }))
}

fn webhooks(plan: &Plan) -> Map<String, Value> {
    plan.events()
        .map(|event| {
            let body = json!({ "description": event.doc, "content": { "application/json": { "schema": event.schema } } });
            let responses = json!({ "204": { "description": "Received." } });
            (event.name.to_owned(), json!({ "post": { "summary": event.doc, "requestBody": body, "responses": responses } }))
        })
        .collect()
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string", "maxLength": 1024 } });
    json!({
        "X-Request-Id": text("The id of the request."),
        "RateLimit": text("What is left of the tightest request limit, as name;r=left;t=seconds."),
        "RateLimit-Policy": text("That limit, as name;q=requests;w=seconds."),
        "Retry-After": { "description": "When to try again, in seconds.", "schema": { "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_INTEGER } },
        "Location": text("The path of what was made."),
        "ETag": text("The version of the resource, for If-Match and If-None-Match."),
        "Link": text("The address of the next page."),
        "Set-Cookie": text("The session cookie of a browser."),
    })
}

fn describe(doc: &OperationDoc, components: &Components) -> Value {
    let mut operation = json!({
        "operationId": doc.id,
        "tags": [doc.tag],
        "summary": doc.summary,
        "description": doc.description,
        "x-permission": doc.access.name(),
        "security": security(doc),
        "parameters": parameters(doc, components),
        "responses": responses(doc, components),
        "x-errors": problems(doc).into_values().flatten().map(|problem| problem.code).collect::<BTreeSet<_>>(),
    });
    if let Some(body) = doc.body {
        let media = json!({ "schema": reference(&body), "example": example(&body, components) });
        let mut content = json!({ "application/json": media });
        if doc.method == Method::PATCH {
            content["application/merge-patch+json"] = media;
        }
        operation["requestBody"] = json!({ "required": true, "content": content });
    } else if !doc.raw_body.is_empty() {
        let media = |name: &&str| ((*name).to_owned(), json!({ "schema": {} }));
        let content: Map<String, Value> = doc.raw_body.iter().map(media).collect();
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn security(doc: &OperationDoc) -> Value {
    match (doc.access, doc.reads_credential) {
        (Access::Public, false) => json!([]),
        (Access::Public, true) => json!([{}, { "bearer": [] }, { "session": [] }]),
        _ => json!([{ "bearer": [] }, { "session": [] }]),
    }
}

fn reference(input: &TypeRef) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", (input.name)()) })
}

fn example(input: &TypeRef, components: &Components) -> Value {
    components.schemas().get((input.name)().as_ref()).and_then(|schema| schema.get("example")).cloned().unwrap_or(Value::Null)
}

fn parameters(doc: &OperationDoc, components: &Components) -> Vec<Value> {
    let mut all: Vec<Value> = path_names(doc.path).map(path_parameter).collect();
    if let Some(query) = doc.query.and_then(|query| components.schemas().get((query.name)().as_ref())) {
        all.extend(query_parameters(query));
    }
    let header = |name: &str, description: &str, max: u32| json!({ "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string", "maxLength": max } });
    if doc.reads_if_match {
        all.push(header("If-Match", "Change it only while it has this ETag.", 64));
    }
    if doc.reads_session_mode {
        let schema = json!({ "type": "string", "enum": ["cookie", "token"], "default": "cookie" });
        let description = "How the client holds its login: as a cookie, or as tokens in the answer.";
        all.push(json!({ "name": "X-Session-Mode", "in": "header", "required": false, "description": description, "schema": schema }));
    }
    if doc.is_idempotent {
        all.push(header("Idempotency-Key", "A random key of yours; repeat it on retries and the effect happens once.", 255));
    }
    if doc.requires_idempotency_key {
        let mut required = header("Idempotency-Key", "A random key of yours; repeat it on retries and the effect happens once.", 255);
        required["required"] = json!(true);
        all.push(required);
    }
    all.extend(doc.request_headers.iter().map(|(name, description)| header(name, description, MAX_HEADER_CHARS as u32)));
    all
}

fn path_names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str) -> Value {
    let schema = if name == "id" || name.ends_with("_id") {
        json!({ "type": "string", "format": "uuid" })
    } else {
        json!({ "type": "string", "minLength": 1, "maxLength": 190 })
    };
    json!({ "name": name, "in": "path", "required": true, "description": format!("The {}.", name.replace('_', " ")), "schema": schema })
}

fn query_parameters(schema: &Value) -> Vec<Value> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, member): (&String, &Value)| {
        let mut member = member.clone();
        let description = member.as_object_mut().and_then(|m| m.remove("description")).unwrap_or_default();
        without_null(&mut member);
        json!({
            "name": name, "in": "query", "required": required.contains(&name.as_str()), "description": description,
            "schema": member, "style": "form", "explode": false,
        })
    };
    properties.iter().map(parameter).collect()
}

/// A query parameter is there or not; it is never null.
fn without_null(member: &mut Value) {
    let Some(types) = member.get("type").and_then(Value::as_array) else { return };
    let rest: Vec<Value> = types.iter().filter(|kind| *kind != "null").cloned().collect();
    member["type"] = if rest.len() == 1 { rest[0].clone() } else { Value::Array(rest) };
}

/// Every problem that the operation can answer with, by status.
fn problems(doc: &OperationDoc) -> BTreeMap<u16, Vec<&'static Problem>> {
    let mut all: Vec<&'static Problem> = doc.problems.clone();
    all.extend([&error::INTERNAL, &error::UNAVAILABLE, &error::NOT_ACCEPTABLE, &error::MALFORMED_REQUEST, &error::REQUEST_TIMEOUT]);
    all.extend([&error::URI_TOO_LONG, &error::HEADERS_TOO_LARGE, &error::AMBIGUOUS_CREDENTIALS, &error::VALIDATION_FAILED]);
    if doc.rate != RateClass::Unlimited {
        all.push(&error::RATE_LIMITED);
    }
    if doc.reads_credential {
        all.extend([&error::UNAUTHENTICATED, &error::TOKEN_EXPIRED]);
    }
    if doc.access.permission().is_some() {
        all.extend([&error::FORBIDDEN, &error::REAUTHENTICATION_REQUIRED]);
    }
    if matches!(doc.access, Access::Authenticated) {
        all.push(&error::FORBIDDEN);
    }
    // Whatever may be forbidden to a person may be out of the scope of a key.
    if all.iter().any(|problem| problem.code == error::FORBIDDEN.code) {
        all.push(&error::INSUFFICIENT_SCOPE);
    }
    if crate::http::csrf::is_unsafe(&doc.method) {
        all.extend([&error::CSRF_FAILED, &error::OUTCOME_UNKNOWN]);
    }
    if doc.body.is_some() {
        all.extend([&error::MALFORMED_JSON, &error::PAYLOAD_TOO_LARGE, &error::UNSUPPORTED_MEDIA_TYPE]);
    }
    if doc.is_idempotent {
        all.extend([
            &error::IDEMPOTENCY_KEY_INVALID,
            &error::IDEMPOTENCY_KEY_IN_USE,
            &error::IDEMPOTENCY_ANSWER_LOST,
            &error::IDEMPOTENCY_KEY_REUSED,
        ]);
    }
    let mut by_status: BTreeMap<u16, Vec<&'static Problem>> = BTreeMap::new();
    for problem in all {
        let list = by_status.entry(status_of(problem.kind).as_u16()).or_default();
        if !list.iter().any(|other| other.code == problem.code) {
            list.push(problem);
        }
    }
    by_status
}

fn responses(doc: &OperationDoc, components: &Components) -> Map<String, Value> {
    let mut all = Map::new();
    for response in &doc.responses {
        let mut declared = success(response, components);
        // Bytes of one of several media types: one answer with a content for each.
        let earlier = all
            .remove(response.status.as_str())
            .and_then(|mut earlier: Value| earlier.get_mut("content")?.as_object_mut().map(std::mem::take));
        if let (Some(content), Some(earlier)) = (declared.get_mut("content").and_then(Value::as_object_mut), earlier) {
            content.extend(earlier);
        }
        all.insert(response.status.as_str().to_owned(), declared);
    }
    let has_etag = doc.responses.iter().any(|response| response.headers.contains(&"ETag"));
    if has_etag && doc.method == Method::GET && !doc.answers_secrets {
        all.insert("304".to_owned(), json!({ "description": "You have this version already." }));
    }
    for (status, problems) in problems(doc) {
        all.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{}", failure_name(status, &problems)) }));
    }
    all
}

/// Operations that fail in the same ways share one response, named after its status and codes.
fn failure_name(status: u16, problems: &[&'static Problem]) -> String {
    let codes: BTreeSet<&str> = problems.iter().map(|problem| problem.code).collect();
    codes.into_iter().fold(status.to_string(), |name, code| format!("{name}.{code}"))
}

fn common_headers(more: &[&str]) -> Value {
    let names = ["X-Request-Id", "RateLimit", "RateLimit-Policy"].into_iter().chain(more.iter().copied());
    names.map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))).collect::<Map<_, _>>().into()
}

fn success(response: &ResponseDoc, components: &Components) -> Value {
    let description = match response.status {
        StatusCode::CREATED => "Made.",
        StatusCode::ACCEPTED => "Taken up; the work goes on.",
        StatusCode::NO_CONTENT => "Done.",
        _ => "Fine.",
    };
    let mut value = json!({ "description": description, "headers": common_headers(response.headers) });
    if let Some(body) = response.body {
        let (schema, example) = if response.is_list {
            (list_schema(&body), json!({ "items": [example(&body, components)], "next_cursor": null }))
        } else {
            (reference(&body), example(&body, components))
        };
        value["content"] = json!({ "application/json": { "schema": schema, "example": example } });
    } else if let Some(media_type) = response.media_type {
        value["content"] = json!({ media_type: { "schema": {} } });
    }
    value
}

fn list_schema(item: &TypeRef) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["items", "next_cursor"],
        "properties": {
            "items": { "type": "array", "maxItems": 1000, "items": reference(item), "description": "The page." },
            "next_cursor": { "type": ["string", "null"], "maxLength": 1024, "description": "Where the next page begins; null on the last one." },
            "total": { "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_INTEGER, "description": "How many there are in all, when asked." },
        },
    })
}

fn failure(status: u16, problems: &[&'static Problem]) -> Value {
    let lines: Vec<String> = problems.iter().map(|problem| format!("`{}`: {}", problem.code, problem.title)).collect();
    let headers: &[&str] = if matches!(status, 409 | 429 | 503) { &["Retry-After"] } else { &[] };
    let first = problems[0];
    let example = json!({
        "type": format!("/problems/{}", first.code), "title": first.title, "status": status, "code": first.code,
        "detail": first.advice, "instance": "/api/v1/example", "request_id": "k3J9xQ2mZt7B",
    });
    let media = json!({ "schema": { "$ref": "#/components/schemas/Problem" }, "example": example });
    json!({ "description": lines.join("\n"), "headers": common_headers(headers), "content": { "application/problem+json": media } })
}
