//! `tollgate firewall`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page, seconds};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Sources dropped in the driver.
    #[command(subcommand)]
    Deny(Deny),
    /// Sources that no list drops.
    #[command(subcommand)]
    Trust(Trust),
    /// Who is shut out because logins failed.
    #[command(subcommand)]
    Suspended(Suspended),
    /// Budgets of one source.
    #[command(subcommand)]
    Limit(Limit),
    /// Packets and bytes by verdict.
    Counters {
        /// Counters of nothing too.
        #[arg(long)]
        all: bool,
    },
    /// What the loaded program would do with a packet, and by which rule.
    Explain {
        /// Who sends it.
        #[arg(long)]
        source: String,
        /// To which of our addresses.
        #[arg(long)]
        destination: Option<String>,
        /// From which port (5060).
        #[arg(long)]
        source_port: Option<u16>,
        /// To which port (5060).
        #[arg(long)]
        port: Option<u16>,
        /// udp or tcp.
        #[arg(long)]
        protocol: Option<String>,
        /// What it carries, like "OPTIONS sip:a@b SIP/2.0".
        #[arg(long)]
        payload: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Deny {
    /// All denied sources.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Deny an address or prefix.
    Add {
        /// 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32.
        prefix: String,
        /// For so long: 90, 15m, 1h, 7d; else until removed.
        #[arg(long = "for", value_parser = seconds)]
        for_s: Option<u64>,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Deny it no longer.
    #[command(visible_alias = "delete")]
    Remove {
        /// As listed.
        prefix: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(Subcommand)]
pub(crate) enum Trust {
    /// All trusted sources, but for gateways, which are trusted by themselves.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Trust an address or prefix.
    Add {
        /// 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32.
        prefix: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Trust it no longer.
    #[command(visible_alias = "delete")]
    Remove {
        /// As listed.
        prefix: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(Subcommand)]
pub(crate) enum Suspended {
    /// Everyone, with what is left of it.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Let someone in again at once.
    Clear {
        /// The id, as listed.
        id: u32,
    },
}

#[derive(Subcommand)]
pub(crate) enum Limit {
    /// What they are.
    Show,
    /// Change them.
    Set {
        /// OPTIONS per second.
        #[arg(long)]
        options_per_second: Option<u32>,
        /// OPTIONS at once.
        #[arg(long)]
        options_burst: Option<u32>,
    },
}

const DENY: Sheet =
    Sheet { list: "/firewall/deny", key: "prefix", change: Change::Anew, spellings: true };

const TRUST: Sheet =
    Sheet { list: "/firewall/trust", key: "name", change: Change::Patch, spellings: true };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Deny(Deny::List { page }) => {
            context.pages("/firewall/deny", &page, &["name", "since", "until", "reason"])
        }
        Verb::Deny(Deny::Add { prefix, for_s, reason }) => {
            let fields = Fields::default()
                .set("prefix", Some(prefix))
                .set("for_s", for_s)
                .set("reason", reason);
            context.send(Method::POST, "/firewall/deny", fields.body())
        }
        Verb::Deny(Deny::Remove { prefix }) => {
            let path = format!("/firewall/deny/{}", escape(&prefix));
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Verb::Deny(Deny::Export) => DENY.export(context),
        Verb::Deny(Deny::Import(import)) => DENY.import(context, &import),
        Verb::Trust(Trust::Export) => TRUST.export(context),
        Verb::Trust(Trust::Import(import)) => TRUST.import(context, &import),
        Verb::Trust(Trust::List { page }) => {
            context.pages("/firewall/trust", &page, &["name", "reason"])
        }
        Verb::Trust(Trust::Add { prefix, reason }) => {
            let fields = Fields::default().set("name", Some(prefix)).set("reason", reason);
            context.send(Method::POST, "/firewall/trust", fields.body())
        }
        Verb::Trust(Trust::Remove { prefix }) => {
            let path = format!("/firewall/trust/{}", escape(&prefix));
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Verb::Suspended(Suspended::List { page }) => {
            let columns = ["id", "scope", "endpoint", "source", "account", "failures", "left_s"];
            context.pages("/firewall/suspended", &page, &columns)
        }
        Verb::Suspended(Suspended::Clear { id }) => {
            context.send(Method::DELETE, &format!("/firewall/suspended/{id}"), Body::Empty)
        }
        Verb::Limit(Limit::Show) => context.list("/firewall/limit", &[]),
        Verb::Limit(Limit::Set { options_per_second, options_burst }) => {
            for (name, value) in
                [("TG_OPTIONS_PER_SECOND", options_per_second), ("TG_OPTIONS_BURST", options_burst)]
            {
                if let Some(value) = value {
                    let body = Fields::default().set("value", Some(value.to_string())).body();
                    context.client.request(Method::PUT, &format!("/param/{name}"), body)?;
                }
            }
            context.list("/firewall/limit", &[])
        }
        Verb::Counters { all } => {
            let mut counters = context.client.get("/firewall/counter")?;
            if let Some(items) = counters.get_mut("items").and_then(|items| items.as_array_mut())
                && !all
            {
                items.retain(|item| item.get("packets").and_then(|count| count.as_u64()) > Some(0));
            }
            context.show(&counters, &["reason", "drops", "packets", "bytes", "doc"])
        }
        Verb::Explain { source, destination, source_port, port, protocol, payload } => {
            let mut query = format!("source={}", escape(&source));
            let mut add = |name: &str, value: Option<String>| {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(&value)));
                }
            };
            add("destination", destination);
            add("source_port", source_port.map(|port| port.to_string()));
            add("port", port.map(|port| port.to_string()));
            add("protocol", protocol);
            add("payload", payload);
            context.list(&format!("/firewall/explain?{query}"), &[])
        }
    }
}
