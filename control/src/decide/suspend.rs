//! Who is shut out because logins failed: the one engine of `guard`, fed and obeyed.
//!
//! ```text
//!  prove: is it suspended? ──yes──▶ 403 or silence, nothing evaluated
//!            │ no
//!         a wrong digest ──▶ counted ──▶ suspended: kept, told to the store
//!                                   ├──▶ denied: a denial with its end, in the driver within a second
//!                                   ├──▶ spared: an alarm, since customers are behind that source
//!                                   └──▶ a pattern: its own alarm
//!         a right one ─────▶ forgiven, and its source is a regular
//! ```
//!
//! Nothing that a message says steers a denial but the address it came from, which has read a nonce of ours
//! and so is not forged.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use guard::{
    Attempts, Consequence, Failure, Kind as ScopeKind, Regulars, Rule, Rules, Scope, Standing,
    Suspension, Suspensions, Watch,
};
use link::order::ShutOut as ShutOutOrder;
use link::report::{Refusals, Refused};
use link::{Order, Text};
use serde_json::Value;

use super::Office;
use super::digest::{Proof, Proven};
use crate::journal::{Event, Severity};
use crate::page::Page;
use crate::shown::{self, DefenceFigures, Moment, SuspensionShown};
use crate::state::entity::{Denied, Entity, Kind};
use crate::store::{Change, SuspensionKept};
use crate::{Refusal, Time, rfc3339};

/// An alarm of an attack is cleared when there was no sign of it for so long.
const PEACE: Duration = Duration::from_secs(3_600);

/// Of whom a worker is told when it begins.
const SHUT_OUT_MAX: usize = 4_096;

/// Everyone who is shut out, and who never is.
#[derive(Default)]
pub(super) struct Defence {
    suspensions: Suspensions,
    watch: Watch,
    regulars: Regulars,
    /// Of them those whose login was a gateway's.
    gateways: std::collections::HashSet<IpAddr>,
    /// Whom the driver should hear of.
    sources_changed: std::collections::BTreeSet<IpAddr>,
    /// By the numbers that operators and the store know them by.
    numbered: BTreeMap<u32, Scope>,
    numbers: std::collections::HashMap<Scope, u32>,
    number_last: u32,
    /// Requests that each of them refused since the start.
    turned_away: BTreeMap<u32, u64>,
    /// Logins that failed or were refused, of late.
    attempts: Attempts,
    /// Alarms that stand, and when there was last a sign of them.
    signs: BTreeMap<(&'static str, String), link::Instant>,
    /// Digests that were computed, and requests that were refused without.
    pub(super) evaluated: u64,
    pub(super) refused: u64,
}

/// How someone is refused who is shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShutOut {
    /// By a 403.
    Refused,
    /// By nothing.
    Ignored,
}

impl ShutOut {
    /// What it hears; 0: nothing.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Refused => 403,
            Self::Ignored => 0,
        }
    }
}

impl Defence {
    /// With what the store remembers.
    pub(super) fn restore(kept: Vec<SuspensionKept>, regulars: Vec<(IpAddr, u64)>) -> Self {
        let mut defence = Self::default();
        for kept in kept {
            let number = kept.number;
            let Some(suspension) = kept.suspension() else { continue };
            // What is over meanwhile is moved on by the next tick.
            defence.suspensions.restore(0, &suspension);
            defence.name(number, suspension.scope);
        }
        for (source, at_us) in regulars {
            defence.regulars.restore(source, at_us);
        }
        defence
    }

    /// Whether somebody logged in from there lately.
    pub(super) fn is_regular(&self, source: IpAddr) -> bool {
        self.regulars.has(source)
    }

    /// Whether it was a gateway, since the start.
    pub(super) fn calls_as_gateway(&self, source: IpAddr) -> bool {
        self.gateways.contains(&source)
    }

    /// Whence somebody logged in lately.
    pub(super) fn regular_sources(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.regulars.sources()
    }

