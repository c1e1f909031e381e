//! What operators want: documents, parameters, money, calls, drain. One match is the whole table.

use std::collections::BTreeMap;
use std::sync::Arc;

use guard::GeoSet;
use link::order::HangUp;
use link::record::EndReason;
use link::{Order, Profile};
use routing::Health;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Office;
use super::access::by_whom;
use super::sheet::SheetStep;
use super::upstream::subject;
use crate::cdr::id_from_text;
use crate::journal::{Event, Severity};
use crate::page::Page;
use crate::shown::{
    self, AccountShown, BindingShown, DeniedShown, DrainShown, Held, MappingShown, Moment,
    PhoneShown, RatesTaken, RegistrationShown, RoutingShown, TariffShown,
};
use crate::state::binding::{Binding, transport_name};
use crate::state::customer::Customer;
use crate::state::entity::{self, Entity, Kind, RateRow};
use crate::state::imports::Entries;
use crate::store::ledger::EntryKind;
use crate::store::{Change, Looked};
use crate::{Refusal, Time};

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
    /// Ranges of a geo set.
    pub ranges: Option<Arc<GeoSet>>,
    /// Entries of an import of the deny list.
    pub entries: Option<Arc<Entries>>,
    /// Stored records that are to be set right.
    pub records: Option<Box<Looked>>,
    /// What a vendor's rate sheet needs of the loop.
    pub sheet: Option<SheetStep>,
}

/// Whether new calls are to be refused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDrain {
    /// Refuse them.
    draining: bool,
}

/// The kind of a collection, by its path.
fn collection(path: &[&str]) -> Option<Kind> {
    match path {
        ["account"] => Some(Kind::Account),
        ["tariff"] => Some(Kind::Tariff),
        ["gateway", "mapping"] => Some(Kind::Mapping),
        ["gateway", "routing"] => Some(Kind::Routing),
        ["phone"] => Some(Kind::Phone),
        ["firewall", "deny"] => Some(Kind::Deny),
        ["firewall", "trust"] => Some(Kind::Trust),
        ["firewall", "geo"] => Some(Kind::Geo),
        ["user"] => Some(Kind::User),
        ["firewall", "import"] => Some(Kind::Import),
        ["firewall", "code"] => Some(Kind::Code),
        ["sheet", "mapping"] => Some(Kind::Sheet),
        ["record", "mapping"] => Some(Kind::Record),
        ["package"] => Some(Kind::Package),
        ["subscription"] => Some(Kind::Subscription),
        ["number", "section"] => Some(Kind::NumberSection),
        ["number", "transform"] => Some(Kind::NumberTransform),
        _ => None,
    }
}

impl Office {
    /// Does what this machine wants of itself; see [`Self::handle_command_of`].
    ///
    /// # Errors
    /// A refusal that says what to do.
    pub fn handle_command(&mut self, time: Time, command: &Command) -> Result<Value, Refusal> {
        self.handle_command_of(time, "tollgate", command)
    }

