//! Asks DNS, on a thread of its own. Both channels are bounded by what the loop may have under way, so
//! neither side ever waits for the other; a search that takes too long is a failed one.
//!
//! The servers asked are those of `/etc/resolv.conf`, read anew for each search, so that a change there
//! needs no restart here; `/etc/hosts` counts too. Nothing is cached but in the loop, which knows for how
//! long.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use shm::Doorbell;
use tokio::sync::mpsc;

use super::{Answer, Naptr, Outcome, Question, Records, Search, Srv, Target};

/// Searches under way. The loop begins no more.
pub const SEARCHES_MAX: usize = 64;
/// One question to one server.
const QUESTION: Duration = Duration::from_secs(3);
/// A whole search.
const SEARCH: Duration = Duration::from_secs(20);
/// How long what is not there is believed when nobody says, s.
const ABSENT_S: u32 = 60;

/// What a name turned out to be.
#[derive(Debug)]
pub struct Resolved {
    /// The target, as it was asked for.
    pub name: String,
    /// Where it leads.
    pub outcome: Outcome,
}

/// The loop's side.
#[derive(Debug)]
pub struct Names {
    wanted: mpsc::Sender<(String, Target)>,
    found: Receiver<Resolved>,
}

/// Which addresses this machine can send to.
#[derive(Clone, Copy, Debug)]
pub struct Families {
    /// It has an IPv4 address.
    pub v4: bool,
    /// It has an IPv6 address.
    pub v6: bool,
}

impl Families {
    /// Those of our own addresses.
    pub fn of<'a>(ours: impl Iterator<Item = &'a IpAddr> + Clone) -> Self {
        Self { v4: ours.clone().any(IpAddr::is_ipv4), v6: ours.clone().any(IpAddr::is_ipv6) }
    }
}

impl Names {
    /// A side that nobody answers, where there are no names.
    #[must_use]
    pub fn idle() -> Self {
        Self { wanted: mpsc::channel(1).0, found: bounded(1).1 }
    }

    /// Asks for a name. One that is not taken is asked for again when the loop gives it up.
    pub fn ask(&self, name: String, target: Target) {
        let _ = self.wanted.try_send((name, target));
    }

    /// The next answer.
    #[must_use]
    pub fn next(&self) -> Option<Resolved> {
        self.found.try_recv().ok()
    }