    /// Whence somebody logged in, or nobody for long, since this was asked last.
    pub(super) fn poll_sources(&mut self) -> impl Iterator<Item = IpAddr> + use<> {
        std::mem::take(&mut self.sources_changed).into_iter()
    }

    fn name(&mut self, number: u32, scope: Scope) {
        self.numbers.insert(scope.clone(), number);
        self.numbered.insert(number, scope);
        self.number_last = self.number_last.max(number);
    }

    /// The number of a scope, a new one if it has none.
    fn number_of(&mut self, scope: &Scope) -> u32 {
        if let Some(number) = self.numbers.get(scope) {
            return *number;
        }
        let number = self.number_last.wrapping_add(1).max(1);
        self.name(number, scope.clone());
        number
    }

    fn forget_name(&mut self, scope: &Scope) -> Option<u32> {
        let number = self.numbers.remove(scope)?;
        self.numbered.remove(&number);
        self.turned_away.remove(&number);
        Some(number)
    }
}

impl Office {
    /// The rules in force; the parameters are views of them.
    fn suspension_rules(&self) -> Rules {
        let values = &self.state.values;
        let seconds = |name: &str| Duration::from_secs(values.number(name));
        let window = seconds("TG_SUSPEND_WINDOW");
        let rule = |limit: &str, time: Duration| Rule { limit: values.small(limit), window, time };
        let timed = |limit: &str, time: &str| match seconds(time) {
            Duration::ZERO => Rule { limit: 0, window, time: Duration::ZERO },
            time => rule(limit, time),
        };
        let suspends = values.number("SS_ENDPOINTREGISTERSUSPEND") == 1;
        let endpoint_time = seconds("SS_ENDPOINTREGISTERSUSPENDTIME");
        let if_on = |rule: Rule| Rule { limit: if suspends { rule.limit } else { 0 }, ..rule };
        Rules {
            rules: [
                if_on(rule("SS_ENDPOINTREGISTERRETRY", endpoint_time)),
                if_on(rule("TG_SUSPEND_ENDPOINT_COUNT", endpoint_time)),
                timed("SS_AUTHENTICATION_MAX_RETRY", "SS_AUTHENTICATION_FAILED_SUSPEND"),
                timed("SS_REG_FAIL_BLACKLIST_COUNT", "SS_REG_FAIL_BLACKLIST_TIME"),
                rule("SS_CALLAUTH_INVALID_COUNT", seconds("TG_SUSPEND_ACCOUNT_TIME")),
            ],
            longest: seconds("TG_SUSPEND_LONGEST"),
        }
    }

    /// What a source has deserved.
    pub(super) fn standing(&self, source: IpAddr) -> Standing {
        if self.state.is_trusted(source) {
            Standing::Trusted
        } else if self.state.bindings.has_source(source) || self.defence.regulars.has(source) {
            Standing::Customer
        } else {
            Standing::Stranger
        }
    }

    /// Whether an endpoint is refused from there, before anything of it is evaluated.
    pub(super) fn shut_out(&mut self, time: Time, proof: &Proof<'_>) -> Option<ShutOut> {
        let source = proof.source.ip();
        let its_place = self.is_its_place(time, proof.endpoint, source);
        let found =
            self.defence.suspensions.check(time.wall_us, proof.endpoint, source, its_place)?;
        self.note_refused(time, &found.scope, source, 1);
        Some(match found.scope.kind() {
            ScopeKind::Source => ShutOut::Ignored,
            _ => ShutOut::Refused,
        })
    }

    /// So many requests were refused because their sender is shut out.
    fn note_refused(&mut self, time: Time, scope: &Scope, source: IpAddr, count: u32) {
        self.defence.refused += u64::from(count);
        if let Some(number) = self.defence.numbers.get(scope) {
            *self.defence.turned_away.entry(*number).or_default() += u64::from(count);
        }
        self.note_attempts(time, source, count);
    }

    /// What the workers refused by themselves.
    pub fn handle_refusals(&mut self, time: Time, refusals: &Refusals) {
        for Refused { number, count } in refusals.rows.iter().take(refusals.used as usize) {
            // Who was let in again meanwhile has no number any more.
            let Some(scope) = self.defence.numbered.get(number).cloned() else { continue };
            let Some(source) = scope.source() else { continue };
            self.note_refused(time, &scope, source, *count);
        }
    }

