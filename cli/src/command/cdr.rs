//! `tollgate cdr`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::account::asked;
use super::export::{Format, export};
use super::{Fields, Page, dispute};
use crate::client::{Body, escape};
use crate::render::{self, Output};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Call records, newest first; 100 unless more are asked for.
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// One record with all it knows.
    Show {
        /// Its id.
        id: String,
        /// In the file of this archived day.
        #[arg(long, value_name = "DAY")]
        archive: Option<String>,
    },
    /// Set right what it cost, beside what was charged; the same request id does so once.
    Modify {
        /// Its id.
        id: String,
        /// What the customer is charged, without tax.
        #[arg(long, required_unless_present = "vendor_charge")]
        charge: Option<String>,
        /// What the vendor charges, without tax.
        #[arg(long)]
        vendor_charge: Option<String>,
        /// What was wrong.
        #[arg(long)]
        reason: String,
        /// Unique for this record.
        #[arg(long)]
        request_id: String,
    },
    /// Rate answered calls by the tariffs of today. Every record once per request id: what was cut off goes on where it
    /// stood when it is asked for again.
    Rerate {
        #[command(flatten)]
        filter: Filter,
        /// customer, vendor or both (both).
        #[arg(long)]
        side: Option<String>,
        /// The tariff of all these calls, for one side; none: for each call the one it was charged by.
        #[arg(long, requires = "side")]
        tariff: Option<String>,
        /// Calls too that somebody set right by hand.
        #[arg(long)]
        with_corrected: bool,
        /// Tell what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// What was wrong.
        #[arg(long)]
        reason: String,
        /// Unique for this re-rate.
        #[arg(long)]
        request_id: String,
    },
    /// Compare a vendor's file of call records, .csv or .xlsx, with ours.
    Dispute(dispute::Dispute),
    /// Rate the call records of another switch, .csv or .xlsx, by our tariffs, and say why fees differ.
    Compare(dispute::Compare),
    /// How other switches write their call records.
    #[command(subcommand)]
    Mapping(dispute::Mapping),
    /// Days (UTC) of records, and where they are.
    Days,
    /// Hours (UTC) of records that are text files (TG_CDR_TEXT).
    Text,
    /// Put a day into a file of its own, and out of the database.
    Archive {
        /// Such as 2026-01-31.
        day: String,
    },
    /// Delete the file of an archived day; what it adds up to stays.
    Purge {
        /// Such as 2026-01-31.
        day: String,
    },
    /// Every matching record.
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Into this new file, page by page, with its SHA-256 beside it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// What the file is written as.
        #[arg(long, value_enum, default_value = "csv", requires = "file")]
        format: Format,
    },
}

#[derive(clap::Args)]
pub(crate) struct Filter {
    /// Mapping gateway.
    #[arg(long)]
    gateway: Option<String>,
    /// Routing gateway.
    #[arg(long)]
    vendor: Option<String>,
    /// Who pays.
    #[arg(long)]
    account: Option<String>,
    /// Who is paid.
    #[arg(long)]
    vendor_account: Option<String>,
    /// Talked for at least so many milliseconds.
    #[arg(long)]
    hold_ms_min: Option<String>,
    /// Caller begins with.
    #[arg(long)]
    caller: Option<String>,
    /// Callee begins with.
    #[arg(long)]
    callee: Option<String>,
    /// customer_gateway, illegal, none.
    #[arg(long)]
    billing_mode: Option<String>,
    /// As in docs/operations.md.
    #[arg(long)]
    end_reason: Option<String>,
    /// Ended not before (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Ended before (RFC 3339).
    #[arg(long)]
    to: Option<String>,
    /// Answered calls only.
    #[arg(long)]
    answered: bool,
    /// In the file of this archived day.
    #[arg(long, value_name = "DAY")]
    archive: Option<String>,
}

impl Filter {
    fn path(&self) -> String {
        self.path_of("/cdr")
    }

    fn path_of(&self, what: &str) -> String {
        let query: Vec<String> =
            self.asked().iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        format!("{what}?{}", query.join("&"))
    }

    /// What was given, by the names that the API has for it.
    fn asked(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("gateway", &self.gateway),
            ("vendor", &self.vendor),
            ("account", &self.account),
            ("vendor_account", &self.vendor_account),
            ("hold_ms_min", &self.hold_ms_min),
            ("caller", &self.caller),
            ("callee", &self.callee),
            ("billing_mode", &self.billing_mode),
            ("end_reason", &self.end_reason),
            ("from", &self.from),
            ("to", &self.to),
            ("archive", &self.archive),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        given.chain(self.answered.then(|| ("answered", "1".to_owned()))).collect()
    }
}

/// Records of one request.
const RERATED: u32 = 1_000;

const DIFFERENCES: [&str; 9] = [
    "id",
    "what",
    "account",
    "callee_billed",
    "old_charge",
    "charge",
    "rate",
    "old_vendor_charge",
    "vendor_charge",
];

