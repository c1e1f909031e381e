//! The OpenAPI document, made from the table of routes and the types that read and write the bodies.
//!
//! A request is described as it is read, an answer as it is written: what a request may leave out, an
//! answer still has.

use std::sync::LazyLock;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::routes::{PAPER, RECORDED, ROUTES, Route, Shape, TABLE, Takes};
use crate::page::LIMIT_MAX;
use crate::shown::Problem;

const COMPONENTS: &str = "/components/schemas";

/// OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12.
#[must_use]
pub fn document() -> Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    DOCUMENT.clone()
}

fn build() -> Value {
    let mut answers = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = COMPONENTS.into())
        .into_generator();
    let problem = answers.subschema_for::<Problem>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = format!("/api/v1{}", route.path);
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(operations) = operations.as_object_mut() {
            operations.insert(route.method.to_owned(), operation(route, &mut answers, &problem));
        }
    }
    let mut components = Value::Object(answers.take_definitions(true));
    grow(&mut components);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate", "version": env!("CARGO_PKG_VERSION"),
            "description": "Money is a decimal string, time is RFC 3339 UTC with milliseconds, \
                            durations are integers with the unit in the name. Lists come as \
                            {\"items\": […]}; those that can grow in pages of `limit` items \
                            (100, at most 10000) with `next`, the `cursor` of the next page or null. \
                            Answers may get further fields.",
        },
        "paths": paths,
        "components": { "schemas": components },
    })
}

/// What an answer has today is no promise that it never has more.
fn grow(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
                fields.remove("additionalProperties");
            }
            fields.remove("unevaluatedProperties");
            fields.values_mut().for_each(grow);
        }
        Value::Array(items) => items.iter_mut().for_each(grow),
        _ => {}
    }
}

/// The schema of what a request carries, in one piece.
fn request(shape: Shape) -> Value {
    let mut generator: SchemaGenerator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = shape(&mut generator).to_value();
    // What is ours to write is read over in a request, and need not be named there.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|_, property| property.get("readOnly").is_none());
    }
    schema
}

/// Some fields of an object: none is needed, and what is left out stays as it is.
fn some(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("required");
        let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(|properties| properties.values_mut()) {
            property.as_object_mut().map(|property| property.remove("default"));
        }
    }
    schema
}

/// The names of the fields that a request may have.
pub(super) fn fields(takes: Takes) -> Vec<&'static str> {
    let shape = match takes {
        Takes::Nothing | Takes::File => return Vec::new(),
        Takes::One(shape)
        | Takes::Some(shape)
        | Takes::Many(shape)
        | Takes::Ranges(shape)
        | Takes::Entries(shape) => shape,
    };
    let schema = request(shape);
    let properties = schema.get("properties").and_then(Value::as_object);
    // Once per route, and for ever: the table of routes is.
    properties.into_iter().flatten().map(|(name, _)| &*name.clone().leak()).collect()
}

fn many(shape: Shape) -> Value {
    let one = request(shape);
    json!({
        "application/json": { "schema": {
            "anyOf": [one, { "type": "array", "items": one }] } },
        "text/csv": { "schema": { "type": "string" } },
    })
}

fn body(takes: Takes) -> Option<Value> {
    let content = |schema| json!({ "application/json": { "schema": schema } });
    let content = match takes {
        Takes::Nothing => return None,
        // As somebody else's program wrote it: its first bytes say what it is.
        Takes::File => json!({ "application/octet-stream": {}, "text/csv": {} }),
        Takes::One(shape) => content(request(shape)),
        Takes::Some(shape) => content(some(request(shape))),
        Takes::Many(shape) => many(shape),
        Takes::Ranges(shape) | Takes::Entries(shape) => {
            let mut content = many(shape);
            content["text/plain"] = json!({ "schema": { "type": "string" } });
            content
        }
    };
    Some(json!({ "required": true, "content": content }))
}

fn in_query(name: &str) -> Value {
    let schema = match name {
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": LIMIT_MAX }),
        _ => json!({ "type": "string" }),
    };
    json!({ "name": name, "in": "query", "required": false, "schema": schema })
}

fn operation(route: &Route, answers: &mut SchemaGenerator, problem: &Value) -> Value {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({ "name": name, "in": "path", "required": true, "schema": {"type": "string"} }))
    });
    let parameters: Vec<Value> =
        in_path.chain(route.query.iter().map(|name| in_query(name))).collect();
    let (status, done) = match route.gives {
        None => ("204", json!({ "description": "Done, nothing to say" })),
        Some(shape) => {
            let schema = shape(answers);
            let kind = if [RECORDED, PAPER, TABLE].contains(&route.path) {
                "application/octet-stream"
            } else {
                "application/json"
            };
            ("200", json!({ "description": "Done", "content": { kind: { "schema": schema } } }))
        }
    };
    let refused = json!({
        "description": "Refused", "content": { "application/problem+json": { "schema": problem } },
    });
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{}{}", route.method, route.path.replace(['/', '{', '}', '.'], "_")),
        "parameters": parameters,
        "responses": { status: done, "default": refused },
    });
    if let (Some(body), Some(fields)) = (body(route.takes), operation.as_object_mut()) {
        fields.insert("requestBody".into(), body);
    }
    operation
}
