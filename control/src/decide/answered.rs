//! Answered and Abandon: the start record, and calls that are gone before their answer came.

use link::ask::{Abandon, Admit, Answered};
use link::record::EndReason;
use link::{Ask, CallRecord};

use super::{Office, Waiting};
use crate::Time;
use crate::cdr::{self, BillingMode, Cdr};
use crate::state::entity::Kind;
use crate::store::Change;

impl Office {
    /// One ask of a worker. `record` reads the call's record from the call table, if it has one.
    pub fn handle_ask(
        &mut self,
        time: Time,
        worker: usize,
        ask: &Ask,
        record: impl FnOnce() -> Option<CallRecord>,
    ) {
        match ask {
            Ask::Admit(admit) => self.handle_admit(time, worker, admit),
            Ask::Answered(answered) => self.handle_answered(worker, answered, record()),
            Ask::Abandon(abandon) => self.handle_abandon(time, worker, abandon),
        }
    }

    /// Makes the start durable; Committed follows.
    fn handle_answered(&mut self, worker: usize, answered: &Answered, record: Option<CallRecord>) {
        // Without a record the call is over already; its end record is on its way.
        let Some(record) = record else { return };
        let cdr = self.cdr(record);
        let sequence = self.change(Change::CdrStart(Box::new(cdr)));
        self.wait(sequence, Waiting::Commit(worker, answered.call));
    }

    /// Gives back what an admission holds that nobody waits for any more.
    fn handle_abandon(&mut self, time: Time, worker: usize, abandon: &Abandon) {
        let id = self.live.iter().find_map(|(id, live)| {
            (live.worker == worker && live.key == abandon.call).then_some(*id)
        });
        let Some(live) = id.and_then(|id| self.release(id)) else { return };
        let Some(id) = id else { return };
        // The call never got a slot, so its record is ours; the INVITE's facts are gone with it.
        let admit = Admit {
            call: live.key,
            record: id,
            asked_us: 0,
            deadline_us: 0,
            started_us: time.wall_us,
            facts: link::record::Facts::default(),
        };
        let reason = EndReason::from_number(u8::try_from(abandon.reason).unwrap_or(0));
        let status = u16::try_from(abandon.status).unwrap_or(0);
        let record = CallRecord {
            customer_gateway: live.mapping,
            ..cdr::refused(&admit, status, reason, 0)
        };
        let cdr = self.cdr(record);
        self.change(Change::CdrEnd(Box::new(cdr)));
    }

    pub(super) fn name_of_mapping(&self, id: u32) -> &str {
        self.state.name_of(Kind::Mapping, id)
    }

    /// The row of a record, not rated yet.
    pub(super) fn cdr(&self, record: CallRecord) -> Cdr {
        let vendor_gateway = record.attempts().last().map_or(0, |attempt| attempt.gateway);
        let name = |id| self.state.name_of(Kind::Routing, id);
        let customer =
            self.state.mappings.get(&record.customer_gateway).map_or(0, |gateway| gateway.account);
        Cdr {
            billing_mode: BillingMode::CustomerGateway,
            gateway: self.name_of_mapping(record.customer_gateway).to_owned(),
            vendor_gateway: name(vendor_gateway).to_owned(),
            customer,
            vendor: self.state.routings.get(&vendor_gateway).map_or(0, |gateway| gateway.account),
            attempts: cdr::attempts(&record, name),
            record,
            ..Cdr::default()
        }
    }
}