const COLUMNS: [&str; 12] = [
    "started",
    "calls",
    "gateway",
    "vendor_gateway",
    "caller_billed",
    "callee_billed",
    "status",
    "end_reason",
    "hold_ms",
    "billed_s",
    "charge",
    "vendor_charge",
];

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { filter, page } => {
            context.pages(&filter.path(), &page.or_at_most(100), &COLUMNS)
        }
        Verb::Show { id, archive } => {
            let path = format!("/cdr/{}", escape(&id));
            context.list(&asked(&path, &[("archive", &archive)]), &[])
        }
        Verb::Days => {
            let columns = ["day", "state", "records", "bytes", "archived", "purged"];
            context.list("/cdr/day", &columns)
        }
        Verb::Text => context.list("/cdr/text", &["file", "hour", "bytes", "sha256"]),
        Verb::Archive { day } => {
            context.send(Method::POST, &format!("/cdr/day/{}/archive", escape(&day)), Body::Empty)
        }
        Verb::Purge { day } => {
            context.send(Method::DELETE, &format!("/cdr/day/{}", escape(&day)), Body::Empty)
        }
        Verb::Modify { id, charge, vendor_charge, reason, request_id } => {
            let fields = Fields::default()
                .set("charge", charge)
                .set("vendor_charge", vendor_charge)
                .set("reason", Some(reason))
                .set("request_id", Some(request_id));
            let path = format!("/cdr/{}/correction", escape(&id));
            context.send(Method::POST, &path, fields.body())
        }
        Verb::Rerate { filter, side, tariff, with_corrected, dry_run, reason, request_id } => {
            let fields = Fields::default()
                .set("side", side)
                .set("tariff", tariff)
                .set("with_corrected", Some(with_corrected))
                .set("dry_run", Some(dry_run))
                .set("reason", Some(reason))
                .set("request_id", Some(request_id));
            rerate(context, &filter.path_of("/cdr/rerate"), &fields)
        }
        Verb::Dispute(asked) => dispute::dispute(context, asked),
        Verb::Compare(asked) => dispute::compare(context, asked),
        Verb::Mapping(verb) => dispute::mapping(context, verb),
        Verb::Export { filter, file: Some(file), format } => {
            let written = export(context, &filter.path(), filter.asked(), &file, format)?;
            context.show(&written, &[])
        }
        Verb::Export { filter, .. } => context.pages(&filter.path(), &Page::default(), &COLUMNS),
    }
}

/// Page by page; what all of them come to stands under the differences.
fn rerate(context: &Context, path: &str, fields: &Fields) -> Result<(), Failure> {
    let mut whole = Rerated::default();
    let mut next = String::new();
    loop {
        let path = format!("{path}&limit={RERATED}{next}");
        let page = context.client.request(Method::POST, &path, fields.clone().body())?;
        whole.add(&page);
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={}", escape(cursor)),
            None => break,
        }
    }
    let answer = whole.shown();
    render::show(&answer, &DIFFERENCES, context.output)?;
    if context.output == Output::Table {
        let counts: Vec<String> =
            COUNTS.iter().map(|name| format!("{name} {}", answer[*name])).collect();
        render::print(&format!("{}\n", counts.join(", ")))?;
        let sums = ["account", "side", "currency", "before", "after"];
        render::show(&answer["sums"], &sums, context.output)?;
    }
    Ok(())
}

/// What is counted of a re-rate.
const COUNTS: [&str; 7] =
    ["records", "changed", "unchanged", "repeated", "kept", "unrated", "failed"];

/// All pages of a re-rate.
#[derive(Default)]
struct Rerated {
    counts: [u64; COUNTS.len()],
    /// By account, side and currency: before, after.
    sums: BTreeMap<[String; 3], [Decimal; 2]>,
    items: Vec<Value>,
}

impl Rerated {
    fn add(&mut self, page: &Value) {
        for (sum, name) in self.counts.iter_mut().zip(COUNTS) {
            *sum += page[name].as_u64().unwrap_or(0);
        }
        for sum in page["sums"].as_array().into_iter().flatten() {
            let text = |field: &str| sum[field].as_str().unwrap_or_default().to_owned();
            let key = ["account", "side", "currency"].map(text);
            let both = self.sums.entry(key).or_default();
            for (all, field) in both.iter_mut().zip(["before", "after"]) {
                // A page costs less than 28 digits can say.
                *all += text(field).parse::<Decimal>().unwrap_or_default();
            }
        }
        self.items.extend(page["items"].as_array().into_iter().flatten().cloned());
    }

    fn shown(self) -> Value {
        let sums = self.sums.into_iter().map(|([account, side, currency], [before, after])| {
            let (before, after) = (before.to_string(), after.to_string());
            json!({"account": account, "side": side, "currency": currency, "before": before, "after": after})
        });
        let mut answer = json!({"items": self.items, "sums": sums.collect::<Vec<Value>>()});
        for (name, count) in COUNTS.into_iter().zip(self.counts) {
            answer[name] = count.into();
        }
        answer
    }
}
