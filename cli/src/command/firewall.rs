//! `tollgate firewall`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::{Fields, Page, seconds};
use crate::client::{Body, escape};
use crate::sheet::{Change, Import, Sheet};
use crate::{Context, Failure, Usage};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Sources dropped in the driver.
    #[command(subcommand)]
    Deny(Deny),
    /// Sources that no list drops.
    #[command(subcommand)]
    Trust(Trust),
    /// Codes by which somebody has an address of his trusted for a while.
    #[command(subcommand)]
    Code(Code),
    /// Trust the address of whoever knows a code, for as long as it says.
    Open {
        /// The address.
        address: String,
        /// The code.
        #[arg(long)]
        code: String,
    },
    /// Sets of addresses that fences name: countries, networks, anonymisers.
    #[command(subcommand)]
    Geo(Geo),
    /// Scanners that are known by the name they give themselves.
    #[command(subcommand)]
    Signature(Signature),
    /// Who is shut out because logins failed.
    #[command(subcommand)]
    Suspended(Suspended),
    /// Accounts that began to call where it is dear.
    #[command(subcommand)]
    Abuse(Abuse),
    /// How much strangers, their networks, registered sources and gateways may send.
    #[command(subcommand)]
    Limit(Limit),
    /// Sets of limits by name.
    #[command(subcommand)]
    Preset(Preset),
    /// Who of strangers, and of those dropped, sends most.
    Talkers,
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
    /// All sources that are denied one by one, or those of an import.
    List {
        #[command(flatten)]
        page: Page,
        /// What this import denies.
        #[arg(long, value_name = "NAME")]
        by_import: Option<String>,
    },
    /// Lists that are denied whole.
    Imports {
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
        #[arg(required_unless_present = "by_import")]
        prefix: Option<String>,
        /// All that this import denies; with PREFIX that entry of it alone.
        #[arg(long, value_name = "NAME")]
        by_import: Option<String>,
    },
    /// Those that are denied one by one as CSV, with every field that can be set.
    Export,
    /// Deny what a file says. A CSV file makes an entry of each line, which has a reason and an end of its own.
    /// With --name, and of any other file (an address or prefix in each line, what follows # is for people), all
    /// lines become one import, millions in seconds, and are taken back by `remove --by-import NAME`. A wrong line
    /// stops all of it.
    Import(DenyImport),
}

