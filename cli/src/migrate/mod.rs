//! `tollgate migrate`: the exports of another switch, as a diff against what runs here, and carried out.
//!
//! A directory of CSV files ([`layout`]) is read as a whole ([`table`]), turned into our documents ([`wanted`]) and
//! compared with what the API shows ([`plan`]). Applying does what the plan says by the same resources that other
//! commands use; what is there already is left, so the same directory twice changes nothing the second time.

mod layout;
mod plan;
mod table;
mod wanted;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use crate::client::{Body, Error, escape};
use crate::render::{self, Output};
use crate::{Context, Failure};
use layout::Mapping;
use plan::{Action, Item, Plan, Step};

/// Rates of one request.
const RATES_MAX: usize = 50_000;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Say what would be added and changed, and what cannot be.
    Plan {
        #[command(flatten)]
        export: Export,
    },
    /// Add and change it. The same export twice changes nothing the second time.
    Apply {
        #[command(flatten)]
        export: Export,
        /// Leave lines out that are refused.
        #[arg(long)]
        skip: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct Export {
    /// A directory with accounts.csv, rates.csv, mapping_gateways.csv, routing_gateways.csv and transforms.csv, or some of
    /// them.
    directory: PathBuf,
    /// A JSON file that says how files and columns are called, where it is not as built in.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
}

impl Export {
    fn plan(&self, context: &Context) -> Result<Plan, Failure> {
        let mapping = match &self.mapping {
            None => Value::Null,
            Some(path) => {
                let bytes = crate::sheet::load(path)?;
                let told = |what: String| format!("{}: {what}", path.display());
                serde_json::from_slice(&bytes).map_err(|error| told(error.to_string()))?
            }
        };
        let mapping = Mapping::read(mapping).map_err(|what| format!("--mapping: {what}"))?;
        if !self.directory.is_dir() {
            return Err(format!("{}: it is no directory", self.directory.display()).into());
        }
        let plan = plan::plan(context, &self.directory, &mapping)?;
        if plan.items.is_empty() {
            let what = "it has none of the files of an export; see docs/operations.md";
            return Err(format!("{}: {what}", self.directory.display()).into());
        }
        Ok(plan)
    }
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Plan { export } => {
            let plan = export.plan(context)?;
            show(context, &plan)?;
            match plan.count(Action::Refused) {
                0 => Ok(()),
                refused => Err(format!("{refused} lines are refused").into()),
            }
        }
        Verb::Apply { export, skip } => {
            let mut plan = export.plan(context)?;
            let refused = plan.count(Action::Refused);
            if refused > 0 && !skip {
                show(context, &plan)?;
                let what = "lines are refused; nothing was changed. --skip leaves them out";
                return Err(format!("{refused} {what}").into());
            }
            apply(context, &mut plan.items)?;
            show(context, &plan)?;
            match plan.count(Action::Refused) - refused {
                0 => Ok(()),
                failed => Err(format!("{failed} lines failed; the others are done").into()),
            }
        }
    }
}

/// Carries out what differs, in its order. What control refuses is told of its line, and the others are done.
fn apply(context: &Context, items: &mut [Item]) -> Result<(), Failure> {
    let mut rates: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut are_sent = false;
    for place in 0..items.len() {
        let Some(item) = items.get(place) else { continue };
        if !matches!(item.action, Action::Add | Action::Change) {
            continue;
        }
        // Rates come behind the heads of their tariffs and before the gateways that need them.
        if let Step::Rate { tariff } = &item.step {
            rates.entry(tariff.clone()).or_default().push(place);
            continue;
        }
        if matches!(item.step, Step::Document { list, .. } if list.starts_with("/gateway"))
            && !are_sent
        {
            send_rates(context, items, &rates)?;
            are_sent = true;
        }
        let Some(item) = items.get_mut(place) else { continue };
        let sent = match &item.step {
            Step::Document { list, key } => {
                let mut fields = item.fields.clone();
                let (method, path) = match item.action {
                    Action::Add => {
                        fields.insert("name".into(), key.clone().into());
                        (Method::POST, (*list).to_owned())
                    }
                    _ => (Method::PATCH, format!("{list}/{}", escape(key))),
                };
                context.client.request(method, &path, Body::Json(Value::Object(fields)))
            }
            Step::Balance { account } => {
                let path = format!("/account/{}/correction", escape(account));
                let fields = Value::Object(item.fields.clone());
                context.client.request(Method::POST, &path, Body::Json(fields))
            }
            Step::Rate { .. } | Step::None => continue,
        };
        tell(item, sent)?;
    }
    if !are_sent {
        send_rates(context, items, &rates)?;
    }
    Ok(())
}

fn tell(item: &mut Item, sent: Result<Value, Error>) -> Result<(), Failure> {
    match sent {
        Ok(_) => {}
        Err(refused @ Error::Refused(..)) => item.refuse(refused.to_string()),
        Err(gone) => return Err(format!("{} line {}: {gone}", item.file, item.line).into()),
    }
    Ok(())
}

fn send_rates(
    context: &Context,
    items: &mut [Item],
    rates: &BTreeMap<String, Vec<usize>>,
) -> Result<(), Failure> {
    for (tariff, places) in rates {
        for part in places.chunks(RATES_MAX) {
            let mut sheet = csv::Writer::from_writer(Vec::new());
            let columns = plan::RATE_FIELDS;
            sheet.write_record(columns)?;
            for item in part.iter().filter_map(|place| items.get(*place)) {
                let cell = |field: &str| match item.fields.get(field) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                sheet.write_record(columns.map(cell))?;
            }
            let bytes = sheet.into_inner().map_err(|error| error.into_error())?;
            let path = format!("/tariff/{}/rate", escape(tariff));
            let sent = context.client.request(Method::POST, &path, Body::Csv(bytes));
            let why = match sent {
                Ok(_) => continue,
                Err(refused @ Error::Refused(..)) => format!("with its tariff: {refused}"),
                Err(gone) => return Err(format!("tariff {tariff}: {gone}").into()),
            };
            for place in part {
                if let Some(item) = items.get_mut(*place) {
                    item.refuse(why.clone());
                }
            }
        }
    }
    Ok(())
}

fn show(context: &Context, plan: &Plan) -> Result<(), Failure> {
    let item = |item: &Item| {
        json!({
            "file": item.file, "line": item.line, "action": item.action.name(), "what": item.what,
            "fields": item.fields, "was": item.was, "why": item.why,
        })
    };
    let counts: serde_json::Map<String, Value> = Action::ALL
        .into_iter()
        .map(|action| (action.name().to_owned(), plan.count(action).into()))
        .collect();
    if context.output != Output::Table {
        let items: Vec<Value> = plan.items.iter().map(item).collect();
        let report = json!({"counts": counts, "ignored": plan.ignored, "items": items});
        return Ok(render::show(&report, &[], context.output)?);
    }
    let differ = plan.items.iter().filter(|item| item.action != Action::Same);
    let differ: Vec<Value> = differ.map(item).collect();
    if !differ.is_empty() {
        let columns = ["file", "line", "action", "what", "was", "fields", "why"];
        render::show(&differ.into(), &columns, context.output)?;
    }
    for (file, headers) in &plan.ignored {
        render::print(&format!("{file}: not read: {}\n", headers.join(", ")))?;
    }
    Ok(render::show(&Value::Object(counts), &[], context.output)?)
}
