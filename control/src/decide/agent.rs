//! What agents earn: the terms of a call at the agent's tariff, found with the customer's at its INVITE.

use rating::{Asked, Money, Terms};

use super::Office;
use crate::Time;
use crate::agent::Agent;
use crate::cdr::Cdr;
use crate::journal::{Event, Severity};
use crate::state::entity::{Entity, Kind};

/// The alarm of an agent whose tariff lacks a rate.
const UNRATED: &str = "agent_unrated";

impl Office {
    /// Who earns on the calls of an account, if anybody does.
    pub(super) fn agent(&self, account: u32, asked: &Asked<'_>) -> Option<Agent> {
        let customer = self.state.account_of(account).filter(|it| !it.agent.is_empty())?;
        let agent = self.state.account(&customer.agent).ok()?;
        let tariff = self.state.document(Kind::Tariff, &agent.tariff).ok().map(Entity::id);
        let price = tariff.and_then(|tariff| self.state.price(tariff, asked));
        let callee = std::str::from_utf8(asked.callee).unwrap_or_default();
        let is_free = self.state.values.has_prefix("BILLING_FREE_E164S", callee);
        let terms = price.filter(|price| !price.locked).map(|price| {
            Terms::customer(if is_free { price.free() } else { price }, self.rounding())
        });
        Some(Agent { account: agent.id, terms })
    }

    /// The same of a call that nobody here admitted: by its record.
    fn agent_by_record(&self, cdr: &Cdr) -> Option<Agent> {
        let record = &cdr.record;
        let is_number = |text: &&[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let asked = Asked {
            callee: record.callee_billed.as_bytes(),
            caller: Some(record.caller_billed.as_bytes()).filter(is_number),
            at_us: record.started_us,
        };
        self.agent(cdr.customer, &asked)
    }

    /// What a call that has ended brings its agent.
    pub(super) fn earn(&mut self, time: Time, cdr: &mut Cdr, agent: Option<Agent>) {
        if cdr.customer_charge.billed_s == 0 {
            return;
        }
        let Some(agent) = agent.or_else(|| self.agent_by_record(cdr)) else { return };
        let fee = cdr.customer_charge.fee;
        let subject = format!("account {}", self.state.name_of(Kind::Account, agent.account));
        if agent.terms.is_some() {
            self.journal.clear(time.wall_us, UNRATED, &subject);
        } else if fee > Money::ZERO && !self.journal.stands(UNRATED, &subject) {
            let detail = "a call of his customers has no rate in his tariff; he earned nothing";
            self.journal.raise(Event {
                at_us: time.wall_us,
                name: UNRATED,
                subject,
                severity: Severity::Warning,
                detail: detail.into(),
            });
        }
        let earned = agent.earns(fee, cdr.charged_ms(), &cdr.cover.stretches());
        // What is too large to be money was told of where the customer was charged.
        let (charge, income) = earned.unwrap_or((fee, Money::ZERO));
        cdr.agent_account = self.state.name_of(Kind::Account, agent.account).to_owned();
        (cdr.agent, cdr.agent_charge, cdr.agent_income) = (Some(agent), charge, income);
    }
}
