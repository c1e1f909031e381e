//! `tollgate tariff sheet` and `tollgate tariff mapping`: rate sheets as vendors send them.

use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;
use serde_json::{Map, Value};

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::render::{self, Output};
use crate::{Context, Failure};

/// Take a vendor's rate sheet, .csv or .xlsx, by a saved mapping.
#[derive(clap::Args)]
pub(crate) struct Sheet {
    /// The tariff that calls are bought by.
    name: String,
    /// The file, as it came.
    file: PathBuf,
    /// How to read it; see `tariff mapping`.
    #[arg(long)]
    mapping: String,
    /// It is all there is: codes that are not in it end.
    #[arg(long)]
    replace: bool,
    /// Lines without a date, or with an earlier one, hold from this instant on (now).
    #[arg(long)]
    effective: Option<String>,
    /// Leave lines out that are wrong or would round.
    #[arg(long, conflicts_with = "replace")]
    skip: bool,
    /// Only say what it would change.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand)]
pub(crate) enum Mapping {
    /// All mappings.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One mapping.
    Show {
        /// Its name.
        name: String,
    },
    /// Say how a vendor writes his rate sheets. A column is its header, or its letters.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Change it.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Delete it; what was read by it stays.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// The vendor's account.
    #[arg(long)]
    account: Option<String>,
    /// Of an .xlsx: the name of the sheet in it, or its number; '' for the first.
    #[arg(long)]
    sheet: Option<String>,
    /// The line with the headers (1); 0: there is none.
    #[arg(long)]
    header_line: Option<u32>,
    /// Column of codes, lists and ranges of them.
    #[arg(long)]
    code: Option<String>,
    /// Column of what is put in front of each code.
    #[arg(long)]
    country_code: Option<String>,
    /// Column of the rate per minute.
    #[arg(long)]
    rate: Option<String>,
    /// Column of the date from which on a line holds.
    #[arg(long)]
    effective: Option<String>,
    /// Column of minimum and increment in one: 60/1.
    #[arg(long)]
    interval: Option<String>,
    /// Column of what is billed at least, s.
    #[arg(long)]
    minimum: Option<String>,
    /// Column of the step of billing, s.
    #[arg(long)]
    increment: Option<String>,
    /// Column of what is added once on answer.
    #[arg(long)]
    connection_fee: Option<String>,
    /// Column of new, increase, decrease, closed or unchanged.
    #[arg(long)]
    status: Option<String>,
    /// The vendor's word for one of them, again for each: BLK=closed.
    #[arg(long = "status-word")]
    status_words: Vec<String>,
    /// How dates are written, again for each: %d.%m.%Y.
    #[arg(long = "date-format")]
    date_formats: Vec<String>,
    /// By whose clock a date begins (UTC).
    #[arg(long)]
    time_zone: Option<String>,
    /// Whether text says 0,012 for 0.012.
    #[arg(long)]
    decimal_comma: Option<bool>,
}

impl Flags {
    fn fields(self) -> Fields {
        Fields::default()
            .set("account", self.account)
            .set("sheet", self.sheet)
            .set("header_line", self.header_line)
            .set("code", self.code)
            .set("country_code", self.country_code)
            .set("rate", self.rate)
            .set("effective", self.effective)
            .set("interval", self.interval)
            .set("minimum", self.minimum)
            .set("increment", self.increment)
            .set("connection_fee", self.connection_fee)
            .set("status", self.status)
            .list("status_words", &self.status_words)
            .list("date_formats", &self.date_formats)
            .set("time_zone", self.time_zone)
            .set("decimal_comma", self.decimal_comma)
    }
}

const COUNTS: [&str; 13] = [
    "lines",
    "codes",
    "new",
    "increased",
    "decreased",
    "changed",
    "closed",
    "unchanged",
    "duplicate",
    "ended",
    "wrong",
    "rounding",
    "losses",
];

/// What a report lists below its counts, and how a table of it looks.
const LISTS: [(&str, &[&str]); 3] = [
    ("remarks", &["line", "kind", "why"]),
    ("losing", &["tariff", "customers", "customers_all", "prefixes"]),
    ("loss", &["tariff", "prefix", "line", "from", "sold", "unit_s", "cost"]),
];

pub(crate) fn take(context: &Context, sheet: Sheet) -> Result<(), Failure> {
    let Sheet { name, file, mapping, replace, effective, skip, dry_run } = sheet;
    let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut path = format!("/tariff/{}/sheet?mapping={}", escape(&name), escape(&mapping));
    let effective = effective.map(|at| format!("effective={}", escape(&at)));
    let flags = [(replace, "mode=replace"), (skip, "skip=1"), (dry_run, "dry_run=1")];
    let flags = flags.into_iter().filter(|it| it.0).map(|it| it.1.to_owned());
    for said in flags.chain(effective) {
        path.extend(["&", &said]);
    }
    let report = context.client.request(Method::POST, &path, Body::File(bytes))?;
    if context.output != Output::Table {
        return context.show(&report, &[]);
    }
    let count = |name: &&str| Some(((*name).to_owned(), report.get(*name)?.clone()));
    let counts: Map<String, Value> = COUNTS.iter().filter_map(count).collect();
    context.show(&Value::Object(counts), &[])?;
    for (list, columns) in LISTS {
        let found = report.get(list).cloned().unwrap_or_default();
        if found.as_array().is_some_and(|items| !items.is_empty()) {
            render::print(&format!("{list}\n"))?;
            context.show(&found, columns)?;
        }
    }
    let taken = report.get("taken") == Some(&Value::Bool(true));
    Ok(render::print(match (taken, dry_run) {
        (true, _) => "the tariff is changed\n",
        (false, true) => "nothing was changed: --dry-run\n",
        (false, false) => "nothing was changed: the tariff says all of it already\n",
    })?)
}

pub(crate) fn mapping(context: &Context, verb: Mapping) -> Result<(), Failure> {
    let path = |name: &str| format!("/sheet/mapping/{}", escape(name));
    match verb {
        Mapping::List { page } => context.pages(
            "/sheet/mapping",
            &page,
            &["name", "account", "sheet", "header_line", "code", "rate", "effective", "status"],
        ),
        Mapping::Show { name } => context.list(&path(&name), &[]),
        Mapping::Create { name, flags } => {
            let body = flags.fields().set("name", Some(name)).body();
            context.send(Method::POST, "/sheet/mapping", body)
        }
        Mapping::Set { name, flags } => {
            context.send(Method::PATCH, &path(&name), flags.fields().body())
        }
        Mapping::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
    }
}