    /// Whether no answer waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// Whom to ask, and how long to wait.
#[derive(Clone, Copy, Debug)]
struct Asking {
    /// `None`: those of `/etc/resolv.conf`.
    server: Option<SocketAddr>,
    families: Families,
    /// One question to one server.
    question: Duration,
}

/// Starts the thread. It ends when the loop's side is gone.
///
/// # Errors
/// When the system has no thread for it.
pub fn start(families: Families, bell: Doorbell) -> std::io::Result<Names> {
    start_with(Asking { server: None, families, question: QUESTION }, bell)
}

fn start_with(asking: Asking, bell: Doorbell) -> std::io::Result<Names> {
    let (wanted, wanted_in) = mpsc::channel(SEARCHES_MAX);
    let (found_out, found) = bounded(SEARCHES_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("resolve".into()).spawn(move || {
        runtime.block_on(run(asking, wanted_in, found_out, Arc::new(bell)));
    })?;
    Ok(Names { wanted, found })
}

async fn run(
    asking: Asking,
    mut wanted: mpsc::Receiver<(String, Target)>,
    found: Sender<Resolved>,
    bell: Arc<Doorbell>,
) {
    while let Some((name, target)) = wanted.recv().await {
        let (found, bell) = (found.clone(), Arc::clone(&bell));
        tokio::spawn(async move {
            let late = || Outcome::Failed(format!("no answer within {} s", SEARCH.as_secs()));
            let searched = tokio::time::timeout(SEARCH, search(asking, &target)).await;
            let outcome = searched.unwrap_or_else(|_| late());
            // A loop that has given it up asks again; there is room for all that it waits for.
            let _ = found.try_send(Resolved { name, outcome });
            bell.ring();
        });
    }
}

async fn search(asking: Asking, target: &Target) -> Outcome {
    let resolver = match resolver(asking) {
        Ok(resolver) => resolver,
        Err(error) => return Outcome::Failed(format!("/etc/resolv.conf: {error}")),
    };
    let mut search = Search::new(target);
    while let Some(question) = search.poll_question() {
        search.handle_answer(ask(&resolver, asking.families, question).await);
    }
    search.outcome()
}

fn resolver(asking: Asking) -> Result<TokioResolver, NetError> {
    let mut builder = match asking.server {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let mut connection = ConnectionConfig::udp();
            connection.port = address.port();
            let server = NameServerConfig::new(address.ip(), true, vec![connection]);
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = asking.question;
    options.cache_size = 0;
    // The kernel draws the port, of those that it has for that: to all others the driver lets nothing in.
    options.os_port_selection = true;
    builder.build()
}

async fn ask(resolver: &TokioResolver, families: Families, question: Question) -> Answer {
    match question {
        Question::Naptr(name) => {
            one(resolver, &name, RecordType::NAPTR, Records::Naptr, |data| match data {
                RData::NAPTR(it) => Some(Naptr {
                    order: it.order,
                    preference: it.preference,
                    flags: String::from_utf8_lossy(&it.flags).into_owned(),
                    service: String::from_utf8_lossy(&it.services).into_owned(),
                    replacement: plain(&it.replacement),
                }),
                _ => None,
            })
            .await
        }
        Question::Srv(name) => {
            one(resolver, &name, RecordType::SRV, Records::Srv, |data| match data {
                RData::SRV(it) => Some(Srv {
                    priority: it.priority,
                    weight: it.weight,
                    port: it.port,
                    host: plain(&it.target),
                }),
                _ => None,
            })
            .await
        }
        Question::Addresses(name) => {
            let address = |data: &RData| match data {
                RData::A(it) => Some(IpAddr::V4(it.0)),
                RData::AAAA(it) => Some(IpAddr::V6(it.0)),
                _ => None,
            };
            let mut answers = Vec::new();
            for (wanted, kind) in [(families.v4, RecordType::A), (families.v6, RecordType::AAAA)] {
                if wanted {
                    answers.push(one(resolver, &name, kind, Records::Addresses, address).await);
                }
            }
            joined(answers)
        }
    }
}

/// The answers for both families as one. What was found counts even if the other could not be asked for.
fn joined(answers: Vec<Answer>) -> Answer {
    let (mut addresses, mut least_s, mut failed) = (Vec::new(), u32::MAX, None);
    for answer in answers {
        match answer {
            Answer::Found(Records::Addresses(more), ttl_s) => {
                addresses.extend(more);
                least_s = least_s.min(ttl_s);
            }
            Answer::Found(..) => {}
            Answer::Absent(ttl_s) => least_s = least_s.min(ttl_s),
            Answer::Failed(detail) => failed = Some(detail),
        }
    }
    match failed {
        _ if !addresses.is_empty() => Answer::Found(Records::Addresses(addresses), least_s),
        Some(detail) => Answer::Failed(detail),
        None => Answer::Absent(least_s.min(ABSENT_S)),
    }
}

async fn one<T>(
    resolver: &TokioResolver,
    name: &str,
    kind: RecordType,
    records: fn(Vec<T>) -> Records,
    read: impl Fn(&RData) -> Option<T>,
) -> Answer {
    // The dot at the end: no search list makes another name of it.
    match resolver.lookup(format!("{name}."), kind).await {
        Ok(lookup) => {
            // Names that lead to names (CNAME) stand among them, and their time counts too.
            let ttl_s = lookup.answers().iter().map(|record| record.ttl).min();
            let found: Vec<T> =
                lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
            match ttl_s {
                Some(ttl_s) if !found.is_empty() => Answer::Found(records(found), ttl_s),
                _ => Answer::Absent(ABSENT_S),
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
            response_code: ResponseCode::NoError | ResponseCode::NXDomain,
            negative_ttl,
            ..
        }))) => Answer::Absent(negative_ttl.unwrap_or(ABSENT_S)),
        Err(error) => Answer::Failed(format!("{kind} of {name}: {error}")),
    }
}

/// A name without the dot at its end; the root is none.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
