//! The HTTP API on the Unix socket: requests become commands for the loop, history is read beside it.
//!
//! One table ([`routes::ROUTES`]) names every resource; the OpenAPI document is made from it, and a test
//! asks every row of it. Errors are problem documents (RFC 9457). Who may open the socket may do
//! everything, until users are listed ([`access`]).

mod access;
mod agent;
pub mod backup;
mod body;
mod books;
mod compare;
pub mod day;
mod dispute;
mod hits;
pub mod hourly;
mod import;
mod invoice;
mod media;
pub mod openapi;
mod password;
mod peer;
mod price;
mod recording;
mod report;
pub mod routes;
mod sheet;
pub mod status;

use agent::Agent;
pub(crate) use books::differences;
pub use peer::Peer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State as Extracted};
use axum::http::request::Parts;
use axum::http::{Method as HttpMethod, Request as HttpRequest, Response, StatusCode};
use crossbeam::channel::{Sender, TrySendError};
use link::layout::Link;
use link::record::EndReason;
use serde_json::Value;
use shm::Doorbell;

use crate::cdr::BillingMode;
use crate::decide::{Command, Method};
use crate::driver::Request;
use crate::page::Page;
use crate::reconcile::{self, SharedMaps};
use crate::report::KindShown;
use crate::shown::{self, ListOf, Problem};
use crate::state::entity::Right;
use crate::store::{CdrFilter, History};
use crate::{Refusal, Time};

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
    /// Where they are pinned, once there is a guard.
    pub pins: PathBuf,
    /// The shared words.
    pub link: Link,
    /// Where recorded calls are.
    pub recordings: PathBuf,
    /// Where hours of records are as text.
    pub hours: PathBuf,
    /// Who takes mail.
    pub mail: Option<config::Mail>,
    /// Where archived days are.
    pub archive: PathBuf,
    /// Our service addresses.
    pub addresses: Vec<std::net::IpAddr>,
    /// Where backups are, and of what.
    pub backups: backup::Backups,
    /// How this machine is called.
    pub node: String,
    /// The clocks.
    pub now: fn() -> Time,
}

/// Longest detail of a problem: it may quote what a client sent.
const DETAIL_CHARS_MAX: usize = 500;

/// The API, for connections that know their [`Peer`].
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    Extracted(shared): Extracted<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: HttpRequest<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if parts.uri.path() == "/metrics" {
        return match access::check(&shared, &peer, Right::Look, "GET /metrics").await {
            Ok(Some(_)) => refuse(&Refusal::new(403, "not allowed", "an agent sees no metrics")),
            Ok(None) => {
                let text = status::metrics(&shared).await;
                respond(StatusCode::OK, "text/plain; version=0.0.4", text)
            }
            Err(refusal) => refuse(&refusal),
        };
    }
    // Whoever may not ask is not listened to.
    let answer = match permitted(&shared, &peer, &parts).await {
        // The answers that are no JSON.
        Ok((routes::Route { path: routes::RECORDED, method: "get", .. }, path, None)) => {
            let file = path.last().map_or("", String::as_str);
            tracing::info!(who = peer.name, file, "recording_fetched");
            return recording::fetch(&shared, file).await.unwrap_or_else(|no| refuse(&no));
        }
        Ok((routes::Route { path: routes::PAPER | routes::TABLE, .. }, path, None)) => {
            return invoice::file(&shared, &path).unwrap_or_else(|no| refuse(&no));
        }
        Ok((route, path, Some(agent))) => agents(&shared, &parts, route, &path, &agent).await,
        Ok((route, path, None)) => match to_bytes(body, body::BYTES_MAX).await {
            // So long an answer that it is written beside the threads that answer others.
            Ok(bytes) if [routes::DISPUTED, routes::COMPARED].contains(&route.path) => {
                let query = parts.uri.query();
                let answer = match route.path {
                    routes::DISPUTED => dispute::dispute(&shared, route, query, bytes).await,
                    _ => compare::compare(&shared, route, query, bytes).await,
                };
                return answer.map_or_else(
                    |no| refuse(&no),
                    |text| respond(StatusCode::OK, "application/json", text),
                );
            }
            Ok(bytes) => answer(&shared, peer, &parts, route, path, &bytes).await,
            Err(error) => Err(Refusal::new(413, "body unreadable", error.to_string())),
        },
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(Value::Null) => respond(StatusCode::NO_CONTENT, "application/json", String::new()),
        Ok(value) => respond(StatusCode::OK, "application/json", value.to_string()),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let detail: String = refusal.detail.chars().take(DETAIL_CHARS_MAX).collect();
    let problem = shown::json(Problem {
        kind: "about:blank",
        title: refusal.title.to_owned(),
        status: refusal.status,
        detail,
    });
    respond(status, "application/problem+json", problem.to_string())
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = axum::http::HeaderValue::from_static(kind);
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    response
}

