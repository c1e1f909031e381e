//! `tollgate param`

use clap::Subcommand;
use hyper::Method;

use super::Fields;
use crate::client::{Body, escape};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The whole catalog.
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
    /// What it was before, and when.
    History {
        /// Its name.
        name: String,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let path = |name: &str| format!("/param/{}", escape(name));
    match verb {
        Verb::List => context
            .list("/param", &["name", "value", "default", "range", "unit", "in_force", "doc"]),
        Verb::Get { name } => context.list(&path(&name), &[]),
        Verb::Set { name, value } => {
            let body = Fields::default().set("value", Some(value)).body();
            context.send(Method::PUT, &path(&name), body)
        }
        Verb::Reset { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Verb::History { name } => {
            context.list(&format!("{}/history", path(&name)), &["at", "old", "new"])
        }
    }
}
