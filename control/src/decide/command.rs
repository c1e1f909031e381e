//! What operators want: documents, parameters, money, calls, drain. One match is the whole table.

use std::collections::BTreeMap;

use link::Order;
use link::order::HangUp;
use link::record::EndReason;
use rating::Money;
use serde_json::{Value, json};

use super::Office;
use crate::cdr::id_from_text;
use crate::journal::{Event, Severity};
use crate::params::CATALOG;
use crate::reconcile::{Denial, Desired};
use crate::state::entity::{Denied, Entity, Kind, RateRow};
use crate::store::{Change, LedgerEntry};
use crate::{Refusal, Time, rfc3339};

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Look.
    Get,
    /// Create, or act.
    Post,
    /// Replace.
    Put,
    /// Change some fields.
    Patch,
    /// Remove.
    Delete,
}

/// One request of the API.
#[derive(Clone, Debug)]
pub struct Command {
    /// What.
    pub method: Method,
    /// Of which resource, below `/api/v1`.
    pub path: Vec<String>,
    /// Narrowed how.
    pub query: BTreeMap<String, String>,
    /// With what; null if nothing.
    pub body: Value,
    /// Rates of an imported sheet.
    pub rates: Vec<RateRow>,
}

/// The kind of a collection, by its path.
fn collection(path: &[&str]) -> Option<Kind> {
    match path {
        ["account"] => Some(Kind::Account),
        ["tariff"] => Some(Kind::Tariff),
        ["gateway", "mapping"] => Some(Kind::Mapping),
        ["gateway", "routing"] => Some(Kind::Routing),
        ["firewall", "deny"] => Some(Kind::Deny),
        ["firewall", "trust"] => Some(Kind::Trust),
        _ => None,
    }
}

impl Office {
    /// Does what an operator wants. What it changed is durable once [`Self::last_change`] is stored.
    ///
    /// # Errors
    /// A refusal that says what to do.
    pub fn handle_command(&mut self, time: Time, command: &Command) -> Result<Value, Refusal> {
        let path: Vec<&str> = command.path.iter().map(String::as_str).collect();
        let body = &command.body;
        match (command.method, &path[..]) {
            (Method::Get, ["param"]) => {
                let rows: Vec<Value> =
                    CATALOG.iter().map(|row| self.state.values.describe(row)).collect();
                Ok(json!({ "items": rows }))
            }
            (Method::Get, ["param", name]) => {
                Ok(self.state.values.describe(crate::params::find(name)?))
            }
            (Method::Put, ["param", name]) => {
                let value = text(body, "value")?;
                let (name, old, new) = self.state.values.set(name, &value)?;
                self.parameter_changed(time, name, old, Some(new))
            }
            (Method::Delete, ["param", name]) => {
                let (name, old, _) = self.state.values.reset(name)?;
                self.parameter_changed(time, name, old, None)
            }
            (Method::Get, ["alarm"]) => Ok(json!({ "items": self.journal.alarms() })),
            (Method::Get, ["event"]) => {
                let limit = command.query.get("limit").and_then(|text| text.parse().ok());
                let events = self.journal.events().take(limit.unwrap_or(100));
                Ok(json!({ "items": events.map(Event::describe).collect::<Vec<_>>() }))
            }
            (Method::Get, ["drain"]) => {
                Ok(json!({ "draining": self.draining, "calls": self.live.len() }))
            }
            (Method::Post, ["drain"]) => {
                let wanted = body.get("draining").and_then(Value::as_bool);
                self.draining =
                    wanted.ok_or_else(|| Refusal::invalid("draining: true or false"))?;
                let draining = u32::from(self.draining);
                self.order_all(Order::Drain(link::order::Drain { draining }));
                let name = if self.draining { "drain_started" } else { "drain_stopped" };
                self.note(time, name, "node", String::new());
                Ok(json!({ "draining": self.draining, "calls": self.live.len() }))
            }
            (Method::Get, ["route", "explain"]) => {
                let part = |name: &str| command.query.get(name).map_or("", String::as_str);
                self.explain_route(time, part("gateway"), part("from"), part("to"))
            }
            (Method::Delete, ["call", id]) => self.hang_up(time, id),
            (Method::Post, ["account", name, "payment"]) => self.pay(time, name, body),
            (Method::Get, ["tariff", name, "rate"]) => {
                let rows: Vec<Value> = self
                    .state
                    .rates(name)?
                    .map(|row| serde_json::to_value(row).unwrap_or_default())
                    .collect();
                Ok(json!({ "items": rows }))
            }
            (method @ (Method::Post | Method::Put), ["tariff", name, "rate"]) => {
                self.put_rates(name, command, method == Method::Put)
            }
            (Method::Delete, ["tariff", name, "rate", prefix]) => {
                let head = self.state.remove_rate(name, prefix)?;
                self.change(Change::RateGone(head.id(), (*prefix).to_owned()));
                self.change(Change::Put(Box::new(head)));
                Ok(Value::Null)
            }
            (Method::Get, ["firewall", "limit"]) => Ok(self.options_limit()),
            (Method::Post, ["firewall", "deny"]) => self.deny(time, body),
            (method, path) => self.handle_document(time, method, path, body),
        }
    }

