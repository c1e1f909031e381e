//! Books: each balance moves here and nowhere else, by an entry with two sides and the balance after it.
//!
//! | who books | account | counter-account |
//! |---|---|---|
//! | a customer's call | − fee | revenue |
//! | a vendor's call | − fee | cost |
//! | a call of an agent's customer | + or − what he earns | agents |
//! | payment | + what came from a customer, or went to a vendor | cash, settled |
//! | refund | − what went back to a customer, or came back from a vendor | cash, settled |
//! | correction | ± | correction |
//! | rent, or what calls cost too little (`package.rs`) | − | subscriptions |
//! | correction of a record (`correct.rs`) | ± | revenue, cost |
//!
//! What people book has a request id: the same one books once, however often it comes and whoever was restarted
//! meanwhile.

use rating::{Charge, Money};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Office;
use crate::cdr::{Cdr, id_text};
use crate::journal::{Event, Severity};
use crate::shown::{self, BookedShown, Decimal};
use crate::state::entity;
use crate::store::ledger::{Booked, Counter, EntryKind};
use crate::store::{Change, LedgerEntry};
use crate::{Refusal, Time};

/// Money that somebody books.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Booking {
    /// How much. A negative payment takes one back; a refund is positive; a correction is either.
    #[serde(with = "entity::money")]
    #[schemars(with = "Decimal")]
    amount: Money,
    /// Tells this booking from others of the account: the same one books once.
    request_id: String,
    /// For people; a correction says why.
    #[serde(default)]
    memo: String,
}

/// What an entry says beside its account and amount.
pub(super) struct Said<'s> {
    pub(super) kind: EntryKind,
    pub(super) counter: Counter,
    pub(super) reference: String,
    pub(super) who: &'s str,
    pub(super) memo: String,
}

