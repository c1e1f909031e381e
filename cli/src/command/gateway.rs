//! `tollgate gateway mapping | routing | quality`

use clap::Subcommand;
use hyper::Method;

use super::{Fields, Page, rules};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Customers' sides: where calls come from.
    #[command(subcommand)]
    Mapping(Mapping),
    /// Vendors' sides: where calls go.
    #[command(subcommand)]
    Routing(Routing),
    /// What media of ended calls were like that came from each, since the start of control.
    Quality {
        #[command(flatten)]
        page: Page,
    },
}

#[derive(Subcommand)]
pub(crate) enum Mapping {
    /// All of them.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One.
    Show {
        /// Its name.
        name: String,
    },
    /// A new one.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: MappingFlags,
    },
    /// Change one.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: MappingFlags,
    },
    /// Delete one.
    Delete {
        /// Its name.
        name: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(Subcommand)]
pub(crate) enum Routing {
    /// All of them.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One.
    Show {
        /// Its name.
        name: String,
    },
    /// A new one.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: RoutingFlags,
    },
    /// Change one.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: RoutingFlags,
    },
    /// Delete one.
    Delete {
        /// Its name.
        name: String,
    },
    /// All of them as CSV, with every field that can be set.
    Export,
    /// Create what is not there and change what is, by a CSV file; a wrong line stops all of it.
    Import(Import),
}

#[derive(clap::Args)]
pub(crate) struct MappingFlags {
    /// Who is charged.
    #[arg(long)]
    account: Option<String>,
    /// By which tariff.
    #[arg(long)]
    tariff: Option<String>,
    /// 192.0.2.1, 192.0.2.0/24 or 192.0.2.1:5060; may be repeated.
    #[arg(long = "address")]
    addresses: Vec<String>,
    /// How it is recognised: ip, ip_port, password or ip_and_password.
    #[arg(long)]
    authentication: Option<String>,
    /// What it says to our digest challenges.
    #[arg(long)]
    auth_username: Option<String>,
    /// With it.
    #[arg(long)]
    auth_password: Option<String>,
    /// Whence its caller is taken: from, asserted, preferred or remote_party.
    #[arg(long)]
    caller_from: Option<String>,
    /// What its callees begin with; stripped.
    #[arg(long)]
    tech_prefix: Option<String>,
    /// Longest call, s; 0: no limit.
    #[arg(long)]
    talk_s_max: Option<u32>,
    /// Its callers hear a prompt where their calls fail: true or false (false).
    #[arg(long)]
    announcements: Option<bool>,
    #[command(flatten)]
    shared: SharedFlags,
}

#[derive(clap::Args)]
pub(crate) struct RoutingFlags {
    /// Who is paid.
    #[arg(long)]
    account: Option<String>,
    /// By which tariff.
    #[arg(long)]
    tariff: Option<String>,
    /// Where it is: 192.0.2.1:5060, sip.example.com, sip:sip.example.com;transport=tcp or
    /// sips:example.com; a name without a port is asked for by NAPTR and SRV.
    #[arg(long)]
    target: Option<String>,
    /// A prefix it serves; may be repeated; none: every number.
    #[arg(long = "prefix")]
    prefixes: Vec<String>,
    /// The search ends at its prefix length: true or false.
    #[arg(long)]
    terminate: Option<bool>,
    /// 1 (first) to 100.
    #[arg(long)]
    priority: Option<u8>,
    /// Share among equals.
    #[arg(long)]
    weight: Option<u32>,
    /// Calls without a vendor price may go there: true or false.
    #[arg(long)]
    unrated_allowed: Option<bool>,
    /// What stands before the callee in the tariffs of customers who pay by the route, up to 7 characters.
    #[arg(long)]
    billing_prefix: Option<String>,
    /// An answer that ends the search; may be repeated.
    #[arg(long = "stop-code")]
    stop_codes: Vec<u16>,
    /// What we say to its digest challenges.
    #[arg(long)]
    auth_username: Option<String>,
    /// With it; other users of this machine can read it while the command runs.
    #[arg(long)]
    auth_password: Option<String>,
    /// We register there, and no call goes there while we are not registered: true or false.
    #[arg(long)]
    registration: Option<bool>,
    /// As whom we register, if not as --auth-username.
    #[arg(long)]
    registration_user: Option<String>,
    /// In which domain we register, if it is not the host of the target.
    #[arg(long)]
    registration_domain: Option<String>,
    /// OPTIONS are sent there, and no call goes there while nobody answers: true or false.
    #[arg(long)]
    options_check: Option<bool>,
    /// Whether it must prove over TLS who it is: yes, no, or file (as `tls_verify` there says of all).
    #[arg(long)]
    tls_verify: Option<String>,
    #[command(flatten)]
    shared: SharedFlags,
}

