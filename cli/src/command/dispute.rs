//! `tollgate cdr dispute`, `tollgate cdr compare` and `tollgate cdr mapping`: call records of others beside ours.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Fields, Page, rules};
use crate::client::{Body, escape};
use crate::render::{self, Output};
use crate::{Context, Failure};

/// Compare a vendor's file of call records, .csv or .xlsx, with ours.
#[derive(clap::Args)]
pub(crate) struct Dispute {
    /// The file, as it came.
    file: PathBuf,
    /// How to read it; see `cdr mapping`.
    #[arg(long)]
    mapping: String,
    /// The vendor's account (that of the mapping).
    #[arg(long)]
    vendor: Option<String>,
    /// Calls begun not before: a day by the clock of the mapping, or RFC 3339.
    #[arg(long)]
    from: String,
    /// Calls begun before.
    #[arg(long)]
    to: String,
    /// How far apart starts of one call may be, ms (5000).
    #[arg(long)]
    start_ms: Option<u64>,
    /// How far apart its durations may be, ms (1000).
    #[arg(long)]
    duration_ms: Option<u64>,
    /// By how much its amounts may differ (0).
    #[arg(long)]
    amount: Option<String>,
    /// Write a line for each difference, and for each wrong line, into this new file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Rate the call records of another switch, .csv or .xlsx, by our tariffs, and say why fees differ.
#[derive(clap::Args)]
pub(crate) struct Compare {
    /// The file, as it came.
    file: PathBuf,
    /// How to read it; see `cdr mapping`.
    #[arg(long)]
    mapping: String,
    /// Who pays for all of it (the account that each line names).
    #[arg(long)]
    account: Option<String>,
    /// The tariff of all of it (that of the account's gateways and phones).
    #[arg(long)]
    tariff: Option<String>,
    /// customer or vendor (customer).
    #[arg(long)]
    side: Option<String>,
    /// Write a line for each difference, and for each wrong line, into this new file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
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
    /// Say how another switch writes its call records. A column is its header, or its letters.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Change it.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Delete it.
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
    /// Of a .csv: the character between cells, or tab; '' for what stands most often in the header.
    #[arg(long)]
    delimiter: Option<String>,
    /// Column of the callee.
    #[arg(long)]
    callee: Option<String>,
    /// Column of the start, or of its day.
    #[arg(long)]
    start: Option<String>,
    /// Column of the time of day, if that is the day.
    #[arg(long)]
    start_time: Option<String>,
    /// Column of the duration: 61, 61.250 or 1:01:01.
    #[arg(long)]
    duration: Option<String>,
    /// Column of what the call costs, without tax.
    #[arg(long)]
    amount: Option<String>,
    /// Column of the currency of that.
    #[arg(long)]
    currency: Option<String>,
    /// Column of the caller.
    #[arg(long)]
    caller: Option<String>,
    /// Column of what they call the record.
    #[arg(long)]
    record_id: Option<String>,
    /// Column of who pays.
    #[arg(long)]
    payer: Option<String>,
    /// What their start is: answer or setup (answer).
    #[arg(long)]
    start_is: Option<String>,
    /// What a duration without `:` counts: s or ms (s).
    #[arg(long)]
    duration_unit: Option<String>,
    /// How starts are written, again for each: '%d.%m.%Y %H:%M:%S', or epoch_s or epoch_ms alone.
    #[arg(long = "start-format")]
    start_formats: Vec<String>,
    /// By whose clock (UTC).
    #[arg(long)]
    time_zone: Option<String>,
    /// Whether text says 0,012 for 0.012.
    #[arg(long)]
    decimal_comma: Option<bool>,
    /// What their callees are turned into, again for each: 00= or 0=44.
    #[arg(long = "callee-rule")]
    callee_rules: Vec<String>,
    /// What the numbers that we sent are turned into, likewise.
    #[arg(long = "sent-rule")]
    sent_rules: Vec<String>,
}

impl Flags {
    fn fields(self) -> Result<Fields, Failure> {
        Ok(Fields::default()
            .set("account", self.account)
            .set("sheet", self.sheet)
            .set("header_line", self.header_line)
            .set("delimiter", self.delimiter)
            .set("callee", self.callee)
            .set("start", self.start)
            .set("start_time", self.start_time)
            .set("duration", self.duration)
            .set("amount", self.amount)
            .set("currency", self.currency)
            .set("caller", self.caller)
            .set("record_id", self.record_id)
            .set("payer", self.payer)
            .set("start_is", self.start_is)
            .set("duration_unit", self.duration_unit)
            .list("start_formats", &self.start_formats)
            .set("time_zone", self.time_zone)
            .set("decimal_comma", self.decimal_comma)
            .set("callee_rules", rules(&self.callee_rules)?)
            .set("sent_rules", rules(&self.sent_rules)?))
    }
}

/// What a line of the file of differences has.
const COLUMNS: [&str; 15] = [
    "class",
    "line",
    "callee",
    "caller",
    "record_id",
    "their_start",
    "our_start",
    "their_duration_ms",
    "our_duration_ms",
    "their_amount",
    "our_amount",
    "difference",
    "currency",
    "id",
    "why",
];

/// What a line of a comparison has.
const COMPARED: [&str; 13] = [
    "record_id",
    "verdict",
    "why",
    "line",
    "payer",
    "callee",
    "start",
    "duration_ms",
    "prefix",
    "rate",
    "their_amount",
    "our_amount",
    "difference",
];

/// What the table of differences shows of them.
const SHOWN: [&str; 10] = [
    "class",
    "line",
    "callee",
    "their_start",
    "our_start",
    "their_duration_ms",
    "our_duration_ms",
    "their_amount",
    "our_amount",
    "difference",
];

pub(crate) fn dispute(context: &Context, asked: Dispute) -> Result<(), Failure> {
    let Dispute { file, mapping, vendor, from, to, start_ms, duration_ms, amount, csv } = asked;
    is_new(csv.as_deref())?;
    let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let fields = [
        ("mapping", Some(mapping)),
        ("vendor_account", vendor),
        ("from", Some(from)),
        ("to", Some(to)),
        ("start_ms", start_ms.map(|it| it.to_string())),
        ("duration_ms", duration_ms.map(|it| it.to_string())),
        ("amount", amount),
    ];
    let path = format!("/cdr/dispute?{}", query(&fields));
    let report = context.client.request(Method::POST, &path, Body::File(bytes))?;
    if let Some(csv) = &csv {
        write(&report, csv, &COLUMNS)?;
    }
    if context.output != Output::Table {
        return context.show(&report, &[]);
    }
    let head = ["vendor_account", "currency", "lines", "wrong", "differences", "disputed"];
    let head: Map<String, Value> =
        head.iter().map(|name| ((*name).to_owned(), report[*name].clone())).collect();
    context.show(&Value::Object(head), &[])?;
    let both = items(&report, "classes").map(|it| (it["class"].clone(), it));
    let all_of_both = json!({"ours": report["ours"], "theirs": report["theirs"]});
    let rows = both.chain([(Value::from("all"), &all_of_both)]).map(|(class, it)| {
        json!({
            "class": class,
            "our_calls": it["ours"]["calls"], "their_calls": it["theirs"]["calls"],
            "our_duration_ms": it["ours"]["duration_ms"], "their_duration_ms": it["theirs"]["duration_ms"],
            "our_amount": it["ours"]["amount"], "their_amount": it["theirs"]["amount"],
        })
    });
    let sums = [
        "class",
        "our_calls",
        "their_calls",
        "our_duration_ms",
        "their_duration_ms",
        "our_amount",
        "their_amount",
    ];
    context.show(&rows.collect::<Vec<Value>>().into(), &sums)?;
    lists(context, &report, &SHOWN, csv.is_none())
}

/// What is told line by line; differences only where no file has them.
fn lists(
    context: &Context,
    report: &Value,
    columns: &[&str],
    with_items: bool,
) -> Result<(), Failure> {
    let lists = [("remarks", &["line", "kind", "why"][..]), ("items", columns)];
    for (list, columns) in lists.into_iter().filter(|it| it.0 == "remarks" || with_items) {
        if items(report, list).next().is_some() {
            render::print(&format!("{list}\n"))?;
            context.show(&report[list], columns)?;
        }
    }
    let (told, all) = (items(report, "items").count(), report["differences"].as_u64());
    if all.is_some_and(|all| all > told as u64) {
        render::print(&format!("the first {told} differences are told; send less at once\n"))?;
    }
    Ok(())
}

fn is_new(csv: Option<&Path>) -> Result<(), Failure> {
    match csv.filter(|csv| csv.exists()) {
        None => Ok(()),
        Some(csv) => {
            let what = format!("{}: it is there already; name another file", csv.display());
            Err(Failure::from(what))
        }
    }
}

pub(crate) fn compare(context: &Context, asked: Compare) -> Result<(), Failure> {
    let Compare { file, mapping, account, tariff, side, csv } = asked;
    is_new(csv.as_deref())?;
    let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let fields =
        [("mapping", Some(mapping)), ("account", account), ("tariff", tariff), ("side", side)];
    let path = format!("/cdr/compare?{}", query(&fields));
    let report = context.client.request(Method::POST, &path, Body::File(bytes))?;
    if let Some(csv) = &csv {
        write(&report, csv, &COMPARED)?;
    }
    if context.output != Output::Table {
        return context.show(&report, &[]);
    }
    let head = ["mapping", "lines", "wrong", "differences"];
    let head: Map<String, Value> =
        head.iter().map(|name| ((*name).to_owned(), report[*name].clone())).collect();
    context.show(&Value::Object(head), &[])?;
    context.show(&report["verdicts"], &["verdict", "currency", "calls", "theirs", "ours"])?;
    lists(context, &report, COMPARED.get(1..).unwrap_or_default(), csv.is_none())
}

fn query(fields: &[(&str, Option<String>)]) -> String {
    let given = fields
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_ref()?))));
    given.collect::<Vec<_>>().join("&")
}

