//! From a name to servers, one question at a time (RFC 3263 §4), without I/O.
//!
//! ```text
//!  name alone ─────────▶ NAPTR ──found──▶ SRV of what it names ─┐
//!                          └─none──▶ SRV of UDP, then TCP ──────┼─found─▶ A/AAAA of each ─▶ servers
//!  name, transport ───────────────▶ SRV of it ──────────────────┤
//!                                                         none ─┴─▶ A/AAAA of the name ──▶ servers
//!  name, port ────────────────────────────────────────────────────▶ A/AAAA of the name ──▶ servers
//! ```
//!
//! A question that fails ends the search: whoever takes a silent server for an empty zone sends calls to
//! the web server of the same name.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use link::Transport;

use super::server::Server;
use super::target::{Host, Target};

/// Services that are asked for one after the other.
const SERVICES_MAX: usize = 4;
/// Hosts of one service.
const HOSTS_MAX: usize = 8;
/// Addresses of one host.
const ADDRESSES_MAX: usize = 4;
/// How long servers are believed of which some could not be asked for, s.
const PARTLY_S: u32 = 30;

/// A question for DNS; names without a dot at their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which services there are (RFC 3403).
    Naptr(String),
    /// Which hosts serve (RFC 2782).
    Srv(String),
    /// Where a host is.
    Addresses(String),
}

/// What DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records, and how long they may be believed, s.
    Found(Records, u32),
    /// There is nothing of the kind, for so long, s.
    Absent(u32),
    /// It could not be asked.
    Failed(String),
}

/// Records of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`], first choice first.
    Addresses(Vec<IpAddr>),
}

/// A NAPTR record, as far as RFC 3263 reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower comes first.
    pub order: u16,
    /// Among those of one order, lower comes first.
    pub preference: u16,
    /// `s`: the replacement is asked for by SRV.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T` or `SIPS+D2T`.
    pub service: String,
    /// The name to ask for.
    pub replacement: String,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// Share among equals.
    pub weight: u16,
    /// The port there.
    pub port: u16,
    /// The host; empty: the service is decidedly not there.
    pub host: String,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one address, and how long it may be believed, s.
    Found(Vec<Server>, u32),
    /// The name leads nowhere, for so long, s.
    Absent(u32),
    /// DNS could not be asked.
    Failed(String),
}

/// A service that may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    name: String,
    transport: Transport,
}

/// A host whose addresses are to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    srv: Srv,
    transport: Transport,
}

#[derive(Clone, Debug)]
enum Stage {
    Naptr,
    /// Best first.
    Services(VecDeque<Service>),
    Hosts(VecDeque<Place>),
    /// A question failed.
    Over(String),
}

/// One search. [`Self::poll_question`], [`Self::handle_answer`], until there is no question.
#[derive(Clone, Debug)]
pub struct Search {
    target: Target,
    name: String,
    stage: Stage,
    servers: Vec<Server>,
    /// Until the first of the records is old, s.
    ttl_s: u32,
    /// A host that could not be asked for.
    trouble: Option<String>,
}

