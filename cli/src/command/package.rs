//! `tollgate package`

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All packages.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One package.
    Show {
        /// Its name.
        name: String,
    },
    /// A new package.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Change a package: its rent from the next period on, all else at once.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Delete a package that nobody has.
    Delete {
        /// Its name.
        name: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
    /// Who has which package.
    #[command(subcommand)]
    Subscription(Subscription),
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// ISO 4217 (EUR).
    #[arg(long)]
    currency: Option<String>,
    /// Minutes of talk that it pays for in each period (0).
    #[arg(long)]
    free_minutes: Option<u32>,
    /// Fees of talk that it pays for in each period, behind its minutes (0).
    #[arg(long)]
    free_amount: Option<String>,
    /// It pays for calls to this callee prefix; may be repeated.
    #[arg(long = "prefix")]
    prefixes: Vec<String>,
    /// It pays for calls to all numbers again.
    #[arg(long, conflicts_with = "prefixes")]
    prefixes_none: bool,
    /// It pays for calls that begin at these hours of the account's zone, again for each: 'mon-fri 08:00-19:00'.
    #[arg(long = "hours")]
    hours: Vec<String>,
    /// It pays for calls at all hours again.
    #[arg(long, conflicts_with = "hours")]
    hours_none: bool,
    /// How long a period lasts: day, week or month (month).
    #[arg(long)]
    span: Option<String>,
    /// What each period costs, at its beginning (0).
    #[arg(long)]
    rent: Option<String>,
    /// What it costs besides at its end, in percent of what the account's calls cost in it (0).
    #[arg(long)]
    rent_percent: Option<String>,
    /// What the account's calls cost in a period at least (0).
    #[arg(long)]
    minimum_consumption: Option<String>,
    /// How many periods follow the first one.
    #[arg(long)]
    renewals: Option<u32>,
    /// One period follows the other until the subscription ends.
    #[arg(long, conflicts_with = "renewals")]
    renewed_always: bool,
    /// What becomes of a subscription whose rent cannot be paid: suspend, end or owe (suspend).
    #[arg(long)]
    failed_mode: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Subscription {
    /// All of them, or those of an account, with what is left.
    List {
        /// Only its own.
        #[arg(long)]
        account: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One of them.
    Show {
        /// Its name.
        name: String,
    },
    /// Give a package to an account.
    Create {
        /// Its name.
        name: String,
        /// The customer's account.
        #[arg(long)]
        account: String,
        /// The package.
        #[arg(long)]
        package: String,
        /// Its first period begins then (now).
        #[arg(long)]
        begins: Option<String>,
        #[command(flatten)]
        flags: Term,
    },
    /// Change when it ends, or before which others it pays.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        flags: Term,
    },
    /// End it at once; nothing more is charged for it.
    Delete {
        /// Its name.
        name: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(clap::Args)]
pub(crate) struct Term {
    /// The lowest number pays first, then what lapses first (1).
    #[arg(long)]
    priority: Option<u32>,
    /// It ends then, at the latest.
    #[arg(long)]
    ends: Option<String>,
    /// It ends as the package says.
    #[arg(long, conflicts_with = "ends")]
    never_ends: bool,
}

impl Flags {
    fn fields(self) -> Fields {
        Fields::default()
            .set("currency", self.currency)
            .set("free_minutes", self.free_minutes)
            .set("free_amount", self.free_amount)
            .set("prefixes", self.prefixes_none.then(|| json!([])))
            .list("prefixes", &self.prefixes)
            .set("hours", self.hours_none.then(|| json!([])))
            .list("hours", &self.hours)
            .set("span", self.span)
            .set("rent", self.rent)
            .set("rent_percent", self.rent_percent)
            .set("minimum_consumption", self.minimum_consumption)
            .set("renewals", self.renewals)
            .set("renewals", self.renewed_always.then_some(Value::Null))
            .set("failed_mode", self.failed_mode)
    }
}

impl Term {
    fn fields(self) -> Fields {
        Fields::default()
            .set("priority", self.priority)
            .set("ends", self.ends)
            .set("ends", self.never_ends.then_some(Value::Null))
    }
}

const SHEET: Sheet =
    Sheet { list: "/package", key: "name", change: Change::Patch, spellings: false };

const SUBSCRIPTIONS: Sheet =
    Sheet { list: "/subscription", key: "name", change: Change::Patch, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/package/{}", escape(name));
    match verb {
        Verb::List { page } => context.pages(
            "/package",
            &page,
            &["name", "currency", "free_minutes", "free_amount", "span", "rent", "failed_mode"],
        ),
        Verb::Show { name } => context.list(&path(&name), &[]),
        Verb::Create { name, flags } => {
            context.send(Method::POST, "/package", flags.fields().set("name", Some(name)).body())
        }
        Verb::Set { name, flags } => {
            context.send(Method::PATCH, &path(&name), flags.fields().body())
        }
        Verb::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::Export => SHEET.export(context),
        Verb::Import(import) => SHEET.import(context, &import),
        Verb::Subscription(verb) => subscription(context, verb),
    }
}

fn subscription(context: &Context, verb: Subscription) -> Result<(), Failure> {
    let path = |name: &str| format!("/subscription/{}", escape(name));
    let columns = [
        "name",
        "account",
        "package",
        "state",
        "period",
        "period_to",
        "left_s",
        "left_amount",
        "spent",
    ];
    match verb {
        Subscription::List { account: Some(account), .. } => {
            context.list(&format!("/account/{}/subscription", escape(&account)), &columns)
        }
        Subscription::List { account: None, page } => {
            context.pages("/subscription", &page, &columns)
        }
        Subscription::Show { name } => context.list(&path(&name), &[]),
        Subscription::Create { name, account, package, begins, flags } => {
            let fields = flags
                .fields()
                .set("name", Some(name))
                .set("account", Some(account))
                .set("package", Some(package))
                .set("begins", begins);
            context.send(Method::POST, "/subscription", fields.body())
        }
        Subscription::Set { name, flags } => {
            context.send(Method::PATCH, &path(&name), flags.fields().body())
        }
        Subscription::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Subscription::Export => SUBSCRIPTIONS.export(context),
        Subscription::Import(import) => SUBSCRIPTIONS.import(context, &import),
    }
}