    /// Whoever tries so often works at a list of passwords (AUTH-13), whether they are looked at or not.
    pub(super) fn note_attempts(&mut self, time: Time, source: IpAddr, count: u32) {
        let limit = self.state.values.number("TG_ALARM_AUTH");
        let tried = self.defence.attempts.handle(time.wall_us, source, count);
        if limit > 0 && tried >= limit {
            let detail = format!("{tried} logins failed or were refused within a minute");
            let subject = source.to_string();
            self.raise_sign(time, "attack_password", subject, Severity::Warning, detail);
        }
    }

    /// Whether an account may not be charged from there.
    pub(super) fn is_locked_out(&self, time: Time, account: u32, source: IpAddr) -> bool {
        self.defence.suspensions.check_account(time.wall_us, account, source).is_some()
    }

    fn is_its_place(&self, time: Time, endpoint: &str, source: IpAddr) -> bool {
        let Some(customer) = self.state.customers.of_user(endpoint) else { return false };
        let mut bindings = self.state.bindings.of(customer.gateway.id, time.wall_us);
        bindings.any(|it| it.source.socket_address().is_some_and(|from| from.ip() == source))
    }

    /// A wrong digest over a fresh nonce of ours.
    pub(super) fn note_failure(&mut self, time: Time, proof: &Proof<'_>) {
        self.figures.failed += 1;
        let (at_us, source) = (time.wall_us, proof.source.ip());
        self.note_attempts(time, source, 1);
        let rules = self.suspension_rules();
        let failure = Failure {
            at_us,
            endpoint: proof.endpoint,
            source,
            standing: self.standing(source),
            is_its_place: self.is_its_place(time, proof.endpoint, source),
        };
        let consequences = self.defence.suspensions.handle_failure(&rules, &failure);
        for consequence in consequences {
            let patterns: Vec<_> =
                self.defence.watch.handle_consequence(at_us, &consequence).collect();
            for pattern in patterns {
                let (severity, subject) = match pattern {
                    guard::Pattern::Distributed => (Severity::Critical, "sources".to_owned()),
                    _ => (Severity::Warning, source.to_string()),
                };
                self.raise_sign(time, pattern.name(), subject, severity, sign_of(&consequence));
            }
            match consequence {
                Consequence::Suspended(suspension) => self.keep_suspension(time, &suspension),
                Consequence::Denied(suspension) => self.deny_sweep(time, source, &suspension),
                Consequence::Spared(suspension) => {
                    let detail = format!(
                        "{} endpoints failed from this source; it is a customer's, so nothing was dropped",
                        suspension.failures
                    );
                    let subject = source.to_string();
                    self.raise_sign(time, "attack_spared", subject, Severity::Warning, detail);
                }
            }
        }
    }

    /// A wrong digest, or right credentials from outside the access list, on a call of this account.
    pub(super) fn note_invalid_call(&mut self, time: Time, account: u32, source: IpAddr) {
        let rules = self.suspension_rules();
        let locked =
            self.defence.suspensions.handle_invalid_call(&rules, time.wall_us, account, source);
        if let Some(suspension) = locked {
            self.keep_suspension(time, &suspension);
        }
    }

    /// Somebody proved who he is.
    pub(super) fn note_login(&mut self, time: Time, proof: &Proof<'_>, proven: Proven) {
        let (at_us, source) = (time.wall_us, proof.source.ip());
        let customer = self.state.customers.get(proven.customer());
        let account = customer.map_or(0, |customer| customer.gateway.account);
        self.defence.suspensions.handle_success(at_us, proof.endpoint, account, source);
        let is_gateway = customer.is_some_and(|customer| customer.ringing.is_none());
        let is_new = is_gateway && self.defence.gateways.insert(source);
        if self.defence.regulars.handle_login(at_us, source) {
            self.change(Change::Regular(source, at_us));
            self.defence.sources_changed.insert(source);
        } else if is_new {
            self.defence.sources_changed.insert(source);
        }
    }

