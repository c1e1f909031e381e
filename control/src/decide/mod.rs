//! The decision loop: every decision is one call here, in memory, in microseconds, without I/O.
//!
//! ```text
//!  asks, records, commands, commits, time ──▶ Office ──▶ answers and orders (poll_down)
//!                                                    ──▶ changes for the store (poll_change)
//!                                                    ──▶ slots whose record is durable (poll_release)
//! ```
//!
//! Nothing that must be durable first goes out before [`Office::handle_stored`] said so. One file per
//! ask beside this one: `admit` (with `caller` and `callee`), `register`, `answered`, `ended`; `digest` for
//! who proves who he is, `suspend` for who fails too often, `jail` for who does so by SSH; `abuse` for who begins to call where it is dear; `illegal` and `challenged` for strangers in numbers; `upstream` for what we ask
//! of vendors ourselves, `names` for where they are, and `departed` for those that were deleted; `keep_alive` for phones behind NAT; `fence` for who
//! is where he may not be; `access` for who may want what; `command` (with `firewall`, `parameter`, `geo`, `import` and `opening`) for what operators want; `books` for money, and `package` for what is paid in advance; `explain` for why; `number` for whose a number is; `downward`
//! for what waits for a worker.

mod abuse;
mod access;
pub mod account;
mod admit;
mod agent;
mod answered;
pub(crate) mod books;
mod callee;
mod caller;
mod certificates;
mod challenged;
mod chance;
pub(crate) mod command;
pub(crate) mod correct;
mod cover;
mod credit;
pub(crate) mod days;
mod departed;
mod digest;
mod downward;
mod ended;
mod explain;
mod fence;
pub(crate) mod firewall;
mod geo;
mod guests;
mod illegal;
mod import;
pub(crate) mod invoice;
mod jail;
mod keep_alive;
mod load;
mod names;
mod number;
pub(crate) mod opening;
mod package;
pub(crate) mod parameter;
mod perimeter;
mod pickup;
mod ports;
mod pricing;
mod probe;
mod quality;
mod recordings;
mod register;
pub(crate) mod rerate;
pub mod sheet;
mod sight;
mod standing;
mod suspend;
mod upstream;
mod vanished;

pub use chance::Chance;
pub use command::{Command, Method};
pub use import::DenyRoom;
pub use recordings::Missed;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use link::ask::Admit;
use link::message::Down;
use link::record::{CallKey, EndReason, NEVER};
use link::{CallRecord, Order};
use rating::{Money, Terms};

use crate::Time;
use crate::agent::Agent;
use crate::journal::{Event, Journal, Severity};
use crate::package::Cover;
use crate::shown::{AskFigures, RegistrationFigures, SpillFigures};
use crate::state::State;
use crate::store::{Change, Loaded};

/// Changes that may wait for the store; beyond, new calls are refused.
const BACKLOG_MAX: u64 = 100_000;

/// An admitted call that has no slot for so long never gets one: no INVITE waits that long.
const MISSING_AFTER: Duration = Duration::from_secs(15);

/// An admitted call.
#[derive(Clone, Debug)]
struct Live {
    worker: usize,
    key: CallKey,
    mapping: u32,
    account: u32,
    /// Whose line it holds on the vendors' side.
    routing: u32,
    /// What it is charged by; none: nothing, or not known yet.
    terms: Option<Terms>,
    granted: credit::Grant,
    /// What packages pay for of it.
    cover: Cover,
    /// Who earns on it.
    agent: Option<Agent>,
    /// When it was admitted, or found running.
    since: link::Instant,
    /// Routing gateways that it may go to yet without another word of ours.
    may_try: Vec<u32>,
    /// What was asked, until a record in the call table tells it.
    asked: Option<Box<Admit>>,
}

/// What waits for a change to be durable.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Commit(usize, CallKey),
    Release(usize, CallKey, [u64; 2]),
    Extended(usize, link::answer::Extended),
}