/// The answer to an agent, who carries nothing.
async fn agents(
    shared: &Arc<Shared>,
    request: &Parts,
    route: &routes::Route,
    path: &[String],
    agent: &Agent,
) -> Result<Value, Refusal> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = parse_query(request.uri.query().unwrap_or_default())?;
    route.check_query(query.keys())?;
    agent::answer(shared, agent, &names, &query).await
}

/// What is asked for, by its parts, if `peer` may; and which agent he is, if he is one.
async fn permitted(
    shared: &Arc<Shared>,
    peer: &Peer,
    request: &Parts,
) -> Result<(&'static routes::Route, Vec<String>, Option<Agent>), Refusal> {
    let unknown = || Refusal::new(404, "no such resource", "see /api/v1/openapi.json");
    let rest = request.uri.path().strip_prefix("/api/v1/").ok_or_else(unknown)?;
    let path: Vec<String> =
        rest.split('/').map(|part| unescape(part, Plus::Plus)).collect::<Result<_, _>>()?;
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let route = routes::find(request.method.as_str(), &names)?;
    let attempt = format!("{} {}", request.method, route.path);
    let agent = access::check(shared, peer, route.right, &attempt).await?;
    if agent.is_some() {
        let refused = Agent::may(route);
        refused.inspect_err(|_| tracing::warn!(user = peer.name, attempt, "access_refused"))?;
    }
    Ok((route, path, agent))
}

async fn answer(
    shared: &Arc<Shared>,
    peer: Peer,
    request: &Parts,
    route: &'static routes::Route,
    path: Vec<String>,
    body: &[u8],
) -> Result<Value, Refusal> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = parse_query(request.uri.query().unwrap_or_default())?;
    route.check_query(query.keys())?;
    let method = match request.method {
        HttpMethod::POST => Method::Post,
        HttpMethod::PUT => Method::Put,
        HttpMethod::PATCH => Method::Patch,
        HttpMethod::DELETE => Method::Delete,
        _ => Method::Get,
    };
    match (method, &names[..]) {
        (Method::Get, ["openapi.json"]) => Ok(openapi::document()),
        (Method::Get, ["status"]) => status::status(shared).await.map(shown::json),
        (Method::Get, ["call"]) => status::calls(shared, &Page::read(&query)?),
        (Method::Get, ["call", id]) => status::call(shared, id),
        (Method::Get, ["cdr"]) => {
            let (filter, page) = (filter(&query)?, Page::read(&query)?);
            match query.get("archive") {
                Some(day) => day::archived(shared, day, |history| history.cdrs(&filter, &page)),
                None => history(shared, |history| history.cdrs(&filter, &page)),
            }
        }
        (_, ["invoice", rest @ ..]) => {
            let body = body::read(route, &request.headers, body)?.value;
            let asked = invoice::Asked { who: peer.name, query: &query, body };
            invoice::answer(shared, method, rest, asked).await
        }
        (Method::Get, ["cdr", "text"]) => hourly::list(shared),
        (Method::Get, ["cdr", "day"]) => day::list(shared),
        (Method::Post, ["cdr", "day", name, "archive"]) => {
            day::archive(shared, peer.name, name).await
        }
        (Method::Delete, ["cdr", "day", name]) => day::purge(shared, peer.name, name).await,
        (Method::Get, ["recording"]) => recording::list(shared, &query).await,
        (Method::Delete, ["recording", file]) => {
            tracing::info!(who = peer.name, file, "recording_deleted");
            recording::delete(shared, file).await
        }
        (Method::Get, ["cdr", id]) => match query.get("archive") {
            Some(day) => day::archived(shared, day, |history| history.cdr(id)),
            None => history(shared, |history| history.cdr(id)),
        },
        (Method::Get, ["account", name, "ledger"]) => books::ledger(shared, name, &query).await,
        (Method::Get, ["account", name, "statement"]) => {
            books::statement(shared, name, &query).await
        }
        (Method::Get, ["account", name, "history"]) => books::states(shared, name, &query).await,
        (Method::Get, ["backup"]) => backup::list(shared),
        (Method::Get, ["backup", name]) => backup::verify(shared, name).await,
        (Method::Post, ["backup"]) => {
            let said = body::read(route, &request.headers, body)?;
            backup::create(shared, said.value).await
        }
        (Method::Get, ["reports"]) => Ok(shown::json(ListOf { items: KindShown::all() })),
        (Method::Get, ["reports", name]) => report::report(shared, name, &query, None).await,
        (Method::Get, ["ledger", "audit"]) => books::audit(shared).await,
        (Method::Get, ["param", name, "history"]) => {
            let (row, page) = (crate::params::find(name)?, Page::read(&query)?);
            history(shared, |history| history.parameter_history(row.name, &page))
        }
        (Method::Get, ["firewall", "counter"]) => {
            Ok(shown::json(ListOf { items: reconcile::counters(&shared.maps) }))
        }
        (Method::Get, ["firewall", "talker"]) => {
            let items = reconcile::talkers(&shared.maps, (shared.now)().now);
            Ok(shown::json(ListOf { items }))
        }
        (Method::Get, ["firewall", "signature"]) => hits::signatures(shared).await.map(shown::json),
        (Method::Put, ["firewall", "import", _]) => {
            let bytes = body.to_vec();
            import::put(shared, peer.name, path.clone(), query, &request.headers, bytes).await
        }
        (Method::Post, ["tariff", name, "sheet"]) => {
            sheet::take(shared, peer.name, name, &query, body.to_vec()).await
        }
        (Method::Post, ["tariff", name, "generate"]) => {
            price::generate(shared, peer.name, name, &query).await
        }
        (Method::Get, ["tariff", name, "diff"]) => price::differences(shared, name, &query).await,
        (Method::Get, ["firewall", "explain"]) => status::explain(shared, &query),
        _ => {
            let body::Said { value: mut body, rates, ranges } =
                body::read(route, &request.headers, body)?;
            let made = match (method, &names[..]) {
                (Method::Post, ["firewall", "code"]) => password::fill_code(&mut body)?,
                _ => password::fill(&query, &mut body)?,
            };
            let path = path.clone();
            let records = books::records(shared, method, &names, &query)?;
            let command = Command {
                method,
                path,
                query,
                body,
                rates,
                ranges,
                entries: None,
                records,
                sheet: None,
            };
            let mut answer = ask(shared, peer.name, command).await?;
            password::reveal(&mut answer, made);
            Ok(hits::fill(shared, &names, answer).await)
        }
    }
}