    fn keep_suspension(&mut self, time: Time, suspension: &Suspension) {
        let number = self.defence.number_of(&suspension.scope);
        let kept = SuspensionKept::new(number, suspension);
        let until = rfc3339(suspension.until_us);
        let detail = format!(
            "{} failures, offence {}, until {until}: `tollgate firewall suspended clear {number}` ends it",
            suspension.failures, suspension.offences
        );
        self.note(time, "suspended", &subject_of(&kept), detail);
        if let Some(order) = order_of(time, number, suspension) {
            self.order_all(Order::ShutOut(order));
        }
        self.change(Change::Suspension(Box::new(kept)));
    }

    /// What a new dataplane must know of who is shut out: as many as a worker has places for.
    pub(super) fn tell_shut_out(&mut self, time: Time) {
        let all = self.defence.suspensions.list(time.wall_us);
        let orders =
            all.filter_map(|it| order_of(time, *self.defence.numbers.get(&it.scope)?, &it));
        let orders: Vec<ShutOutOrder> = orders.take(SHUT_OUT_MAX).collect();
        for order in orders {
            self.order_all(Order::ShutOut(order));
        }
    }

    /// What the driver is told of a source that failed on too many endpoints.
    fn deny_sweep(&mut self, time: Time, source: IpAddr, suspension: &Suspension) {
        let reason = format!(
            "{} endpoints failed within {} s",
            suspension.failures,
            self.state.values.number("TG_SUSPEND_WINDOW")
        );
        let (since_us, until_us) = (suspension.since_us, suspension.until_us);
        let (name, by) = (source.to_string(), "suspension".to_owned());
        self.deny_by_itself(time, Denied { id: 0, name, reason, by, since_us, until_us });
    }

    /// The driver drops a source from now on, for a while.
    pub(super) fn deny_by_itself(&mut self, time: Time, denied: Denied) {
        let detail = denied.reason.clone();
        // What a person denied already stays as that person said.
        if let Ok(entity) = self.state.create(Kind::Deny, Entity::Deny(denied).body()) {
            self.saved(time, "denied", &entity, detail);
        }
    }

    pub(super) fn raise_sign(
        &mut self,
        time: Time,
        name: &'static str,
        subject: String,
        severity: Severity,
        detail: String,
    ) {
        self.defence.signs.insert((name, subject.clone()), time.now);
        self.journal.raise(Event { at_us: time.wall_us, name, subject, severity, detail });
    }

    /// Suspensions end, old regulars are forgotten, alarms without new signs are cleared.
    pub(super) fn handle_defence_time(&mut self, time: Time) {
        let mut ended = Vec::new();
        self.defence.suspensions.handle_time(time.wall_us, |scope| ended.push(scope.clone()));
        for scope in ended {
            if let Some(number) = self.defence.forget_name(&scope) {
                self.change(Change::SuspensionGone(number));
            }
        }
        while let Some(source) = self.defence.regulars.poll_forgotten(time.wall_us) {
            self.change(Change::RegularGone(source));
            self.defence.gateways.remove(&source);
            self.defence.sources_changed.insert(source);
        }
        let old = |at: &link::Instant| time.now.saturating_sub(*at) >= PEACE;
        let quiet: Vec<_> = self
            .defence
            .signs
            .iter()
            .filter(|(_, at)| old(at))
            .map(|(key, _)| key.clone())
            .collect();
        for key in quiet {
            self.defence.signs.remove(&key);
            self.journal.clear(time.wall_us, key.0, &key.1);
        }
    }

    /// What became of those who tried.
    pub(super) fn defence_figures(&self, time: Time) -> DefenceFigures {
        let Defence { suspensions, regulars, refused, evaluated, .. } = &self.defence;
        DefenceFigures {
            suspended: suspensions.list(time.wall_us).count(),
            refused: *refused,
            evaluated: *evaluated,
            regulars: regulars.count(),
        }
    }

