//! Calls to phones: which of a phone's contacts ring, and where a call goes instead.
//!
//! The phone's bindings come first: all in one group, or the newest alone. Its offline gateway stands for
//! it while it has none, and when none of them says anything: a phone may be gone without a word. Routing
//! gateways follow only where the phone falls through.

use link::Text;
use link::answer::{Candidate, ROUTE_TEXT_BYTES, Span};
use link::record::{ATTEMPTS_MAX, EndReason};
use numbers::Number;
use rating::Asked;
use routing::{Choice, Known, Query, RouteTable, RoutingGateway, STOP_CODES_DEFAULT, select};

use super::Office;
use super::admit::{No, text};
use super::pricing::Agreed;
use crate::Time;
use crate::state::binding::Binding;
use crate::state::customer::{Customer, Ringing};
use crate::state::entity::Ring;

/// Contacts that are called at once stand in this group.
const AT_ONCE: u32 = 1;

/// What a phone itself says to a call, besides a 6xx, which nobody else is to answer.
const PHONE_SAYS: [u16; 8] = [403, 404, 406, 415, 480, 484, 486, 488];

/// The candidates of a call, and the texts that they point to.
#[derive(Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// Why the best of those that the customer has no price for is none.
    pub(super) unpriced: Option<No>,
    texts: Vec<u8>,
}

impl Found {
    /// The texts as the route has them.
    pub(super) fn texts(&self) -> Text<ROUTE_TEXT_BYTES> {
        Text::cut(&self.texts)
    }

    /// A text that a candidate points to.
    pub(super) fn text(&self, span: Span) -> &[u8] {
        let at = usize::from(span.at);
        self.texts.get(at..at + usize::from(span.length)).unwrap_or_default()
    }

    /// What a route costs; where there is no price, why is kept.
    pub(super) fn agree(&mut self, price: Result<Agreed, No>) -> Option<Agreed> {
        price.map_err(|no| self.unpriced.get_or_insert(no)).ok()
    }

    /// How many more candidates a route has places for.
    pub(super) fn room(&self) -> usize {
        ATTEMPTS_MAX.saturating_sub(self.candidates.len())
    }

    /// `None`: there is no room for it. What is there already, such as the Path of a common proxy, is
    /// there once.
    pub(super) fn keep(&mut self, text: &[u8]) -> Option<Span> {
        let length = u16::try_from(text.len()).ok()?;
        if length == 0 {
            return Some(Span::default());
        }
        let known = self.texts.windows(text.len()).position(|it| it == text);
        let at = match known {
            Some(at) => at,
            None if self.texts.len() + text.len() > ROUTE_TEXT_BYTES => return None,
            None => {
                self.texts.extend_from_slice(text);
                self.texts.len() - text.len()
            }
        };
        Some(Span { at: u16::try_from(at).ok()?, length })
    }
}

impl Office {
    /// The phone that a call to this number rings.
    pub(super) fn phone_of(&self, callee: &Number) -> Option<(&Customer, Ringing)> {
        let phone = self.state.customers.of_number(callee)?;
        Some((phone, phone.ringing?))
    }

    /// Where a phone may be called: the best contact first, of equals the newest.
    pub(super) fn reachable(&self, time: Time, phone: u32) -> Vec<&Binding> {
        let live = self.state.bindings.of(phone, time.wall_us).rev();
        let mut all: Vec<&Binding> = Vec::new();
        for binding in live.filter(|it| it.way().is_some()) {
            // Of the flows of one device the newest is asked, or it rings twice (RFC 5626 §7).
            if !all.iter().any(|it| it.is_beside(binding)) {
                all.push(binding);
            }
        }
        all.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        all
    }

    /// The contacts of a phone that ring.
    ///
    /// # Errors
    /// Why it takes no call.
    pub(super) fn ring(
        &self,
        time: Time,
        (phone, ringing): (&Customer, Ringing),
        caller: Option<Number>,
        callee: Number,
    ) -> Result<Found, No> {
        let gateway = &phone.gateway;
        let owner = self.state.account_of(gateway.account);
        if gateway.locked || owner.is_none_or(|owner| owner.locked) {
            return Err(No::new(403, EndReason::Locked));
        }
        let limiter = self.state.limiters.get(&gateway.id);
        if limiter.is_some_and(|limiter| !limiter.has_line(gateway.limits)) {
            return Err(No::new(486, EndReason::LinesFull));
        }
        let reachable = self.reachable(time, gateway.id);
        let newest = |all: &[&Binding]| all.iter().map(|it| it.generation).max();
        let rings = |binding: &&&Binding| match ringing.ring {
            Ring::All => true,
            Ring::Newest => Some(binding.generation) == newest(&reachable),
        };
        let mut stop_codes = [0; 8];
        match ringing.offline_gateway {
            Some(_) if !ringing.fall_through => stop_codes = PHONE_SAYS,
            _ => stop_codes[..STOP_CODES_DEFAULT.len()].copy_from_slice(&STOP_CODES_DEFAULT),
        }
        let mut found = Found::default();
        for binding in reachable.iter().filter(rings) {
            let Some((target, connection)) = binding.way() else { continue };
            let uri = found.keep(binding.uri.as_bytes());
            let path = found.keep(binding.path.as_bytes());
            // One that has no room is one that does not ring.
            let (Some(uri), Some(path)) = (uri, path) else { continue };
            found.candidates.push(Candidate {
                gateway: gateway.id,
                target,
                local: binding.local,
                connection,
                uri,
                path,
                group: if ringing.ring == Ring::All { AT_ONCE } else { 0 },
                pickup: Span::default(),
                stop_codes,
                caller: text(caller),
                callee: text(Some(callee)),
                terms: link::record::Terms::default(),
                customer_terms: link::record::Terms::default(),
                billing_prefix: Text::default(),
            });
        }
        if found.candidates.is_empty() {
            return Err(No::new(480, EndReason::NoRoute));
        }
        Ok(found)
    }

    /// The gateway that stands for a phone while it is offline, if it takes the call.
    pub(super) fn choose_offline(&self, query: &Query<'_>, ringing: Ringing) -> Vec<Choice> {
        let Some(gateway) = ringing.offline_gateway else { return Vec::new() };
        let every = [String::new()];
        let state = &self.state;
        let table = RouteTable::build([(gateway, &every[..])]);
        let known = Known {
            gateway: |id| state.routings.get(&id),
            limiter: |id| state.limiters.get(&id),
            health: |id| state.health_of(id, self.upstream.health(id)),
            price: |gateway: &RoutingGateway, asked: &Asked<'_>| state.price(gateway.tariff, asked),
        };
        let (choices, _) = select(&table, query, &known, None);
        choices
    }
}
