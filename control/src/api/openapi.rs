//! The OpenAPI document, made from the table of routes.

use serde_json::{Map, Value, json};

use super::routes::{ROUTES, Route};

/// OpenAPI 3.1.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = format!("/api/v1{}", route.path);
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(operations) = operations.as_object_mut() {
            operations.insert(route.method.to_owned(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate", "version": env!("CARGO_PKG_VERSION"),
            "description": "Money is a decimal string, time is RFC 3339 UTC with milliseconds, \
                            durations are integers with the unit in the name. Lists come as \
                            {\"items\": […]}; those that can grow in pages of `limit` items \
                            (100, at most 10000) with `next`, the `cursor` of the next page or null.",
        },
        "paths": paths,
        "components": { "schemas": { "Problem": {
            "type": "object", "description": "RFC 9457",
            "properties": {
                "type": {"type": "string"}, "title": {"type": "string"},
                "status": {"type": "integer"}, "detail": {"type": "string"},
            },
        } } },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({ "name": name, "in": "path", "required": true, "schema": {"type": "string"} }))
    });
    let in_query = route.query.iter().map(|name| {
        json!({ "name": name, "in": "query", "required": false, "schema": {"type": "string"} })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let problem = json!({
        "description": "Refused",
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{}{}", route.method, route.path.replace(['/', '{', '}', '.'], "_")),
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done", "content": { "application/json": {"schema": {}} } },
            "204": { "description": "Done, nothing to say" },
            "default": problem,
        },
    });
    if !route.body.is_empty()
        && let Some(fields) = operation.as_object_mut()
    {
        let properties: Map<String, Value> =
            route.body.iter().map(|field| ((*field).to_owned(), json!({}))).collect();
        let body = json!({ "content": { "application/json": {
            "schema": { "type": "object", "properties": properties } } } });
        fields.insert("requestBody".into(), body);
    }
    operation
}
