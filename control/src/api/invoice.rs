//! Invoices: what is on them is read beside the loop, which gives the numbers; paper is made of what was sealed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::ToSpan;
use jiff::civil::Date;
use rating::{Money, MoneyFault};
use serde_json::Value;

use super::{Shared, ask, history, look, question};
use crate::Refusal;
use crate::decide::Method;
use crate::decide::invoice::{InvoiceStep, NoteStep};
use crate::invoice::{Billed, Document, Kept, Line, difference, mail, paper};
use crate::page::Page;
use crate::report::calendar;
use crate::shown::{self, InvoiceShown, NewInvoice, NewNote, NewSending};
use crate::state::entity::parse;
use crate::store::{History, InvoiceFilter};

/// Most digits of a destination.
const DIGITS_MAX: u8 = 15;
const STATES: [&str; 4] = ["draft", "issued", "paid", "cancelled"];

/// Who asks for what.
pub(super) struct Asked<'a> {
    pub(super) who: String,
    pub(super) query: &'a BTreeMap<String, String>,
    pub(super) body: Value,
}

/// Everything below `/invoice` but paper.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    method: Method,
    path: &[&str],
    asked: Asked<'_>,
) -> Result<Value, Refusal> {
    let Asked { who, query, body } = asked;
    match (method, path) {
        (Method::Get, []) => list(shared, query),
        (Method::Get, [name]) => show(shared, name),
        (Method::Post, []) => draft(shared, who, parse(body)?).await,
        (Method::Delete, [name]) => {
            step(shared, who, name, InvoiceStep::Remove).await.map(|_| Value::Null)
        }
        (Method::Post, [name, "issue"]) => issue(shared, who, name).await,
        (Method::Post, [name, "send"]) => send(shared, who, name, parse(body)?).await,
        (Method::Post, [name, "credit"]) => credit(shared, who, name, parse(body)?).await,
        (Method::Post, [name, "payment"]) => {
            let mut command = question(&["invoice", name, "payment"]);
            (command.method, command.body) = (Method::Post, body);
            ask(shared, who, command).await?;
            show(shared, name)
        }
        _ => Err(Refusal::new(404, "no such resource", "see /api/v1/openapi.json")),
    }
}

fn list(shared: &Shared, query: &BTreeMap<String, String>) -> Result<Value, Refusal> {
    let page = Page::read(query)?;
    let state = query.get("state").cloned();
    if let Some(word) = state.as_deref().filter(|word| !STATES.contains(word)) {
        let detail = format!("state: {word:?} is none of {}", STATES.join(", "));
        return Err(Refusal::invalid(detail));
    }
    let account = query.get("account").cloned();
    let filter = InvoiceFilter { account, state, now_us: (shared.now)().wall_us };
    history(shared, |history| history.invoices(&filter, &page))
}

fn unreadable(error: serde_json::Error) -> Refusal {
    Refusal::new(500, "invoice unreadable", format!("{error}; restore a backup"))
}

fn read(shared: &Shared, name: &str) -> Result<(Kept, Document), Refusal> {
    let mut kept = Kept::default();
    history(shared, |history| {
        kept = history.invoice(name)?;
        Ok(Value::Null)
    })?;
    let document = serde_json::from_str(&kept.body).map_err(unreadable)?;
    Ok((kept, document))
}

fn show(shared: &Shared, name: &str) -> Result<Value, Refusal> {
    let (kept, document) = read(shared, name)?;
    Ok(shown::json(InvoiceShown::new(&kept, document, (shared.now)().wall_us)))
}

