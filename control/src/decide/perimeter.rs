//! What the driver should know: who is denied, who is known, what is open and how much may come.
//!
//! The state is told whole once, and then what changes of it: an entry of a list a million long costs one entry.
//! Short lists (trust, limits, ports) are told as one. Between two looks of the driver's thread what is not told
//! yet waits here; when too much waits, all of it is told anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use xdp_prog::{Limits, Meter, Ports, Prefix, Rate, Regular, TrunkRates};

use super::Office;
use crate::Time;
use crate::reconcile::{Denial, Desired, Imported, News, Perimeter, Realm, Trusted};
use crate::state::entity::{Denied, Entity, Fencing, Kind};

/// Beyond, all is told anew.
const NEWS_MAX: usize = 65_536;

/// A regular is one for so long after somebody logged in or was registered there (C-63).
const MEMORY: Duration = Duration::from_secs(8 * 86_400);

/// How many contacts a source counts for from which a gateway calls by its password.
const GATEWAY_CONTACTS: u32 = 250;

/// The budgets of one stranger, in the order of [`Meter`].
const STRANGER: [&str; Meter::ALL.len()] = [
    "TG_STRANGER_OPTIONS",
    "TG_STRANGER_REGISTER",
    "TG_STRANGER_INVITE",
    "TG_STRANGER_OTHER",
    "TG_STRANGER_SYN",
    "TG_STRANGER_FRAGMENT",
];

/// Those of all strangers of a network.
const NETWORK: [&str; Meter::ALL.len()] = [
    "TG_NETWORK_OPTIONS",
    "TG_NETWORK_REGISTER",
    "TG_NETWORK_INVITE",
    "TG_NETWORK_OTHER",
    "TG_NETWORK_SYN",
    "TG_NETWORK_FRAGMENT",
];

/// Those of all strangers together.
const CROWD: [&str; Meter::ALL.len()] = [
    "TG_CROWD_OPTIONS",
    "TG_CROWD_REGISTER",
    "TG_CROWD_INVITE",
    "TG_CROWD_OTHER",
    "TG_CROWD_SYN",
    "TG_CROWD_FRAGMENT",
];

/// What the driver was not told yet.
#[derive(Default)]
pub(super) struct Untold {
    /// Nothing of what stands before.
    pub(super) whole: bool,
    /// What holds for all.
    pub(super) perimeter: bool,
    /// Geo sets that the driver knows.
    pub(super) realms: bool,
    /// Imports of the deny list.
    pub(super) imports: bool,
    news: VecDeque<News>,
    /// When denials end, and whose. One that was changed or removed meanwhile is not there any more.
    pub(super) ends: BTreeSet<(u64, String)>,
}

impl Untold {
    fn tell(&mut self, news: News) {
        if self.news.len() >= NEWS_MAX {
            self.news.clear();
            self.whole = true;
        }
        if !self.whole {
            self.news.push_back(news);
        }
    }
}

/// Every name was checked when it was entered, so none is lost here.
fn prefix(text: &str) -> Option<Prefix> {
    let parsed: routing::Prefix = text.parse().ok()?;
    driver_prefix(parsed)
}

fn driver_prefix(prefix: routing::Prefix) -> Option<Prefix> {
    Prefix::new(prefix.address(), prefix.bits()).ok()
}

fn denial(time: Time, denied: &Denied) -> Option<Denial> {
    let not_after = last_moment(time, denied.until_us);
    Some(Denial { prefix: prefix(&denied.name)?, not_after })
}

/// The end of a denial by the driver's clock.
fn last_moment(time: Time, until_us: u64) -> Option<Duration> {
    let left_us = until_us.saturating_sub(time.wall_us);
    (until_us > 0).then(|| time.now + Duration::from_micros(left_us))
}

impl Office {
    /// What the driver should be told next.
    pub fn poll_guard(&mut self, time: Time) -> Option<News> {
        self.tell_regulars(time);
        if std::mem::take(&mut self.untold.whole) {
            self.untold.news.clear();
            (self.untold.perimeter, self.untold.realms) = (false, false);
            self.untold.imports = false;
            return Some(News::Whole(Box::new(self.desired(time))));
        }
        if std::mem::take(&mut self.untold.perimeter) {
            return Some(News::Perimeter(Box::new(self.perimeter())));
        }
        if std::mem::take(&mut self.untold.imports) {
            return Some(News::Imports(self.imports(time)));
        }
        if std::mem::take(&mut self.untold.realms) {
            return Some(News::Realms(self.realms()));
        }
        self.untold.news.pop_front()
    }

    /// What imports deny, and until when.
    fn imports(&self, time: Time) -> Vec<Imported> {
        let heads = self.state.documents(Kind::Import).filter_map(|entity| match entity {
            Entity::Import(head) => Some(head),
            _ => None,
        });
        let told = heads.filter_map(|head| {
            let entries = Arc::clone(self.state.imports.get(&head.id)?);
            Some(Imported { entries, not_after: last_moment(time, head.until_us) })
        });
        told.collect()
    }

