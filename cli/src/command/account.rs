//! `tollgate account`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page, rules};
use crate::client::{Body, escape};
use crate::render::{self, Output};
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
    /// Give money back; the same request id books once.
    Refund {
        /// Its name.
        name: String,
        /// How much; no more than is there and not held for calls.
        amount: String,
        /// Unique for this account.
        #[arg(long)]
        request_id: String,
        /// For people.
        #[arg(long)]
        memo: Option<String>,
    },
    /// Set its balance right; the same request id books once.
    Correct {
        /// Its name.
        name: String,
        /// How much; negative takes away.
        #[arg(allow_negative_numbers = true)]
        amount: String,
        /// Unique for this account.
        #[arg(long)]
        request_id: String,
        /// What was wrong.
        #[arg(long)]
        memo: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
    /// Entries of its balance, newest first; 100 unless more are asked for.
    Ledger {
        /// Its name.
        name: String,
        /// payment, charge, refund, correction, rent, package or income.
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        time: Span,
        #[command(flatten)]
        page: Page,
    },
    /// What it had, what moved it in a time, and what it has then.
    Statement {
        /// Its name.
        name: String,
        #[command(flatten)]
        time: Span,
    },
    /// When it was made, locked, over or low on money, newest first; 100 unless more are asked for.
    History {
        /// Its name.
        name: String,
        #[command(flatten)]
        page: Page,
    },
    /// Whether balances, entries and records agree; exit code 1 if not, with what differs.
    Audit,
}

/// A time, half-open.
#[derive(clap::Args)]
pub(crate) struct Span {
    /// Not before (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Before (RFC 3339).
    #[arg(long)]
    to: Option<String>,
}

/// A path with the filters that were said.
pub(crate) fn asked(path: &str, filters: &[(&str, &Option<String>)]) -> String {
    let said = filters.iter().filter_map(|(name, value)| value.as_ref().map(|it| (name, it)));
    let said: Vec<String> = said.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    if said.is_empty() { path.to_owned() } else { format!("{path}?{}", said.join("&")) }
}

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// customer, vendor or agent.
    #[arg(long)]
    role: Option<String>,
    /// Of a customer: the agent who earns on its calls ('' for nobody).
    #[arg(long)]
    agent: Option<String>,
    /// Of an agent: the tariff that calls of his customers cost him by.
    #[arg(long)]
    tariff: Option<String>,
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
    /// No call is admitted from then on (RFC 3339).
    #[arg(long)]
    expires: Option<String>,
    /// It does not expire.
    #[arg(long, conflicts_with = "expires")]
    never_expires: bool,
    /// Most calls at a time (0: as SS_MAXCONCURRENTCALL says).
    #[arg(long)]
    lines_max: Option<u32>,
    /// Most new calls per second (0: no limit).
    #[arg(long)]
    cps_max: Option<u32>,
    /// Longest call, s (0: no limit).
    #[arg(long)]
    talk_s_max: Option<u32>,
    /// What the calls of a day may cost (0: no limit).
    #[arg(long)]
    spend_per_day_max: Option<String>,
    /// IANA name of the zone by which its days begin (UTC).
    #[arg(long)]
    time_zone: Option<String>,
    /// An alarm stands while the balance is under this.
    #[arg(long, allow_negative_numbers = true)]
    low_balance: Option<String>,
    /// What its prefixes are: allow or deny.
    #[arg(long)]
    prefixes_mode: Option<String>,
    /// Callees that it may, or may not, call; may be repeated.
    #[arg(long = "prefix")]
    prefixes: Vec<String>,
    /// It may call everywhere again.
    #[arg(long, conflicts_with_all = ["prefixes", "prefixes_mode"])]
    prefixes_none: bool,
    /// No calls but to TG_HOME_PREFIXES: true or false.
    #[arg(long)]
    international_blocked: Option<bool>,
    /// No calls to TG_PREMIUM_PREFIXES: true or false.
    #[arg(long)]
    premium_blocked: Option<bool>,
    /// Its calls cost what its tariff says of the route's billing prefix and the callee: true or false (false).
    #[arg(long)]
    route_prefix_billing: Option<bool>,
    /// Its forwarded calls cost what its tariff says of this prefix and the callee ('' for what others cost).
    #[arg(long)]
    forward_prefix: Option<String>,
    /// Change of the caller behind the gateway's, ORIGINAL=TARGET; may be repeated.
    #[arg(long = "caller-rule")]
    caller_rules: Vec<String>,
    /// The callers stay as the gateways leave them.
    #[arg(long, conflicts_with = "caller_rules")]
    caller_rules_none: bool,
    /// Change of the callee behind the gateway's, ORIGINAL=TARGET; may be repeated.
    #[arg(long = "callee-rule")]
    callee_rules: Vec<String>,
    /// The callees stay as the gateways leave them.
    #[arg(long, conflicts_with = "callee_rules")]
    callee_rules_none: bool,
    /// Whence it may be used while SS_ACCESS_IP_CHECK is 1, 192.0.2.1 or 192.0.2.0/24; may be repeated.
    #[arg(long = "access-address")]
    access_addresses: Vec<String>,
    /// How its calls are written to disk: off, wav, pcap or both (off).
    #[arg(long)]
    recording: Option<String>,
    /// Its callers hear a prompt where their calls fail: true or false (false).
    #[arg(long)]
    announcements: Option<bool>,
    /// A line of whom its invoices are for: name, address, tax number; may be repeated.
    #[arg(long)]
    bill_to: Vec<String>,
    /// Where its invoices go ('' for nowhere).
    #[arg(long)]
    email: Option<String>,
    /// It may be used from anywhere.
    #[arg(long, conflicts_with = "access_addresses")]
    access_anywhere: bool,
}