#[derive(clap::Args)]
pub(crate) struct SharedFlags {
    /// Simultaneous calls; 0: no limit.
    #[arg(long)]
    lines_max: Option<u32>,
    /// New calls per second; 0: no limit.
    #[arg(long)]
    cps_max: Option<u32>,
    /// No call passes: true or false.
    #[arg(long)]
    locked: Option<bool>,
    /// Change of the caller, ORIGINAL=TARGET; may be repeated.
    #[arg(long = "caller-rule")]
    caller_rules: Vec<String>,
    /// Change of the callee, ORIGINAL=TARGET; may be repeated.
    #[arg(long = "callee-rule")]
    callee_rules: Vec<String>,
    /// What is done with its addresses: unset, ignore, forbid or allow.
    #[arg(long)]
    fence_mode: Option<String>,
    /// A geo set that its fence means; may be repeated. `--field fence_sets=` takes all of them away.
    #[arg(long = "fence-set")]
    fence_sets: Vec<String>,
    /// Any field, NAME=VALUE as in a cell of an export; may be repeated. A name that is not there
    /// shows all of them.
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
}

impl SharedFlags {
    fn fields(&self, context: &Context, sheet: &Sheet) -> Result<Fields, Failure> {
        Ok(Fields::from(sheet.fields(context, &self.fields)?)
            .set("lines_max", self.lines_max)
            .set("cps_max", self.cps_max)
            .set("locked", self.locked)
            .set("fence_mode", self.fence_mode.clone())
            .list("fence_sets", &self.fence_sets)
            .set("caller_rules", rules(&self.caller_rules)?)
            .set("callee_rules", rules(&self.callee_rules)?))
    }
}

impl MappingFlags {
    fn fields(self, context: &Context) -> Result<Fields, Failure> {
        Ok(self
            .shared
            .fields(context, &MAPPING)?
            .set("account", self.account)
            .set("tariff", self.tariff)
            .set("authentication", self.authentication)
            .list("addresses", &self.addresses)
            .set("auth_username", self.auth_username)
            .set("auth_password", self.auth_password)
            .set("caller_from", self.caller_from)
            .set("tech_prefix", self.tech_prefix)
            .set("talk_s_max", self.talk_s_max)
            .set("announcements", self.announcements))
    }
}

impl RoutingFlags {
    fn fields(self, context: &Context) -> Result<Fields, Failure> {
        let stop_codes = (!self.stop_codes.is_empty()).then_some(self.stop_codes);
        Ok(self
            .shared
            .fields(context, &ROUTING)?
            .set("account", self.account)
            .set("tariff", self.tariff)
            .set("target", self.target)
            .list("prefixes", &self.prefixes)
            .set("terminate", self.terminate)
            .set("priority", self.priority)
            .set("weight", self.weight)
            .set("unrated_allowed", self.unrated_allowed)
            .set("billing_prefix", self.billing_prefix)
            .set("stop_codes", stop_codes)
            .set("auth_username", self.auth_username)
            .set("auth_password", self.auth_password)
            .set("registration", self.registration)
            .set("registration_user", self.registration_user)
            .set("registration_domain", self.registration_domain)
            .set("options_check", self.options_check)
            .set("tls_verify", self.tls_verify))
    }
}

const MAPPING: Sheet =
    Sheet { list: "/gateway/mapping", key: "name", change: Change::Patch, spellings: false };

const ROUTING: Sheet =
    Sheet { list: "/gateway/routing", key: "name", change: Change::Patch, spellings: false };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Mapping(verb) => mapping(context, verb),
        Verb::Quality { page } => context.pages(
            "/quality",
            &page,
            &["gateway", "side", "calls", "packets", "settled", "loss_percent", "jitter_us", "mos"],
        ),
        Verb::Routing(verb) => routing(context, verb),
    }
}

fn mapping(context: &Context, verb: Mapping) -> Result<(), Failure> {
    const ALL: &str = MAPPING.list;
    let path = |name: &str| format!("{ALL}/{}", escape(name));
    match verb {
        Mapping::List { page } => context.pages(
            ALL,
            &page,
            &["name", "account", "tariff", "addresses", "lines", "lines_max", "cps_max", "locked"],
        ),
        Mapping::Show { name } => context.list(&path(&name), &[]),
        Mapping::Create { name, fields } => {
            context.send(Method::POST, ALL, fields.fields(context)?.set("name", Some(name)).body())
        }
        Mapping::Set { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields(context)?.body())
        }
        Mapping::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Mapping::Export => MAPPING.export(context),
        Mapping::Import(import) => MAPPING.import(context, &import),
    }
}

fn routing(context: &Context, verb: Routing) -> Result<(), Failure> {
    const ALL: &str = ROUTING.list;
    let path = |name: &str| format!("{ALL}/{}", escape(name));
    match verb {
        Routing::List { page } => context.pages(
            ALL,
            &page,
            &[
                "name",
                "account",
                "tariff",
                "target",
                "prefixes",
                "priority",
                "lines",
                "lines_max",
                "cps_max",
                "locked",
                "online",
                "registration_state",
            ],
        ),
        Routing::Show { name } => context.list(&path(&name), &[]),
        Routing::Create { name, fields } => {
            context.send(Method::POST, ALL, fields.fields(context)?.set("name", Some(name)).body())
        }
        Routing::Set { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields(context)?.body())
        }
        Routing::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Routing::Export => ROUTING.export(context),
        Routing::Import(import) => ROUTING.import(context, &import),
    }
}