    /// Geo sets that the driver forbids or allows.
    fn realms(&self) -> Vec<Realm> {
        let heads = self.state.documents(Kind::Geo).filter_map(|entity| match entity {
            Entity::Geo(head) => Some(head),
            _ => None,
        });
        let known = heads.filter_map(|head| {
            let set = self.state.fences.set(head.id)?.clone();
            let allow = match head.driver {
                Fencing::Forbid => false,
                Fencing::Allow => true,
                Fencing::Unset | Fencing::Ignore => return None,
            };
            Some(Realm { name: head.name.clone(), set, allow })
        });
        known.collect()
    }

    /// Of them the forbidden ones.
    pub(super) fn forbidden_sets(&self) -> impl Iterator<Item = &guard::GeoSet> {
        let heads = self.state.documents(Kind::Geo).filter_map(|entity| match entity {
            Entity::Geo(head) if head.driver == Fencing::Forbid => Some(head.id),
            _ => None,
        });
        heads.filter_map(|id| self.state.fences.set(id).map(|set| &**set))
    }

    /// The driver follows lists and gateways.
    pub(super) fn tell_driver(&mut self, time: Time, entity: &Entity) {
        match entity {
            Entity::Deny(denied) => {
                if denied.until_us > 0 {
                    self.untold.ends.insert((denied.until_us, denied.name.clone()));
                }
                if let Some(denial) = denial(time, denied) {
                    self.untold.tell(News::Denied(denial));
                }
            }
            entity => self.tell_perimeter_of(entity.kind()),
        }
    }

    /// So it does when one is deleted.
    pub(super) fn tell_driver_gone(&mut self, entity: &Entity) {
        match entity {
            Entity::Deny(denied) => {
                if let Some(prefix) = prefix(&denied.name) {
                    self.untold.tell(News::Admitted(prefix));
                }
            }
            entity => self.tell_perimeter_of(entity.kind()),
        }
    }

    fn tell_perimeter_of(&mut self, kind: Kind) {
        self.untold.perimeter |= matches!(kind, Kind::Mapping | Kind::Routing | Kind::Trust);
        self.untold.realms |= kind == Kind::Geo;
        self.untold.imports |= kind == Kind::Import;
    }

    /// After a start: when those that were kept end.
    pub(super) fn await_denial_ends(&mut self) {
        let ends = self.state.documents(Kind::Deny).filter_map(|entity| match entity {
            Entity::Deny(denied) => Some((denied.until_us, denied.name.clone())),
            _ => None,
        });
        self.untold.ends = ends.filter(|(until_us, _)| *until_us > 0).collect();
    }

    /// Denials whose time has come, each once.
    pub(super) fn poll_denial_end(&mut self, time: Time) -> Option<String> {
        while let Some((end_us, _)) = self.untold.ends.first()
            && *end_us <= time.wall_us
        {
            let (end_us, name) = self.untold.ends.pop_first()?;
            if let Ok(Entity::Deny(denied)) = self.state.document(Kind::Deny, &name)
                && denied.until_us == end_us
            {
                return Some(name);
            }
        }
        None
    }

    /// Sources whose contacts came or went, or from which somebody logged in.
    fn tell_regulars(&mut self, time: Time) {
        let changed = self.state.bindings.poll_sources().chain(self.defence.poll_sources());
        for source in changed.collect::<BTreeSet<_>>() {
            let news = match self.regular(time, source) {
                Some(regular) => News::Regular(regular),
                None => News::Stranger(source),
            };
            self.untold.tell(news);
        }
    }

    fn regular(&self, time: Time, source: IpAddr) -> Option<Regular> {
        let contacts = self.state.bindings.at_source(source);
        let gateway = self.defence.calls_as_gateway(source);
        if contacts == 0 && !gateway && !self.defence.is_regular(source) {
            return None;
        }
        let least = if gateway { GATEWAY_CONTACTS } else { 1 };
        Some(Regular {
            address: source,
            contacts: contacts.max(least),
            not_after: time.now + MEMORY,
        })
    }

    fn desired(&self, time: Time) -> Desired {
        let deny = self.state.documents(Kind::Deny).filter_map(|entity| match entity {
            Entity::Deny(denied) => denial(time, denied),
            _ => None,
        });
        let sources: BTreeSet<IpAddr> =
            self.state.bindings.sources().chain(self.defence.regular_sources()).collect();
        let regulars = sources.into_iter().filter_map(|source| self.regular(time, source));
        Desired {
            perimeter: self.perimeter(),
            deny: deny.collect(),
            regulars: regulars.collect(),
            realms: self.realms(),
            imports: self.imports(time),
        }
    }