    /// Does what `who` wants. What it changed is durable once [`Self::last_change`] is stored.
    ///
    /// # Errors
    /// A refusal that says what to do.
    pub fn handle_command_of(
        &mut self,
        time: Time,
        who: &str,
        command: &Command,
    ) -> Result<Value, Refusal> {
        let path: Vec<&str> = command.path.iter().map(String::as_str).collect();
        let body = &command.body;
        // Whoever steers calls away from a full disk must still be heard.
        let stored = !matches!(path[..], ["drain"] | ["call", _]);
        if command.method != Method::Get && stored && self.is_behind() {
            return Err(Refusal::new(
                503,
                "too much waits for the store",
                "nothing was changed; see `tollgate alarm list`, and try again when the store is back",
            ));
        }
        match (command.method, &path[..]) {
            (Method::Get, ["status"]) => Ok(shown::json(Held {
                draining: self.draining,
                calls: self.live.len(),
                store: !self.journal.stands("store_failed", "store"),
                spill: self.spill.clone(),
                alarms: self.journal.alarms_standing(),
                gateways: self.gateways_watched(),
                registrations: self.registrations(),
                asks: self.asks.clone(),
                defence: self.defence_figures(time),
                fences: self.sentry.figures.clone(),
                abuse: self.abuse_figures(time),
                quality: self.quality(),
                packages: self.package_figures(),
            })),
            (Method::Get, ["quality"]) => self.look_at_quality(&command.query),
            (_, ["param", ..]) => self.handle_parameter(time, who, &path, command),
            (Method::Get, ["alarm"]) => Ok(self.journal.alarms(&Page::read(&command.query)?)),
            (Method::Get, ["event"]) => self.journal.events_page(&Page::read(&command.query)?),
            (Method::Get, ["drain"]) => Ok(self.drain_shown()),
            (Method::Post, ["drain"]) => {
                self.draining = entity::parse::<NewDrain>(body.clone())?.draining;
                let draining = u32::from(self.draining);
                self.order_all(Order::Drain(link::order::Drain { draining }));
                let name = if self.draining { "drain_started" } else { "drain_stopped" };
                self.note(time, name, "node", String::new());
                Ok(self.drain_shown())
            }
            (Method::Get, ["route", "explain"]) => {
                let part = |name: &str| command.query.get(name).map_or("", String::as_str);
                if part("gateway").is_empty() || part("to").is_empty() {
                    return Err(Refusal::invalid("gateway and to: whence and to which number"));
                }
                self.explain_route(time, part("gateway"), part("from"), part("to"))
            }
            (Method::Delete, ["call", id]) => self.hang_up(time, id),
            (Method::Post, ["account", name, "payment"]) => {
                self.book_by_hand(time, who, EntryKind::Payment, name, body)
            }
            (Method::Post, ["account", name, "refund"]) => {
                self.book_by_hand(time, who, EntryKind::Refund, name, body)
            }
            (Method::Post, ["account", name, "correction"]) => {
                self.book_by_hand(time, who, EntryKind::Correction, name, body)
            }
            (Method::Get, ["number", "section"]) => self.number_sections(time, command),
            (Method::Get, ["number", "owner", number]) => self.owner_of_number(number),
            (Method::Get, ["account", name, "subscription"]) => self.subscriptions_of(name),
            (Method::Post, ["cdr", id, "correction"]) => {
                let looked =
                    command.records.as_deref().ok_or_else(|| Refusal::missing("CDR", id))?;
                self.correct_record(time, who, looked, body)
            }
            (_, ["cdr", "compare"]) => self.look_at_payers(command),
            (Method::Post, ["cdr", "rerate"]) => {
                let looked =
                    command.records.as_deref().ok_or_else(|| Refusal::missing("CDR", ""))?;
                self.rerate(time, who, looked, body)
            }
            (Method::Get, ["cdr", "day", "due"]) => Ok(shown::json(self.archived_before(time))),
            (Method::Post, ["invoice", name, "payment"]) => self.pay_invoice(time, who, name, body),
            (Method::Put, ["invoice", name, "step"]) => self.handle_invoice(time, who, name, body),
            (Method::Get, ["cdr", "text", "wanted"]) => {
                let (are_wanted, days) = self.hours_wanted();
                Ok(if are_wanted { days.into() } else { Value::Null })
            }
            (Method::Put, ["cdr", "text", "trouble"]) => {
                self.handle_hours(time, body.as_str().map(ToOwned::to_owned));
                Ok(Value::Null)
            }
            (Method::Post, ["cdr", "day", day]) => self.put_day_away(time, who, day, body),
            (Method::Get, ["tariff", name, "rate"]) => {
                let page = Page::read(&command.query)?;
                let rows = self.state.rates(name, page.cursor.as_deref())?;
                let show = |row| serde_json::to_value(row).unwrap_or_default();
                Ok(page.fill(rows, |row| row.key(), show))
            }
            (method @ (Method::Post | Method::Put), ["tariff", name, "rate"]) => {
                self.put_rates(name, command, method == Method::Put)
            }
            (_, ["tariff", name, "sheet"]) => self.handle_sheet(time, who, name, command),
            (Method::Delete, ["tariff", name, "rate", prefix]) => {
                let head = self.state.remove_rate(name, prefix)?;
                self.change(Change::RateGone(head.id(), (*prefix).to_owned()));
                self.change(Change::Put(Box::new(head)));
                Ok(Value::Null)
            }
            (Method::Get, ["registration"]) => {
                let page = Page::read(&command.query)?;
                let behind = page.cursor.as_deref().unwrap_or_default();
                let customers = &self.state.customers;
                let found = customers.users_behind(behind).filter(|(_, customer)| {
                    self.state.bindings.of(customer.gateway.id, time.wall_us).next().is_some()
                });
                let place = |(aor, _): &(&str, &Customer)| (*aor).to_owned();
                Ok(page
                    .fill(found, place, |(aor, customer)| self.registration(time, aor, customer)))
            }
            (Method::Get, ["registration", aor]) => {
                let customer = self.owner_of(aor)?;
                Ok(self.registration(time, aor, customer))
            }
            (Method::Delete, ["registration", aor]) => {
                let owner = self.owner_of(aor)?.gateway.id;
                let gone = self.unregister(owner);
                self.note(time, "unregistered", aor, format!("{gone} contacts, by hand"));
                Ok(Value::Null)
            }
            (_, ["firewall", ..]) => self.handle_firewall(time, who, &path, command),
            (Method::Get, ["access", right, attempt]) => {
                self.check_access(time, who, right, attempt)
            }
            (_, path) => self.handle_document(time, who, path, command),
        }
    }