    fn handle_document(
        &mut self,
        time: Time,
        method: Method,
        path: &[&str],
        body: &Value,
    ) -> Result<Value, Refusal> {
        if let Some(kind) = collection(path) {
            return match method {
                Method::Get => {
                    let rows: Vec<Value> =
                        self.state.documents(kind).map(|entity| self.describe(entity)).collect();
                    Ok(json!({ "items": rows }))
                }
                Method::Post => {
                    let entity = self.state.create(kind, body.clone())?;
                    self.saved(time, "created", &entity);
                    Ok(self.describe(&entity))
                }
                _ => Err(not_allowed()),
            };
        }
        let unknown = || Refusal::new(404, "no such resource", "see /api/v1/openapi.json");
        let (name, collection_path) = path.split_last().ok_or_else(unknown)?;
        let kind = collection(collection_path).ok_or_else(unknown)?;
        match method {
            Method::Get => Ok(self.describe(self.state.document(kind, name)?)),
            Method::Patch => {
                let entity = self.state.update(kind, name, body)?;
                self.saved(time, "changed", &entity);
                Ok(self.describe(&entity))
            }
            Method::Delete => {
                let entity = self.state.delete(kind, name)?;
                self.change(Change::Delete(kind, entity.id()));
                self.guard_changed(kind);
                self.note(time, "deleted", &format!("{} {name}", kind.name()), String::new());
                Ok(Value::Null)
            }
            Method::Post | Method::Put => Err(not_allowed()),
        }
    }

    fn saved(&mut self, time: Time, name: &'static str, entity: &Entity) {
        self.change(Change::Put(Box::new(entity.clone())));
        self.guard_changed(entity.kind());
        let subject = format!("{} {}", entity.kind().name(), entity.name());
        self.note(time, name, &subject, String::new());
    }

    /// What the driver holds follows lists and gateways.
    fn guard_changed(&mut self, kind: Kind) {
        self.guard_stale |= !matches!(kind, Kind::Account | Kind::Tariff);
        if kind == Kind::Deny {
            self.denial_due_us = 0;
        }
    }

    fn note(&mut self, time: Time, name: &'static str, subject: &str, detail: String) {
        let (at_us, subject, severity) = (time.wall_us, subject.to_owned(), Severity::Info);
        self.journal.note(Event { at_us, name, subject, severity, detail });
    }

    /// A document with what lives beside it.
    fn describe(&self, entity: &Entity) -> Value {
        let mut body = entity.body();
        let Some(fields) = body.as_object_mut() else { return body };
        let lines = |id| self.state.limiters.get(&id).map_or(0, routing::Limiter::lines);
        match entity {
            Entity::Account(account) => {
                let balance = self.state.balances.get(&account.id).copied().unwrap_or_default();
                fields.insert("balance".into(), balance.amount.to_string().into());
                fields.insert("reserved".into(), balance.reserved.to_string().into());
                fields.insert("calls".into(), balance.calls.into());
            }
            Entity::Tariff(tariff) => {
                let count = self.state.rates(&tariff.name).map_or(0, Iterator::count);
                fields.insert("rates".into(), count.into());
            }
            Entity::Mapping(gateway) => {
                fields.insert("lines".into(), lines(gateway.id).into());
            }
            Entity::Routing(gateway) => {
                fields.insert("lines".into(), lines(gateway.id).into());
            }
            Entity::Deny(denied) => {
                let until = (denied.until_us > 0).then(|| rfc3339(denied.until_us));
                fields.insert("since".into(), rfc3339(denied.since_us).into());
                fields.insert("until".into(), until.into());
            }
            Entity::Trust(_) => {}
        }
        body
    }