impl Flags {
    fn fields(self) -> Result<Fields, Failure> {
        let unlimited = self.unlimited.then_some(serde_json::Value::Null);
        Ok(Fields::default()
            .set("role", self.role)
            .set("agent", self.agent)
            .set("tariff", self.tariff)
            .set("currency", self.currency)
            .set("credit", self.credit)
            .set("credit", unlimited)
            .set("locked", self.locked)
            .set("expires", self.expires)
            .set("expires", self.never_expires.then_some(serde_json::Value::Null))
            .set("lines_max", self.lines_max)
            .set("cps_max", self.cps_max)
            .set("talk_s_max", self.talk_s_max)
            .set("spend_per_day_max", self.spend_per_day_max)
            .set("time_zone", self.time_zone)
            .set("low_balance", self.low_balance)
            .set("prefixes_mode", self.prefixes_mode)
            .list("prefixes", &self.prefixes)
            .set("prefixes_mode", self.prefixes_none.then_some(""))
            .set("prefixes", self.prefixes_none.then(|| serde_json::json!([])))
            .set("international_blocked", self.international_blocked)
            .set("premium_blocked", self.premium_blocked)
            .set("route_prefix_billing", self.route_prefix_billing)
            .set("forward_prefix", self.forward_prefix)
            .set("caller_rules", rules(&self.caller_rules)?)
            .set("caller_rules", self.caller_rules_none.then(|| serde_json::json!([])))
            .set("callee_rules", rules(&self.callee_rules)?)
            .set("callee_rules", self.callee_rules_none.then(|| serde_json::json!([])))
            .set("recording", self.recording)
            .set("announcements", self.announcements)
            .list("bill_to", &self.bill_to)
            .set("email", self.email)
            .set("access_addresses", self.access_anywhere.then(|| serde_json::json!([])))
            .list("access_addresses", &self.access_addresses))
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
            &["name", "role", "currency", "balance", "reserved", "credit", "calls", "state"],
        ),
        Verb::Show { name } => context.list(&path(&name), &[]),
        Verb::Create { name, fields } => {
            let body = fields.fields()?.set("name", Some(name)).body();
            context.send(Method::POST, "/account", body)
        }
        Verb::Set { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields()?.body())
        }
        Verb::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::Export => SHEET.export(context),
        Verb::Import(import) => SHEET.import(context, &import),
        Verb::Pay { name, amount, request_id, memo } => {
            book(context, &format!("{}/payment", path(&name)), amount, request_id, memo)
        }
        Verb::Refund { name, amount, request_id, memo } => {
            book(context, &format!("{}/refund", path(&name)), amount, request_id, memo)
        }
        Verb::Correct { name, amount, request_id, memo } => {
            book(context, &format!("{}/correction", path(&name)), amount, request_id, Some(memo))
        }
        Verb::Ledger { name, kind, time, page } => context.pages(
            &asked(
                &format!("{}/ledger", path(&name)),
                &[("kind", &kind), ("from", &time.from), ("to", &time.to)],
            ),
            &page.or_at_most(100),
            &["at", "kind", "amount", "balance", "counter", "reference", "who", "memo"],
        ),
        Verb::Statement { name, time } => {
            let filters = [("from", &time.from), ("to", &time.to)];
            context.list(&asked(&format!("{}/statement", path(&name)), &filters), &[])
        }
        Verb::History { name, page } => context.pages(
            &format!("{}/history", path(&name)),
            &page.or_at_most(100),
            &["at", "name", "detail"],
        ),
        Verb::Audit => audit(context),
    }
}

fn book(
    context: &Context,
    path: &str,
    amount: String,
    request_id: String,
    memo: Option<String>,
) -> Result<(), Failure> {
    let fields = Fields::default()
        .set("amount", Some(amount))
        .set("request_id", Some(request_id))
        .set("memo", memo);
    context.send(Method::POST, path, fields.body())
}

/// What agrees is shown as well: a program may want the sums.
fn audit(context: &Context) -> Result<(), Failure> {
    let found = context.client.get("/ledger/audit")?;
    let part = |name: &str| found.get(name).cloned().unwrap_or_default();
    if context.output == Output::Json {
        render::show(&found, &[], context.output)?;
    } else if part("agrees") == true {
        render::show(&part("counters"), &["currency", "counter", "amount"], context.output)?;
    } else {
        let columns = ["account", "what", "entries", "other"];
        render::show(&part("differences"), &columns, context.output)?;
    }
    match part("differences").as_array().map_or(0, Vec::len) {
        0 => Ok(()),
        count => {
            Err(format!("the books do not agree, {count} sums differ; see docs/operations.md")
                .into())
        }
    }
}
