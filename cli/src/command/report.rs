//! `tollgate report`

use super::account::asked;
use crate::client::escape;
use crate::render::{self, Output};
use crate::{Context, Failure};

/// A report; `list` tells which there are.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// revenue, gateway-bill, balances, clearing, traffic, mapping, routing, failures, area, cross, illegal, or
    /// list.
    kind: String,
    /// Not before: a date, or RFC 3339.
    #[arg(long)]
    from: Option<String>,
    /// Before: a date, or RFC 3339.
    #[arg(long)]
    to: Option<String>,
    /// Where days and hours begin, Europe/Berlin (UTC).
    #[arg(long)]
    time_zone: Option<String>,
    /// A row for each: whole, hour, day or month.
    #[arg(long)]
    by: Option<String>,
    /// An area is so many digits, in place of a country code.
    #[arg(long)]
    area_digits: Option<String>,
    /// Who pays.
    #[arg(long)]
    account: Option<String>,
    /// Who is paid.
    #[arg(long)]
    vendor_account: Option<String>,
    /// Mapping gateway.
    #[arg(long)]
    gateway: Option<String>,
    /// Routing gateway.
    #[arg(long)]
    vendor: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    if args.kind == "list" {
        return context.list("/reports", &["name", "by", "doc"]);
    }
    let query = [
        ("from", &args.from),
        ("to", &args.to),
        ("time_zone", &args.time_zone),
        ("by", &args.by),
        ("area_digits", &args.area_digits),
        ("account", &args.account),
        ("vendor_account", &args.vendor_account),
        ("gateway", &args.gateway),
        ("vendor", &args.vendor),
    ];
    let report = context.client.get(&asked(&format!("/reports/{}", escape(&args.kind)), &query))?;
    let part = |name: &str| report.get(name).cloned().unwrap_or_default();
    let columns = part("columns");
    let columns: Vec<&str> =
        columns.as_array().into_iter().flatten().filter_map(|it| it.as_str()).collect();
    render::show(&report, &columns, context.output)?;
    let has_rows = part("items").as_array().is_some_and(|items| !items.is_empty());
    if context.output == Output::Table && has_rows {
        let totals = part("totals");
        let told = |name: &&str| totals.get(0).is_some_and(|total| total.get(*name).is_some());
        let columns: Vec<&str> = columns.into_iter().filter(told).collect();
        render::print("in all\n")?;
        render::show(&totals, &columns, context.output)?;
    }
    Ok(())
}