    /// No running call goes to a gateway by itself that is gone: while control is away, a call fails over to
    /// any of its candidates, and nobody would know any more whom that call has to be paid to.
    fn check_untried(&self, kind: Kind, name: &str) -> Result<(), Refusal> {
        let Ok(entity) = self.state.document(kind, name) else { return Ok(()) };
        let id = entity.id();
        let calls = self.live.values().filter(|live| live.may_try.contains(&id)).count();
        if calls == 0 {
            return Ok(());
        }
        let why = format!(
            "{calls} running calls may still go to {} {name:?}; lock it and wait",
            kind.name()
        );
        Err(Refusal::new(409, "not settled", why))
    }

    /// Vendors' gateways of which we find out whether they are there, and whether they are.
    fn gateways_watched(&self) -> BTreeMap<String, bool> {
        let watched = self.state.routings.keys().filter(|id| self.upstream.is_watched(**id));
        let online = |id| self.upstream.health(id) != Health::Offline;
        watched.map(|id| (self.state.name_of(Kind::Routing, *id).to_owned(), online(*id))).collect()
    }

    fn drain_shown(&self) -> Value {
        shown::json(DrainShown { draining: self.draining, calls: self.live.len() })
    }

    pub(super) fn handle_document(
        &mut self,
        time: Time,
        who: &str,
        path: &[&str],
        Command { method, query, body, .. }: &Command,
    ) -> Result<Value, Refusal> {
        if let Some(kind) = collection(path) {
            return match method {
                Method::Get => {
                    let page = Page::read(query)?;
                    let behind = page.cursor.as_deref().unwrap_or_default();
                    let found = self.state.documents_behind(kind, behind);
                    let place = |entity: &&Entity| entity.name().to_owned();
                    Ok(page.fill(found, place, |entity| self.describe(time, entity)))
                }
                Method::Post => {
                    let plain = self.state.plain_profile();
                    if kind == Kind::Subscription {
                        let account = body.get("account").and_then(Value::as_str);
                        self.check_subscriptions(account.unwrap_or_default())?;
                    }
                    let entity = self.state.create(kind, body.clone())?;
                    self.tell_plain(&plain);
                    if is_gateway(kind) {
                        self.make_room();
                    }
                    self.saved(time, "created", &entity, by_whom(who, &entity));
                    if let Entity::Subscription(subscription) = &entity {
                        self.subscribed(time, subscription);
                    }
                    Ok(self.describe(time, &entity))
                }
                _ => Err(not_allowed()),
            };
        }
        let unknown = || Refusal::new(404, "no such resource", "see /api/v1/openapi.json");
        let (name, collection_path) = path.split_last().ok_or_else(unknown)?;
        let kind = collection(collection_path).ok_or_else(unknown)?;
        match method {
            Method::Get => match self.state.document(kind, name) {
                Ok(entity) => Ok(self.describe(time, entity)),
                Err(missing) => Err(self.hint_at_import(kind, name, missing)),
            },
            Method::Patch => {
                let plain = self.state.plain_profile();
                let was = self.state.account(name).cloned().ok().filter(|_| kind == Kind::Account);
                let entity = self.state.update(kind, name, body)?;
                if let (Some(was), Entity::Account(is)) = (was, &entity) {
                    self.note_state(time, who, &was, is);
                }
                self.tell_plain(&plain);
                self.saved(time, "changed", &entity, by_whom(who, &entity));
                if let Entity::Subscription(subscription) = &entity {
                    self.subscribed(time, subscription);
                }
                // Whoever registered by the old password proved something else.
                if ["password", "auth_password"].iter().any(|secret| is_said(body, secret)) {
                    self.unregister(entity.id());
                }
                Ok(self.describe(time, &entity))
            }
            Method::Delete => {
                let plain = self.state.plain_profile();
                self.check_untried(kind, name)?;
                let deleted = self.state.delete(kind, name);
                let entity = deleted.map_err(|no| self.hint_at_import(kind, name, no))?;
                self.tell_plain(&plain);
                if kind == Kind::Account {
                    self.forget_abuse_of(time, entity.id(), entity.name());
                }
                if let Entity::Subscription(subscription) = &entity {
                    self.unsubscribed(subscription);
                }
                self.change(Change::Delete(kind, entity.id()));
                self.tell_fences();
                self.tell_driver_gone(&entity);
                self.close_openings(time, &entity);
                self.upstream_changed(time, &entity);
                if is_gateway(kind) {
                    self.qualities.forget(entity.id());
                    self.depart(time, entity.id());
                }
                let subject = format!("{} {name}", kind.name());
                self.note(time, "deleted", &subject, by_whom(who, &entity));
                Ok(Value::Null)
            }
            Method::Post | Method::Put => Err(not_allowed()),
        }
    }

