//! `tollgate param`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The whole catalog: parameters, and what fields of documents mean.
    List,
    /// One parameter.
    Get {
        /// Its name.
        name: String,
    },
    /// Change one; it holds for new calls at once.
    Set {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Back to its default.
    Reset {
        /// Its name.
        name: String,
    },
    /// Those that differ from their defaults, as CSV.
    Export,
    /// Set them by a CSV file of name,value; an empty value is the default again.
    Import(Import),
    /// Who changed it, when, from what to what; newest first.
    History {
        /// Its name.
        name: String,
        #[command(flatten)]
        page: Page,
    },
}

const SHEET: Sheet = Sheet { list: "/param", key: "name", change: Change::Value, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/param/{}", escape(name));
    match verb {
        Verb::List => context.list(
            "/param",
            &["name", "value", "default", "range", "unit", "owner", "in_force", "doc"],
        ),
        Verb::Get { name } => context.list(&path(&name), &[]),
        Verb::Set { name, value } => {
            let body = Fields::default().set("value", Some(value)).body();
            context.send(Method::PUT, &path(&name), body)
        }
        Verb::Reset { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::Export => SHEET.export(context),
        Verb::Import(import) => SHEET.import(context, &import),
        Verb::History { name, page } => context.pages(
            &format!("{}/history", path(&name)),
            &page.or_at_most(100),
            &["at", "who", "old", "new"],
        ),
    }
}
