//! What an agent sees: his own account, those of his customers, their calls but those that another earned on, and what
//! he earned.
//!
//! He may ask for what stands in a list, and for nothing else. Of others he is told what he is told of what is not
//! there; of his calls nothing that is a vendor's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, books, filter, history, look, openapi, report, routes};
use crate::Refusal;
use crate::page::Page;
use crate::report::KindShown;
use crate::shown::{self, ListOf};
use crate::store::CdrFilter;

/// The report of what he earned.
const INCOME: &str = "agents";

/// What he may ask for; all of it is read alone.
const ASKED: [&str; 9] = [
    "/openapi.json",
    "/account",
    "/account/{name}",
    "/account/{name}/ledger",
    "/account/{name}/statement",
    "/cdr",
    "/cdr/{id}",
    "/reports",
    "/reports/{kind}",
];

/// What he is told of a call. What is not here is a vendor's, or says how he is reached.
const TOLD: [&str; 37] = [
    "id",
    "version",
    "complete",
    "billing_mode",
    "billing_mode_code",
    "gateway",
    "account",
    "calls",
    "source",
    "caller",
    "callee",
    "caller_billed",
    "callee_billed",
    "billing_prefix",
    "call_id",
    "user_agent",
    "started",
    "ringing",
    "answered",
    "ended",
    "pdd_ms",
    "connect_ms",
    "hold_ms",
    "charged_ms",
    "status",
    "end_reason",
    "ended_by",
    "billed_s",
    "charge",
    "tax",
    "rate",
    "package_s",
    "package_charge",
    "agent",
    "agent_charge",
    "agent_income",
    "agent_rate",
];

/// What he is told of an account. The rest is between the switch and whose it is.
const HELD: [&str; 19] = [
    "id",
    "name",
    "role",
    "agent",
    "tariff",
    "currency",
    "credit",
    "locked",
    "expires",
    "lines_max",
    "cps_max",
    "talk_s_max",
    "spend_per_day_max",
    "time_zone",
    "low_balance",
    "balance",
    "reserved",
    "calls",
    "state",
];

/// What he is told of an entry: not who booked it, and what that one noted.
const ENTERED: [&str; 7] = ["id", "at", "kind", "amount", "balance", "counter", "reference"];

/// What he may not look for, since the answer would say what is not told.
const HIDDEN: [&str; 3] = ["vendor", "vendor_account", "archive"];

type Query = BTreeMap<String, String>;

/// The account that somebody sees the switch by, as the loop says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Agent {
    id: u32,
    name: String,
    /// Whom he brought, by name.
    customers: BTreeMap<String, u32>,
}

impl Agent {
    /// What the loop says of whom it let in; `None`: somebody who sees everything.
    pub(super) fn read(said: Value) -> Result<Option<Self>, Refusal> {
        serde_json::from_value(said)
            .map_err(|error| Refusal::new(500, "not allowed", error.to_string()))
    }

    /// Whether that is a route of his.
    pub(super) fn may(route: &routes::Route) -> Result<(), Refusal> {
        if route.method == "get" && ASKED.contains(&route.path) {
            return Ok(());
        }
        let those = ASKED.join(", ");
        Err(Refusal::new(403, "not allowed", format!("an agent may read {those}; ask an operator")))
    }

    /// An account, if it is his own or a customer's.
    async fn account(&self, shared: &Arc<Shared>, name: &str) -> Result<Value, Refusal> {
        if name != self.name && !self.customers.contains_key(name) {
            return Err(Refusal::missing("account", name));
        }
        let mut account = look(shared, &["account", name]).await?;
        keep(&mut account, &HELD);
        Ok(account)
    }

