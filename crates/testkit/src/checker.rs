//! Compares every answer with the OpenAPI document.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{PatternOptions, Validator};
use kernel::Plan;
use reqwest::Method;
use serde_json::{Value, json};

use crate::request::TestResponse;

/// Problems that the edge answers before it knows the operation.
const EDGE: [&str; 4] = ["uri_too_long", "headers_too_large", "request_timeout", "internal"];

/// The document, its routes, and the schemas compiled so far.
pub(crate) struct Checker {
    document: Value,
    routes: Vec<Route>,
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

struct Route {
    method: String,
    path: &'static str,
    is_hidden: bool,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checker({} routes)", self.routes.len())
    }
}

impl Checker {
    pub(crate) fn new(plan: &Plan) -> Checker {
        let document = kernel::http::document(plan).unwrap_or_else(|error| panic!("there is no OpenAPI document: {error:?}"));
        let document = with_inline_responses(document);
        let route = |operation: &kernel::http::Operation| Route {
            method: operation.method().as_str().to_owned(),
            path: operation.path(),
            is_hidden: operation.doc().is_hidden,
        };
        Checker { document, routes: plan.operations().map(route).collect(), compiled: Mutex::default() }
    }

    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// What the document does not allow about the answer, in a sentence.
    pub(crate) fn check(&self, method: &Method, path: &str, answer: &TestResponse) -> Result<(), String> {
        if answer.header("x-request-id").is_empty() {
            return Err("the header X-Request-Id is missing (R-64)".to_owned());
        }
        if self.is_common(method, path, answer) {
            return self.check_problem(answer);
        }
        let wanted = if method == Method::HEAD { "GET" } else { method.as_str() };
        let here: Vec<&Route> = self.matching(path);
        match here.iter().find(|route| route.method == wanted) {
            Some(route) if route.is_hidden => Ok(()),
            Some(route) => self.check_operation(route, method, answer),
            None if method == Method::OPTIONS => Ok(()),
            None if here.is_empty() => self.must_be(answer, 404, "not_found", path),
            None => {
                let allow = answer.header("allow");
                if allow.is_empty() {
                    Err("405 without the header Allow (R-44)".to_owned())
                } else {
                    self.must_be(answer, 405, "method_not_allowed", path)
                }
            }
        }
    }

    /// Whether the edge answered for all operations alike: a redirect to the canonical path, a limit of the head.
    fn is_common(&self, method: &Method, path: &str, answer: &TestResponse) -> bool {
        let is_redirect = answer.status == 308 && path.ends_with('/') && !answer.header("location").is_empty();
        let is_edge = answer.status.as_u16() >= 400 && EDGE.iter().any(|code| answer.body["code"] == *code);
        is_redirect || (is_edge && method != Method::HEAD)
    }

    fn matching(&self, path: &str) -> Vec<&Route> {
        let fits = |route: &&Route| specificity(route.path, path).is_some();
        let best = self.routes.iter().filter_map(|route| specificity(route.path, path)).max();
        self.routes.iter().filter(fits).filter(|route| specificity(route.path, path) == best).collect()
    }

    fn must_be(&self, answer: &TestResponse, status: u16, code: &str, path: &str) -> Result<(), String> {
        // Outside the API a browser gets a page.
        let is_page = !path.starts_with("/api") && answer.header("content-type").starts_with("text/html");
        if answer.status.as_u16() != status || !(is_page || answer.bytes.is_empty() || answer.body["code"] == code) {
            return Err(format!("no operation has this method and path, so it should be {status} {code}"));
        }
        if is_page || answer.bytes.is_empty() { Ok(()) } else { self.check_problem(answer) }
    }

