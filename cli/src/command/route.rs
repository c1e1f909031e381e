//! `tollgate route`

use clap::Subcommand;

use crate::client::escape;
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Which gateways a call would try, in order, and why not the others.
    #[command(visible_alias = "show")]
    Explain {
        /// Caller.
        #[arg(long)]
        from: String,
        /// Callee.
        #[arg(long)]
        to: String,
        /// The mapping gateway it comes from.
        #[arg(long)]
        gateway: String,
    },
}

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let Verb::Explain { from, to, gateway } = verb;
    let (from, to, gateway) = (escape(&from), escape(&to), escape(&gateway));
    context.list(
        &format!("/route/explain?from={from}&to={to}&gateway={gateway}"),
        &[
            "order",
            "gateway",
            "prefix_digits",
            "price",
            "customer_price",
            "callee_sent",
            "excluded",
        ],
    )
}
