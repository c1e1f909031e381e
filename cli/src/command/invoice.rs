//! `tollgate invoice`

use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::account::asked;
use super::recording::fetch;
use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::{Context, Failure, render};

const COLUMNS: [&str; 11] =
    ["name", "state", "paper", "of", "account", "from", "to", "total", "open", "due", "overdue"];
const LINES: [&str; 7] = ["what", "destination", "country", "count", "billed_s", "amount", "tax"];

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Invoices, drafts and notes, the newest first.
    List {
        /// Of this account.
        #[arg(long)]
        account: Option<String>,
        /// draft, issued, paid or cancelled.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One of them; with --output table its lines.
    Show {
        /// Its number, or a draft's name.
        name: String,
    },
    /// Add up what an account owes for a time; again for the same time takes the draft's place.
    Draft {
        /// Whose calls; none: those of all customers that owe something.
        account: Option<String>,
        /// A month of the account's zone, such as 2026-01.
        #[arg(long, conflicts_with_all = ["from", "to"])]
        month: Option<String>,
        /// First day, such as 2026-01-01.
        #[arg(long)]
        from: Option<String>,
        /// First day that is not in it any more.
        #[arg(long)]
        to: Option<String>,
        /// Digits that tell destinations apart; 0: their country codes (0).
        #[arg(long)]
        area_digits: Option<u8>,
    },
    /// Give a draft its number; it never changes from then on.
    Issue {
        /// The draft.
        name: String,
    },
    /// Hand an issued document to the mail server, as PDF and CSV.
    Send {
        /// Its number.
        name: String,
        /// To whom (the account's email).
        #[arg(long)]
        to: Option<String>,
    },
    /// Book a payment of an invoice; the same request id books once.
    Pay {
        /// Its number.
        name: String,
        /// How much (all that is open).
        #[arg(long)]
        amount: Option<String>,
        /// Unique for this payment.
        #[arg(long)]
        request_id: String,
        /// For people.
        #[arg(long)]
        memo: Option<String>,
        /// It was paid before, as prepaid accounts do: nothing is booked.
        #[arg(long)]
        from_balance: bool,
    },
    /// A note of what its records cost differently by now, or of all of it.
    Credit {
        /// Its number.
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Take back all of it; its time can be invoiced again then.
        #[arg(long)]
        whole: bool,
    },
    /// Delete a draft.
    Delete {
        /// Its name.
        name: String,
    },
    /// Write the document into a new file, as its ending says: .pdf or .csv.
    File {
        /// Its number, or a draft's name.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

fn path(name: &str) -> String {
    format!("/invoice/{}", escape(name))
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { account, state, page } => {
            let path = asked("/invoice", &[("account", &account), ("state", &state)]);
            context.pages(&path, &page, &COLUMNS)
        }
        Verb::Show { name } => {
            let found = context.client.get(&path(&name))?;
            context.show(&found, &COLUMNS)?;
            if context.output == render::Output::Table {
                render::show(&found["document"]["lines"], &LINES, context.output)?;
            }
            Ok(())
        }
        Verb::Draft { account, month, from, to, area_digits } => {
            let fields = Fields::default()
                .set("month", month)
                .set("from", from)
                .set("to", to)
                .set("area_digits", area_digits);
            match account {
                Some(account) => {
                    let body = fields.set("account", Some(account)).body();
                    shown(context, &context.client.request(Method::POST, "/invoice", body)?)
                }
                None => draft_all(context, &fields),
            }
        }
        Verb::Issue { name } => act(context, &name, "issue", Body::Empty),
        Verb::Send { name, to } => {
            act(context, &name, "send", Fields::default().set("to", to).body())
        }
        Verb::Pay { name, amount, request_id, memo, from_balance } => {
            let fields = Fields::default()
                .set("amount", amount)
                .set("request_id", Some(request_id))
                .set("memo", memo)
                .set("from_balance", Some(from_balance));
            act(context, &name, "payment", fields.body())
        }
        Verb::Credit { name, reason, whole } => {
            let fields = Fields::default().set("reason", Some(reason)).set("whole", Some(whole));
            act(context, &name, "credit", fields.body())
        }
        Verb::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::File { name, file } => {
            let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if !["pdf", "csv"].contains(&ending) {
                return Err(
                    format!("{}: it ends neither with .pdf nor .csv", file.display()).into()
                );
            }
            fetch(context, &format!("/api/v1{}/{ending}", path(&name)), &file)
        }
    }
}

/// One row says what became of it.
fn shown(context: &Context, answer: &Value) -> Result<(), Failure> {
    context.show(answer, &COLUMNS)
}

fn act(context: &Context, name: &str, what: &str, body: Body) -> Result<(), Failure> {
    let answer = context.client.request(Method::POST, &format!("{}/{what}", path(name)), body)?;
    shown(context, &answer)
}

/// Every customer; of those that owe nothing no draft stays.
fn draft_all(context: &Context, fields: &Fields) -> Result<(), Failure> {
    let mut drafts = Vec::new();
    let mut next = String::new();
    loop {
        let page = context.client.get(&format!("/account?limit=1000{next}"))?;
        let accounts = page["items"].as_array().into_iter().flatten();
        for account in accounts.filter(|it| it["role"] == "customer") {
            let body = fields.clone().set("account", account["name"].as_str()).body();
            let draft = context.client.request(Method::POST, "/invoice", body)?;
            if draft["document"]["lines"].as_array().is_some_and(Vec::is_empty) {
                let name = draft["name"].as_str().unwrap_or_default();
                context.client.request(Method::DELETE, &path(name), Body::Empty)?;
            } else {
                drafts.push(draft);
            }
        }
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={}", escape(cursor)),
            None => break,
        }
    }
    context.show(&serde_json::json!({ "items": drafts }), &COLUMNS)
}
