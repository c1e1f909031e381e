//! What operators want of the firewall: one match is the whole table of it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::access::by_whom;
use super::command::without_id;
use super::{Command, Method, Office};
use crate::page::Page;
use crate::params::{CATALOG, PRESETS, Preset};
use crate::shown::{self, DriverLimit, ListOf, PresetShown};
use crate::state::entity::{self, Denied, Entity, Kind};
use crate::store::Change;
use crate::{Refusal, Time};

/// Longest time of a denial that ends by itself, s; beyond, deny until removed.
const DENIAL_S_MAX: u64 = 10 * 365 * 86_400;

/// A source to deny.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDenial {
    /// An address or prefix.
    prefix: String,
    /// For how long, s; 0: until `until`, or until it is removed.
    #[serde(default)]
    for_s: u64,
    /// Until when; null: as `for_s` says.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    until: Option<String>,
    /// Why.
    #[serde(default = "operator")]
    reason: String,
}

/// When a denial ends, µs since 1970 UTC; 0: when it is removed.
pub(super) fn denial_end(time: Time, until: Option<&str>, for_s: u64) -> Result<u64, Refusal> {
    let end_us = match (until, for_s) {
        (None, 0) => return Ok(0),
        (None, for_s) => time.wall_us.saturating_add(for_s.saturating_mul(1_000_000)),
        (Some(_), 1..) => {
            return Err(Refusal::invalid("until: not together with for_s"));
        }
        (Some(text), 0) => {
            let refuse = |what| Refusal::invalid(format!("until: {text:?} is {what}"));
            let end: jiff::Timestamp =
                text.parse().map_err(|_| refuse("no time, like 2030-12-31T23:59:59Z"))?;
            let end_us = u64::try_from(end.as_microsecond()).unwrap_or(0);
            if end_us <= time.wall_us {
                return Err(refuse("over"));
            }
            end_us
        }
    };
    if (end_us - time.wall_us) / 1_000_000 > DENIAL_S_MAX {
        let field = if until.is_some() { "until" } else { "for_s" };
        let detail = format!(
            "{field}: up to {DENIAL_S_MAX} s from now; without, it is denied until it is removed"
        );
        return Err(Refusal::invalid(detail));
    }
    Ok(end_us)
}

pub(super) fn operator() -> String {
    "operator".into()
}

impl Office {
    /// Does what `who` wants of the firewall.
    pub(super) fn handle_firewall(
        &mut self,
        time: Time,
        who: &str,
        path: &[&str],
        command: &Command,
    ) -> Result<Value, Refusal> {
        let body = &command.body;
        match (command.method, path) {
            (Method::Get, ["firewall", "suspended"]) => {
                self.suspended(time, &Page::read(&command.query)?)
            }
            (Method::Delete, ["firewall", "suspended", number]) => {
                self.clear_suspension(time, number)
            }
            (Method::Get, ["firewall", "abuse"]) => {
                self.abusers(time, &Page::read(&command.query)?)
            }
            (Method::Delete, ["firewall", "abuse", name]) => {
                let accept = command.query.get("accept").map(String::as_str);
                self.clear_abuse(time, who, name, accept)
            }
            (Method::Get, ["firewall", "preset"]) => Ok(presets()),
            (Method::Post, ["firewall", "preset", name]) => self.apply_preset(time, who, name),
            (Method::Get, ["firewall", "limit"]) => Ok(self.driver_limits()),
            (Method::Get, ["firewall", "geo", name, "range"]) => {
                self.geo_ranges(name, &Page::read(&command.query)?)
            }
            (method @ (Method::Post | Method::Put), ["firewall", "geo", name, "range"]) => {
                self.put_geo_ranges(time, name, command, method == Method::Put)
            }
            (Method::Delete, ["firewall", "geo", name, "range", range]) => {
                self.remove_geo_range(time, name, range)
            }
            (Method::Post, ["firewall", "deny"]) => self.deny(time, who, body),
            (Method::Post, ["firewall", "trust"]) => self.trust(time, who, body),
            (Method::Post, ["firewall", "code"]) => self.make_code(time, who, body),
            (Method::Post, ["firewall", "open"]) => self.open(time, who, body),
            (Method::Put, ["firewall", "import", name]) => {
                self.import_denials(time, who, name, command)
            }
            (Method::Get, ["firewall", "import", name, "entry"]) => {
                self.import_entries(name, &Page::read(&command.query)?)
            }
            (Method::Delete, ["firewall", "import", name, "entry", prefix]) => {
                self.remove_import_entry(time, who, name, prefix)
            }
            // No routes: the API asks before it takes a request.
            (Method::Get, ["firewall", "gateways"]) => Ok(self.gateways_shown()),
            (_, path) => self.handle_document(time, who, path, command),
        }
    }