impl Booking {
    /// What cannot be booked as this.
    fn check(&self, kind: EntryKind) -> Result<(), Refusal> {
        entity::memo("memo", &self.memo)?;
        entity::memo("request_id", &self.request_id)?;
        if self.request_id.is_empty() {
            return Err(Refusal::invalid("request_id: empty; it tells this booking from others"));
        }
        if self.amount == Money::ZERO {
            return Err(Refusal::invalid("amount: 0 moves nothing"));
        }
        match kind {
            EntryKind::Refund if self.amount < Money::ZERO => Err(Refusal::invalid(
                "amount: a refund is positive; book a payment to take a refund back",
            )),
            EntryKind::Correction if self.memo.is_empty() => {
                Err(Refusal::invalid("memo: empty; a correction says what was wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl Office {
    /// A payment, refund or correction, once per request id.
    pub(super) fn book_by_hand(
        &mut self,
        time: Time,
        who: &str,
        kind: EntryKind,
        name: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let account = self.state.account(name)?;
        let (account, is_vendor) = (account.id, account.role == "vendor");
        let booking: Booking = entity::parse(body.clone())?;
        booking.check(kind)?;
        let key = (account, booking.request_id.clone());
        if let Some(booked) = self.state.booked.get(&key) {
            return repeated(&booking, kind, *booked);
        }
        let amount = match kind {
            EntryKind::Refund => self.refundable(account, is_vendor, booking.amount)?,
            _ => booking.amount,
        };
        let said = Said {
            kind,
            counter: match kind {
                EntryKind::Correction => Counter::Correction,
                _ if is_vendor => Counter::Settled,
                _ => Counter::Cash,
            },
            reference: Booked::reference(kind, account, &booking.request_id),
            who,
            memo: booking.memo,
        };
        let balance = self.move_balance(time, account, amount, said);
        let balance = balance.map_err(|fault| Refusal::invalid(fault.to_string()))?;
        self.state.booked.insert(key, Booked { kind, amount, balance });
        self.note_funded(account);
        let detail = format!("{} {amount} by {who}", kind.name());
        self.note(time, "booked", &format!("account {name}"), detail);
        Ok(shown::json(BookedShown { balance: balance.into(), repeated: false }))
    }

    /// How a refund moves the balance. A customer gets back what he paid and did not use: no credit, and
    /// nothing that running calls may need.
    fn refundable(&self, account: u32, is_vendor: bool, refund: Money) -> Result<Money, Refusal> {
        let balance = self.state.balances.get(&account).copied().unwrap_or_default();
        let free = balance.amount.minus(balance.reserved).unwrap_or(Money::ZERO);
        if !is_vendor && refund > free {
            let held = balance.reserved;
            let detail = format!("amount: {free} is there to give back, {held} held for calls");
            return Err(Refusal::new(409, "not enough", detail));
        }
        Money::ZERO.minus(refund).map_err(|fault| Refusal::invalid(fault.to_string()))
    }

    /// Books both sides of a call, by entries whose reference makes a replay the same entry.
    pub(super) fn book_call(&mut self, time: Time, cdr: &Cdr) {
        let id = id_text(cdr.record.id);
        let agent = cdr.agent.map_or(0, |agent| agent.account);
        // His balance grows by what he earns.
        let earned = Money::ZERO.minus(cdr.agent_income).unwrap_or_default();
        let earned = Charge { fee: earned, ..Charge::default() };
        let sides = [
            ("customer", cdr.customer, cdr.customer_charge, EntryKind::Charge, Counter::Revenue),
            ("vendor", cdr.vendor, cdr.vendor_charge, EntryKind::Charge, Counter::Cost),
            ("agent", agent, earned, EntryKind::Income, Counter::Agents),
        ];
        for (side, account, charge, kind, counter) in sides {
            // What is too large to be money was told of where it was charged.
            let fee = charge.total().unwrap_or(charge.fee);
            if fee == Money::ZERO {
                continue;
            }
            if account == 0 {
                let detail = format!(
                    "call {id} cost {fee} and its gateway is gone; book it by hand, then keep \
                     gateways while they carry calls"
                );
                self.alarm(time, "charge_unowned", side.into(), detail);
                continue;
            }
            let said = Said {
                kind,
                counter,
                reference: format!("cdr:{id}:{side}"),
                who: "",
                memo: String::new(),
            };
            // A vendor's balance is what we paid less what we owe: it falls by its charges as well.
            let charged = Money::ZERO.minus(fee);
            let charged = charged.and_then(|charge| self.move_balance(time, account, charge, said));
            if side == "customer" {
                self.note_spent(time, account, fee);
            }
            if charged.is_err() {
                let name = self.state.name_of(entity::Kind::Account, account).to_owned();
                let detail = format!(
                    "call {id} cost {fee}, and no balance can be so large; correct it by hand, see \
                     `tollgate account audit`"
                );
                self.alarm(time, "balance_overflow", name, detail);
            }
        }
    }

    pub(super) fn alarm(
        &mut self,
        time: Time,
        name: &'static str,
        subject: String,
        detail: String,
    ) {
        let (at_us, severity) = (time.wall_us, Severity::Critical);
        self.journal.raise(Event { at_us, name, subject, severity, detail });
    }

    /// The balance after it.
    pub(super) fn move_balance(
        &mut self,
        time: Time,
        account: u32,
        amount: Money,
        said: Said<'_>,
    ) -> Result<Money, rating::MoneyFault> {
        let entry = self.moved(time, account, amount, said)?;
        let balance = Money::from_billionths(entry.balance);
        self.change(Change::Ledger(Box::new(entry)));
        self.watch_balance(time, account);
        Ok(balance)
    }

    /// The entry of a balance that moved. Whoever asks for it stores it, then looks at the balance.
    pub(super) fn moved(
        &mut self,
        time: Time,
        account: u32,
        amount: Money,
        said: Said<'_>,
    ) -> Result<LedgerEntry, rating::MoneyFault> {
        let balance = self.state.balances.entry(account).or_default();
        balance.amount = balance.amount.plus(amount)?;
        let balance = balance.amount;
        let Said { kind, counter, reference, who, memo } = said;
        Ok(LedgerEntry {
            account,
            at_us: time.wall_us,
            kind,
            amount: amount.billionths(),
            balance: balance.billionths(),
            counter,
            reference,
            who: who.to_owned(),
            memo,
        })
    }
}

/// The first answer again; the request id of another booking is none.
fn repeated(booking: &Booking, kind: EntryKind, booked: Booked) -> Result<Value, Refusal> {
    let moved = if booked.kind == EntryKind::Refund {
        Money::ZERO.minus(booked.amount).unwrap_or(booked.amount)
    } else {
        booked.amount
    };
    if (booked.kind, moved) == (kind, booking.amount) {
        return Ok(shown::json(BookedShown { balance: booked.balance.into(), repeated: true }));
    }
    let (request_id, was) = (&booking.request_id, booked.kind.name());
    let detail = format!("request_id: {request_id:?} booked a {was} of {moved}; take another one");
    Err(Refusal::new(409, "request id taken", detail))
}