    fn parameter_changed(
        &mut self,
        time: Time,
        name: &'static str,
        old: String,
        new: Option<String>,
    ) -> Result<Value, Refusal> {
        if name == "FEE_PRECISION" {
            self.state.values_changed();
        }
        self.guard_stale |= name.starts_with("TG_OPTIONS");
        self.note(
            time,
            "parameter_changed",
            name,
            format!("{old} -> {}", self.state.values.text(name)),
        );
        self.change(Change::Parameter(name, old, new, time.wall_us));
        self.order_all(Order::Parameters(self.state.values.for_workers()));
        Ok(self.state.values.describe(crate::params::find(name)?))
    }

    fn hang_up(&mut self, time: Time, id: &str) -> Result<Value, Refusal> {
        let key = id_from_text(id).ok_or_else(|| Refusal::missing("call", id))?;
        let live = self.live.get(&key).ok_or_else(|| Refusal::missing("call", id))?;
        let hang_up = HangUp { call: live.key, reason: EndReason::Operator as u32 };
        let worker = live.worker;
        self.order(worker, Order::HangUp(hang_up));
        self.note(time, "call_hung_up", id, String::new());
        Ok(Value::Null)
    }

    /// A payment, once per request id.
    fn pay(&mut self, time: Time, name: &str, body: &Value) -> Result<Value, Refusal> {
        let account = self.state.account(name)?.id;
        let amount: Money = text(body, "amount")?
            .parse()
            .map_err(|fault| Refusal::invalid(format!("amount: {fault}")))?;
        let request = text(body, "request_id")?;
        let reference = format!("payment:{account}:{request}");
        let known = self.state.payments.contains(&reference);
        if !known {
            let balance = self.state.balances.entry(account).or_default();
            balance.amount =
                balance.amount.plus(amount).map_err(|fault| Refusal::invalid(fault.to_string()))?;
            self.state.payments.insert(reference.clone());
            let entry = LedgerEntry {
                account,
                at_us: time.wall_us,
                kind: "payment",
                amount: amount.billionths(),
                reference,
                memo: body.get("memo").and_then(Value::as_str).unwrap_or_default().to_owned(),
            };
            self.change(Change::Ledger(Box::new(entry)));
        }
        let balance = self.state.balances.get(&account).copied().unwrap_or_default();
        Ok(json!({ "balance": balance.amount.to_string(), "repeated": known }))
    }

