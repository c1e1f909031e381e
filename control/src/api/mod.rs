//! The HTTP API on the Unix socket: requests become commands for the loop, history is read beside it.
//!
//! One table ([`routes::ROUTES`]) names every resource; the OpenAPI document is made from it, and a test
//! asks every row of it. Errors are problem documents (RFC 9457). Who may open the socket may do
//! everything: it belongs to root.

pub mod openapi;
pub mod routes;
pub mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, Method as HttpMethod, Request as HttpRequest, Response, StatusCode};
use crossbeam::channel::Sender;
use link::layout::Link;
use serde_json::{Value, json};
use shm::Doorbell;

use crate::decide::{Command, Method};
use crate::driver::Request;
use crate::reconcile::{self, SharedMaps};
use crate::state::entity::RateRow;
use crate::store::{CdrFilter, History};
use crate::{Refusal, Time};

/// Longest body: a sheet of a million rates.
const BODY_BYTES_MAX: usize = 128 << 20;

/// What every request may use.
pub struct Shared {
    /// To the loop.
    pub requests: Sender<Request>,
    /// Wakes it.
    pub bell: Doorbell,
    /// Reads of history.
    pub history: Mutex<Box<dyn History>>,
    /// The driver's maps.
    pub maps: SharedMaps,
    /// The shared words.
    pub link: Link,
    /// Our service addresses.
    pub addresses: Vec<std::net::IpAddr>,
    /// How this machine is called.
    pub node: String,
    /// The clocks.
    pub now: fn() -> Time,
}

/// The API.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    Extracted(shared): Extracted<Arc<Shared>>,
    request: HttpRequest<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/metrics" {
        let text = status::metrics(&shared).await;
        return respond(StatusCode::OK, "text/plain; version=0.0.4", text);
    }
    let answer = match to_bytes(body, BODY_BYTES_MAX).await {
        Ok(bytes) => {
            answer(
                &shared,
                &parts.method,
                parts.uri.path(),
                parts.uri.query(),
                &parts.headers,
                &bytes,
            )
            .await
        }
        Err(error) => Err(Refusal::new(413, "body unreadable", error.to_string())),
    };
    match answer {
        Ok(Value::Null) => respond(StatusCode::NO_CONTENT, "application/json", String::new()),
        Ok(value) => respond(StatusCode::OK, "application/json", value.to_string()),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            let problem = json!({
                "type": "about:blank", "title": refusal.title, "status": refusal.status,
                "detail": refusal.detail,
            });
            respond(status, "application/problem+json", problem.to_string())
        }
    }
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = axum::http::HeaderValue::from_static(kind);
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    response
}

async fn answer(
    shared: &Arc<Shared>,
    method: &HttpMethod,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    let unknown = || Refusal::new(404, "no such resource", "see /api/v1/openapi.json");
    let rest = path.strip_prefix("/api/v1/").ok_or_else(unknown)?;
    let path: Vec<String> =
        rest.split('/').filter(|part| !part.is_empty()).map(unescape).collect::<Result<_, _>>()?;
    let method = match *method {
        HttpMethod::GET => Method::Get,
        HttpMethod::POST => Method::Post,
        HttpMethod::PUT => Method::Put,
        HttpMethod::PATCH => Method::Patch,
        HttpMethod::DELETE => Method::Delete,
        _ => return Err(Refusal::new(405, "method not allowed", "see /api/v1/openapi.json")),
    };
    let query = parse_query(query.unwrap_or_default())?;
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match (method, &names[..]) {
        (Method::Get, ["openapi.json"]) => Ok(openapi::document()),
        (Method::Get, ["status"]) => status::status(shared).await,
        (Method::Get, ["call"]) => status::calls(shared),
        (Method::Get, ["call", id]) => status::call(shared, id),
        (Method::Get, ["cdr"]) => {
            let filter = filter(&query)?;
            history(shared, |history| history.cdrs(&filter))
        }
        (Method::Get, ["cdr", id]) => history(shared, |history| history.cdr(id)),
        (Method::Get, ["account", name, "ledger"]) => {
            let account = ask(shared, command(Method::Get, &["account", name])).await?;
            let id = account.get("id").and_then(Value::as_u64).unwrap_or(0);
            let limit = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(100);
            let id = u32::try_from(id).unwrap_or(0);
            history(shared, |history| history.ledger(id, limit))
        }
        (Method::Get, ["param", name, "history"]) => {
            let row = crate::params::find(name)?;
            history(shared, |history| history.parameter_history(row.name))
        }
        (Method::Get, ["firewall", "counter"]) => {
            Ok(json!({ "items": reconcile::counters(&shared.maps) }))
        }
        (Method::Get, ["firewall", "explain"]) => status::explain(shared, &query),
        _ => {
            let (body, rates) = read_body(headers, body)?;
            ask(shared, Command { method, path, query, body, rates }).await
        }
    }
}

/// A command without a body.
pub(crate) fn command(method: Method, path: &[&str]) -> Command {
    Command {
        method,
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        query: BTreeMap::new(),
        body: Value::Null,
        rates: Vec::new(),
    }
}

/// Asks the loop, and waits until what it changed is durable.
pub(crate) async fn ask(shared: &Arc<Shared>, command: Command) -> Result<Value, Refusal> {
    let gone = || Refusal::new(503, "control is stopping", "try again when it runs again");
    let (reply, answer) = tokio::sync::oneshot::channel();
    shared.requests.send(Request { command, reply }).map_err(|_| gone())?;
    shared.bell.ring();
    match tokio::time::timeout(std::time::Duration::from_secs(10), answer).await {
        Ok(answer) => answer.map_err(|_| gone())?,
        Err(_) => Err(Refusal::new(
            503,
            "not durable yet",
            "the store does not take changes; see `tollgate alarm list`. The change holds in memory",
        )),
    }
}

fn history(
    shared: &Shared,
    read: impl FnOnce(&mut dyn History) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let mut history = shared
        .history
        .lock()
        .map_err(|_| Refusal::new(500, "history broken", "restart tollgate-control"))?;
    read(history.as_mut())
}

fn filter(query: &BTreeMap<String, String>) -> Result<CdrFilter, Refusal> {
    let mut object = serde_json::Map::new();
    for (name, value) in query {
        let number = value.parse::<u64>().ok().filter(|_| name == "limit" || name == "answered");
        object.insert(name.clone(), number.map_or_else(|| value.clone().into(), Value::from));
    }
    serde_json::from_value(Value::Object(object))
        .map_err(|error| Refusal::invalid(format!("filter: {error}")))
}

fn read_body(headers: &HeaderMap, body: &[u8]) -> Result<(Value, Vec<RateRow>), Refusal> {
    if body.is_empty() {
        return Ok((Value::Null, Vec::new()));
    }
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if kind.starts_with("text/csv") {
        let mut rows = Vec::new();
        for (index, row) in csv::Reader::from_reader(body).deserialize().enumerate() {
            let row: RateRow =
                row.map_err(|error| Refusal::invalid(format!("line {}: {error}", index + 2)))?;
            rows.push(row);
        }
        return Ok((Value::Null, rows));
    }
    let value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(400, "body is no JSON", error.to_string()))?;
    Ok((value, Vec::new()))
}

fn unescape(text: &str) -> Result<String, Refusal> {
    let bad = || Refusal::new(400, "bad path", format!("{text:?} is not percent-encoded text"));
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit =
                    || char::from(bytes.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
                let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
                out.push(high << 4 | low);
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|_| bad())
}

fn parse_query(query: &str) -> Result<BTreeMap<String, String>, Refusal> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((unescape(name)?, unescape(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