    pub(super) fn saved(
        &mut self,
        time: Time,
        name: &'static str,
        entity: &Entity,
        detail: String,
    ) {
        self.change(Change::Put(Box::new(entity.clone())));
        self.tell_fences();
        self.tell_driver(time, entity);
        self.upstream_changed(time, entity);
        self.tell_gateway(entity);
        let subject = format!("{} {}", entity.kind().name(), entity.name());
        self.note(time, name, &subject, detail);
    }

    /// The workers hear what holds for phones, if that is not what it `was`.
    fn tell_plain(&mut self, was: &Profile) {
        let plain = self.state.plain_profile();
        if plain != *was {
            self.order_all(Order::Profile(plain));
        }
    }

    /// Names, registrations and probes follow vendors' gateways.
    fn upstream_changed(&mut self, time: Time, entity: &Entity) {
        if let Entity::Routing(gateway) = entity {
            self.journal.clear(time.wall_us, "password_refused", &subject(&gateway.name));
            self.review_upstream(time);
        }
    }

    pub(super) fn note(&mut self, time: Time, name: &'static str, subject: &str, detail: String) {
        let (at_us, subject, severity) = (time.wall_us, subject.to_owned(), Severity::Info);
        self.journal.note(Event { at_us, name, subject, severity, detail });
    }

    /// Whoever may register by this address of record.
    fn owner_of(&self, aor: &str) -> Result<&Customer, Refusal> {
        let customer = self.state.customers.of_user(aor);
        customer.ok_or_else(|| Refusal::missing("phone or gateway with a password", aor))
    }

    fn registration(&self, time: Time, aor: &str, customer: &Customer) -> Value {
        let bindings = self.state.bindings.of(customer.gateway.id, time.wall_us);
        let mut contacts: Vec<&Binding> = bindings.rev().collect();
        contacts.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        let show = |binding: &Binding| BindingShown {
            uri: binding.uri.clone(),
            q: binding.q,
            source: format!("{:?}", binding.source),
            transport: transport_name(binding.source),
            online: binding.way().is_some(),
            nat: binding.nat,
            since: Moment::at(binding.since_us),
            refreshed: Moment::at(binding.refreshed_us),
            expires: Moment::at(binding.expires_us),
            user_agent: binding.user_agent.clone(),
            path: binding.path.clone(),
            call_id: binding.call_id.clone(),
            cseq: binding.cseq,
        };
        shown::json(RegistrationShown {
            aor: aor.to_owned(),
            owner: customer.name.clone(),
            online: contacts.iter().any(|it| it.way().is_some()),
            contacts: contacts.into_iter().map(show).collect(),
        })
    }