/// The document as PDF or CSV.
pub(super) fn file(shared: &Shared, path: &[String]) -> Result<Response<Body>, Refusal> {
    let [_, name, kind] = path else {
        return Err(Refusal::missing("invoice", ""));
    };
    let (kept, document) = read(shared, name)?;
    let (kind, bytes) = match kind.as_str() {
        "pdf" => ("application/pdf", paper::pdf(&document, &kept.head.standing.sha256)),
        _ => ("text/csv; charset=utf-8", paper::csv(&document)?),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// One step in the loop. The name of the document that it made or changed, once that is durable.
async fn step(
    shared: &Arc<Shared>,
    who: String,
    name: &str,
    step: InvoiceStep,
) -> Result<String, Refusal> {
    let mut command = question(&["invoice", name, "step"]);
    (command.method, command.body) = (Method::Put, shown::json(step));
    let name = ask(shared, who, command).await?;
    Ok(name.as_str().unwrap_or_default().to_owned())
}

/// What a time comes to, read on a thread of its own.
async fn bill(shared: &Arc<Shared>, billed: Billed) -> Result<Billed, Refusal> {
    let mut reader: Option<Box<dyn History>> = None;
    history(shared, |history| {
        reader = Some(history.another()?);
        Ok(Value::Null)
    })?;
    let broken = || Refusal::new(500, "invoice broken", "restart tollgate-control");
    let mut reader = reader.ok_or_else(broken)?;
    let read = tokio::task::spawn_blocking(move || {
        let lines = reader.billed(&billed)?;
        Ok(Billed { lines, ..billed })
    });
    read.await.map_err(|_| broken())?
}

/// A month's first day, and the next one's.
fn month(text: &str) -> Option<(Date, Date)> {
    let first: Date = format!("{text}-01").parse().ok().filter(|_| text.len() == 7)?;
    Some((first, first.checked_add(1.month()).ok()?))
}

fn time(asked: &NewInvoice) -> Result<(Date, Date), Refusal> {
    let date = |field: &str, text: &str| {
        let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
        date.ok_or_else(|| Refusal::invalid(format!("{field}: {text:?} is no day like 2026-01-31")))
    };
    match (asked.month.as_str(), asked.from.as_str(), asked.to.as_str()) {
        ("", from, to) => {
            let (from, to) = (date("from", from)?, date("to", to)?);
            if to <= from {
                let detail = format!("to: {to} is the first day that is not in it, behind {from}");
                return Err(Refusal::invalid(detail));
            }
            Ok((from, to))
        }
        (text, "", "") => month(text)
            .ok_or_else(|| Refusal::invalid(format!("month: {text:?} is none like 2026-01"))),
        _ => Err(Refusal::invalid("month: or from and to, not both")),
    }
}

async fn draft(shared: &Arc<Shared>, who: String, asked: NewInvoice) -> Result<Value, Refusal> {
    let account = look(shared, &["account", &asked.account]).await?;
    let zone = calendar::zone(account["time_zone"].as_str().unwrap_or("UTC"))?;
    if asked.area_digits > DIGITS_MAX {
        let detail = format!("area_digits: {}; it is 0 to {DIGITS_MAX}", asked.area_digits);
        return Err(Refusal::invalid(detail));
    }
    let (from, to) = time(&asked)?;
    let moment = |field: &str, day: Date| {
        let us = calendar::moment(field, &day.to_string(), &zone)?;
        u64::try_from(us).map_err(|_| Refusal::invalid(format!("{field}: {day} is before 1970")))
    };
    let billed = Billed {
        account: account["id"].as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0),
        from_us: moment("from", from)?,
        to_us: moment("to", to)?,
        from: from.to_string(),
        to: to.to_string(),
        area_digits: asked.area_digits,
        lines: Vec::new(),
    };
    let billed = bill(shared, billed).await?;
    let name = step(shared, who, "new", InvoiceStep::Draft(billed)).await?;
    show(shared, &name)
}

/// What a document is of, without what it comes to.
fn of(kept: &Kept, document: &Document) -> Billed {
    Billed {
        account: kept.head.account,
        from: document.from.clone(),
        to: document.to.clone(),
        from_us: kept.head.from_us,
        to_us: kept.head.to_us,
        area_digits: document.area_digits,
        lines: Vec::new(),
    }
}

async fn issue(shared: &Arc<Shared>, who: String, name: &str) -> Result<Value, Refusal> {
    let (kept, document) = read(shared, name)?;
    let billed = bill(shared, of(&kept, &document)).await?;
    if kept.head.number == 0 && billed.lines != document.lines {
        let detail = "its records cost something else since it was drafted; draft it again";
        return Err(Refusal::new(409, "draft out of date", detail));
    }
    let name = step(shared, who, name, InvoiceStep::Issue(billed)).await?;
    show(shared, &name)
}

async fn credit(
    shared: &Arc<Shared>,
    who: String,
    name: &str,
    asked: NewNote,
) -> Result<Value, Refusal> {
    if asked.reason.trim().is_empty() {
        return Err(Refusal::invalid("reason: empty; a note says why"));
    }
    let (kept, invoice) = read(shared, name)?;
    let mut notes = Vec::new();
    history(shared, |history| {
        notes = history.notes(kept.head.id)?;
        Ok(Value::Null)
    })?;
    let now = match asked.whole {
        true => Vec::new(),
        false => bill(shared, of(&kept, &invoice)).await?.lines,
    };
    let count = notes.len();
    let mut documents = vec![invoice];
    for note in notes {
        documents.push(serde_json::from_str(&note.body).map_err(unreadable)?);
    }
    let large = |fault: MoneyFault| Refusal::new(422, "sum too large", fault.to_string());
    let (mut exact, mut total) = (Money::ZERO, Money::ZERO);
    for document in &documents {
        exact = document.exact().and_then(|sum| exact.plus(sum)).map_err(large)?;
        total = total.plus(document.total).map_err(large)?;
    }
    let before: Vec<Line> = documents.iter().flat_map(|it| it.lines.iter().cloned()).collect();
    let lines = difference(&before, &now).map_err(large)?;
    let invoice = Document { lines: Vec::new(), ..documents.swap_remove(0) };
    let note = NoteStep {
        reason: asked.reason,
        is_whole: asked.whole,
        lines,
        invoice,
        exact,
        total,
        notes: count,
    };
    let name = step(shared, who, name, InvoiceStep::Note(Box::new(note))).await?;
    show(shared, &name)
}

async fn send(
    shared: &Arc<Shared>,
    who: String,
    name: &str,
    asked: NewSending,
) -> Result<Value, Refusal> {
    let (kept, document) = read(shared, name)?;
    if kept.head.number == 0 {
        let detail = format!("{name} is a draft; issue it first");
        return Err(Refusal::new(409, "wrong state", detail));
    }
    let to = match asked.to.as_str() {
        "" => {
            let account = look(shared, &["account", &document.account]).await?;
            account["email"].as_str().unwrap_or_default().to_owned()
        }
        to => to.to_owned(),
    };
    if to.is_empty() {
        let detail = format!("to: account {} has no email", document.account);
        return Err(Refusal::invalid(detail));
    }
    crate::state::entity::email("to", &to)?;
    mail::send(shared.mail.as_ref(), &to, &document, &kept.head.standing.sha256).await?;
    step(shared, who, name, InvoiceStep::Sent(to)).await?;
    show(shared, name)
}