    /// Sets all that a preset is about, each as by hand.
    fn apply_preset(&mut self, time: Time, who: &str, name: &str) -> Result<Value, Refusal> {
        let preset = Preset::find(name).ok_or_else(|| Refusal::missing("preset", name))?;
        for (name, value) in preset.values() {
            if self.state.values.text(name) != value {
                let (name, old, new) = self.state.values.set(name, value)?;
                self.parameter_changed(time, who, name, old, Some(new))?;
            }
        }
        Ok(self.driver_limits())
    }

    /// Every limit of the driver: the parameters that are its.
    fn driver_limits(&self) -> Value {
        let rows = CATALOG.iter().filter(|row| row.owner == "driver" && row.in_force);
        let items = rows.map(|row| DriverLimit {
            name: row.name,
            value: self.state.values.text(row.name).to_owned(),
            default: row.default,
            doc: row.doc,
        });
        shown::json(ListOf { items: items.collect() })
    }

    fn deny(&mut self, time: Time, who: &str, body: &Value) -> Result<Value, Refusal> {
        let denial: NewDenial = entity::parse(body.clone())?;
        let until_us = denial_end(time, denial.until.as_deref(), denial.for_s)?;
        let NewDenial { prefix: name, reason, .. } = denial;
        let prefix: routing::Prefix =
            name.parse().map_err(|fault| Refusal::invalid(format!("prefix: {name:?}: {fault}")))?;
        if let Some(gateway) = self
            .gateway_prefixes()
            .find(|known| prefix.contains(known.address()) || known.contains(prefix.address()))
        {
            let detail =
                format!("{prefix} covers the gateway at {gateway}; lock that gateway instead");
            return Err(Refusal::new(409, "source of a gateway", detail));
        }
        let (name, by, since_us) = (prefix.to_string(), operator(), time.wall_us);
        let denied = Denied { id: 0, name, reason, by, since_us, until_us };
        let name = denied.name.clone();
        let body = Entity::Deny(denied).body();
        let entity = match self.state.document(Kind::Deny, &name) {
            Ok(_) => self.state.update(Kind::Deny, &name, &without_id(body))?,
            Err(_) => self.state.create(Kind::Deny, body)?,
        };
        self.saved(time, "denied", &entity, by_whom(who, &entity));
        Ok(self.describe(time, &entity))
    }

    /// Denials whose time has come go by themselves.
    pub(super) fn expire_denials(&mut self, time: Time) {
        while let Some(name) = self.poll_denial_end(time) {
            if let Ok(entity) = self.state.delete(Kind::Deny, &name) {
                self.change(Change::Delete(Kind::Deny, entity.id()));
                self.tell_driver_gone(&entity);
                self.note(time, "denial_expired", &name, String::new());
            }
        }
    }
}

fn presets() -> Value {
    let items = PRESETS.iter().map(|preset| PresetShown {
        name: preset.name,
        doc: preset.doc,
        values: preset.values().collect(),
    });
    shown::json(ListOf { items: items.collect() })
}
