//! `tollgate tariff`

use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page, price, sheet};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All tariffs.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One tariff.
    Show {
        /// Its name.
        name: String,
    },
    /// A new tariff.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Change a tariff's head.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Delete a tariff nobody uses.
    Delete {
        /// Its name.
        name: String,
    },
    /// Its rates.
    #[command(subcommand)]
    Rate(Rate),
    /// The tariffs themselves as spreadsheets, without their rates.
    #[command(subcommand)]
    Head(Head),
    /// Take a vendor's rate sheet, .csv or .xlsx, by a saved mapping.
    Sheet(sheet::Sheet),
    /// Make a customer's tariff of cost and margin.
    Generate(price::Generate),
    /// What differs between two instants of a tariff, or between two tariffs.
    Diff(price::Diff),
    /// How vendors write their rate sheets.
    #[command(subcommand)]
    Mapping(sheet::Mapping),
    /// Add rates from a CSV file with a header line.
    Import {
        /// The tariff.
        name: String,
        /// prefix,rate and any other column of `tariff rate export`
        file: PathBuf,
        /// In place of all it has.
        #[arg(long)]
        replace: bool,
        /// With --replace: from this instant on, such as 2026-12-01T00:00:00Z; what it has now ends there.
        #[arg(long, requires = "replace")]
        effective: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Head {
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(Subcommand)]
pub(crate) enum Rate {
    /// All rates of a tariff.
    List {
        /// The tariff.
        tariff: String,
        #[command(flatten)]
        page: Page,
    },
    /// Add or replace a rate.
    Set {
        /// The tariff.
        tariff: String,
        /// Callee prefix; "" for every number.
        prefix: String,
        /// Money per unit.
        rate: String,
        #[command(flatten)]
        flags: RateFlags,
    },
    /// All rates of a tariff as CSV, as `tariff import` reads them.
    Export {
        /// The tariff.
        tariff: String,
    },
    /// Remove a rate.
    Delete {
        /// The tariff.
        tariff: String,
        /// Its prefix; and what else tells it from others: 44;origin=33;period=night;effective=….
        prefix: String,
    },
}

/// What a rate says besides its price; what is not said is as the tariff says.
#[derive(clap::Args)]
pub(crate) struct RateFlags {
    /// Seconds that the rate pays for.
    #[arg(long)]
    unit_s: Option<u32>,
    /// Billed at least, s.
    #[arg(long)]
    minimum_s: Option<u32>,
    /// Billed in steps of, s.
    #[arg(long)]
    increment_s: Option<u32>,
    /// Added once on answer.
    #[arg(long)]
    connection_fee: Option<String>,
    /// Only for callers whose number begins so; `unknown`: of no or an invalid number.
    #[arg(long)]
    origin: Option<String>,
    /// Only in this period of the tariff.
    #[arg(long)]
    period: Option<String>,
    /// In force from this instant on, such as 2026-12-01T00:00:00Z.
    #[arg(long)]
    effective: Option<String>,
    /// In force until this instant.
    #[arg(long)]
    ends: Option<String>,
    /// Tiers before the rate, `SECONDS@RATE/STEP` each: '60@0.10/6 120@0.05'.
    #[arg(long)]
    sections: Option<String>,
    /// Nobody may call there.
    #[arg(long)]
    locked: bool,
}

impl RateFlags {
    fn fields(self) -> Fields {
        Fields::default()
            .set("unit_s", self.unit_s)
            .set("minimum_s", self.minimum_s)
            .set("increment_s", self.increment_s)
            .set("connection_fee", self.connection_fee)
            .set("origin", self.origin)
            .set("period", self.period)
            .set("effective", self.effective)
            .set("ends", self.ends)
            .set("sections", self.sections)
            .set("locked", self.locked.then_some(true))
    }
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// ISO 4217 (EUR).
    #[arg(long)]
    currency: Option<String>,
    /// Decimals of a fee, 0 to 6.
    #[arg(long)]
    fee_precision: Option<u8>,
    /// half_even, half_up or up.
    #[arg(long)]
    rounding: Option<String>,
    /// The tariff that says what this one leaves open; '' for none.
    #[arg(long)]
    template: Option<String>,
    /// A fee rounds up to a multiple of it.
    #[arg(long)]
    fee_unit: Option<String>,
    /// On the rounded fee.
    #[arg(long)]
    tax_percent: Option<String>,
    /// Seconds that a rate pays for, where it does not say.
    #[arg(long)]
    unit_s: Option<u32>,
    /// Billed at least, s, where a rate does not say.
    #[arg(long)]
    minimum_s: Option<u32>,
    /// Billed in steps of, s, where a rate does not say.
    #[arg(long)]
    increment_s: Option<u32>,
    /// Added once on answer, where a rate does not say.
    #[arg(long)]
    connection_fee: Option<String>,
    /// Tiers before the rate, `SECONDS@RATE/STEP` each, where a rate does not say: '60/60'.
    #[arg(long)]
    sections: Option<String>,
    /// By whose clock periods go, such as Europe/Berlin.
    #[arg(long)]
    time_zone: Option<String>,
    /// A period that rates name, again for each: 'night=mon-fri 19:00-08:00'.
    #[arg(long = "period")]
    periods: Vec<String>,
}

impl Flags {
    fn fields(self) -> Fields {
        Fields::default()
            .set("currency", self.currency)
            .set("fee_precision", self.fee_precision)
            .set("rounding", self.rounding)
            .set("template", self.template)
            .set("fee_unit", self.fee_unit)
            .set("tax_percent", self.tax_percent)
            .set("unit_s", self.unit_s)
            .set("minimum_s", self.minimum_s)
            .set("increment_s", self.increment_s)
            .set("connection_fee", self.connection_fee)
            .set("sections", self.sections)
            .set("time_zone", self.time_zone)
            .list("periods", &self.periods)
    }
}

const HEAD: Sheet = Sheet { list: "/tariff", key: "name", change: Change::Patch, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/tariff/{}", escape(name));
    match verb {
        Verb::List { page } => context.pages(
            "/tariff",
            &page,
            &[
                "name",
                "currency",
                "template",
                "fee_precision",
                "rounding",
                "tax_percent",
                "version",
                "rates",
            ],
        ),
        Verb::Show { name } => context.list(&path(&name), &[]),
        Verb::Create { name, fields } => {
            context.send(Method::POST, "/tariff", fields.fields().set("name", Some(name)).body())
        }
        Verb::Set { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields().body())
        }
        Verb::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::Rate(verb) => rate(context, verb),
        Verb::Sheet(taken) => sheet::take(context, taken),
        Verb::Generate(wish) => price::generate(context, wish),
        Verb::Diff(wish) => price::diff(context, wish),
        Verb::Mapping(verb) => sheet::mapping(context, verb),
        Verb::Head(Head::Export) => HEAD.export(context),
        Verb::Head(Head::Import(import)) => HEAD.import(context, &import),
        Verb::Import { name, file, replace, effective } => {
            let sheet =
                std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let method = if replace { Method::PUT } else { Method::POST };
            let at = effective.map_or(String::new(), |at| format!("?effective={}", escape(&at)));
            context.send(method, &format!("{}/rate{at}", path(&name)), Body::Csv(sheet))
        }
    }
}

const RATES: Sheet =
    Sheet { list: "/tariff/{name}/rate", key: "prefix", change: Change::Anew, spellings: false };

fn rate(context: &Context, verb: Rate) -> Result<(), Failure> {
    let path = |tariff: &str| format!("/tariff/{}/rate", escape(tariff));
    match verb {
        Rate::List { tariff, page } => context.pages(
            &path(&tariff),
            &page,
            &[
                "prefix",
                "origin",
                "period",
                "effective",
                "ends",
                "rate",
                "unit_s",
                "minimum_s",
                "increment_s",
                "connection_fee",
                "sections",
                "locked",
            ],
        ),
        Rate::Export { tariff } => RATES.export_from(context, &path(&tariff)),
        Rate::Set { tariff, prefix, rate, flags } => {
            let fields = flags.fields().set("prefix", Some(prefix)).set("rate", Some(rate));
            context.send(Method::POST, &path(&tariff), fields.body())
        }
        Rate::Delete { tariff, prefix } => {
            let path = format!("{}/{}", path(&tariff), escape(&prefix));
            context.send(Method::DELETE, &path, Body::Empty)
        }
    }
}
