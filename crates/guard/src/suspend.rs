//! Logins that failed, counted four ways at once.
//!
//! | scope | counts | is reset by a success | then |
//! |---|---|---|---|
//! | pair: one endpoint from one source | failures in a row | yes | that pair gets 403 without evaluation |
//! | endpoint, from anywhere | failures | no | all but the source of its valid binding get 403 |
//! | source, whatever it tries | failures | no | it gets no answer |
//! | source | distinct endpoints that it failed on | no | the driver drops it |
//! | account from one source | invalid calls in a row | yes | no call from there is charged to it |
//!
//! A failure is a wrong digest over a fresh nonce of ours, so its source has read our challenge and is
//! not forged; nothing else counts. An endpoint counts by the name that was said, whether it exists or
//! not: the answers tell nobody which. Sources that belong to customers are never dropped: they raise an
//! alarm instead.

use std::net::IpAddr;
use std::time::Duration;

use crate::WallUs;
use crate::table::{Entry, Table};

/// Entries of each kind.
const SCOPES_MAX: usize = 65_536;
/// Longest name of an endpoint.
const NAME_BYTES_MAX: usize = 62;

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// An endpoint from one source.
    Pair(Box<str>, IpAddr),
    /// An endpoint from anywhere.
    Endpoint(Box<str>),
    /// A source, by its failures.
    Source(IpAddr),
    /// A source, by the endpoints that it failed on.
    Sweep(IpAddr),
    /// An account from one source, by invalid calls.
    Account(u32, IpAddr),
}

/// The kinds of [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Scope::Pair`].
    Pair,
    /// See [`Scope::Endpoint`].
    Endpoint,
    /// See [`Scope::Source`].
    Source,
    /// See [`Scope::Sweep`].
    Sweep,
    /// See [`Scope::Account`].
    Account,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Pair, Self::Endpoint, Self::Source, Self::Sweep, Self::Account];

    /// Its word in lists and in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Endpoint => "endpoint",
            Self::Source => "source",
            Self::Sweep => "sweep",
            Self::Account => "account",
        }
    }
}

impl Scope {
    /// The kind of it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Pair(..) => Kind::Pair,
            Self::Endpoint(_) => Kind::Endpoint,
            Self::Source(_) => Kind::Source,
            Self::Sweep(_) => Kind::Sweep,
            Self::Account(..) => Kind::Account,
        }
    }

    /// The endpoint that it names.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Pair(endpoint, _) | Self::Endpoint(endpoint) => Some(endpoint),
            Self::Source(_) | Self::Sweep(_) | Self::Account(..) => None,
        }
    }

    /// The account that it names.
    #[must_use]
    pub fn account(&self) -> Option<u32> {
        match self {
            Self::Account(account, _) => Some(*account),
            Self::Pair(..) | Self::Endpoint(_) | Self::Source(_) | Self::Sweep(_) => None,
        }
    }

    /// The source that it names.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Pair(_, source)
            | Self::Source(source)
            | Self::Sweep(source)
            | Self::Account(_, source) => Some(*source),
            Self::Endpoint(_) => None,
        }
    }
}

/// So many in so long, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How many suspend; 0: never.
    pub limit: u32,
    /// Older ones do not count.
    pub window: Duration,
    /// How long the first suspension lasts; each further one within a day of the last twice as long.
    pub time: Duration,
}

/// The rules in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Of each kind, in the order of [`Kind::ALL`].
    pub rules: [Rule; 5],
    /// No suspension lasts longer, unless its own rule says so.
    pub longest: Duration,
}

impl Rules {
    fn of(&self, kind: Kind) -> &Rule {
        &self.rules[kind as usize]
    }
}

/// What a source has deserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing yet.
    Stranger,
    /// Somebody is registered from there, or was in the last days.
    Customer,
    /// Trusted, or a gateway's.
    Trusted,
}

/// A login that failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// When.
    pub at_us: WallUs,
    /// The name that was said.
    pub endpoint: &'a str,
    /// Whence.
    pub source: IpAddr,
    /// What that source has deserved.
    pub standing: Standing,
    /// The endpoint has a valid binding from there.
    pub is_its_place: bool,
}

/// Someone who is shut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Who.
    pub scope: Scope,
    /// Since when.
    pub since_us: WallUs,
    /// Until when.
    pub until_us: WallUs,
    /// What counted against it.
    pub failures: u32,
    /// How often it was suspended lately, this time included.
    pub offences: u32,
    /// What it tried were numbers one after the other.
    pub in_sequence: bool,
}

/// What follows from a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Refuse it.
    Suspended(Suspension),
    /// Let the driver drop it.
    Denied(Suspension),
    /// It would be dropped, were it not a customer's source: tell people.
    Spared(Suspension),
}

/// Everyone who failed lately.
#[derive(Debug)]
pub struct Suspensions {
    tables: [Table; 5],
    /// Tells one failure from the next.
    failures: u64,
}

impl Default for Suspensions {
    fn default() -> Self {
        Self { tables: std::array::from_fn(|_| Table::new(SCOPES_MAX)), failures: 0 }
    }
}

/// The name as it is kept: cut, and nothing in it that could leave its line.
fn name(endpoint: &str) -> Box<str> {
    let kept = |letter: char| if letter.is_control() { '?' } else { letter };
    let mut bytes = 0;
    let whole = endpoint.chars().map(kept).take_while(|letter| {
        bytes += letter.len_utf8();
        bytes <= NAME_BYTES_MAX
    });
    whole.collect()
}