    fn put_rates(
        &mut self,
        tariff: &str,
        command: &Command,
        replace: bool,
    ) -> Result<Value, Refusal> {
        let mut rows = command.rates.clone();
        let listed = match &command.body {
            Value::Null => Vec::new(),
            Value::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        for (index, item) in listed.into_iter().enumerate() {
            let row = serde_json::from_value(item)
                .map_err(|error| Refusal::invalid(format!("rate {}: {error}", index + 1)))?;
            rows.push(row);
        }
        for (index, row) in rows.iter().enumerate() {
            row.check().map_err(|refusal| {
                Refusal::invalid(format!("rate {} ({}): {}", index + 1, row.prefix, refusal.detail))
            })?;
        }
        let head = self.state.put_rates(tariff, &rows, replace)?;
        let (id, count) = (head.id(), rows.len());
        self.change(Change::Rates { tariff: id, rows, replace });
        self.change(Change::Put(Box::new(head)));
        Ok(json!({ "rates": count }))
    }

    fn options_limit(&self) -> Value {
        json!({
            "options_per_second": self.state.values.number("TG_OPTIONS_PER_SECOND"),
            "options_burst": self.state.values.number("TG_OPTIONS_BURST"),
        })
    }

    fn deny(&mut self, time: Time, body: &Value) -> Result<Value, Refusal> {
        let name = text(body, "prefix")?;
        let prefix: routing::Prefix =
            name.parse().map_err(|fault| Refusal::invalid(format!("prefix: {name:?}: {fault}")))?;
        let for_s = body.get("for_s").and_then(Value::as_u64).unwrap_or(0);
        let until_us = if for_s == 0 { 0 } else { time.wall_us + for_s.saturating_mul(1_000_000) };
        if let Some(gateway) = self
            .state
            .sources
            .prefixes()
            .find(|known| prefix.contains(known.address()) || known.contains(prefix.address()))
        {
            let detail =
                format!("{prefix} covers the gateway at {gateway}; lock that gateway instead");
            return Err(Refusal::new(409, "source of a gateway", detail));
        }
        let denied = Denied {
            id: 0,
            name: prefix.to_string(),
            reason: body.get("reason").and_then(Value::as_str).unwrap_or("operator").to_owned(),
            since_us: time.wall_us,
            until_us,
        };
        let name = denied.name.clone();
        let body = Entity::Deny(denied).body();
        let entity = match self.state.document(Kind::Deny, &name) {
            Ok(_) => self.state.update(Kind::Deny, &name, &without_id(body))?,
            Err(_) => self.state.create(Kind::Deny, body)?,
        };
        self.saved(time, "denied", &entity);
        Ok(self.describe(&entity))
    }

    /// Denials whose time has come go by themselves.
    pub(super) fn expire_denials(&mut self, time: Time) {
        // The list may be a million long and this is asked twenty times a second.
        if time.wall_us < self.denial_due_us {
            return;
        }
        let due = |entity: &Entity| match entity {
            Entity::Deny(denied) if (1..=time.wall_us).contains(&denied.until_us) => {
                Some(denied.name.clone())
            }
            _ => None,
        };
        let expired: Vec<String> = self.state.documents(Kind::Deny).filter_map(due).collect();
        for name in expired {
            if let Ok(entity) = self.state.delete(Kind::Deny, &name) {
                self.change(Change::Delete(Kind::Deny, entity.id()));
                self.guard_stale = true;
                self.note(time, "denial_expired", &name, String::new());
            }
        }
        let ends = self.state.documents(Kind::Deny).filter_map(|entity| match entity {
            Entity::Deny(denied) if denied.until_us > 0 => Some(denied.until_us),
            _ => None,
        });
        self.denial_due_us = ends.min().unwrap_or(u64::MAX);
    }

    /// What the driver should hold from now on, if that changed.
    pub fn poll_guard(&mut self, time: Time) -> Option<Desired> {
        std::mem::take(&mut self.guard_stale).then(|| self.desired_guard(time))
    }

    fn desired_guard(&self, time: Time) -> Desired {
        let deny = self.state.documents(Kind::Deny).filter_map(|entity| match entity {
            Entity::Deny(denied) => {
                let left_us = denied.until_us.saturating_sub(time.wall_us);
                let not_after = (denied.until_us > 0)
                    .then(|| time.now + std::time::Duration::from_micros(left_us));
                let (name, until_us) = (denied.name.clone(), denied.until_us);
                Some(Denial { name, until_us, not_after })
            }
            _ => None,
        });
        let listed = self.state.documents(Kind::Trust).map(|entity| entity.name().to_owned());
        // Gateways are trusted by themselves.
        let customers = self.state.sources.prefixes().map(|prefix| prefix.to_string());
        let vendors = self.state.routings.values().map(|gateway| gateway.target.ip().to_string());
        let mut trust: Vec<String> = listed.chain(customers).chain(vendors).collect();
        trust.sort();
        trust.dedup();
        Desired {
            deny: deny.collect(),
            trust,
            options_per_second: self.state.values.small("TG_OPTIONS_PER_SECOND"),
            options_burst: self.state.values.small("TG_OPTIONS_BURST"),
        }
    }
}

fn not_allowed() -> Refusal {
    Refusal::new(405, "method not allowed", "see /api/v1/openapi.json")
}

fn without_id(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("id");
    }
    body
}

fn text(body: &Value, field: &str) -> Result<String, Refusal> {
    match body.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(Refusal::invalid(format!("{field}: missing; it is text"))),
    }
}