/// The one owner of all business state.
#[derive(Default)]
pub struct Office {
    /// Accounts, gateways, tariffs, lists, parameters.
    pub state: State,
    /// Events and alarms.
    pub journal: Journal,
    live: HashMap<[u64; 2], Live>,
    /// The same calls by their slot.
    live_at: HashMap<(usize, CallKey), [u64; 2]>,
    /// Records whose end is on its way to the store.
    ending: HashSet<[u64; 2]>,
    /// Refusals already recorded: one per attempt, not per retransmission.
    refused: RecentRefusals,
    illegal: illegal::Illegal,
    challenged: challenged::Challenged,
    nonces: digest::Nonces,
    nobody: digest::Nobody,
    defence: suspend::Defence,
    abuse: abuse::Watch,
    /// Who guesses access codes.
    guesses: opening::Guesses,
    sentry: fence::Sentry,
    /// Who fails to log in by SSH.
    jail: guard::Jail,
    /// Why that is not seen, if so.
    logins_unread: Option<String>,
    /// What became of REGISTERs and challenges since the start.
    figures: RegistrationFigures,
    asks: AskFigures,
    /// What media of ended calls were like.
    qualities: quality::Qualities,
    keep_alive: keep_alive::KeepAlive,
    certificates: certificates::Certificates,
    /// What was not recorded.
    recordings: recordings::Recordings,
    /// How often each worker ever wanted a media port of an address in vain, as looked at last.
    ports_missed: BTreeMap<(usize, IpAddr), u64>,
    /// The dataplane that is there: connections are its own.
    epoch: u64,
    /// Refusals of customers' calls without a record, because too much waited for the store.
    refusals_unwritten: u64,
    /// What goes down, by worker: one that is behind holds up nobody else.
    down: Vec<downward::Downward>,
    changes: VecDeque<Change>,
    /// Number of the last change handed out by `poll_change` or waiting in it.
    sequence: u64,
    stored: u64,
    /// What the storage thread keeps for a database that takes nothing.
    spill: SpillFigures,
    waiting: VecDeque<(u64, Waiting)>,
    released: VecDeque<(usize, CallKey, [u64; 2])>,
    draining: bool,
    heartbeat: vanished::Heartbeat,
    /// Until when the alarm of uncommitted answers stands.
    uncommitted_until: Option<link::Instant>,
    /// The driver's lists are to be told anew.
    untold: perimeter::Untold,
    /// What fits into the driver's deny list.
    deny_room: DenyRoom,
    sight: sight::Sight,
    /// Registrations and online checks.
    upstream: upstream::Upstream,
    /// Vendors that are given by name.
    names: names::Names,
    departed: departed::Departed,
    watched: account::Watched,
    subscriptions: package::Subscriptions,
    invoices: invoice::Invoices,
    /// Who earns on calls of a former control, until it is found whether they still run.
    awaiting_agents: HashMap<[u64; 2], Agent>,
    /// What was set right of records a moment ago.
    corrected: correct::Recent,
    chance: Chance,
}

/// Source, Call-ID and CSeq of recent refusals, in a ring.
#[derive(Default)]
struct RecentRefusals {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl RecentRefusals {
    const MAX: usize = 65_536;