/// Asks the loop for what it holds.
pub(crate) async fn look(shared: &Arc<Shared>, path: &[&str]) -> Result<Value, Refusal> {
    ask(shared, String::new(), question(path)).await
}

/// Something to ask the loop for.
fn question(path: &[&str]) -> Command {
    Command {
        method: Method::Get,
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        query: BTreeMap::new(),
        body: Value::Null,
        rates: Vec::new(),
        ranges: None,
        entries: None,
        records: None,
        sheet: None,
    }
}

/// Asks the loop, and waits until what it changed is durable.
async fn ask(shared: &Arc<Shared>, who: String, command: Command) -> Result<Value, Refusal> {
    let gone = || Refusal::new(503, "control is stopping", "try again when it runs again");
    let (reply, answer) = tokio::sync::oneshot::channel();
    shared.requests.try_send(Request { who, command, reply }).map_err(|refused| match refused {
        TrySendError::Full(_) => {
            Refusal::new(503, "too many requests at once", "nothing was changed; try again")
        }
        TrySendError::Disconnected(_) => gone(),
    })?;
    shared.bell.ring();
    match tokio::time::timeout(std::time::Duration::from_secs(10), answer).await {
        Ok(answer) => answer.map_err(|_| gone())?,
        Err(_) => Err(Refusal::new(
            503,
            "not durable yet",
            "the store does not take changes; see `tollgate alarm list`. The change holds in memory \
             and is stored as soon as it can be; do not repeat it",
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
    let text = |name: &str| query.get(name).cloned();
    let one_of = |name: &str, words: &mut dyn Iterator<Item = &str>| {
        let words: Vec<&str> = words.collect();
        match text(name) {
            Some(word) if !words.contains(&word.as_str()) => {
                let words = words.join(", ");
                Err(Refusal::invalid(format!("{name}: {word:?} is none of {words}")))
            }
            word => Ok(word),
        }
    };
    let answered = one_of("answered", &mut ["0", "1"].into_iter())?;
    let hold_ms_min = text("hold_ms_min").map(|text| {
        let wrong =
            || Refusal::invalid(format!("hold_ms_min: {text:?} is no number of milliseconds"));
        text.parse().map_err(|_| wrong())
    });
    let hold_ms_min = hold_ms_min.transpose()?;
    Ok(CdrFilter {
        gateway: text("gateway"),
        vendor: text("vendor"),
        caller: text("caller"),
        callee: text("callee"),
        billing_mode: one_of("billing_mode", &mut BillingMode::ALL.iter().map(|mode| mode.name()))?,
        end_reason: one_of("end_reason", &mut EndReason::ALL.iter().map(|reason| reason.name()))?,
        answered: answered.map(|answered| answered == "1"),
        id: None,
        agent: None,
        account: text("account"),
        vendor_account: text("vendor_account"),
        hold_ms_min,
        from: text("from"),
        to: text("to"),
    })
}

/// What a `+` stands for: in a path for itself, in a query for a blank.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Plus,
    Blank,
}

fn unescape(text: &str, plus: Plus) -> Result<String, Refusal> {
    let bad = || Refusal::new(400, "bad address", format!("{text:?} is not percent-encoded UTF-8"));
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
            b'+' if plus == Plus::Blank => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|_| bad())
}

fn parse_query(query: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut values = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescape(name, Plus::Blank)?, unescape(value, Plus::Blank)?);
        if values.contains_key(&name) {
            return Err(Refusal::invalid(format!("query: {name:?} stands here twice")));
        }
        values.insert(name, value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
