//! The simulated database: durable by definition, simple enough to be the truth.
//!
//! It applies the same changes as SQLite does, by the same rules (a replay is no second entry), and
//! holds on to what is contradictory, for the [invariants](super::invariants).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use control::cdr::{Cdr, id_text};
use control::package::Standing;
use control::state::binding::Binding;
use control::state::entity::{Entity, Kind, RateRow};
use control::store::ledger::EntryKind;
use control::store::{
    Booked, Change, Error, HabitKept, LedgerEntry, Loaded, Located, Opened, Place, Registration,
    Store, SuspensionKept,
};
use guard::GeoSet;
use rating::Money;

/// Everything that was made durable.
#[derive(Debug, Default)]
pub struct Archive {
    entities: BTreeMap<(&'static str, u32), Entity>,
    rates: BTreeMap<(u32, String), RateRow>,
    geo: BTreeMap<u32, Arc<GeoSet>>,
    imports: BTreeMap<u32, control::state::imports::Entries>,
    parameters: BTreeMap<&'static str, String>,
    ids_used: u32,
    bindings: BTreeMap<(u32, String), Binding>,
    /// Entries of all accounts, by reference.
    pub ledger: BTreeMap<String, LedgerEntry>,
    /// Answered calls.
    pub starts: BTreeSet<[u64; 2]>,
    opened: BTreeMap<[u64; 2], Opened>,
    standings: BTreeMap<u32, Standing>,
    heartbeat_us: u64,
    located: BTreeMap<String, Located>,
    registrations: BTreeMap<u32, Registration>,
    suspensions: BTreeMap<u32, SuspensionKept>,
    habits: BTreeMap<u32, HabitKept>,
    regulars: BTreeMap<IpAddr, u64>,
    spilled: Place,
    /// Complete records.
    pub ends: BTreeMap<[u64; 2], Cdr>,
    /// What was set right of records.
    pub corrected: BTreeSet<([u64; 2], String)>,
    /// Names of events, and how often.
    pub events: BTreeMap<&'static str, u32>,
    /// What must not be.
    pub contradictions: Vec<String>,
}

impl Archive {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(entity) => {
                self.ids_used = self.ids_used.max(entity.id());
                self.entities.insert((entity.kind().name(), entity.id()), (**entity).clone());
            }
            Change::Delete(kind, id) => {
                self.entities.remove(&(kind.name(), *id));
                if *kind == Kind::Geo {
                    self.geo.remove(id);
                }
                if *kind == Kind::Subscription {
                    self.standings.remove(id);
                }
                if *kind == Kind::Tariff {
                    self.rates.retain(|(tariff, _), _| tariff != id);
                }
                if matches!(kind, Kind::Phone | Kind::Mapping) {
                    self.bindings.retain(|(owner, _), _| owner != id);
                }
            }
            Change::Rates { tariff, rows, replace } => {
                if *replace {
                    self.rates.retain(|(of, _), _| of != tariff);
                }
                for row in rows {
                    self.rates.insert((*tariff, row.key()), row.clone());
                }
            }
            Change::RateGone(tariff, prefix) => {
                self.rates.remove(&(*tariff, prefix.clone()));
            }
            Change::GeoRanges(id, set) => drop(self.geo.insert(*id, set.clone())),
            Change::ImportEntries(id, entries) => {
                self.imports.insert(*id, (**entries).clone());
            }
            Change::Parameter(change) => match &change.new {
                Some(new) => drop(self.parameters.insert(change.name, new.clone())),
                None => drop(self.parameters.remove(change.name)),
            },
            Change::Binding(owner, binding) => {
                let key = (*owner, binding.uri.clone());
                drop(self.bindings.insert(key, (**binding).clone()));
            }
            Change::BindingGone(owner, uri) => {
                drop(self.bindings.remove(&(*owner, uri.clone())));
            }
            Change::BindingsGone(owner) => self.bindings.retain(|(of, _), _| of != owner),
            Change::Ledger(entry) => self.book(entry),
            Change::Correction(it) => {
                // The same request id is the same correction.
                if self.corrected.insert((it.id, it.request_id.clone())) {
                    it.entries.iter().for_each(|entry| self.book(entry));
                }
            }
            Change::CdrStart(cdr) => {
                let Cdr { record, customer, vendor, ref cover, agent, .. } = **cdr;
                self.starts.insert(record.id);
                if !self.ends.contains_key(&record.id) {
                    let cover = cover.clone();
                    self.opened
                        .insert(record.id, Opened { record, customer, vendor, cover, agent });
                }
            }
            Change::Covered(id, cover) => {
                if let Some(opened) = self.opened.get_mut(id) {
                    opened.cover = (**cover).clone();
                }
            }
            Change::Standing(standing) => {
                self.standings.insert(standing.subscription, (**standing).clone());
            }
            // No world lasts so long that a day is put away, or writes invoices.
            Change::Invoice(_) | Change::InvoiceStanding(_) | Change::InvoiceGone(_) => {}
            Change::DayArchived(_) | Change::DayPurged(..) => {}
            Change::CdrEnd(cdr) => {
                self.opened.remove(&cdr.record.id);
                self.close(cdr);
            }
            Change::CdrLost(id) => drop(self.opened.remove(id)),
            Change::Heartbeat(at_us) => self.heartbeat_us = *at_us,
            Change::Located(located) => {
                self.located.insert(located.target.clone(), (**located).clone());
            }
            Change::LocatedGone(target) => drop(self.located.remove(target)),
            Change::Registration(row) => {
                self.registrations.insert(row.gateway, (**row).clone());
            }
            Change::RegistrationGone(gateway) => drop(self.registrations.remove(gateway)),
            Change::Suspension(kept) => {
                self.suspensions.insert(kept.number, (**kept).clone());
            }
            Change::SuspensionGone(number) => drop(self.suspensions.remove(number)),
            Change::Habit(kept) => {
                self.habits.insert(kept.account, (**kept).clone());
            }
            Change::HabitGone(account) => drop(self.habits.remove(account)),
            Change::Regular(source, at_us) => drop(self.regulars.insert(*source, *at_us)),
            Change::RegularGone(source) => drop(self.regulars.remove(source)),
            Change::Event(event) => *self.events.entry(event.name).or_default() += 1,
        }
    }

    fn book(&mut self, entry: &LedgerEntry) {
        if let Some(known) = self.ledger.get(&entry.reference) {
            if known.amount != entry.amount {
                let text =
                    format!("{} moved {} and {}", entry.reference, known.amount, entry.amount);
                self.contradictions.push(text);
            }
            return;
        }
        self.ledger.insert(entry.reference.clone(), entry.clone());
    }

    fn close(&mut self, cdr: &Cdr) {
        let id = cdr.record.id;
        let Some(known) = self.ends.get(&id) else {
            self.ends.insert(id, cdr.clone());
            return;
        };
        let fees = |cdr: &Cdr| (cdr.customer_charge.fee, cdr.vendor_charge.fee);
        if fees(known) != fees(cdr) {
            let text = format!(
                "record {} has two ends: {:?} and {:?}",
                id_text(id),
                (known.record.end_reason(), fees(known)),
                (cdr.record.end_reason(), fees(cdr)),
            );
            self.contradictions.push(text);
        }
    }

    /// The sum of an account's entries, in billionths.
    #[must_use]
    pub fn balance(&self, account: u32) -> i64 {
        self.ledger
            .values()
            .filter(|entry| entry.account == account)
            .map(|entry| entry.amount)
            .sum()
    }
}

