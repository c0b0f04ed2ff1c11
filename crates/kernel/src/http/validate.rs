//! Input checked against the very schema that the OpenAPI document publishes, so that both cannot differ.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};

use jsonschema::error::{ValidationError, ValidationErrorKind};
use jsonschema::{PatternOptions, Validator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::{Error, FieldError, INTERNAL, Result};
use crate::http::openapi::Components;
use crate::http::operation::{Operation, TypeRef};

/// Where a value came from; decides how its errors are addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The body: errors carry a JSON Pointer.
    Body,
    /// The query: errors carry a parameter name.
    Query,
}

/// The compiled schemas of everything that operations read.
#[derive(Default)]
pub(crate) struct Validators(HashMap<TypeId, Compiled>);

struct Compiled {
    validator: Validator,
    /// The JSON types of a query type's members.
    members: BTreeMap<String, &'static str>,
}

/// Most violations that one answer reports: a hostile body must not make an answer many times its size.
const MAX_ERRORS: usize = 100;

/// Members that the server sets; in a request they are refused as such.
const READ_ONLY: [&str; 4] = ["id", "created_at", "updated_at", "version"];

impl Validators {
    /// Compiles the bodies and queries of these operations.
    ///
    /// # Errors
    /// When two types share a name or a schema cannot be compiled.
    pub(crate) fn of<'a>(operations: impl Iterator<Item = &'a Operation>, components: &Components) -> Result<Validators> {
        let mut compiled = HashMap::new();
        for operation in operations {
            for input in [operation.doc().body, operation.doc().query].into_iter().flatten() {
                compiled.insert(input.type_id, compile(&input, components)?);
            }
        }
        Ok(Validators(compiled))
    }

    /// Checks `value` against the schema of `T` and reads it.
    pub(crate) fn read<T: DeserializeOwned + 'static>(&self, value: Value, place: Place) -> Result<T> {
        let compiled = self.0.get(&TypeId::of::<T>()).ok_or_else(|| INTERNAL.because("The operation's input type is not registered."))?;
        let errors: Vec<FieldError> =
            compiled.validator.iter_errors(&value).flat_map(|error| field_errors(&error, place)).take(MAX_ERRORS).collect();
        if !errors.is_empty() {
            return Err(Error::invalid(errors));
        }
        // What the schema cannot say, such as a member's own parser, is caught here.
        serde_json::from_value(value).map_err(|error| {
            let field = match place {
                Place::Body => FieldError::body("", "invalid_format", "A value has a form that is not accepted."),
                Place::Query => FieldError::parameter("", "invalid_format", "A value has a form that is not accepted."),
            };
            Error::invalid(vec![field]).with_source(error)
        })
    }

    /// Turns query pairs into a `T`, each value by the type that the schema gives its member.
    pub(crate) fn read_query<T: DeserializeOwned + 'static>(&self, pairs: Vec<(String, String)>) -> Result<T> {
        let compiled = self.0.get(&TypeId::of::<T>()).ok_or_else(|| INTERNAL.because("The operation's query type is not registered."))?;
        let mut object = Map::new();
        for (name, text) in pairs {
            if object.contains_key(&name) {
                return Err(Error::invalid(vec![FieldError::parameter(name, "not_allowed", "Give the parameter once.")]));
            }
            let value = coerce(&text, compiled.members.get(&name).copied().unwrap_or("string"));
            object.insert(name, value);
        }
        self.read(Value::Object(object), Place::Query)
    }
}

fn coerce(text: &str, kind: &str) -> Value {
    match kind {
        "integer" => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
        "boolean" => text.parse::<bool>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
        "array" => text.split(',').filter(|item| !item.is_empty()).map(Value::from).collect(),
        _ => Value::String(text.to_owned()),
    }
}

fn compile(input: &TypeRef, components: &Components) -> Result<Compiled> {
    let name = (input.name)();
    let root = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": format!("{SCHEMAS}{name}"),
        "components": { "schemas": reachable(&name, components.schemas()) },
    });
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(&root)
        .map_err(|error| Error::internal(format!("the schema of {name} cannot be compiled: {error}")))?;
    let members = components.schemas().get(name.as_ref()).and_then(|schema| schema["properties"].as_object()).map(member_types);
    Ok(Compiled { validator, members: members.unwrap_or_default() })
}

const SCHEMAS: &str = "#/components/schemas/";

/// The schema of this name and all that it refers to: every validator keeps a copy, so it gets no more than it needs.
fn reachable(name: &str, schemas: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        if let Some(schema) = schemas.get(&name).filter(|_| !found.contains_key(&name)) {
            references(schema, &mut wanted);
            found.insert(name, schema.clone());
        }
    }
    found
}

fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix(SCHEMAS).map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| references(value, names)),
        Value::Object(members) => members.values().for_each(|value| references(value, names)),
        _ => {}
    }
}