    /// A page of his accounts, by name.
    async fn accounts(&self, shared: &Arc<Shared>, page: &Page) -> Result<Value, Refusal> {
        let mut names: Vec<&str> = self.customers.keys().map(String::as_str).collect();
        names.push(&self.name);
        names.sort_unstable();
        let behind = page.cursor.as_deref().unwrap_or_default();
        let mut accounts = Vec::new();
        for name in names.into_iter().filter(|name| *name > behind).take(page.limit + 1) {
            match self.account(shared, name).await {
                Ok(account) => accounts.push(account),
                // It went meanwhile.
                Err(no) if no.status == 404 => {}
                Err(no) => return Err(no),
            }
        }
        let name = |account: &Value| account["name"].as_str().unwrap_or_default().to_owned();
        Ok(page.fill(accounts, name, |account| account))
    }

    async fn calls(&self, shared: &Arc<Shared>, query: &Query) -> Result<Value, Refusal> {
        let customers = match query.get("account") {
            Some(name) => vec![self.customer(name)?],
            None => self.customers.values().copied().collect(),
        };
        let (filter, page) = (filter(query)?, Page::read(query)?);
        self.found(shared, filter, customers, &page)
    }

    fn customer(&self, name: &str) -> Result<u32, Refusal> {
        self.customers.get(name).copied().ok_or_else(|| Refusal::missing("account", name))
    }

    fn found(
        &self,
        shared: &Shared,
        filter: CdrFilter,
        customers: Vec<u32>,
        page: &Page,
    ) -> Result<Value, Refusal> {
        let filter = CdrFilter { agent: Some((self.id, customers)), ..filter };
        let mut found = history(shared, |history| history.cdrs(&filter, page))?;
        for call in found["items"].as_array_mut().into_iter().flatten() {
            keep(call, &TOLD);
        }
        Ok(found)
    }

    fn call(&self, shared: &Shared, id: &str) -> Result<Value, Refusal> {
        let filter = CdrFilter { id: Some(id.to_owned()), ..CdrFilter::default() };
        let customers = self.customers.values().copied().collect();
        let mut found = self.found(shared, filter, customers, &Page::default())?;
        match found["items"].get_mut(0) {
            Some(call) => Ok(call.take()),
            None => Err(Refusal::missing("CDR", id)),
        }
    }
}

/// Of an object these fields, and nothing else.
fn keep(object: &mut Value, names: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| names.contains(&name.as_str()));
    }
}

/// The answer to one of his requests.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    agent: &Agent,
    path: &[&str],
    query: &Query,
) -> Result<Value, Refusal> {
    if let Some(field) = HIDDEN.iter().find(|field| query.contains_key(**field)) {
        let detail = format!("{field}: an agent does not see that of his calls; leave it out");
        return Err(Refusal::new(403, "not allowed", detail));
    }
    match path {
        ["openapi.json"] => Ok(openapi::document()),
        ["account"] => agent.accounts(shared, &Page::read(query)?).await,
        ["account", name, rest @ ..] => {
            let account = agent.account(shared, name).await?;
            match rest {
                [] => Ok(account),
                ["ledger"] => {
                    let mut ledger = books::ledger(shared, name, query).await?;
                    let entries = ledger["items"].as_array_mut().into_iter().flatten();
                    entries.for_each(|entry| keep(entry, &ENTERED));
                    Ok(ledger)
                }
                _ => books::statement(shared, name, query).await,
            }
        }
        ["cdr"] => agent.calls(shared, query).await,
        ["cdr", id] => agent.call(shared, id),
        ["reports"] => {
            let items = KindShown::all().into_iter().filter(|kind| kind.name == INCOME).collect();
            Ok(shown::json(ListOf { items }))
        }
        ["reports", INCOME] => {
            query.get("account").map(|name| agent.customer(name)).transpose()?;
            report::report(shared, INCOME, query, Some(agent.id)).await
        }
        ["reports", ..] => {
            let detail = format!("an agent may read the report {INCOME}");
            Err(Refusal::new(403, "not allowed", detail))
        }
        _ => Err(Refusal::new(403, "not allowed", json!(path).to_string())),
    }
}