    /// Whence customers and vendors send.
    pub(super) fn gateway_prefixes(&self) -> impl Iterator<Item = routing::Prefix> + '_ {
        let hosts = self.state.routings.values().flat_map(|gateway| &gateway.hosts);
        let vendors = hosts.filter_map(|address| {
            routing::Prefix::new(*address, if address.is_ipv4() { 32 } else { 128 })
        });
        self.state.sources.prefixes().chain(vendors)
    }

    fn perimeter(&self) -> Perimeter {
        let values = &self.state.values;
        let limits = Limits {
            stranger: STRANGER.map(|name| values.rate(name)),
            any: values.rate("TG_STRANGER_ANY"),
            network: NETWORK.map(|name| values.rate(name)),
            crowd: CROWD.map(|name| values.rate(name)),
            call: values.rate("TG_CALL_REST"),
            regular_window: Duration::from_secs(60),
            regular_least: values.small("TG_REGULAR_LEAST"),
            regular_per_contact: values.small("TG_REGULAR_PER_CONTACT"),
            flows: values.small("TG_STRANGER_FLOWS"),
            network_flows: values.small("TG_NETWORK_FLOWS"),
            flow_idle: Duration::from_secs(values.number("TG_FLOW_IDLE")),
            refuses: values.number("TG_REFUSE_VISIBLY") == 1,
            refusals: values.rate("TG_REFUSALS"),
            monitor: values.number("TG_FIREWALL_MONITOR") == 1,
        };
        let ports = |name: &str| -> BTreeSet<u16> {
            values.text(name).split(',').filter_map(|port| port.parse().ok()).collect()
        };
        let words = values.text("TG_SIGNATURES").split(',').filter(|word| !word.is_empty());
        Perimeter {
            trust: self.trusted(),
            limits,
            ports: Ports {
                closed: values.number("TG_PORTS_CLOSED") == 1,
                tcp: ports("TG_PORTS_TCP"),
                udp: ports("TG_PORTS_UDP"),
                admin: ports("TG_PORTS_ADMIN"),
                local: (0, 0),
            },
            signatures: words.map(str::to_owned).collect(),
        }
    }

    /// Who is trusted: gateways by themselves, with budgets by their contracts, and whom the operator lists. Of
    /// gateways that share a network the contracts add up.
    fn trusted(&self) -> Vec<Trusted> {
        let rest = self.state.values.small("TG_TRUNK_REST");
        let mut trunks: BTreeMap<Prefix, (BTreeSet<String>, Option<u32>)> = BTreeMap::new();
        let mut enter = |prefix: Option<Prefix>, name: String, cps: Option<u32>| {
            let Some(prefix) = prefix else { return };
            let (names, sum) = trunks.entry(prefix).or_insert_with(|| (BTreeSet::new(), Some(0)));
            if names.insert(name) {
                *sum = sum.zip(cps).map(|(sum, cps)| sum.saturating_add(cps));
            }
        };
        for customer in self.state.customers.iter() {
            let cps = Some(customer.gateway.limits.cps_max).filter(|&cps| cps > 0);
            for source in &customer.gateway.sources {
                enter(driver_prefix(source.prefix), format!("mapping {}", customer.name), cps);
            }
        }
        for vendor in self.state.routings.values() {
            let name = self.state.name_of(Kind::Routing, vendor.id);
            for host in &vendor.hosts {
                enter(Some(Prefix::host(*host)), format!("routing {name}"), None);
            }
        }
        let mut all: BTreeMap<Prefix, Trusted> = BTreeMap::new();
        for (prefix, (names, cps)) in trunks {
            let trunk = names.into_iter().collect::<Vec<_>>().join(" + ");
            let rates = trunk_rates(cps, rest);
            all.insert(prefix, Trusted { prefix, trunk, rates, admin: false });
        }
        for entity in self.state.documents(Kind::Trust) {
            let Entity::Trust(listed) = entity else { continue };
            let Some(prefix) = prefix(&listed.name) else { continue };
            let trusted = all.entry(prefix).or_insert_with(|| Trusted {
                prefix,
                // What one code opens has one budget.
                trunk: match listed.by.starts_with("code ") {
                    true => listed.by.clone(),
                    false => format!("trust {}", listed.name),
                },
                rates: trunk_rates(None, rest),
                admin: false,
            });
            trusted.admin |= listed.admin;
        }
        all.into_values().collect()
    }
}

/// Twice the contracted calls in a second, and as much of the rest as running calls may need (RFC 3261 has some
/// ten messages in a call); without a contract the rest is the limit of all.
fn trunk_rates(cps: Option<u32>, rest: u32) -> TrunkRates {
    /// Messages of one call, retransmissions included.
    const MESSAGES: u32 = 20;
    let twice = cps.map_or(rest, |cps| cps.saturating_mul(2));
    let rest = rest.max(cps.unwrap_or(0).saturating_mul(MESSAGES));
    let rate = |count: u32| match count {
        0 => Rate::NONE,
        count => Rate::per_second(count, count.saturating_mul(2)),
    };
    TrunkRates { invites: rate(twice), rest: rate(rest) }
}