#[derive(clap::Args)]
pub(crate) struct DenyImport {
    #[command(flatten)]
    sheet: Import,
    /// The name of the import; it takes the place of the one that has it. The file's own unless said otherwise.
    #[arg(long, conflicts_with = "dry_run")]
    name: Option<String>,
    /// Why all of it is denied.
    #[arg(long)]
    reason: Option<String>,
    /// For so long: 90, 15m, 1h, 7d; else until removed.
    #[arg(long = "for", value_parser = seconds)]
    for_s: Option<u64>,
    /// Leave wrong lines out, and say which.
    #[arg(long)]
    skip_wrong: bool,
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
        /// Administrators sit there: once one does, the ports of administrators are open to them alone.
        #[arg(long)]
        admin: bool,
        /// For so long: 90, 15m, 1h, 7d; else until removed.
        #[arg(long = "for", value_parser = seconds)]
        for_s: Option<u64>,
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
pub(crate) enum Code {
    /// All codes, and how many addresses each has open. The codes themselves are not kept.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Make a code; it is printed this once.
    Create {
        /// Whose it is.
        name: String,
        /// How long an address stays open: 90, 15m, 8h, 7d; eight hours unless said otherwise.
        #[arg(long = "for", value_parser = seconds)]
        for_s: Option<u64>,
        /// For people.
        #[arg(long)]
        memo: Option<String>,
    },
    /// Take a code back; what it opened is closed at once.
    #[command(visible_alias = "remove")]
    Delete {
        /// As listed.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Geo {
    /// All sets, how large and how old they are.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// One set.
    Show {
        /// Its name.
        name: String,
    },
    /// A new set, empty.
    Create {
        /// Its name: letters, digits, dots and dashes.
        name: String,
        #[command(flatten)]
        fields: GeoFlags,
    },
    /// Change whence it is, and of which day.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        fields: GeoFlags,
    },
    /// Delete a set that no fence names.
    Delete {
        /// Its name.
        name: String,
    },
    /// Its addresses, as the fewest prefixes.
    Ranges {
        /// The set.
        name: String,
        #[command(flatten)]
        page: Page,
    },
    /// Add addresses.
    Add {
        /// The set.
        name: String,
        /// 192.0.2.0/24, 2001:db8::/32, 192.0.2.1 or 192.0.2.1-192.0.2.99.
        range: String,
        /// How many addresses from there on, if RANGE is one.
        #[arg(long)]
        addresses: Option<u64>,
    },
    /// Take addresses out.
    Remove {
        /// The set.
        name: String,
        /// As for `add`.
        range: String,
    },
    /// Make a set what a file says: one prefix, address or range in each line (what follows # is for
    /// people), or CSV with a header line `range,addresses`. A wrong line stops all of it.
    Import {
        /// The set; made if it is not there.
        name: String,
        /// The file.
        file: PathBuf,
        /// Besides what the set has, not in place of it.
        #[arg(long)]
        add: bool,
        #[command(flatten)]
        fields: GeoFlags,
    },
    /// Its prefixes, one in each line, as `import` reads them.
    Export {
        /// The set.
        name: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct GeoFlags {
    /// Whence its ranges are, for people.
    #[arg(long)]
    source: Option<String>,
    /// Of which day they are: 2026-01-31.
    #[arg(long)]
    dated: Option<String>,
    /// What the driver does with its addresses: unset, forbid, or allow them and nobody else.
    #[arg(long)]
    driver: Option<String>,
}

impl GeoFlags {
    fn fields(self) -> Fields {
        Fields::default()
            .set("source", self.source)
            .set("dated", self.dated)
            .set("driver", self.driver)
    }

    fn query(&self) -> String {
        let said = [("source", &self.source), ("dated", &self.dated)].into_iter();
        let pairs =
            said.filter_map(|(name, value)| Some(format!("{name}={}", escape(value.as_deref()?))));
        match pairs.collect::<Vec<_>>().join("&") {
            none if none.is_empty() => none,
            pairs => format!("?{pairs}"),
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Signature {
    /// All names, and how many packets each dropped; `param set TG_SIGNATURES` changes them.
    List,
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
pub(crate) enum Abuse {
    /// All of them, with what they called and what is left of it.
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Take an account from the list at once.
    Clear {
        /// The account.
        account: String,
        /// What it called is usual from now on.
        #[arg(long)]
        accept: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Limit {
    /// What they are.
    Show,
    /// Change one.
    Set {
        /// Which: stranger-options, network-register, regular-per-contact, ... as listed.
        name: Option<String>,
        /// off, never, a number, or like "10/s burst 20" or "20/60s burst 19 silence 60s".
        #[arg(requires = "name")]
        value: Option<String>,
        /// OPTIONS of one stranger per second.
        #[arg(long, conflicts_with = "name")]
        options_per_second: Option<u32>,
        /// OPTIONS of one stranger at once.
        #[arg(long, requires = "options_per_second")]
        options_burst: Option<u32>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Preset {
    /// What there is.
    List,
    /// Set all that one is about.
    Apply {
        /// recipe, office, trunk or fortress.
        name: String,
    },
}

const DENY: Sheet =
    Sheet { list: "/firewall/deny", key: "prefix", change: Change::Anew, spellings: true };

const TRUST: Sheet =
    Sheet { list: "/firewall/trust", key: "name", change: Change::Anew, spellings: true };

pub(crate) fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Deny(verb) => deny(context, verb),
        Verb::Trust(Trust::Export) => TRUST.export(context),
        Verb::Trust(Trust::Import(import)) => TRUST.import(context, &import),
        Verb::Trust(Trust::List { page }) => {
            let columns = ["name", "admin", "since", "until", "by", "reason"];
            context.pages("/firewall/trust", &page, &columns)
        }
        Verb::Trust(Trust::Add { prefix, reason, admin, for_s }) => {
            let fields = Fields::default()
                .set("name", Some(prefix))
                .set("reason", reason)
                .set("for_s", for_s)
                .set("admin", admin.then_some(true));
            context.send(Method::POST, "/firewall/trust", fields.body())
        }
        Verb::Trust(Trust::Remove { prefix }) => {
            let path = format!("/firewall/trust/{}", escape(&prefix));
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Verb::Code(verb) => code(context, verb),
        Verb::Open { address, code } => {
            let fields = Fields::default().set("address", Some(address)).set("code", Some(code));
            context.send(Method::POST, "/firewall/open", fields.body())
        }
        Verb::Geo(verb) => geo(context, verb),
        Verb::Signature(Signature::List) => context.list("/firewall/signature", &["name", "hits"]),
        Verb::Suspended(Suspended::List { page }) => {
            let columns =
                ["id", "scope", "endpoint", "source", "account", "failures", "refused", "left_s"];
            context.pages("/firewall/suspended", &page, &columns)
        }
        Verb::Suspended(Suspended::Clear { id }) => {
            context.send(Method::DELETE, &format!("/firewall/suspended/{id}"), Body::Empty)
        }
        Verb::Abuse(Abuse::List { page }) => {
            let columns = ["account", "prefix", "calls", "usual", "further", "refused", "left_s"];
            context.pages("/firewall/abuse", &page, &columns)
        }
        Verb::Abuse(Abuse::Clear { account, accept }) => {
            let accept = if accept { "?accept=1" } else { "" };
            let path = format!("/firewall/abuse/{}{accept}", escape(&account));
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Verb::Limit(Limit::Show) => limits(context),
        Verb::Limit(Limit::Set { name, value, options_per_second, options_burst }) => {
            set_limit(context, name, value, options_per_second.zip(Some(options_burst)))
        }
        Verb::Preset(Preset::List) => context.list("/firewall/preset", &["name", "doc"]),
        Verb::Preset(Preset::Apply { name }) => {
            let path = format!("/firewall/preset/{}", escape(&name));
            context.client.request(Method::POST, &path, Body::Empty)?;
            limits(context)
        }
        Verb::Talkers => {
            let columns = ["source", "packets", "dropped", "options", "reason", "silent_s"];
            context.list("/firewall/talker", &columns)
        }
        Verb::Counters { all } => counters(context, all),
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

/// One limit by its name, or that of OPTIONS by a rate and a burst.
fn set_limit(
    context: &Context,
    name: Option<String>,
    value: Option<String>,
    options: Option<(u32, Option<u32>)>,
) -> Result<(), Failure> {
    let (name, value) = match (name, value, options) {
        (Some(name), Some(value), _) => (name.to_uppercase().replace('-', "_"), value),
        (None, None, Some((rate, burst))) => {
            let burst = burst.unwrap_or(rate.saturating_mul(2));
            ("STRANGER_OPTIONS".to_owned(), format!("{rate}/s burst {burst}"))
        }
        _ => {
            let what = "say which limit and its value: `tollgate firewall limit set stranger-options \"10/s burst 20\"`";
            return Err(Usage(what.into()).into());
        }
    };
    let name = if name.starts_with("TG_") { name } else { format!("TG_{name}") };
    let body = Fields::default().set("value", Some(value)).body();
    context.client.request(Method::PUT, &format!("/param/{}", escape(&name)), body)?;
    limits(context)
}

/// The driver's counters; without `all`, those that ever counted.
fn counters(context: &Context, all: bool) -> Result<(), Failure> {
    let mut counters = context.client.get("/firewall/counter")?;
    if let Some(items) = counters.get_mut("items").and_then(|items| items.as_array_mut())
        && !all
    {
        let counted = |item: &Value, name: &str| item.get(name).and_then(Value::as_u64) > Some(0);
        items.retain(|item| counted(item, "packets") || counted(item, "spared"));
    }
    let columns =
        ["reason", "drops", "packets", "bytes", "stranger", "regular", "trusted", "spared", "doc"];
    context.show(&counters, &columns)
}

fn deny(context: &Context, verb: Deny) -> Result<(), Failure> {
    let import = |name: &str| format!("/firewall/import/{}", escape(name));
    match verb {
        Deny::List { page, by_import: None } => {
            context.pages("/firewall/deny", &page, &["name", "since", "until", "hits", "reason"])
        }
        Deny::List { page, by_import: Some(name) } => {
            context.pages(&format!("{}/entry", import(&name)), &page, &["prefix", "hits"])
        }
        Deny::Imports { page } => {
            let columns = ["name", "entries", "since", "until", "by", "reason"];
            context.pages("/firewall/import", &page, &columns)
        }
        Deny::Add { prefix, for_s, reason } => {
            let fields = Fields::default()
                .set("prefix", Some(prefix))
                .set("for_s", for_s)
                .set("reason", reason);
            context.send(Method::POST, "/firewall/deny", fields.body())
        }
        Deny::Remove { prefix, by_import } => {
            let path = match (prefix, by_import) {
                (Some(prefix), None) => format!("/firewall/deny/{}", escape(&prefix)),
                (Some(prefix), Some(name)) => {
                    format!("{}/entry/{}", import(&name), escape(&prefix))
                }
                (None, name) => import(&name.unwrap_or_default()),
            };
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Deny::Export => DENY.export(context),
        Deny::Import(list) if list.name.is_none() && is_sheet(list.sheet.file()) => {
            if list.reason.is_some() || list.for_s.is_some() || list.skip_wrong {
                let what = "each line of a CSV file has a reason and an end of its own; for all of it say --name";
                return Err(Usage(what.into()).into());
            }
            DENY.import(context, &list.sheet)
        }
        Deny::Import(list) if list.sheet.is_dry() => {
            Err(Usage("--dry-run is for a CSV file without --name".into()).into())
        }
        Deny::Import(list) => import_list(context, list),
    }
}

/// All of a file as one import.
fn import_list(context: &Context, list: DenyImport) -> Result<(), Failure> {
    let file = list.sheet.file();
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let body = if is_sheet(file) { Body::Csv(bytes) } else { Body::List(bytes) };
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = list.name.or(stem).unwrap_or_default();
    let said = [
        list.reason.map(|reason| format!("reason={}", escape(&reason))),
        list.for_s.map(|for_s| format!("for_s={for_s}")),
        list.skip_wrong.then(|| "skip=1".to_owned()),
    ];
    let query = said.into_iter().flatten().collect::<Vec<_>>().join("&");
    context.send(Method::PUT, &format!("/firewall/import/{}?{query}", escape(&name)), body)
}

fn is_sheet(file: &Path) -> bool {
    file.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"))
}

fn code(context: &Context, verb: Code) -> Result<(), Failure> {
    match verb {
        Code::List { page } => {
            context.pages("/firewall/code", &page, &["name", "for_s", "open", "memo"])
        }
        Code::Create { name, for_s, memo } => {
            let fields =
                Fields::default().set("name", Some(name)).set("for_s", for_s).set("memo", memo);
            context.send(Method::POST, "/firewall/code", fields.body())
        }
        Code::Delete { name } => {
            let path = format!("/firewall/code/{}", escape(&name));
            context.send(Method::DELETE, &path, Body::Empty)
        }
    }
}

fn limits(context: &Context) -> Result<(), Failure> {
    context.list("/firewall/limit", &["name", "value", "default", "doc"])
}

fn geo(context: &Context, verb: Geo) -> Result<(), Failure> {
    const ALL: &str = "/firewall/geo";
    let path = |name: &str| format!("{ALL}/{}", escape(name));
    match verb {
        Geo::List { page } => {
            let columns =
                ["name", "ranges", "dated", "age_days", "driver", "fences", "hits", "source"];
            context.pages(ALL, &page, &columns)
        }
        Geo::Show { name } => context.list(&path(&name), &[]),
        Geo::Create { name, fields } => {
            context.send(Method::POST, ALL, fields.fields().set("name", Some(name)).body())
        }
        Geo::Set { name, fields } => {
            context.send(Method::PATCH, &path(&name), fields.fields().body())
        }
        Geo::Delete { name } => context.send(Method::DELETE, &path(&name), Body::Empty),
        Geo::Ranges { name, page } => {
            context.pages(&format!("{}/range", path(&name)), &page, &["range", "hits"])
        }
        Geo::Add { name, range, addresses } => {
            let fields = Fields::default().set("range", Some(range)).set("addresses", addresses);
            context.send(Method::POST, &format!("{}/range", path(&name)), fields.body())
        }
        Geo::Remove { name, range } => {
            let path = format!("{}/range/{}", path(&name), escape(&range));
            context.send(Method::DELETE, &path, Body::Empty)
        }
        Geo::Import { name, file, add, fields } => {
            let list =
                std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let body = if is_sheet(&file) { Body::Csv(list) } else { Body::List(list) };
            let is_there = context.client.get(&path(&name)).is_ok();
            if !is_there {
                let fields = Fields::default().set("name", Some(name.clone()));
                context.client.request(Method::POST, ALL, fields.body())?;
            }
            let method = if add { Method::POST } else { Method::PUT };
            let range = format!("{}/range{}", path(&name), fields.query());
            // The ranges first: an empty set that alone is allowed would shut everybody out.
            let taken = context.client.request(method, &range, body)?;
            if fields.driver.is_some() {
                let driver = Fields::default().set("driver", fields.driver);
                context.client.request(Method::PATCH, &path(&name), driver.body())?;
            }
            context.show(&taken, &[])
        }
        Geo::Export { name } => {
            let ranges = format!("{}/range", path(&name));
            let list = Page::default().collect(&ranges, |path| context.client.get(path))?;
            let items = list["items"].as_array().into_iter().flatten();
            let lines = items.filter_map(|item| item["range"].as_str());
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            Ok(crate::render::print(&text)?)
        }
    }
}
