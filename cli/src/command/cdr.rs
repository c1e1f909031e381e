//! `tollgate cdr`

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::escape;
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Call records, newest first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many; `next` of a JSON page goes on from there.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Where the page before ended.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// One record with all it knows.
    Show {
        /// Its id.
        id: String,
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
    /// Not before (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Before (RFC 3339).
    #[arg(long)]
    to: Option<String>,
    /// Answered calls only.
    #[arg(long)]
    answered: bool,
}

impl Filter {
    fn query(&self) -> String {
        let fields = [
            ("gateway", &self.gateway),
            ("vendor", &self.vendor),
            ("caller", &self.caller),
            ("callee", &self.callee),
            ("billing_mode", &self.billing_mode),
            ("end_reason", &self.end_reason),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let mut query = String::new();
        for (name, value) in fields {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", escape(value)));
            }
        }
        if self.answered {
            query.push_str("&answered=1");
        }
        query
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
        Verb::List { filter, limit, cursor } => {
            let mut path = format!("/cdr?limit={limit}{}", filter.query());
            if let Some(cursor) = cursor {
                path.push_str(&format!("&cursor={}", escape(&cursor)));
            }
            context.list(&path, &COLUMNS)
        }
        Verb::Show { id } => context.list(&format!("/cdr/{}", escape(&id)), &[]),
        Verb::Export { filter } => export(context, &filter),
    }
}

/// Page by page to the end.
fn export(context: &Context, filter: &Filter) -> Result<(), Failure> {
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = context.client.get(&format!("/cdr?limit=10000{}{cursor}", filter.query()))?;
        all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={}", escape(next)),
            None => break,
        }
    }
    context.show(&json!({ "items": all }), &COLUMNS)
}
