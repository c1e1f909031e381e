//! `tollgate cdr`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page};
use crate::client::escape;
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Call records, newest first; 100 unless more are asked for.
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// One record with all it knows.
    Show {
        /// Its id.
        id: String,
    },
    /// Set right what it cost, beside what was charged; the same request id does so once.
    Modify {
        /// Its id.
        id: String,
        /// What the customer is charged, without tax.
        #[arg(long, required_unless_present = "vendor_charge")]
        charge: Option<String>,
        /// What the vendor charges, without tax.
        #[arg(long)]
        vendor_charge: Option<String>,
        /// What was wrong.
        #[arg(long)]
        reason: String,
        /// Unique for this record.
        #[arg(long)]
        request_id: String,
    },
    /// Every matching record.
    Export {
        #[command(flatten)]
        filter: Filter,
    },
}

#[derive(clap::Args)]
pub(crate) struct Filter {
    /// Mapping gateway.
    #[arg(long)]
    gateway: Option<String>,
    /// Routing gateway.
    #[arg(long)]
    vendor: Option<String>,
    /// Who pays.
    #[arg(long)]
    account: Option<String>,
    /// Who is paid.
    #[arg(long)]
    vendor_account: Option<String>,
    /// Talked for at least so many milliseconds.
    #[arg(long)]
    hold_ms_min: Option<String>,
    /// Caller begins with.
    #[arg(long)]
    caller: Option<String>,
    /// Callee begins with.
    #[arg(long)]
    callee: Option<String>,
    /// customer_gateway, illegal, none.
    #[arg(long)]
    billing_mode: Option<String>,
    /// As in docs/operations.md.
    #[arg(long)]
    end_reason: Option<String>,
    /// Ended not before (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Ended before (RFC 3339).
    #[arg(long)]
    to: Option<String>,
    /// Answered calls only.
    #[arg(long)]
    answered: bool,
}

impl Filter {
    fn path(&self) -> String {
        let fields = [
            ("gateway", &self.gateway),
            ("vendor", &self.vendor),
            ("account", &self.account),
            ("vendor_account", &self.vendor_account),
            ("hold_ms_min", &self.hold_ms_min),
            ("caller", &self.caller),
            ("callee", &self.callee),
            ("billing_mode", &self.billing_mode),
            ("end_reason", &self.end_reason),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_ref()?))));
        let answered = self.answered.then(|| "answered=1".to_owned());
        let query: Vec<String> = given.chain(answered).collect();
        format!("/cdr?{}", query.join("&"))
    }
}

const COLUMNS: [&str; 12] = [
    "started",
    "calls",
    "gateway",
    "vendor_gateway",
    "caller_billed",
    "callee_billed",
    "status",
    "end_reason",
    "hold_ms",
    "billed_s",
    "charge",
    "vendor_charge",
];

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { filter, page } => {
            context.pages(&filter.path(), &page.or_at_most(100), &COLUMNS)
        }
        Verb::Show { id } => context.list(&format!("/cdr/{}", escape(&id)), &[]),
        Verb::Modify { id, charge, vendor_charge, reason, request_id } => {
            let fields = Fields::default()
                .set("charge", charge)
                .set("vendor_charge", vendor_charge)
                .set("reason", Some(reason))
                .set("request_id", Some(request_id));
            let path = format!("/cdr/{}/correction", escape(&id));
            context.send(Method::POST, &path, fields.body())
        }
        Verb::Export { filter } => context.pages(&filter.path(), &Page::default(), &COLUMNS),
    }
}
