//! Ringing calls that another phone picks up: which call a code means, and who may.
//!
//! A phone of a group dials `TG_PICKUP_CODE`, alone for whatever rings longest in its group, or with the
//! number of the phone that rings. The call rings somewhere among the workers; its own worker hears from the
//! dialling phone's call whom it is to be put through to. The one who picks up pays nothing: whoever called
//! does, as if the first phone had answered.

use link::Text;
use link::answer::{Candidate, Pickup};
use link::ask::Admit;
use link::record::EndReason;
use numbers::Number;

use super::admit::No;
use super::callee::Found;
use super::{Live, Office};
use crate::state::customer::{Customer, INTERNATIONAL};

impl Office {
    /// The number that a phone wants to pick up a call of; empty: of any. `None`: it dialled no such code.
    fn wanted<'a>(&self, dialled: &'a str) -> Option<&'a str> {
        let code = self.state.values.text("TG_PICKUP_CODE");
        if code.is_empty() {
            return None;
        }
        match self.state.values.number("TG_PICKUP_POSITION") {
            0 => dialled.strip_prefix(code),
            _ => dialled.strip_suffix(code),
        }
    }

    /// What a phone that dials the code is put through to. `Ok(None)`: it dialled something else.
    ///
    /// # Errors
    /// When nothing rings that it may pick up.
    pub(super) fn pick_up(&self, phone: &Customer, admit: &Admit) -> Result<Option<Found>, No> {
        let dialled = admit.facts.callee.to_text();
        let Some(wanted) = self.wanted(&dialled).filter(|_| phone.ringing.is_some()) else {
            return Ok(None);
        };
        if phone.pickup_group.is_empty() {
            return Err(No::new(403, EndReason::Unauthorised));
        }
        let wanted = match wanted {
            "" => None,
            number => {
                let nobody = No::new(404, EndReason::NoRoute);
                let number = Number::normal(number.as_bytes(), &INTERNATIONAL);
                let found = number.ok().and_then(|number| self.state.customers.of_number(&number));
                let found = found.ok_or(nobody)?;
                if found.pickup_group != phone.pickup_group {
                    return Err(No::new(403, EndReason::Unauthorised));
                }
                Some(found.gateway.id)
            }
        };
        let rings = self.live.values().filter(|live| self.rings_in(live, phone, wanted));
        let longest = rings.min_by_key(|live| live.since);
        let ringing = longest.ok_or(No::new(404, EndReason::NoRoute))?;
        let Some(asked) = &ringing.asked else { return Err(No::new(404, EndReason::NoRoute)) };
        let mut found = Found::default();
        let pickup = Pickup { call: ringing.key, call_id: asked.facts.call_id.as_bytes() };
        let pickup = found.keep(&pickup.to_text()).ok_or(No::new(404, EndReason::NoRoute))?;
        let local = admit.facts.local;
        found.candidates.push(Candidate {
            target: local,
            local,
            pickup,
            caller: Text::cut(admit.facts.caller.as_bytes()),
            callee: Text::cut(admit.facts.callee.as_bytes()),
            ..Candidate::default()
        });
        Ok(Some(found))
    }

    /// Whether a call rings at a phone of the group, or at the one that is wanted, and at no other than
    /// the one who asks.
    fn rings_in(&self, live: &Live, asks: &Customer, wanted: Option<u32>) -> bool {
        let rings_at = self.state.customers.get(live.routing);
        live.asked.is_some()
            && live.routing != asks.gateway.id
            && wanted.is_none_or(|wanted| wanted == live.routing)
            && rings_at.is_some_and(|phone| phone.pickup_group == asks.pickup_group)
    }
}