    /// Who is suspended, a page of them.
    pub(super) fn suspended(&self, time: Time, page: &Page) -> Result<Value, Refusal> {
        let behind = page.number()?.unwrap_or(0);
        let behind = u32::try_from(behind).unwrap_or(u32::MAX);
        let range = (std::ops::Bound::Excluded(behind), std::ops::Bound::Unbounded);
        let shown = self.defence.numbered.range(range).filter_map(|(number, scope)| {
            let suspension = self.defence.suspensions.find(time.wall_us, scope)?;
            Some(SuspensionKept::new(*number, &suspension))
        });
        let account = |it: &SuspensionKept| {
            it.account.map(|id| self.state.name_of(Kind::Account, id).to_owned())
        };
        Ok(page.fill(
            shown,
            |it| it.number.to_string(),
            |it| {
                shown::json(SuspensionShown {
                    id: it.number,
                    account: account(&it),
                    scope: it.scope,
                    endpoint: it.endpoint,
                    source: it.source.map(|source| source.to_string()),
                    failures: it.failures,
                    refused: self.defence.turned_away.get(&it.number).copied().unwrap_or(0),
                    offences: it.offences,
                    since: Moment::at(it.since_us),
                    until: Moment::at(it.until_us),
                    left_s: it.until_us.saturating_sub(time.wall_us).div_ceil(1_000_000),
                })
            },
        ))
    }

    /// Lets someone in again at once.
    pub(super) fn clear_suspension(&mut self, time: Time, number: &str) -> Result<Value, Refusal> {
        let missing = || Refusal::missing("suspension", number);
        let scope = number.parse().ok().and_then(|number: u32| self.defence.numbered.get(&number));
        let scope = scope.cloned().ok_or_else(missing)?;
        let was = self.defence.suspensions.find(time.wall_us, &scope).ok_or_else(missing)?;
        self.defence.suspensions.clear(time.wall_us, &scope);
        if let Some(number) = self.defence.forget_name(&scope) {
            if let Some(order) = order_of(time, number, &was) {
                self.order_all(Order::ShutOut(ShutOutOrder { until_us: 0, ..order }));
            }
            let subject = subject_of(&SuspensionKept::new(number, &was));
            self.note(time, "suspension_cleared", &subject, "by hand".to_owned());
            self.change(Change::SuspensionGone(number));
        }
        Ok(Value::Null)
    }
}

fn sign_of(consequence: &Consequence) -> String {
    let (Consequence::Suspended(it) | Consequence::Denied(it) | Consequence::Spared(it)) =
        consequence;
    format!("{} failures, offence {}", it.failures, it.offences)
}

/// What the workers are told of a suspension. `None`: it does not hold for all requests from somewhere, so
/// control judges each.
fn order_of(time: Time, number: u32, it: &Suspension) -> Option<ShutOutOrder> {
    let (endpoint, source, status) = match &it.scope {
        // Without a name it would be everybody from there.
        Scope::Pair(endpoint, _) if endpoint.is_empty() => return None,
        Scope::Pair(endpoint, source) => (&**endpoint, *source, ShutOut::Refused.status()),
        Scope::Source(source) => ("", *source, ShutOut::Ignored.status()),
        Scope::Endpoint(_) | Scope::Sweep(_) | Scope::Account(..) => return None,
    };
    let left_us = it.until_us.saturating_sub(time.wall_us);
    let now_us = u64::try_from(time.now.as_micros()).unwrap_or(u64::MAX);
    Some(ShutOutOrder {
        source: SocketAddr::new(source, 0).into(),
        until_us: now_us.saturating_add(left_us),
        endpoint: Text::new(endpoint.as_bytes())?,
        status,
        spare: [0; 6],
        number,
    })
}

/// Whom an event is about. What strangers wrote is escaped.
fn subject_of(kept: &SuspensionKept) -> String {
    let parts = [
        kept.endpoint.as_ref().map(|endpoint| format!("{endpoint:?}")),
        kept.account.map(|account| format!("account {account}")),
        kept.source.map(|source| source.to_string()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" from ")
}
