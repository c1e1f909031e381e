//! `tollgate alarm`

use clap::Subcommand;

use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// What a human must act on.
    List,
    /// What happened, newest first.
    Events {
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List => context
            .list("/alarm", &["severity", "name", "subject", "raised", "last", "count", "detail"]),
        Verb::Events { limit } => context.list(
            &format!("/event?limit={limit}"),
            &["at", "severity", "name", "subject", "detail"],
        ),
    }
}