    /// A document with what lives beside it.
    pub(super) fn describe(&self, time: Time, entity: &Entity) -> Value {
        let lines = |id| self.state.limiters.get(&id).map_or(0, routing::Limiter::lines);
        match entity.clone() {
            Entity::Account(account) => {
                let balance = self.state.balances.get(&account.id).copied().unwrap_or_default();
                shown::json(AccountShown {
                    state: account.state_at(time.wall_us),
                    spent_today: self.spent_today(time, &account).into(),
                    account,
                    balance: balance.amount.into(),
                    reserved: balance.reserved.into(),
                    calls: balance.calls,
                })
            }
            Entity::Tariff(tariff) => {
                let rates = self.state.rate_count(tariff.id);
                shown::json(TariffShown { tariff, rates })
            }
            Entity::Mapping(mut gateway) => {
                let lines = lines(gateway.id);
                gateway.auth_password.hide();
                shown::json(MappingShown { gateway, lines })
            }
            Entity::Phone(mut phone) => {
                let lines = lines(phone.id);
                let contacts = self.state.bindings.of(phone.id, time.wall_us).count();
                let online = !self.reachable(time, phone.id).is_empty();
                phone.password.hide();
                shown::json(PhoneShown { phone, lines, online, contacts })
            }
            Entity::Routing(mut gateway) => {
                let id = gateway.id;
                let (phase, until_us) = self.upstream.registration(id);
                gateway.hide_secrets();
                shown::json(RoutingShown {
                    gateway,
                    lines: lines(id),
                    online: self.upstream.health(id) != Health::Offline,
                    registration_state: phase.name(),
                    registered_until: until_us.map(Moment::at),
                    options_round_trip_us: self.upstream.round_trip_us(id),
                    addresses: written(self.state.places(id)),
                    addresses_offline: written(self.upstream.offline_places(id)),
                })
            }
            Entity::Deny(denied) => shown::json(DeniedShown {
                prefix: denied.name.clone(),
                since: Moment::at(denied.since_us),
                until: (denied.until_us > 0).then(|| Moment::at(denied.until_us)),
                hits: None,
                denied,
            }),
            Entity::Trust(trusted) => Self::describe_trusted(trusted),
            Entity::User(user) => shown::json(user),
            Entity::Sheet(mapping) => shown::json(mapping),
            Entity::Record(mapping) => shown::json(mapping),
            Entity::Package(package) => shown::json(package),
            Entity::Subscription(subscription) => {
                shown::json(self.describe_subscription(&subscription))
            }
            Entity::NumberSection(section) => self.describe_section(section),
            Entity::NumberTransform(rule) => shown::json(rule),
            Entity::Import(import) => self.describe_import(import),
            Entity::Code(code) => self.describe_code(code),
            Entity::Geo(set) => self.describe_geo(time, set),
        }
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
            let row = entity::parse(item).map_err(|refusal| {
                Refusal::invalid(format!("rate {}: {}", index + 1, refusal.detail))
            })?;
            rows.push(row);
        }
        if let Some(at) = command.query.get("effective") {
            return self.schedule_rates(tariff, rows, at);
        }
        let head = self.state.put_rates(tariff, &rows, replace)?;
        let (id, count) = (head.id(), rows.len());
        self.change(Change::Rates { tariff: id, rows, replace });
        self.change(Change::Put(Box::new(head)));
        Ok(shown::json(RatesTaken { rates: count }))
    }
}

impl Office {
    /// A whole sheet, from an instant on.
    fn schedule_rates(
        &mut self,
        tariff: &str,
        rows: Vec<RateRow>,
        at: &str,
    ) -> Result<Value, Refusal> {
        let at = at.parse().map_err(|what| Refusal::invalid(format!("effective: {what}")))?;
        let count = rows.len();
        let (head, rows, gone) = self.state.schedule_rates(tariff, rows, at)?;
        let id = head.id();
        for key in gone {
            self.change(Change::RateGone(id, key));
        }
        self.change(Change::Rates { tariff: id, rows, replace: false });
        self.change(Change::Put(Box::new(head)));
        Ok(shown::json(RatesTaken { rates: count }))
    }
}

/// Places as the API writes them.
fn written(places: Vec<link::Endpoint>) -> Vec<String> {
    places.into_iter().map(|place| format!("{place:?}")).collect()
}

fn is_gateway(kind: Kind) -> bool {
    matches!(kind, Kind::Mapping | Kind::Routing)
}

fn not_allowed() -> Refusal {
    Refusal::new(405, "method not allowed", "see /api/v1/openapi.json")
}

/// Whether a change says a new secret, and not what was shown of the old one.
fn is_said(body: &Value, field: &str) -> bool {
    body.get(field).is_some_and(|value| value != entity::HIDDEN)
}

pub(super) fn without_id(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("id");
    }
    body
}
