//! `tollgate account`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All accounts with balances.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One account.
    Show {
        /// Its name.
        name: String,
    },
    /// A new account.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Change an account.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: Flags,
    },
    /// Delete an account nobody uses.
    Delete {
        /// Its name.
        name: String,
    },
    /// Book a payment; the same request id books once.
    Pay {
        /// Its name.
        name: String,
        /// How much; negative takes back.
        #[arg(allow_negative_numbers = true)]
        amount: String,
        /// Unique for this payment.
        #[arg(long)]
        request_id: String,
        /// For people.
        #[arg(long)]
        memo: Option<String>,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
    /// Entries of its balance, newest first; 100 unless more are asked for.
    Ledger {
        /// Its name.
        name: String,
        #[command(flatten)]
        page: Page,
    },
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// customer or vendor.
    #[arg(long)]
    role: Option<String>,
    /// ISO 4217 (EUR).
    #[arg(long)]
    currency: Option<String>,
    /// How far below zero the balance may go (0).
    #[arg(long)]
    credit: Option<String>,
    /// Postpaid without a limit.
    #[arg(long, conflicts_with = "credit")]
    unlimited: bool,
    /// No call is admitted: true or false.
    #[arg(long)]
    locked: Option<bool>,
    /// Whence it may be used while SS_ACCESS_IP_CHECK is 1, 192.0.2.1 or 192.0.2.0/24; may be repeated.
    #[arg(long = "access-address")]
    access_addresses: Vec<String>,
    /// How its calls are written to disk: off, wav, pcap or both (off).
    #[arg(long)]
    recording: Option<String>,
    /// Its callers hear a prompt where their calls fail: true or false (false).
    #[arg(long)]
    announcements: Option<bool>,
    /// It may be used from anywhere.
    #[arg(long, conflicts_with = "access_addresses")]
    access_anywhere: bool,
}

impl Flags {
    fn fields(self) -> Fields {
        let unlimited = self.unlimited.then_some(serde_json::Value::Null);
        Fields::default()
            .set("role", self.role)
            .set("currency", self.currency)
            .set("credit", self.credit)
            .set("credit", unlimited)
            .set("locked", self.locked)
            .set("recording", self.recording)
            .set("announcements", self.announcements)
            .set("access_addresses", self.access_anywhere.then(|| serde_json::json!([])))
            .list("access_addresses", &self.access_addresses)
    }
}

const SHEET: Sheet =
    Sheet { list: "/account", key: "name", change: Change::Patch, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/account/{}", escape(name));
    match verb {
        Verb::List { page } => context.pages(
            "/account",
            &page,
            &["name", "role", "currency", "balance", "reserved", "credit", "calls", "locked"],
        ),
        Verb::Show { name } => context.list(&path(&name), &[]),
        Verb::Create { name, fields } => {
            let body = fields.fields().set("name", Some(name)).body();
            context.send(Method::POST, "/account", body)
        }
        Verb::Set { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields().body())
        }
        Verb::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::Export => SHEET.export(context),
        Verb::Import(import) => SHEET.import(context, &import),
        Verb::Pay { name, amount, request_id, memo } => {
            let fields = Fields::default()
                .set("amount", Some(amount))
                .set("request_id", Some(request_id))
                .set("memo", memo);
            context.send(Method::POST, &format!("{}/payment", path(&name)), fields.body())
        }
        Verb::Ledger { name, page } => context.pages(
            &format!("{}/ledger", path(&name)),
            &page.or_at_most(100),
            &["at", "kind", "amount", "reference", "memo"],
        ),
    }
}