fn items<'r>(report: &'r Value, list: &str) -> impl Iterator<Item = &'r Value> + use<'r> {
    report[list].as_array().into_iter().flatten()
}

/// A line for each difference, then one for each wrong line, in a file that is whole or is not there.
fn write(report: &Value, path: &Path, columns: &[&str]) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(columns)?;
    for item in items(report, "items").chain(items(report, "remarks")) {
        let cell = |name: &str| match name {
            "currency" => cell(&report["currency"]),
            "class" | "verdict" if item[name].is_null() => cell(&item["kind"]),
            name => cell(&item[name]),
        };
        out.write_record(columns.iter().copied().map(cell))?;
    }
    let bytes = out.into_inner().map_err(|error| error.into_error())?;
    let part = PathBuf::from(format!("{}.part", path.display()));
    let written = std::fs::File::create_new(&part).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    let whole = written.and_then(|()| std::fs::rename(&part, path));
    whole.map_err(|error| {
        // Half a file is none; if it cannot go, nothing else is lost.
        let _ = std::fs::remove_file(&part);
        Failure::from(format!("{}: {error}", path.display()))
    })
}

/// A spreadsheet takes text for a formula that begins so; what a vendor wrote is none.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let begins = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let is_figure = text.parse::<rust_decimal::Decimal>().is_ok();
            if begins && !is_figure { format!("'{text}") } else { text.clone() }
        }
        other => other.to_string(),
    }
}

pub(crate) fn mapping(context: &Context, verb: Mapping) -> Result<(), Failure> {
    let path = |name: &str| format!("/record/mapping/{}", escape(name));
    match verb {
        Mapping::List { page } => context.pages(
            "/record/mapping",
            &page,
            &["name", "account", "header_line", "callee", "start", "duration", "amount"],
        ),
        Mapping::Show { name } => context.list(&path(&name), &[]),
        Mapping::Create { name, flags } => {
            let body = flags.fields()?.set("name", Some(name)).body();
            context.send(Method::POST, "/record/mapping", body)
        }
        Mapping::Set { name, flags } => {
            context.send(Method::PATCH, &path(&name), flags.fields()?.body())
        }
        Mapping::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
    }
}
