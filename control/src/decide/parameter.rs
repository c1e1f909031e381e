//! System parameters as operators change them: each change is a fact of history, and holds at once.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use link::Order;

use super::{Command, Method, Office};
use crate::params::CATALOG;
use crate::state::entity;
use crate::store::{Change, ParameterChange};
use crate::{Refusal, Time};

/// A parameter's value.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewValue {
    /// Text, or a whole number.
    #[schemars(extend("type" = ["string", "integer"]))]
    value: Value,
}

impl Office {
    /// Does what `who` wants of a parameter.
    pub(super) fn handle_parameter(
        &mut self,
        time: Time,
        who: &str,
        path: &[&str],
        command: &Command,
    ) -> Result<Value, Refusal> {
        let body = &command.body;
        match (command.method, path) {
            (Method::Get, ["param"]) => {
                let rows: Vec<Value> =
                    CATALOG.iter().map(|row| self.state.values.describe(row)).collect();
                Ok(json!({ "items": rows }))
            }
            (Method::Get, ["param", name]) => {
                Ok(self.state.values.describe(crate::params::find(name)?))
            }
            (Method::Put, ["param", name]) => {
                let value = match entity::parse::<NewValue>(body.clone())?.value {
                    Value::String(text) => text,
                    Value::Number(number) => number.to_string(),
                    _ => return Err(Refusal::invalid("value: text or a whole number")),
                };
                let row = crate::params::find(name)?;
                if row.name == "TG_SIP_REALM" {
                    self.state.check_realm(&value)?;
                }
                self.state.check_fence_of_all(row.name, &value)?;
                let (name, old, new) = self.state.values.set(name, &value)?;
                self.parameter_changed(time, who, name, old, Some(new))
            }
            (Method::Delete, ["param", name]) => {
                let row = crate::params::find(name)?;
                if row.name == "TG_SIP_REALM" {
                    self.state.check_realm(row.default)?;
                }
                self.state.check_fence_of_all(row.name, row.default)?;
                let (name, old, _) = self.state.values.reset(name)?;
                self.parameter_changed(time, who, name, old, None)
            }
            (_, path) => self.handle_document(time, who, path, command),
        }
    }

    pub(super) fn parameter_changed(
        &mut self,
        time: Time,
        who: &str,
        name: &'static str,
        old: String,
        new: Option<String>,
    ) -> Result<Value, Refusal> {
        if matches!(name, "FEE_PRECISION" | "SERVER_BILLING_FEE_UNIT") {
            self.state.values_changed();
        }
        if name.starts_with("TG_FENCE") {
            self.state.fence_of_all_changed();
            self.tell_fences();
        }
        self.untold.perimeter |= crate::params::is_of_driver(name);
        self.note(
            time,
            "parameter_changed",
            name,
            format!("{old} -> {} by {who}", self.state.values.text(name)),
        );
        let (at_us, who) = (time.wall_us, who.to_owned());
        self.change(Change::Parameter(Box::new(ParameterChange { at_us, who, name, old, new })));
        self.order_all(Order::Parameters(self.state.values.for_workers()));
        Ok(self.state.values.describe(crate::params::find(name)?))
    }
}
