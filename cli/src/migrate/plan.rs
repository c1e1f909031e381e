//! What an export changes here: each line with its action, found by what the API shows now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::layout::{ACCOUNTS, Layout, MAPPING, Mapping, RATES, ROUTING, TRANSFORMS};
use super::table::{Row, Table, read};
use super::wanted::{self, Rules, same};
use crate::client::escape;
use crate::command::Page;
use crate::{Context, Failure};

/// Fields of a rate that an export says.
pub(super) const RATE_FIELDS: [&str; 6] =
    ["prefix", "rate", "unit_s", "minimum_s", "increment_s", "connection_fee"];
/// What request ids of balances begin with.
const MARK: &str = "migrate-";

type Fields = Map<String, Value>;
/// Documents by their names.
type Held = BTreeMap<String, Value>;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Add,
    Change,
    Same,
    Refused,
}

impl Action {
    pub(super) const ALL: [Self; 4] = [Self::Add, Self::Change, Self::Same, Self::Refused];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Same => "same",
            Self::Refused => "refused",
        }
    }
}

/// How it is carried out.
pub(super) enum Step {
    /// A document of this list and name.
    Document { list: &'static str, key: String },
    /// A rate of this tariff.
    Rate { tariff: String },
    /// An opening balance.
    Balance { account: String },
    /// Not at all.
    None,
}

/// A line, or a document that several lines make.
pub(super) struct Item {
    pub(super) file: &'static str,
    pub(super) line: u64,
    pub(super) action: Action,
    pub(super) what: String,
    /// What is to be said.
    pub(super) fields: Fields,
    /// What is there instead.
    pub(super) was: Fields,
    pub(super) why: String,
    pub(super) step: Step,
}

impl Item {
    pub(super) fn refuse(&mut self, why: String) {
        (self.action, self.why) = (Action::Refused, why);
    }
}

/// All lines of an export.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    /// Headers by file that nothing is read of.
    pub(super) ignored: BTreeMap<&'static str, Vec<String>>,
}

impl Plan {
    pub(super) fn count(&self, action: Action) -> usize {
        self.items.iter().filter(|item| item.action == action).count()
    }

    fn refuse(&mut self, layout: &Layout, line: u64, what: &str, why: String) {
        self.items.push(Item {
            file: layout.name,
            line,
            action: Action::Refused,
            what: what.to_owned(),
            fields: Fields::new(),
            was: Fields::new(),
            why,
            step: Step::None,
        });
    }

    /// Compares what is wanted with what is held, and keeps what differs.
    fn compare(
        &mut self,
        layout: &Layout,
        line: u64,
        what: String,
        (wanted, held): (Fields, Option<&Value>),
        step: Step,
    ) {
        let mut was = Fields::new();
        let (action, fields) = match held {
            None => (Action::Add, wanted),
            Some(held) => {
                let differs = |(field, value): &(String, Value)| !same(&held[field], value);
                let fields: Fields = wanted.into_iter().filter(differs).collect();
                was = fields.keys().map(|it| (it.clone(), held[it].clone())).collect();
                let action = if fields.is_empty() { Action::Same } else { Action::Change };
                (action, fields)
            }
        };
        let file = layout.name;
        self.items.push(Item { file, line, action, what, fields, was, why: String::new(), step });
    }
}

fn held(context: &Context, list: &str, key: &str) -> Result<Held, Failure> {
    let all = Page::default().collect(list, |path| context.client.get(path))?;
    let items = all["items"].as_array().cloned().unwrap_or_default();
    Ok(items.into_iter().filter_map(|it| Some((it[key].as_str()?.to_owned(), it))).collect())
}

/// Names that are here, or will be.
struct Known {
    accounts: BTreeSet<String>,
    tariffs: BTreeSet<String>,
}

