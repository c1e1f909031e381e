//! What a call costs its customer: by its number, and where the account wants it also by the route that it takes
//! (`route_prefix_billing`) and by whether it was forwarded (`forward_prefix`).
//!
//! A prefix stands before the callee when the rate is looked up, that of the route first; a rate that ends within the
//! prefixes says nothing of the call. Where routes differ in price, those that the money does not pay for are not tried,
//! and the call is granted as long as it pays for by whichever of the others. From the answer on it is held for by the
//! price of the route that answered, and packages pay.

use std::net::SocketAddr;

use link::Text;
use link::answer::Candidate;
use link::record::EndReason;
use numbers::Number;
use rating::{Asked, Price, Terms};
use routing::Query;

use super::Office;
use super::admit::{No, asked};
use super::callee::Found;
use super::credit::Grant;
use crate::Time;
use crate::package::Cover;
use crate::state::customer::Customer;

/// A call that is to be priced.
pub(super) struct Called<'a> {
    pub(super) customer: &'a Customer,
    pub(super) source: SocketAddr,
    pub(super) caller: Option<Number>,
    pub(super) callee: Number,
    /// Who forwarded it, as far as the customer is believed; empty: nobody.
    pub(super) diverter: Text<38>,
}

impl Called<'_> {
    /// Who forwarded it.
    pub(super) fn forwarder(&self) -> Option<&[u8]> {
        Some(self.diverter.as_bytes()).filter(|number| !number.is_empty())
    }
}

/// What a call costs wherever it goes.
pub(super) struct Retail<'a> {
    /// None: each route has its price.
    pub(super) agreed: Option<Agreed>,
    /// What stands before the callee since the call was forwarded.
    forward: &'a str,
}

/// The customer's price of a call, and what it was looked up by before the callee.
#[derive(Clone)]
pub(super) struct Agreed {
    terms: Terms,
    prefix: String,
}

impl Agreed {
    /// A candidate that the record is to say this of, if it answers.
    pub(super) fn of(&self, candidate: Candidate) -> Candidate {
        Candidate {
            customer_terms: link::record::Terms { words: self.terms.to_words() },
            // Two prefixes of up to seven characters.
            billing_prefix: Text::cut(self.prefix.as_bytes()),
            ..candidate
        }
    }
}

/// Whither a call may go, at what price, and for how long.
#[derive(Default)]
pub(super) struct Priced {
    pub(super) found: Found,
    /// The price; none: it costs nothing, or the answer tells.
    pub(super) terms: Option<Terms>,
    pub(super) granted: Grant,
    pub(super) cover: Cover,
}

impl Office {
    /// Whither a call may go, and what it costs there.
    pub(super) fn find_priced(&mut self, time: Time, called: &Called<'_>) -> Result<Priced, No> {
        let &Called { customer, ref caller, ref callee, .. } = called;
        let gateway = &customer.gateway;
        let account = self.state.account_of(gateway.account);
        let forward = account.filter(|_| called.forwarder().is_some());
        let forward = forward.map(|account| account.forward_prefix.clone()).unwrap_or_default();
        if account.is_some_and(|account| account.route_prefix_billing) {
            let found = self.find(time, called, &Retail { agreed: None, forward: &forward })?;
            return self.grant_routes(time, customer, callee, found);
        }
        let asked = asked(time, caller.as_ref(), callee);
        let terms = self.terms(gateway.tariff, &forward, &asked)?;
        let (granted, cover) = self.admit_credit(time, gateway, &terms, callee)?;
        let agreed = Some(Agreed { terms, prefix: forward.clone() });
        let found = self.find(time, called, &Retail { agreed, forward: &forward })?;
        Ok(Priced { found, terms: Some(terms), granted, cover })
    }

    /// What a call costs by a route with that prefix of its own.
    pub(super) fn agreed(
        &self,
        query: &Query<'_>,
        called: &Called<'_>,
        retail: &Retail<'_>,
        prefix: &str,
    ) -> Result<Agreed, No> {
        if let Some(agreed) = &retail.agreed {
            return Ok(agreed.clone());
        }
        let prefix = format!("{prefix}{}", retail.forward);
        let terms = self.terms(called.customer.gateway.tariff, &prefix, &query.asked)?;
        Ok(Agreed { terms, prefix })
    }

    /// Prices the contacts of a phone, which is no route and has no prefix.
    pub(super) fn price_phone(
        &self,
        query: &Query<'_>,
        found: &mut Found,
        called: &Called<'_>,
        retail: &Retail<'_>,
    ) {
        if found.candidates.is_empty() {
            return;
        }
        match found.agree(self.agreed(query, called, retail, "")) {
            Some(agreed) => found.candidates.iter_mut().for_each(|it| *it = agreed.of(*it)),
            None => found.candidates.clear(),
        }
    }

    /// How long a call may talk that each of these routes may come to carry, the best first.
    fn grant_routes(
        &mut self,
        time: Time,
        customer: &Customer,
        callee: &Number,
        mut found: Found,
    ) -> Result<Priced, No> {
        let gateway = &customer.gateway;
        let mut all = Vec::new();
        for candidate in &found.candidates {
            let terms = Terms::from_words(&candidate.customer_terms.words);
            all.extend(terms.filter(|terms| !all.contains(terms)));
        }
        let Some(&first) = all.first() else {
            return Err(found.unpriced.take().unwrap_or(No::new(503, EndReason::NoRoute)));
        };
        let keep = |found: &mut Found, terms: &[Terms]| {
            let words: Vec<_> = terms.iter().map(Terms::to_words).collect();
            found.candidates.retain(|it| words.contains(&it.customer_terms.words));
        };
        if all.len() > 1
            && let Some((granted, paid)) = self.grant_any(time, gateway, &all)
        {
            keep(&mut found, &paid);
            return Ok(Priced { found, granted, ..Priced::default() });
        }
        // One price alone, or nothing but packages may pay: for the best route, then.
        let (granted, cover) = self.admit_credit(time, gateway, &first, callee)?;
        keep(&mut found, &[first]);
        Ok(Priced { found, terms: Some(first), granted, cover })
    }

    /// The customer's price of a call behind a prefix, or why the call is refused.
    pub(super) fn retail_price(
        &self,
        tariff: u32,
        prefix: &str,
        asked: &Asked<'_>,
    ) -> Result<Price, EndReason> {
        let price = self.state.price_behind(tariff, prefix, asked).ok_or(EndReason::NoRate)?;
        if price.locked { Err(EndReason::DestinationLocked) } else { Ok(price) }
    }

    fn terms(&self, tariff: u32, prefix: &str, asked: &Asked<'_>) -> Result<Terms, No> {
        let price = self.retail_price(tariff, prefix, asked);
        let price = price.map_err(|reason| No::new(403, reason))?;
        // Settled here, not at the end: what was agreed at the INVITE is what the record is charged by.
        let callee = std::str::from_utf8(asked.callee).unwrap_or_default();
        let is_free = self.state.values.has_prefix("BILLING_FREE_E164S", callee);
        Ok(Terms::customer(if is_free { price.free() } else { price }, self.rounding()))
    }
}