impl Store for Archive {
    fn load(&mut self) -> Result<Loaded, Error> {
        let accounts: BTreeSet<u32> = self.ledger.values().map(|entry| entry.account).collect();
        let by_hand = self.ledger.values().filter(|entry| entry.kind != EntryKind::Charge);
        let booked = by_hand.filter_map(|entry| {
            let (account, request_id) = Booked::request(&entry.reference)?;
            let money = Money::from_billionths;
            let (amount, balance) = (money(entry.amount), money(entry.balance));
            Some(((account, request_id.to_owned()), Booked { kind: entry.kind, amount, balance }))
        });
        Ok(Loaded {
            entities: self.entities.values().cloned().collect(),
            rates: self.rates.iter().map(|((tariff, _), row)| (*tariff, row.clone())).collect(),
            geo: self.geo.iter().map(|(id, set)| (*id, (**set).clone())).collect(),
            imports: self.imports.iter().map(|(id, entries)| (*id, entries.clone())).collect(),
            parameters: self
                .parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            balances: accounts
                .into_iter()
                .map(|account| (account, self.balance(account)))
                .collect(),
            // No account of the worlds has a limit by the day.
            spent: Vec::new(),
            booked: booked.collect(),
            bindings: self
                .bindings
                .iter()
                .map(|((owner, _), binding)| (*owner, binding.clone()))
                .collect(),
            opened: self.opened.values().cloned().collect(),
            invoices: Vec::new(),
            standings: self.standings.values().cloned().collect(),
            heartbeat_us: self.heartbeat_us,
            located: self.located.values().cloned().collect(),
            registrations: self.registrations.values().cloned().collect(),
            suspensions: self.suspensions.values().cloned().collect(),
            habits: self.habits.values().cloned().collect(),
            regulars: self.regulars.iter().map(|(source, at_us)| (*source, *at_us)).collect(),
            ids_used: self.ids_used,
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        changes.iter().for_each(|change| self.apply(change));
        Ok(())
    }

    fn has_end(&mut self, id: [u64; 2]) -> Result<bool, Error> {
        Ok(self.ends.contains_key(&id))
    }

    fn commit_spilled(&mut self, through: Place, changes: &[Change]) -> Result<(), Error> {
        self.spilled = through;
        self.commit(changes)
    }

    fn spilled_through(&mut self) -> Result<Place, Error> {
        Ok(self.spilled)
    }
}