fn member_types(properties: &Map<String, Value>) -> BTreeMap<String, &'static str> {
    let kind = |schema: &Value| {
        let names = |name: &str| schema["type"] == name || schema["type"].as_array().is_some_and(|types| types.iter().any(|t| t == name));
        ["integer", "boolean", "array"].into_iter().find(|name| names(name)).unwrap_or("string")
    };
    properties.iter().map(|(name, schema)| (name.clone(), kind(schema))).collect()
}

fn field_errors(error: &ValidationError<'_>, place: Place) -> Vec<FieldError> {
    use ValidationErrorKind as K;
    let at = error.instance_path().as_str();
    match error.kind() {
        K::AdditionalProperties { unexpected } => unexpected.iter().map(|name| unknown(at, name, place)).collect(),
        K::Required { property } => {
            vec![located(
                &format!("{at}/{}", escape(property.as_str().unwrap_or_default())),
                place,
                "required",
                "This is required.".to_owned(),
            )]
        }
        K::AnyOf { context } | K::OneOfNotValid { context } => {
            // The branch that got furthest explains best: the other one is the null of an optional value.
            let branch = context.iter().max_by_key(|errors| errors.iter().map(|e| e.instance_path().as_str().len()).max());
            let nested: Vec<FieldError> = branch.into_iter().flatten().flat_map(|error| field_errors(error, place)).collect();
            if nested.is_empty() { vec![simple(error, place)] } else { nested }
        }
        _ => vec![simple(error, place)],
    }
}

fn simple(error: &ValidationError<'_>, place: Place) -> FieldError {
    use ValidationErrorKind as K;
    let (code, detail) = match error.kind() {
        K::Type { .. } => ("wrong_type", "This has the wrong type.".to_owned()),
        K::MinLength { limit } => ("too_short", format!("At least {limit} characters.")),
        K::MaxLength { limit } => ("too_long", format!("At most {limit} characters.")),
        K::MinItems { limit } => ("too_short", format!("At least {limit} entries.")),
        K::MaxItems { limit } => ("too_long", format!("At most {limit} entries.")),
        K::MaxProperties { limit } => ("too_long", format!("At most {limit} members.")),
        K::MinProperties { limit } => ("too_short", format!("At least {limit} members.")),
        K::Minimum { limit } => ("out_of_range", format!("At least {limit}.")),
        K::Maximum { limit } => ("out_of_range", format!("At most {limit}.")),
        K::ExclusiveMinimum { limit } => ("out_of_range", format!("More than {limit}.")),
        K::ExclusiveMaximum { limit } => ("out_of_range", format!("Less than {limit}.")),
        K::Enum { options } => ("not_allowed", format!("One of {options}.")),
        K::Constant { expected_value } => ("not_allowed", format!("Only {expected_value}.")),
        K::UniqueItems => ("not_unique", "No entry may occur twice.".to_owned()),
        K::Format { format } => ("invalid_format", format!("This is not a {format}.")),
        _ => ("invalid_format", "This has a form that is not accepted.".to_owned()),
    };
    located(error.instance_path().as_str(), place, code, detail)
}

fn unknown(at: &str, name: &str, place: Place) -> FieldError {
    let pointer = format!("{at}/{}", escape(name));
    match place {
        Place::Query => located(&pointer, place, "unknown_parameter", "This operation does not know the parameter.".to_owned()),
        Place::Body if at.is_empty() && READ_ONLY.contains(&name) => {
            located(&pointer, place, "read_only_field", "The server sets this.".to_owned())
        }
        Place::Body => located(&pointer, place, "unknown_field", "This member is not known here.".to_owned()),
    }
}

fn located(pointer: &str, place: Place, code: &'static str, detail: String) -> FieldError {
    match place {
        Place::Body => FieldError::body(pointer.to_owned(), code, detail),
        Place::Query => {
            let name = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
            FieldError::parameter(name.replace("~1", "/").replace("~0", "~"), code, detail)
        }
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_holds_its_schema_and_those_it_refers_to() {
        let schema = |name: &str| json!({ "properties": { "a": { "items": { "$ref": format!("{SCHEMAS}{name}") } } } });
        let all: Map<_, _> = [("A", "B"), ("B", "A"), ("C", "A")].map(|(name, to)| (name.to_owned(), schema(to))).into_iter().collect();
        assert_eq!(reachable("A", &all).keys().collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn query_values_take_the_type_of_their_member() {
        assert_eq!(coerce("7", "integer"), json!(7));
        assert_eq!(coerce("abc", "integer"), json!("abc"));
        assert_eq!(coerce("true", "boolean"), json!(true));
        assert_eq!(coerce("a,b", "array"), json!(["a", "b"]));
        assert_eq!(coerce("7", "string"), json!("7"));
    }
}