/// Reads an export and compares it with what runs.
pub(super) fn plan(
    context: &Context,
    directory: &Path,
    mapping: &Mapping,
) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut open = |layout: &'static Layout| -> Result<Table, Failure> {
        let mut table = read(directory, layout, mapping)?;
        for (line, why) in table.wrong.drain(..) {
            plan.refuse(layout, line, "", why);
        }
        if !table.ignored.is_empty() {
            plan.ignored.insert(layout.name, std::mem::take(&mut table.ignored));
        }
        Ok(table)
    };
    let (accounts, rates) = (open(&ACCOUNTS)?, open(&RATES)?);
    let (mappings, routings, transforms) = (open(&MAPPING)?, open(&ROUTING)?, open(&TRANSFORMS)?);
    let mut known = Known { accounts: BTreeSet::new(), tariffs: BTreeSet::new() };
    plan_accounts(context, &mut plan, &mut known, &accounts)?;
    plan_rates(context, &mut plan, &mut known, &rates)?;
    let mut rules = Rules::new();
    let mut said: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for row in &transforms.rows {
        match wanted::rule(row, &mut rules) {
            Ok(key) => said.entry(key).or_default().push(row.line),
            Err(why) => plan.refuse(&TRANSFORMS, row.line, "", why),
        }
    }
    type Reads = fn(&Row) -> Result<Fields, String>;
    let sides: [(_, _, _, Reads); 2] = [
        (&MAPPING, "/gateway/mapping", &mappings, wanted::mapping_gateway),
        (&ROUTING, "/gateway/routing", &routings, wanted::routing_gateway),
    ];
    for (layout, list, table, reads) in sides {
        let here = held(context, list, "name")?;
        let mut seen = BTreeSet::new();
        for row in &table.rows {
            let name = row.cell("name").unwrap_or_default().to_owned();
            match once(row, "name", &mut seen)
                .and_then(|()| reads(row))
                .and_then(|it| known.check(it))
            {
                Err(why) => plan.refuse(layout, row.line, &name, why),
                Ok(fields) => {
                    let step = Step::Document { list, key: name.clone() };
                    plan.compare(layout, row.line, name.clone(), (fields, here.get(&name)), step);
                }
            }
        }
        // Rules are fields of their gateways, said behind them: a gateway that is new has none before.
        for ((_, name), fields) in rules.iter().filter(|it| it.0.0 == list) {
            let key = (list.to_owned(), name.clone());
            let line = said.get(&key).and_then(|lines| lines.first()).copied().unwrap_or(0);
            let fields: Fields =
                fields.iter().map(|(field, rules)| ((*field).to_owned(), json!(rules))).collect();
            let step = Step::Document { list, key: name.clone() };
            let new = json!({"caller_rules": [], "callee_rules": []});
            match here.get(name).or(seen.contains(name).then_some(&new)) {
                Some(held) => {
                    let what = format!("{name}: rules");
                    plan.compare(&TRANSFORMS, line, what, (fields, Some(held)), step);
                }
                None => {
                    let why = format!("gateway: {name:?} is neither here nor in the export");
                    plan.refuse(&TRANSFORMS, line, name, why);
                }
            }
        }
    }
    Ok(plan)
}

/// A key that is there, and stands once in the file.
fn once(row: &Row, field: &str, seen: &mut BTreeSet<String>) -> Result<(), String> {
    let key = wanted::text(row, field)?;
    if seen.contains(&key) {
        return Err(format!("{field}: {key:?} stands here twice"));
    }
    seen.insert(key);
    Ok(())
}

impl Known {
    /// Whether a gateway names what there is.
    fn check(&self, fields: Fields) -> Result<Fields, String> {
        for (field, names) in [("account", &self.accounts), ("tariff", &self.tariffs)] {
            let Some(name) = fields.get(field).and_then(Value::as_str) else { continue };
            if !name.is_empty() && !names.contains(name) {
                return Err(format!("{field}: {name:?} is neither here nor in the export"));
            }
        }
        Ok(fields)
    }
}

fn plan_accounts(
    context: &Context,
    plan: &mut Plan,
    known: &mut Known,
    table: &Table,
) -> Result<(), Failure> {
    let here = held(context, "/account", "name")?;
    known.accounts.extend(here.keys().cloned());
    let mut seen = BTreeSet::new();
    for row in &table.rows {
        let name = row.cell("name").unwrap_or_default().to_owned();
        let mut fields = match once(row, "name", &mut seen).and_then(|()| wanted::account(row)) {
            Ok(fields) => fields,
            Err(why) => {
                plan.refuse(&ACCOUNTS, row.line, &name, why);
                continue;
            }
        };
        let old = here.get(&name);
        // An export that does not say whose side an account is leaves it where it is.
        if old.is_some() && row.cell("role").is_none() {
            fields.remove("role");
        }
        known.accounts.insert(name.clone());
        let step = Step::Document { list: "/account", key: name.clone() };
        plan.compare(&ACCOUNTS, row.line, name.clone(), (fields, old), step);
        let balance =
            row.cell("balance").map(|text| wanted::decimal("balance", text)).transpose()?;
        if let Some(balance) = balance.filter(|it| !it.is_zero()) {
            plan_balance(context, plan, row.line, &name, (balance, old))?;
        }
    }
    Ok(())
}