    fn check_operation(&self, route: &Route, method: &Method, answer: &TestResponse) -> Result<(), String> {
        let operation = &self.document["paths"][route.path][route.method.to_ascii_lowercase()];
        let name = operation["operationId"].as_str().ok_or("the operation is not in the document (R-100)")?;
        let status = answer.status.as_str();
        let declared = operation["responses"].get(status).ok_or_else(|| format!("{name} does not declare the status {status}"))?;
        for required in ["ETag", "Location"] {
            let is_declared = declared["headers"].get(required).is_some();
            if is_declared && answer.header(required).is_empty() {
                return Err(format!("{name} declares the header {required} for {status}, and it is missing"));
            }
        }
        if method == Method::HEAD {
            return if answer.bytes.is_empty() { Ok(()) } else { Err(format!("{name} sent a body for HEAD")) };
        }
        if answer.status.as_u16() >= 400 {
            let codes = operation["x-errors"].as_array().ok_or_else(|| format!("{name} has no x-errors"))?;
            if !codes.contains(&answer.body["code"]) {
                return Err(format!("{name} does not declare the code {} in x-errors", answer.body["code"]));
            }
            self.check_problem(answer)?;
        }
        self.check_body(name, declared, answer)
    }

    fn check_body(&self, name: &str, declared: &Value, answer: &TestResponse) -> Result<(), String> {
        let sent = answer.header("content-type").split(';').next().unwrap_or_default().trim();
        let Some(content) = declared.get("content").and_then(Value::as_object) else {
            return if answer.bytes.is_empty() {
                Ok(())
            } else {
                Err(format!("{name} declares no body for {}, and sent one", answer.status))
            };
        };
        let media = content.get(sent).ok_or_else(|| format!("{name} does not declare the content type {sent:?} for {}", answer.status))?;
        if !answer.header("content-encoding").is_empty() {
            return Ok(());
        }
        self.validate(&format!("{name} {}", answer.status), &media["schema"], &answer.body)
    }

    fn check_problem(&self, answer: &TestResponse) -> Result<(), String> {
        if answer.status.as_u16() < 400 {
            return Ok(());
        }
        let sent = answer.header("content-type");
        if sent != "application/problem+json" {
            return Err(format!("a problem has the content type {sent:?} (R-50)"));
        }
        if answer.body["status"] != answer.status.as_u16() {
            return Err(format!("the problem says status {}, the answer {} (R-50)", answer.body["status"], answer.status));
        }
        self.validate("problem", &json!({ "$ref": "#/components/schemas/Problem" }), &answer.body)
    }

    fn validate(&self, key: &str, schema: &Value, body: &Value) -> Result<(), String> {
        let errors: Vec<String> =
            self.compiled(key, schema)?.iter_errors(body).map(|error| format!("{} {error}", error.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(format!("the body does not satisfy the schema of {key}:\n{}", errors.join("\n"))) }
    }

    fn compiled(&self, key: &str, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = compiled.get(key) {
            return Ok(found.clone());
        }
        let validator =
            Arc::new(compile(&self.document, schema).map_err(|error| format!("the schema of {key} cannot be compiled: {error}"))?);
        compiled.insert(key.to_owned(), validator.clone());
        Ok(validator)
    }
}

/// The document with every shared response in the place of its reference.
fn with_inline_responses(mut document: Value) -> Value {
    let shared = document["components"]["responses"].clone();
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in operations.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut()) {
        for response in operation["responses"].as_object_mut().into_iter().flat_map(|responses| responses.values_mut()) {
            if let Some(name) = response["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/responses/")) {
                *response = shared[name].clone();
            }
        }
    }
    document
}

/// Compiles a schema of the document; references lead to the document's components.
pub(crate) fn compile(document: &Value, schema: &Value) -> Result<Validator, String> {
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema],
        "components": document["components"],
    });
    let options = jsonschema::options().should_validate_formats(true).should_ignore_unknown_formats(true);
    options.with_pattern_options(PatternOptions::regex()).build(&root).map_err(|error| error.to_string())
}

/// Which segments of the template are fixed, if the path fits it; of several that fit, the greatest is meant.
fn specificity(template: &str, path: &str) -> Option<Vec<bool>> {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let pairs = template.iter().zip(&path);
    pairs
        .map(|(known, given)| match known.starts_with('{') {
            true => (!given.is_empty()).then_some(false),
            false => (known == given).then_some(true),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_segment_wins_over_a_variable_one() {
        assert_eq!(specificity("/a/{id}", "/a/b"), Some(vec![true, true, false]));
        assert!(specificity("/a/b", "/a/b") > specificity("/a/{id}", "/a/b"));
        assert_eq!(specificity("/a/{id}", "/a/"), None);
        assert_eq!(specificity("/a/{id}", "/a/b/c"), None);
    }
}