    /// Whether this one is new.
    fn is_new(&mut self, facts: &link::record::Facts) -> bool {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        facts.source.hash(&mut hasher);
        facts.call_id.as_bytes().hash(&mut hasher);
        facts.cseq.hash(&mut hasher);
        let mark = hasher.finish();
        if !self.known.insert(mark) {
            return false;
        }
        self.order.push_back(mark);
        if self.order.len() > Self::MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Office {
    /// An office with what the store remembers, for a dataplane of `workers` workers.
    #[must_use]
    pub fn new(loaded: Loaded, workers: usize) -> Self {
        let down = (0..workers).map(|_| downward::Downward::default()).collect();
        let mut office = Self { down, ..Self::default() };
        office.untold.whole = true;
        for (name, value) in &loaded.parameters {
            office.state.values.restore(name, value);
        }
        for entity in loaded.entities {
            office.state.restore(entity);
        }
        for (id, set) in loaded.geo {
            office.state.restore_geo(id, std::sync::Arc::new(set));
        }
        for (id, entries) in loaded.imports {
            office.state.imports.insert(id, std::sync::Arc::new(entries));
        }
        for (tariff, row) in loaded.rates {
            office.state.restore_rate(tariff, row);
        }
        for (account, billionths) in loaded.balances {
            let balance = office.state.balances.entry(account).or_default();
            balance.amount = Money::from_billionths(billionths);
        }
        office.watched = account::Watched::restore(loaded.spent);
        let covers = loaded.opened.iter().filter(|opened| !opened.cover.is_empty());
        let covers = covers.map(|opened| (opened.record.id, opened.cover.clone())).collect();
        let agents = loaded.opened.iter();
        let agents = agents.filter_map(|opened| Some((opened.record.id, opened.agent?)));
        office.awaiting_agents = agents.collect();
        office.heartbeat.opened = loaded.opened;
        office.heartbeat.last_us = loaded.heartbeat_us;
        office.state.booked = loaded.booked.into_iter().collect();
        office.state.restore_ids(loaded.ids_used);
        office.state.located =
            loaded.located.into_iter().map(|it| (it.target, it.servers)).collect();
        office.state.restored();
        office.restore_subscriptions(loaded.standings, covers);
        office.invoices = invoice::Invoices::restore(loaded.invoices);
        office.await_denial_ends();
        office.defence = suspend::Defence::restore(loaded.suspensions, loaded.regulars);
        office.abuse = abuse::Watch::restore(loaded.habits);
        office.upstream = upstream::Upstream::restore(loaded.registrations);
        for (owner, binding) in loaded.bindings {
            if office.state.customers.get(owner).is_some() {
                office.state.bindings.restore(owner, binding);
            }
        }
        office
    }

    /// The same, with numbers of its own: jitter, shares by weight, identifiers.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Self { chance: Chance::new(seed), ..self }
    }

    /// A dataplane is there, for the first time or again: tell it what holds.
    pub fn handle_dataplane(&mut self, time: Time, epoch: u64) {
        self.epoch = epoch;
        self.nonces.begin(time.wall_us);
        let up_us = u64::try_from(time.now.as_micros()).unwrap_or(u64::MAX);
        self.state.bindings.forget_connections(epoch, time.wall_us.saturating_sub(up_us));
        self.reopen_upstream();
        let parameters = Order::Parameters(self.state.values.for_workers());
        self.order_all(parameters);
        let draining = u32::from(self.draining);
        self.order_all(Order::Drain(link::order::Drain { draining }));
        self.order_all(Order::Profile(self.state.plain_profile()));
        for profile in self.state.profiles() {
            self.order_all(Order::Profile(profile));
        }
        for name in self.state.names() {
            self.order_all(Order::Name(name));
        }
        self.tell_shut_out(time);
        let telling = self.state.fences.telling();
        self.state.poll_fences();
        for queue in &mut self.down {
            queue.tell(telling.clone());
        }
    }

    /// A call that was running before this control started: its lines and reservations, before
    /// anything new is admitted.
    pub fn rebuild(&mut self, time: Time, worker: usize, key: CallKey, record: &CallRecord) {
        if self.live.contains_key(&record.id) {
            return;
        }
        let mapping = record.customer_gateway;
        let customer = self.state.customers.get(mapping);
        let account = customer.map_or(0, |customer| customer.gateway.account);
        let routing = record.attempts().last().map_or(0, |attempt| attempt.gateway);
        let mut attempts = record.attempts().iter();
        let is_answered = record.answered_ms != NEVER
            || attempts.clone().any(|it| it.answered_ms != NEVER && it.ended_ms == NEVER);
        let terms = Terms::from_words(&record.customer_terms.words);
        let agent = self.awaiting_agents.remove(&record.id);
        let cover = self.awaited_cover(record.id).unwrap_or_default();
        // What is not answered was granted nothing further, and may yet be answered at the price of another route.
        let further_s = if is_answered { self.slice_s() } else { 0 };
        let (mut granted, cover) =
            self.granted_before(time, terms.as_ref(), record, cover, further_s);
        let terms = terms.filter(|_| is_answered);
        if !is_answered {
            granted.reserved = granted.reserved.max(Money::from_billionths(record.held));
        }
        let since = time.now;
        let may_try = Vec::new();
        let live = Live {
            worker,
            key,
            mapping,
            account,
            routing,
            terms,
            granted,
            cover,
            agent,
            since,
            may_try,
            asked: None,
        };
        self.take(record.id, live);
        // An answer whose ask the former control did not read; a start is written once anyway.
        if attempts.any(|attempt| attempt.answered_ms != NEVER) {
            self.write_start(*record);
        }
    }

    /// Ends calls of a worker that were admitted, but hold no slot of the call table: the dataplane
    /// died before it read the answer. `has_slot` says whether a call holds one.
    pub fn handle_missing(
        &mut self,
        time: Time,
        worker: usize,
        has_slot: impl Fn(CallKey) -> bool,
    ) {
        let gone: Vec<[u64; 2]> = self
            .live
            .iter()
            .filter(|(_, live)| live.worker == worker)
            .filter(|(_, live)| time.now.saturating_sub(live.since) > MISSING_AFTER)
            .filter(|(_, live)| !has_slot(live.key))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.end_without_slot(time, id, EndReason::DataplaneRestart, 0);
        }
    }

    /// Whether a call is known to be running.
    #[must_use]
    pub fn knows(&self, id: [u64; 2]) -> bool {
        self.live.contains_key(&id)
    }

    /// Running calls.
    #[must_use]
    pub fn calls_live(&self) -> usize {
        self.live.len()
    }

    fn take(&mut self, id: [u64; 2], live: Live) {
        // Asked twice is admitted twice, but holds once.
        self.release(id);
        for gateway in [live.mapping, live.routing] {
            self.state.limiters.entry(gateway).or_default().take_line();
        }
        let balance = self.state.balances.entry(live.account).or_default();
        balance.calls += 1;
        balance.reserved = balance.reserved.plus(live.granted.reserved).unwrap_or(balance.reserved);
        self.hold_cover(&live.cover);
        self.live_at.insert((live.worker, live.key), id);
        self.live.insert(id, live);
    }

