//! `tollgate tariff`

use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page};
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
    /// Add rates from a CSV file with a header line.
    Import {
        /// The tariff.
        name: String,
        /// prefix,rate,unit_s,minimum_s,increment_s,connection_fee
        file: PathBuf,
        /// In place of all it has.
        #[arg(long)]
        replace: bool,
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
        /// Seconds that the rate pays for (60).
        #[arg(long)]
        unit_s: Option<u32>,
        /// Billed at least, s (1).
        #[arg(long)]
        minimum_s: Option<u32>,
        /// Billed in steps of, s (1).
        #[arg(long)]
        increment_s: Option<u32>,
        /// Added once on answer (0).
        #[arg(long)]
        connection_fee: Option<String>,
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
        /// Its prefix.
        prefix: String,
    },
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
}

impl Flags {
    fn fields(self) -> Fields {
        Fields::default()
            .set("currency", self.currency)
            .set("fee_precision", self.fee_precision)
            .set("rounding", self.rounding)
    }
}

const HEAD: Sheet = Sheet { list: "/tariff", key: "name", change: Change::Patch, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/tariff/{}", escape(name));
    match verb {
        Verb::List { page } => context.pages(
            "/tariff",
            &page,
            &["name", "currency", "fee_precision", "rounding", "version", "rates"],
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
        Verb::Head(Head::Export) => HEAD.export(context),
        Verb::Head(Head::Import(import)) => HEAD.import(context, &import),
        Verb::Import { name, file, replace } => {
            let sheet =
                std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let method = if replace { Method::PUT } else { Method::POST };
            context.send(method, &format!("{}/rate", path(&name)), Body::Csv(sheet))
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
            &["prefix", "rate", "unit_s", "minimum_s", "increment_s", "connection_fee"],
        ),
        Rate::Export { tariff } => RATES.export_from(context, &path(&tariff)),
        Rate::Set { tariff, prefix, rate, unit_s, minimum_s, increment_s, connection_fee } => {
            let fields = Fields::default()
                .set("prefix", Some(prefix))
                .set("rate", Some(rate))
                .set("unit_s", unit_s)
                .set("minimum_s", minimum_s)
                .set("increment_s", increment_s)
                .set("connection_fee", connection_fee);
            context.send(Method::POST, &path(&tariff), fields.body())
        }
        Rate::Delete { tariff, prefix } => {
            let path = format!("{}/{}", path(&tariff), escape(&prefix));
            context.send(Method::DELETE, &path, Body::Empty)
        }
    }
}
