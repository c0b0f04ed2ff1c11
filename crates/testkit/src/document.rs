//! What the OpenAPI document must say about every operation.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::checker::compile;
use crate::node::Node;

/// An operation as the document describes it.
#[derive(Clone, Debug)]
pub struct DocumentedOperation {
    /// The method.
    pub method: Method,
    /// The path template.
    pub path: String,
    /// The operation object.
    pub value: Value,
}

impl DocumentedOperation {
    /// Method and path, for messages.
    pub fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its `operationId`.
    pub fn id(&self) -> &str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    /// Who may call it: `public`, `authenticated` or a permission.
    pub fn access(&self) -> &str {
        self.value["x-permission"].as_str().unwrap_or_default()
    }

    /// The example of its request body, if it has one.
    pub fn example(&self) -> Option<&Value> {
        self.value.pointer("/requestBody/content/application~1json/example")
    }

    fn gaps(&self) -> Vec<String> {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        let id = self.id();
        let mut gaps = Vec::new();
        let mut require = |is_fine: bool, what: &str| {
            if !is_fine {
                gaps.push(format!("{}: {what}", self.title()));
            }
        };
        require(
            id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric()),
            "operationId is not camelCase",
        );
        require(is_text(&self.value["summary"]), "no summary");
        require(is_text(&self.value["description"]), "no description");
        require(is_text(&self.value["x-permission"]), "no x-permission");
        require(self.value["tags"].as_array().is_some_and(|tags| tags.len() == 1 && is_text(&tags[0])), "not exactly one tag");
        require(self.value["security"].is_array(), "no security");
        require(self.value["x-errors"].as_array().is_some_and(|codes| !codes.is_empty()), "no x-errors");
        let responses = self.value["responses"].as_object().into_iter().flatten();
        require(responses.clone().any(|(status, _)| status.starts_with('2')), "no answer on success");
        for (status, response) in responses {
            require(is_text(&response["description"]), &format!("no description of {status}"));
        }
        gaps
    }

    /// Every body with its schema and its example.
    fn bodies(&self) -> impl Iterator<Item = (String, &Value)> {
        let request = [("request", &self.value["requestBody"])].into_iter();
        let responses = self.value["responses"].as_object().into_iter().flatten().map(|(status, response)| (status.as_str(), response));
        request.chain(responses).flat_map(|(place, body)| {
            let media = body["content"].as_object().into_iter().flatten();
            media.map(move |(kind, media)| (format!("{place} {kind}"), media)).collect::<Vec<_>>()
        })
    }
}

impl Node {
    /// Every operation of the document.
    pub fn operations(&self) -> Vec<DocumentedOperation> {
        let paths = self.document()["paths"].as_object().into_iter().flatten();
        let each = paths.flat_map(|(path, methods)| {
            let of_path = methods.as_object().into_iter().flatten();
            of_path.map(|(method, value)| DocumentedOperation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                value: value.clone(),
            })
        });
        each.collect()
    }

    /// What the document leaves out or gets wrong, a line each: a test compares it with nothing.
    pub fn document_gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut ids = BTreeMap::new();
        for operation in self.operations() {
            gaps.extend(operation.gaps());
            if let Some(other) = ids.insert(operation.id().to_owned(), operation.title()) {
                gaps.push(format!("{}: {other} has the same operationId", operation.title()));
            }
            for (place, media) in operation.bodies().filter(|(_, media)| media["schema"] != json!({})) {
                let errors = self.schema_errors(&media["schema"], &media["example"]);
                gaps.extend(
                    errors.iter().map(|error| format!("{} {place}: the example does not satisfy its schema: {error}", operation.title())),
                );
            }
        }
        for (name, schema) in self.document()["components"]["schemas"].as_object().into_iter().flatten() {
            gaps.extend(schema_gaps(name, schema));
        }
        gaps
    }

    /// What a schema of the document does not allow about `value`; empty when it is fine.
    pub fn schema_errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        match compile(self.document(), schema) {
            Ok(validator) => validator.iter_errors(value).map(|error| format!("{} {error}", error.instance_path())).collect(),
            Err(error) => vec![error],
        }
    }
}

fn schema_gaps(name: &str, schema: &Value) -> Vec<String> {
    let mut gaps = Vec::new();
    if !schema["description"].is_string() {
        gaps.push(format!("{name}: no description"));
    }
    for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
        // Where null is allowed beside a named schema, the description stands in that branch.
        let is_described = schema["description"].is_string()
            || schema["oneOf"].as_array().is_some_and(|all| all.iter().any(|one| one["description"].is_string()));
        if !is_described {
            gaps.push(format!("{name}.{member}: no description"));
        }
        if schema["type"] == "integer" && !schema["format"].is_string() {
            gaps.push(format!("{name}.{member}: an integer without a size (R-14)"));
        }
    }
    gaps
}
