//! `tollgate tariff generate` and `tollgate tariff diff`: prices made of costs, and told apart.

use hyper::Method;

use super::Page;
use super::account::asked;
use crate::client::{Body, escape};
use crate::{Context, Failure};

/// Make a customer's tariff of cost and margin.
#[derive(clap::Args)]
pub(crate) struct Generate {
    /// The tariff that customers pay by.
    name: String,
    /// A tariff that calls are bought by; may be repeated: the dearest of them is the cost.
    #[arg(long = "cost", required = true)]
    costs: Vec<String>,
    /// Percent on top of the cost (0).
    #[arg(long, allow_negative_numbers = true)]
    margin_percent: Option<String>,
    /// Money per minute on top of that (0).
    #[arg(long, allow_negative_numbers = true)]
    margin: Option<String>,
    /// Decimals of a rate, which is rounded up (4).
    #[arg(long)]
    decimals: Option<String>,
    /// Rates hold from this instant on (now).
    #[arg(long)]
    effective: Option<String>,
    /// Higher rates hold so many days from today, at the earliest (7).
    #[arg(long)]
    notice_days: Option<String>,
    /// Codes end, after the notice, that cannot be bought any more.
    #[arg(long)]
    close: bool,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
}

/// What differs between two instants of a tariff, or between two tariffs.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// Its name.
    name: String,
    /// At this instant (now).
    #[arg(long)]
    from: Option<String>,
    /// And at this one (now).
    #[arg(long)]
    to: Option<String>,
    /// The other tariff.
    #[arg(long)]
    with: Option<String>,
    #[command(flatten)]
    page: Page,
}

pub(crate) fn generate(context: &Context, wish: Generate) -> Result<(), Failure> {
    let flag = |set: bool| set.then(|| "1".to_owned());
    let path = asked(
        &format!("/tariff/{}/generate", escape(&wish.name)),
        &[
            ("cost", &Some(wish.costs.join(","))),
            ("margin_percent", &wish.margin_percent),
            ("margin", &wish.margin),
            ("decimals", &wish.decimals),
            ("effective", &wish.effective),
            ("notice_days", &wish.notice_days),
            ("close", &flag(wish.close)),
            ("dry_run", &flag(wish.dry_run)),
        ],
    );
    context.send(Method::POST, &path, Body::Empty)
}

pub(crate) fn diff(context: &Context, wish: Diff) -> Result<(), Failure> {
    let path = asked(
        &format!("/tariff/{}/diff", escape(&wish.name)),
        &[("from", &wish.from), ("to", &wish.to), ("with", &wish.with)],
    );
    context.pages(
        &path,
        &wish.page,
        &["prefix", "origin", "period", "change", "old_rate", "rate", "unit_s", "effective"],
    )
}
