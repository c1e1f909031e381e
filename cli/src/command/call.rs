//! `tollgate call`

use clap::Subcommand;
use hyper::Method;

use super::Page;
use crate::client::{Body, escape};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Running calls.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One running call, with what its media are like.
    Show {
        /// Its id.
        id: String,
    },
    /// Hang a call up.
    Hangup {
        /// Its id.
        id: String,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { page } => context.pages(
            "/call",
            &page,
            &["id", "worker", "state", "caller", "callee", "source", "talk_ms", "path", "mos"],
        ),
        Verb::Show { id } => context.list(&format!("/call/{}", escape(&id)), &[]),
        Verb::Hangup { id } => {
            context.send(Method::DELETE, &format!("/call/{}", escape(&id)), Body::Empty)
        }
    }
}