/// A balance is booked once: what was booked of another export, or is here already, is a person's business.
fn plan_balance(
    context: &Context,
    plan: &mut Plan,
    line: u64,
    name: &str,
    (balance, old): (Decimal, Option<&Value>),
) -> Result<(), Failure> {
    let hash = Sha256::digest(format!("{name}\n{balance}"));
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let request_id = format!("{MARK}{hash}");
    let what = format!("{name}: balance");
    let mut booked = None;
    if old.is_some() {
        let path = format!("/account/{}/ledger?kind=correction", escape(name));
        let ledger = Page::default().collect(&path, |path| context.client.get(path))?;
        let entries = ledger["items"].as_array().cloned().unwrap_or_default();
        booked = entries.iter().find_map(|entry| {
            let (_, id) = entry["reference"].as_str()?.rsplit_once(':')?;
            id.starts_with(MARK).then(|| (id.to_owned(), entry["amount"].clone()))
        });
    }
    let held = old.and_then(|it| it["balance"].as_str()?.parse::<Decimal>().ok());
    match (booked, held) {
        (Some((id, amount)), _) if id != request_id => {
            let why = format!(
                "balance: {amount} of another export was booked; book the difference by hand"
            );
            plan.refuse(&ACCOUNTS, line, &what, why);
        }
        (None, Some(held)) if !held.is_zero() => {
            let why = format!(
                "balance: the account has {held} here already; book the difference by hand"
            );
            plan.refuse(&ACCOUNTS, line, &what, why);
        }
        (booked, _) => {
            let fields = json!({
                "amount": balance.to_string(), "request_id": request_id, "memo": "balance of the switch before",
            });
            let fields = fields.as_object().cloned().unwrap_or_default();
            let held = booked.map(|_| Value::Object(fields.clone()));
            let step = Step::Balance { account: name.to_owned() };
            plan.compare(&ACCOUNTS, line, what, (fields, held.as_ref()), step);
        }
    }
    Ok(())
}

fn plan_rates(
    context: &Context,
    plan: &mut Plan,
    known: &mut Known,
    table: &Table,
) -> Result<(), Failure> {
    let here = held(context, "/tariff", "name")?;
    known.tariffs.extend(here.keys().cloned());
    let mut rates: BTreeMap<String, Held> = BTreeMap::new();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &table.rows {
        let tariff = row.cell("tariff").unwrap_or_default().to_owned();
        let what = format!("{tariff} {}", row.cell("prefix").unwrap_or_default());
        if !tariff.is_empty() && !seen.contains_key(&tariff) {
            let mut head = Fields::new();
            if let Some(currency) = row.cell("currency") {
                head.insert("currency".into(), currency.into());
            }
            let step = Step::Document { list: "/tariff", key: tariff.clone() };
            plan.compare(&RATES, row.line, tariff.clone(), (head, here.get(&tariff)), step);
            known.tariffs.insert(tariff.clone());
            if here.contains_key(&tariff) {
                rates.insert(tariff.clone(), rates_of(context, &tariff)?);
            }
        }
        let of_tariff = seen.entry(tariff.clone()).or_default();
        let read = wanted::text(row, "tariff").map(drop);
        match read.and_then(|()| once(row, "prefix", of_tariff)).and_then(|()| wanted::rate(row)) {
            Err(why) => plan.refuse(&RATES, row.line, &what, why),
            Ok(fields) => {
                let prefix = fields.get("prefix").and_then(Value::as_str).unwrap_or_default();
                let old = rates.get(&tariff).and_then(|rates| rates.get(prefix)).cloned();
                // A rate is put as a whole: what the export does not say stays as it was.
                let mut whole = fields.clone();
                for field in RATE_FIELDS {
                    if let (None, Some(old)) = (whole.get(field), &old) {
                        whole.insert(field.to_owned(), old[field].clone());
                    }
                }
                plan.compare(&RATES, row.line, what, (fields, old.as_ref()), Step::Rate { tariff });
                if let Some(item) = plan.items.last_mut().filter(|it| it.action == Action::Change) {
                    item.fields = whole;
                }
            }
        }
    }
    Ok(())
}

/// The rates of a tariff that hold always and for every caller.
fn rates_of(context: &Context, tariff: &str) -> Result<Held, Failure> {
    let path = format!("/tariff/{}/rate", escape(tariff));
    let all = Page::default().collect(&path, |path| context.client.get(path))?;
    let items = all["items"].as_array().cloned().unwrap_or_default();
    let is_plain = |rate: &Value| {
        let empty = |field: &str| rate[field].is_null() || rate[field] == "";
        ["origin", "period", "effective", "ends"].into_iter().all(empty)
    };
    let key = |rate: Value| Some((rate["prefix"].as_str()?.to_owned(), rate));
    Ok(items.into_iter().filter(is_plain).filter_map(key).collect())
}