    /// Gives back what a call holds. A call that holds nothing is no fault: replays end here.
    fn release(&mut self, id: [u64; 2]) -> Option<Live> {
        let live = self.live.remove(&id)?;
        // The slot may belong to the next call already.
        if self.live_at.get(&(live.worker, live.key)) == Some(&id) {
            self.live_at.remove(&(live.worker, live.key));
        }
        for gateway in [live.mapping, live.routing] {
            if let Some(limiter) = self.state.limiters.get_mut(&gateway) {
                limiter.release_line();
            }
        }
        if let Some(balance) = self.state.balances.get_mut(&live.account) {
            balance.calls = balance.calls.checked_sub(1).expect("a call is counted while it lives");
            balance.reserved = balance.reserved.minus(live.granted.reserved).unwrap_or(Money::ZERO);
        }
        self.give_cover_back(&live.cover);
        Some(live)
    }

    fn answer(&mut self, worker: usize, answer: link::Answer) {
        if let Some(queue) = self.down.get_mut(worker) {
            queue.push(Down::Answer(answer));
        }
    }

    fn order(&mut self, worker: usize, order: Order) {
        if let Some(queue) = self.down.get_mut(worker) {
            queue.push(Down::Order(order));
        }
    }

    fn order_all(&mut self, order: Order) {
        for queue in &mut self.down {
            queue.push(Down::Order(order));
        }
    }

    fn change(&mut self, change: Change) -> u64 {
        self.changes.push_back(change);
        self.sequence += 1;
        self.sequence
    }

    fn wait(&mut self, sequence: u64, waiting: Waiting) {
        self.waiting.push_back((sequence, waiting));
    }

    /// Everything up to this change is durable.
    pub fn handle_stored(&mut self, sequence: u64) {
        self.stored = self.stored.max(sequence);
        while let Some((due, waiting)) = self.waiting.front().copied() {
            if due > self.stored {
                break;
            }
            self.waiting.pop_front();
            match waiting {
                Waiting::Commit(worker, call) => {
                    let committed = link::answer::Committed { call };
                    self.answer(worker, link::Answer::Committed(committed));
                }
                Waiting::Release(worker, call, id) => self.released.push_back((worker, call, id)),
                Waiting::Extended(worker, extended) => {
                    self.answer(worker, link::Answer::Extended(extended));
                }
            }
        }
    }

    /// The number that [`Self::handle_stored`] must reach before the last command is durable.
    #[must_use]
    pub fn last_change(&self) -> u64 {
        self.sequence
    }

    /// Whether so much waits for the store that nothing new is taken.
    fn is_behind(&self) -> bool {
        self.backlog() > BACKLOG_MAX
    }

    /// Changes that are not durable yet.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.sequence - self.stored
    }

    /// Next message for a worker.
    pub fn poll_down(&mut self, worker: usize) -> Option<Down> {
        self.down.get_mut(worker)?.pop()
    }

    /// Puts back what a full ring did not take.
    pub fn return_down(&mut self, worker: usize, down: Down) {
        if let Some(queue) = self.down.get_mut(worker) {
            queue.push_front(down);
        }
    }

    /// Next change for the store.
    pub fn poll_change(&mut self) -> Option<Change> {
        for event in self.journal.take_unsaved() {
            self.change(Change::Event(Box::new(event)));
        }
        self.changes.pop_front()
    }

    /// Next slot whose record is durable. Whoever takes it frees the slot before anything else is
    /// told here: from then on nobody can report its end again.
    pub fn poll_release(&mut self) -> Option<(usize, CallKey)> {
        let (worker, call, id) = self.released.pop_front()?;
        self.ending.remove(&id);
        Some((worker, call))
    }

    /// Whether new calls are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// What happens by itself: expired denials go, counts of illegal calls become records.
    pub fn handle_tick(&mut self, time: Time) {
        self.expire_denials(time);
        self.expire_imports(time);
        self.expire_trust(time);
        self.beat(time);
        self.settle_uncommitted(time);
        self.give_up_challenges(time);
        self.handle_illegal_time(time);
        self.handle_upstream_time(time);
        self.forget_departed(time.now);
        self.nonces.forget(time.now);
        self.handle_defence_time(time);
        self.handle_abuse_time(time);
        self.handle_accounts_time(time);
        self.handle_subscriptions_time(time);
        self.watch_logins(time);
        self.expire_bindings(time);
        self.keep_alive(time);
        if self.refusals_unwritten > 0 && !self.is_behind() {
            let count = std::mem::take(&mut self.refusals_unwritten);
            self.journal.note(Event {
                at_us: time.wall_us,
                name: "refusals_unwritten",
                subject: "store".into(),
                severity: Severity::Warning,
                detail: format!(
                    "{count} refused calls have no record: the store was away too long"
                ),
            });
        }
    }
}

#[cfg(test)]
mod tests;
