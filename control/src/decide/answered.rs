//! Every ask to whom it concerns. Answered and Abandon: the start record, and calls that are gone before
//! their answer came.

use link::ask::{Abandon, Answered};
use link::record::{EndReason, NEVER};
use link::{Ask, CallRecord};

use super::{Office, Waiting};
use crate::Time;
use crate::cdr::{self, BillingMode, Cdr, id_text};
use crate::journal::{Event, Severity};
use crate::state::entity::Kind;
use crate::store::Change;

impl Office {
    /// One ask of a worker. `record` reads the call's record from the call table, if it has one. What nobody
    /// waits for any more is not decided: the time for it is others', who still wait.
    pub fn handle_ask(
        &mut self,
        time: Time,
        worker: usize,
        ask: &Ask,
        record: impl FnOnce() -> Option<CallRecord>,
    ) {
        let now_us = time.now.as_micros();
        if ask.deadline_us().is_some_and(|deadline_us| u128::from(deadline_us) <= now_us) {
            self.asks.expired += 1;
            return;
        }
        match ask {
            Ask::Admit(admit) => self.handle_admit(time, worker, admit),
            Ask::Reroute(reroute) => self.handle_reroute(time, worker, reroute),
            Ask::Answered(answered) => self.handle_answered(time, worker, answered, record()),
            Ask::Abandon(abandon) => self.handle_abandon(time, worker, abandon),
            Ask::Register(register) => self.handle_register(time, worker, register),
            Ask::Locate(locate) => self.handle_locate(time, worker, locate),
            Ask::Extend(extend) => self.handle_extend(time, worker, extend, record()),
        }
    }

    /// Makes the start durable; Committed follows.
    fn handle_answered(
        &mut self,
        time: Time,
        worker: usize,
        answered: &Answered,
        record: Option<CallRecord>,
    ) {
        // Without a record the call is over already; its end record is on its way.
        let Some(record) = record else { return };
        if let Some(live) = self.live.get_mut(&record.id) {
            live.asked = None;
        }
        self.hold_answered(time, &record);
        let sequence = self.write_start(record);
        self.wait(sequence, Waiting::Commit(worker, answered.call));
    }

    /// The start of a call, with what packages pay for of it.
    pub(super) fn write_start(&mut self, record: CallRecord) -> u64 {
        let mut cdr = self.cdr(record);
        if let Some(live) = self.live.get(&record.id) {
            cdr.cover = live.cover.clone();
            cdr.agent = live.agent;
        }
        self.change(Change::CdrStart(Box::new(cdr)))
    }

    /// Gives back what an admission holds that nobody waits for any more.
    fn handle_abandon(&mut self, time: Time, worker: usize, abandon: &Abandon) {
        let Some(id) = self.live_at.get(&(worker, abandon.call)).copied() else { return };
        let reason = EndReason::from_number(u8::try_from(abandon.reason).unwrap_or(0));
        let status = u16::try_from(abandon.status).unwrap_or(0);
        // An extension or a session that the caller is to ask for, or not, in another INVITE.
        let comes_again = matches!(status, 420..=422);
        if let Some(live) = self.live.get_mut(&id).filter(|_| comes_again)
            && let (Some(admit), customer) = (live.asked.take(), live.mapping)
        {
            self.release(id);
            return self.await_repeat(time, admit, customer, status);
        }
        self.end_without_slot(time, id, reason, status);
    }

    /// Ends a call that never got a slot, so that its record is ours to write.
    pub(super) fn end_without_slot(
        &mut self,
        time: Time,
        id: [u64; 2],
        reason: EndReason,
        status: u16,
    ) {
        let Some(live) = self.release(id) else { return };
        let Some(admit) = live.asked else {
            // It was answered or found running, so it had a slot, and someone emptied it.
            self.journal.raise(Event {
                at_us: time.wall_us,
                name: "call_lost",
                subject: "call table".into(),
                severity: Severity::Critical,
                detail: format!(
                    "call {} left the call table without a record; its start is all there is",
                    id_text(id)
                ),
            });
            self.change(Change::CdrLost(id));
            return;
        };
        let now_us = u64::try_from(time.now.as_micros()).unwrap_or(u64::MAX);
        let ended_ms = now_us.saturating_sub(admit.asked_us) / 1000;
        let ended_ms = u32::try_from(ended_ms).unwrap_or(NEVER - 1);
        let record = CallRecord {
            customer_gateway: live.mapping,
            ..cdr::refused(&admit, status, reason, ended_ms)
        };
        let cdr = Cdr { billing_mode: BillingMode::None, ..self.cdr(record) };
        self.change(Change::CdrEnd(Box::new(cdr)));
    }

    /// The row of a record, not rated yet.
    pub(super) fn cdr(&self, record: CallRecord) -> Cdr {
        let vendor_gateway = record.attempts().last().map_or(0, |attempt| attempt.gateway);
        let customers = &self.state.customers;
        let name = |id| match customers.get(id) {
            Some(phone) => phone.name.as_str(),
            None => self.state.name_of(Kind::Routing, id),
        };
        let customer = customers.get(record.customer_gateway);
        let billing_mode = match customer {
            Some(customer) if customer.ringing.is_some() => BillingMode::Phone,
            _ => BillingMode::CustomerGateway,
        };
        let payer = customer.map_or(0, |customer| customer.gateway.account);
        let payee = self.state.routings.get(&vendor_gateway).map_or(0, |gateway| gateway.account);
        Cdr {
            billing_mode,
            gateway: customer.map_or("", |customer| &customer.name).to_owned(),
            vendor_gateway: name(vendor_gateway).to_owned(),
            customer: payer,
            vendor: payee,
            account: self.state.name_of(Kind::Account, payer).to_owned(),
            vendor_account: self.state.name_of(Kind::Account, payee).to_owned(),
            attempts: cdr::attempts(&record, name),
            record,
            ..Cdr::default()
        }
    }
}
