//! `tollgate alarm`

use clap::Subcommand;

use super::Page;
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// What a human must act on.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// What happened, newest first; 50 unless more are asked for.
    Events {
        #[command(flatten)]
        page: Page,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { page } => context.pages(
            "/alarm",
            &page,
            &["severity", "name", "subject", "raised", "last", "count", "detail"],
        ),
        Verb::Events { page } => context.pages(
            "/event",
            &page.or_at_most(50),
            &["at", "severity", "name", "subject", "detail"],
        ),
    }
}
