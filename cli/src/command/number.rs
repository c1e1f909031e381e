//! `tollgate number`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Whose a number is: the account of the phone that it rings, or of the section that holds it.
    Owner {
        /// The number.
        number: String,
    },
    /// Which consecutive numbers are whose.
    #[command(subcommand)]
    Section(Section),
    /// Rules for the numbers of every call, behind those of its gateway and its account.
    #[command(subcommand)]
    Transform(Transform),
}

#[derive(Subcommand)]
pub(crate) enum Section {
    /// All of them, or those of an account.
    List {
        /// Only its own.
        #[arg(long)]
        account: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// One of them.
    Show {
        /// First and last number.
        name: String,
    },
    /// Say that numbers are an account's.
    Create {
        /// First and last number, 390212345000-390212345999, or one number.
        name: String,
        /// The account.
        #[arg(long)]
        account: String,
        /// For people.
        #[arg(long)]
        memo: Option<String>,
    },
    /// Give a section to another account, or change what is noted.
    Set {
        /// First and last number.
        name: String,
        /// The account.
        #[arg(long)]
        account: Option<String>,
        /// For people.
        #[arg(long)]
        memo: Option<String>,
    },
    /// Delete a section: its numbers are nobody's.
    Delete {
        /// First and last number.
        name: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(Subcommand)]
pub(crate) enum Transform {
    /// All of them.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One of them.
    Show {
        /// Its name.
        name: String,
    },
    /// A new rule.
    Create {
        /// Its name; of two rules whose originals are as long, the first by name is asked first.
        name: String,
        /// ORIGINAL=TARGET; behind a ~, ORIGINAL is a regular expression, and $1 its first group.
        rule: String,
        #[command(flatten)]
        flags: RuleFlags,
    },
    /// Change a rule.
    Set {
        /// Its name.
        name: String,
        /// ORIGINAL=TARGET; behind a ~, ORIGINAL is a regular expression, and $1 its first group.
        rule: Option<String>,
        #[command(flatten)]
        flags: RuleFlags,
    },
    /// Delete a rule.
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
pub(crate) struct RuleFlags {
    /// Which number it changes: callee or caller (callee).
    #[arg(long)]
    number: Option<String>,
    /// For people.
    #[arg(long)]
    memo: Option<String>,
}

impl RuleFlags {
    fn fields(self, rule: Option<String>) -> Result<Fields, Failure> {
        let fields = Fields::default().set("number", self.number).set("memo", self.memo);
        let rules = super::rules(&rule.into_iter().collect::<Vec<_>>())?;
        let part = |name: &str| rules.as_ref().map(|rules| rules[0][name].clone());
        Ok(fields.set("original", part("original")).set("target", part("target")))
    }
}

const TRANSFORMS: Sheet =
    Sheet { list: "/number/transform", key: "name", change: Change::Patch, spellings: false };

const SECTIONS: Sheet =
    Sheet { list: "/number/section", key: "name", change: Change::Patch, spellings: true };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Owner { number } => context.list(&format!("/number/owner/{}", escape(&number)), &[]),
        Verb::Section(verb) => section(context, verb),
        Verb::Transform(verb) => transform(context, verb),
    }
}

fn transform(context: &Context, verb: Transform) -> Result<(), Failure> {
    let path = |name: &str| format!("/number/transform/{}", escape(name));
    match verb {
        Transform::List { page } => {
            let columns = ["name", "number", "original", "target", "memo"];
            context.pages("/number/transform", &page, &columns)
        }
        Transform::Show { name } => context.list(&path(&name), &[]),
        Transform::Create { name, rule, flags } => {
            let fields = flags.fields(Some(rule))?.set("name", Some(name));
            context.send(Method::POST, "/number/transform", fields.body())
        }
        Transform::Set { name, rule, flags } => {
            context.send(Method::PATCH, &path(&name), flags.fields(rule)?.body())
        }
        Transform::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Transform::Export => TRANSFORMS.export(context),
        Transform::Import(import) => TRANSFORMS.import(context, &import),
    }
}

fn section(context: &Context, verb: Section) -> Result<(), Failure> {
    let path = |name: &str| format!("/number/section/{}", escape(name));
    match verb {
        Section::List { account, page } => {
            let only = account.map_or(String::new(), |name| format!("?account={}", escape(&name)));
            let columns = ["first", "last", "account_id", "account", "memo"];
            context.pages(&format!("/number/section{only}"), &page, &columns)
        }
        Section::Show { name } => context.list(&path(&name), &[]),
        Section::Create { name, account, memo } => {
            let fields = Fields::default().set("name", Some(name)).set("account", Some(account));
            context.send(Method::POST, "/number/section", fields.set("memo", memo).body())
        }
        Section::Set { name, account, memo } => {
            let fields = Fields::default().set("account", account).set("memo", memo);
            context.send(Method::PATCH, &path(&name), fields.body())
        }
        Section::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Section::Export => SECTIONS.export(context),
        Section::Import(import) => SECTIONS.import(context, &import),
    }
}