impl Search {
    /// The search for a target. An address asks nothing and is found.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        let (name, servers) = match (&target.host, target.endpoint()) {
            (Host::Name(name), _) => (name.clone(), Vec::new()),
            (Host::Address(_), endpoint) => {
                (String::new(), endpoint.into_iter().map(Server::only).collect())
            }
        };
        let mut search = Self {
            target: target.clone(),
            stage: Stage::Hosts(VecDeque::new()),
            servers,
            ttl_s: u32::MAX,
            trouble: None,
            name,
        };
        if matches!(target.host, Host::Name(_)) {
            search.stage = match (target.port, target.transport) {
                (Some(_), _) => search.name_itself(),
                (None, Some(transport)) => {
                    Stage::Services(VecDeque::from([search.service(transport)]))
                }
                (None, None) => Stage::Naptr,
            };
        }
        search
    }

    /// What is to be asked next; `None`: [`Self::outcome`] knows.
    #[must_use]
    pub fn poll_question(&self) -> Option<Question> {
        match &self.stage {
            Stage::Naptr => Some(Question::Naptr(self.name.clone())),
            Stage::Services(services) => {
                services.front().map(|service| Question::Srv(service.name.clone()))
            }
            Stage::Hosts(hosts) => {
                hosts.front().map(|place| Question::Addresses(place.srv.host.clone()))
            }
            Stage::Over(_) => None,
        }
    }

    /// What was answered to the last question.
    pub fn handle_answer(&mut self, answer: Answer) {
        let records = match answer {
            Answer::Found(records, ttl_s) => {
                self.ttl_s = self.ttl_s.min(ttl_s);
                Some(records)
            }
            Answer::Absent(ttl_s) => {
                // What is not there may come; what was found does not get old by it sooner.
                if !matches!(self.stage, Stage::Hosts(_)) || self.servers.is_empty() {
                    self.ttl_s = self.ttl_s.min(ttl_s);
                }
                None
            }
            Answer::Failed(detail) if matches!(self.stage, Stage::Hosts(_)) => {
                self.trouble = Some(detail);
                None
            }
            Answer::Failed(detail) => {
                self.stage = Stage::Over(detail);
                return;
            }
        };
        let stage = std::mem::replace(&mut self.stage, Stage::Naptr);
        self.stage = match stage {
            Stage::Naptr => self.after_naptr(records),
            Stage::Services(services) => self.after_service(services, records),
            Stage::Hosts(hosts) => self.after_host(hosts, records),
            Stage::Over(detail) => Stage::Over(detail),
        };
    }

    /// What was found.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match (self.stage, self.trouble) {
            (Stage::Over(detail), _) => Outcome::Failed(detail),
            (_, Some(detail)) if self.servers.is_empty() => Outcome::Failed(detail),
            (_, None) if self.servers.is_empty() => Outcome::Absent(self.ttl_s),
            (_, Some(_)) => Outcome::Found(self.servers, self.ttl_s.min(PARTLY_S)),
            (_, None) => Outcome::Found(self.servers, self.ttl_s),
        }
    }

    fn service(&self, transport: Transport) -> Service {
        let kind = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
            Transport::Ws => "_sip._ws",
            Transport::Wss => "_sips._ws",
        };
        Service { name: format!("{kind}.{}", self.name), transport }
    }

    fn name_itself(&self) -> Stage {
        let (transport, port) = (self.target.transport(), self.target.port());
        let srv = Srv { priority: 0, weight: 0, port, host: self.name.clone() };
        Stage::Hosts(VecDeque::from([Place { srv, transport }]))
    }

    fn after_naptr(&self, records: Option<Records>) -> Stage {
        let mut named = match records {
            Some(Records::Naptr(named)) => named,
            _ => Vec::new(),
        };
        named.sort_by_key(|record| (record.order, record.preference));
        let services = named.into_iter().filter_map(|record| {
            let transport = match record.service.to_ascii_uppercase().as_str() {
                "SIP+D2U" if !self.target.secure => Transport::Udp,
                "SIP+D2T" if !self.target.secure => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                _ => return None,
            };
            let is_service =
                record.flags.eq_ignore_ascii_case("s") && !record.replacement.is_empty();
            is_service.then_some(Service { name: record.replacement, transport })
        });
        let services: VecDeque<Service> = services.take(SERVICES_MAX).collect();
        if !services.is_empty() {
            return Stage::Services(services);
        }
        let guessed: &[Transport] = match self.target.secure {
            true => &[Transport::Tls],
            false => &[Transport::Udp, Transport::Tcp],
        };
        Stage::Services(guessed.iter().map(|transport| self.service(*transport)).collect())
    }

    fn after_service(&self, mut services: VecDeque<Service>, records: Option<Records>) -> Stage {
        let asked = services.pop_front();
        if let (Some(Service { transport, .. }), Some(Records::Srv(mut hosts))) = (asked, records) {
            // A single "." is not a host that is missing: the owner says that there is none (RFC 2782).
            let refused = hosts.iter().all(|srv| srv.host.is_empty());
            hosts.retain(|srv| !srv.host.is_empty() && srv.port != 0);
            hosts.sort_by_key(|srv| (srv.priority, std::cmp::Reverse(srv.weight)));
            hosts.truncate(HOSTS_MAX);
            if refused && services.is_empty() || !hosts.is_empty() {
                let places = hosts.into_iter().map(|srv| Place { srv, transport });
                return Stage::Hosts(places.collect());
            }
        }
        if services.is_empty() { self.name_itself() } else { Stage::Services(services) }
    }

    fn after_host(&mut self, mut hosts: VecDeque<Place>, records: Option<Records>) -> Stage {
        let asked = hosts.pop_front();
        if let (Some(Place { srv, transport }), Some(Records::Addresses(mut found))) =
            (asked, records)
            && !found.is_empty()
        {
            found.truncate(ADDRESSES_MAX);
            let at = |address| SocketAddr::new(address, srv.port);
            let addresses = found.into_iter().map(at).collect();
            let Srv { priority, weight, .. } = srv;
            self.servers.push(Server { priority, weight, transport, addresses });
        }
        Stage::Hosts(hosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16, host: &str) -> Srv {
        Srv { priority, weight, port, host: host.into() }
    }

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        let (flags, service) = ("s".into(), service.into());
        Naptr { order, preference, flags, service, replacement: replacement.into() }
    }

    /// Searches in a zone; the questions, and what was found.
    fn search(text: &str, zone: impl Fn(&Question) -> Answer) -> (Vec<Question>, Outcome) {
        let mut search = Search::new(&text.parse().unwrap());
        let mut asked = Vec::new();
        while let Some(question) = search.poll_question() {
            assert!(asked.len() < 20, "{asked:?}");
            search.handle_answer(zone(&question));
            asked.push(question);
        }
        (asked, search.outcome())
    }

    fn places(outcome: &Outcome) -> Vec<(Transport, String)> {
        let Outcome::Found(servers, _) = outcome else { panic!("{outcome:?}") };
        let endpoints = servers.iter().flat_map(Server::endpoints);
        endpoints.map(|it| (it.transport(), it.socket_address().unwrap().to_string())).collect()
    }

    /// `example.com` of RFC 3263 §4.1 and §4.2.
    fn example(question: &Question) -> Answer {
        let records = match question {
            Question::Naptr(name) if name == "example.com" => Records::Naptr(vec![
                naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
            ]),
            Question::Srv(name) if name == "_sip._tcp.example.com" => Records::Srv(vec![
                srv(0, 2, 5060, "server2.example.com"),
                srv(0, 1, 5060, "server1.example.com"),
            ]),
            Question::Srv(name) if name == "_sip._udp.example.com" => {
                Records::Srv(vec![srv(0, 0, 5070, "server1.example.com")])
            }
            Question::Addresses(name) => match name.as_str() {
                "server1.example.com" => Records::Addresses(vec!["192.0.2.1".parse().unwrap()]),
                "server2.example.com" => Records::Addresses(vec![
                    "192.0.2.2".parse().unwrap(),
                    "2001:db8::2".parse().unwrap(),
                ]),
                "example.com" => Records::Addresses(vec!["192.0.2.80".parse().unwrap()]),
                _ => return Answer::Absent(60),
            },
            _ => return Answer::Absent(60),
        };
        Answer::Found(records, 300)
    }

    #[test]
    fn a_name_alone_is_found_by_the_services_that_its_owner_prefers() {
        let (asked, outcome) = search("example.com", example);
        // TLS is preferred and has no hosts, so it is TCP.
        assert_eq!(asked[1], Question::Srv("_sips._tcp.example.com".into()));
        assert_eq!(asked[2], Question::Srv("_sip._tcp.example.com".into()));
        let tcp = |text: &str| (Transport::Tcp, text.to_owned());
        assert_eq!(
            places(&outcome),
            [tcp("192.0.2.2:5060"), tcp("[2001:db8::2]:5060"), tcp("192.0.2.1:5060")]
        );
        let Outcome::Found(servers, ttl_s) = outcome else { unreachable!() };
        assert_eq!((servers[0].weight, servers[1].weight, ttl_s), (2, 1, 60));
    }

    #[test]
    fn a_named_transport_asks_for_its_service_and_a_named_port_for_addresses() {
        let (asked, outcome) = search("sip:example.com;transport=udp", example);
        assert_eq!(asked[0], Question::Srv("_sip._udp.example.com".into()));
        assert_eq!(places(&outcome), [(Transport::Udp, "192.0.2.1:5070".into())]);
        let (asked, outcome) = search("sip:example.com:5080;transport=tcp", example);
        assert_eq!(asked, [Question::Addresses("example.com".into())]);
        assert_eq!(places(&outcome), [(Transport::Tcp, "192.0.2.80:5080".into())]);
        let (asked, outcome) = search("example.com:5080", example);
        assert_eq!(asked, [Question::Addresses("example.com".into())]);
        assert_eq!(places(&outcome), [(Transport::Udp, "192.0.2.80:5080".into())]);
    }

    #[test]
    fn a_name_without_services_is_its_address_and_the_usual_port() {
        let plain = |question: &Question| match question {
            Question::Addresses(_) => example(&Question::Addresses("example.com".into())),
            _ => Answer::Absent(60),
        };
        let (asked, outcome) = search("plain.example", plain);
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert_eq!(places(&outcome), [(Transport::Udp, "192.0.2.80:5060".into())]);
        let (asked, outcome) = search("sips:plain.example", plain);
        assert_eq!(asked[1], Question::Srv("_sips._tcp.plain.example".into()));
        assert_eq!(places(&outcome), [(Transport::Tls, "192.0.2.80:5061".into())]);
    }

    #[test]
    fn sips_never_falls_back_to_what_can_be_read_on_the_way() {
        let (_, outcome) = search("sips:example.com", example);
        assert_eq!(places(&outcome), [(Transport::Tls, "192.0.2.80:5061".into())]);
    }

    #[test]
    fn a_service_that_is_decidedly_not_there_is_not_sought_at_the_name_itself() {
        let refused = |question: &Question| match question {
            Question::Srv(_) => Answer::Found(Records::Srv(vec![srv(0, 0, 0, "")]), 300),
            Question::Naptr(_) => Answer::Absent(60),
            Question::Addresses(_) => example(&Question::Addresses("example.com".into())),
        };
        assert_eq!(search("example.com", refused).1, Outcome::Absent(60));
    }

    #[test]
    fn a_question_that_fails_is_not_taken_for_an_empty_zone() {
        for silent in 0..2 {
            let zone = |question: &Question| match question {
                Question::Naptr(_) if silent == 0 => Answer::Failed("timeout".into()),
                Question::Srv(_) if silent == 1 => Answer::Failed("timeout".into()),
                Question::Naptr(_) => Answer::Absent(60),
                question => example(question),
            };
            assert_eq!(search("example.com", zone).1, Outcome::Failed("timeout".into()));
        }
    }

    #[test]
    fn one_host_that_cannot_be_asked_for_leaves_the_others_for_a_short_while() {
        let zone = |question: &Question| match question {
            Question::Addresses(name) if name == "server2.example.com" => {
                Answer::Failed("timeout".into())
            }
            question => example(question),
        };
        let (_, outcome) = search("sip:example.com;transport=tcp", zone);
        assert!(matches!(&outcome, Outcome::Found(servers, 30) if servers.len() == 1));
        let none = |question: &Question| match question {
            Question::Addresses(_) => Answer::Failed("timeout".into()),
            question => example(question),
        };
        let (_, outcome) = search("sip:example.com;transport=tcp", none);
        assert_eq!(outcome, Outcome::Failed("timeout".into()));
    }

    #[test]
    fn a_zone_of_a_thousand_hosts_is_asked_for_eight() {
        let zone = |question: &Question| match question {
            Question::Naptr(_) => Answer::Absent(60),
            Question::Srv(_) => {
                let many = (0..1_000).map(|n| srv(n, 0, 5060, &format!("h{n}.example.com")));
                Answer::Found(Records::Srv(many.collect()), 300)
            }
            Question::Addresses(_) => {
                let many = (1..=200).map(|n| IpAddr::from([192, 0, 2, n])).collect();
                Answer::Found(Records::Addresses(many), 300)
            }
        };
        let (asked, outcome) = search("example.com", zone);
        assert_eq!(asked.len(), 2 + HOSTS_MAX);
        assert_eq!(places(&outcome).len(), HOSTS_MAX * ADDRESSES_MAX);
    }

    #[test]
    fn an_address_asks_nobody() {
        let (asked, outcome) = search("192.0.2.1", |_| Answer::Absent(0));
        assert!(asked.is_empty());
        assert_eq!(places(&outcome), [(Transport::Udp, "192.0.2.1:5060".into())]);
    }
}