/// A short stand-in for a name: a number for itself, so that neighbours are seen to be neighbours; anything
/// else by FNV-1a above all numbers. Who makes two of his names collide is counted once too seldom.
fn mark(endpoint: &str) -> u64 {
    const NAME: u64 = 1 << 63;
    match endpoint.parse::<u64>() {
        Ok(number) if number < NAME => number,
        _ => {
            let hash = endpoint.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            hash | NAME
        }
    }
}

impl Suspensions {
    /// Why an endpoint is refused from there, if it is. `is_its_place` as in [`Failure`].
    #[must_use]
    pub fn check(
        &self,
        at_us: WallUs,
        endpoint: &str,
        source: IpAddr,
        is_its_place: bool,
    ) -> Option<Suspension> {
        let endpoint = name(endpoint);
        let by_endpoint = (!is_its_place).then(|| Scope::Endpoint(endpoint.clone()));
        let scopes =
            [Some(Scope::Source(source)), Some(Scope::Pair(endpoint, source)), by_endpoint];
        scopes.into_iter().flatten().find_map(|scope| self.find(at_us, &scope))
    }

    /// Why an account may not be charged from there, if so.
    #[must_use]
    pub fn check_account(&self, at_us: WallUs, account: u32, source: IpAddr) -> Option<Suspension> {
        self.find(at_us, &Scope::Account(account, source))
    }

    /// The suspension of a scope that is shut out.
    #[must_use]
    pub fn find(&self, at_us: WallUs, scope: &Scope) -> Option<Suspension> {
        let entry = self.table(scope.kind()).find(scope)?;
        entry.is_suspended(at_us).then(|| shown(scope.clone(), entry))
    }

    /// A login failed. What follows, most narrow first.
    pub fn handle_failure(&mut self, rules: &Rules, failure: &Failure<'_>) -> Vec<Consequence> {
        let Failure { at_us, source, standing, is_its_place, .. } = *failure;
        let endpoint = name(failure.endpoint);
        self.failures = self.failures.wrapping_add(1);
        let this = self.failures;
        let sweep = mark(&endpoint);
        let mut consequences = Vec::new();
        let mut count = |kind: Kind, scope: Scope, mark: u64| {
            let table = &mut self.tables[kind as usize];
            let entry = table.count(at_us, &scope, mark, rules.of(kind), rules.longest)?;
            Some(shown(scope, entry))
        };
        let pair = count(Kind::Pair, Scope::Pair(endpoint.clone(), source), this);
        consequences.extend(pair.map(Consequence::Suspended));
        if !is_its_place {
            let everywhere = count(Kind::Endpoint, Scope::Endpoint(endpoint), this);
            consequences.extend(everywhere.map(Consequence::Suspended));
        }
        // A source that customers share is not silenced for one of them.
        if standing == Standing::Stranger {
            let silenced = count(Kind::Source, Scope::Source(source), this);
            consequences.extend(silenced.map(Consequence::Suspended));
        }
        let denied = count(Kind::Sweep, Scope::Sweep(source), sweep);
        consequences.extend(denied.map(|suspension| match standing {
            Standing::Stranger => Consequence::Denied(suspension),
            Standing::Customer | Standing::Trusted => Consequence::Spared(suspension),
        }));
        consequences
    }

    /// A call was invalid that named this account: a wrong digest, or right credentials from outside its
    /// access list. The lock, if it is the last that is borne.
    pub fn handle_invalid_call(
        &mut self,
        rules: &Rules,
        at_us: WallUs,
        account: u32,
        source: IpAddr,
    ) -> Option<Suspension> {
        self.failures = self.failures.wrapping_add(1);
        let scope = Scope::Account(account, source);
        let table = &mut self.tables[Kind::Account as usize];
        let rule = rules.of(Kind::Account);
        let entry = table.count(at_us, &scope, self.failures, rule, rules.longest)?;
        Some(shown(scope, entry))
    }

    /// A login succeeded: what the pair and the account failed at is forgiven.
    pub fn handle_success(&mut self, at_us: WallUs, endpoint: &str, account: u32, source: IpAddr) {
        for scope in [Scope::Pair(name(endpoint), source), Scope::Account(account, source)] {
            self.table_mut(scope.kind()).forgive(at_us, &scope);
        }
    }

    /// Everyone who is shut out now.
    pub fn list(&self, at_us: WallUs) -> impl Iterator<Item = Suspension> {
        let all = self.tables.iter().flat_map(move |table| table.suspended(at_us));
        all.map(|(scope, entry)| shown(scope.clone(), entry))
    }

    /// Lets someone in again at once, and forgets what was. Whether it was shut out.
    pub fn clear(&mut self, at_us: WallUs, scope: &Scope) -> bool {
        self.table_mut(scope.kind()).forget(at_us, scope).is_some()
    }

    /// A suspension that was decided before the start.
    pub fn restore(&mut self, at_us: WallUs, suspension: &Suspension) {
        let entry = Entry::suspended(suspension);
        self.table_mut(suspension.scope.kind()).restore(at_us, &suspension.scope, entry);
    }

    /// Moves on what time has moved. Whose suspension is over goes to `ended`.
    pub fn handle_time(&mut self, at_us: WallUs, mut ended: impl FnMut(&Scope)) {
        for table in &mut self.tables {
            table.expire(at_us, &mut ended);
        }
    }

    fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    fn table_mut(&mut self, kind: Kind) -> &mut Table {
        &mut self.tables[kind as usize]
    }
}

fn shown(scope: Scope, entry: &Entry) -> Suspension {
    let Entry { since_us, until_us, failures, offences, in_sequence, .. } = *entry;
    Suspension { scope, since_us, until_us, failures, offences, in_sequence }
}

#[cfg(test)]
mod tests;
