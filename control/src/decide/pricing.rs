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
use link::ask::Admit;
use link::record::EndReason;
use numbers::Number;
use rating::Terms;

use super::Office;
use super::admit::{No, asked, diverter};
use super::callee::Found;
use super::credit::Grant;
use crate::Time;
use crate::package::Cover;
use crate::state::customer::Customer;

/// A call that is to be priced.
pub(super) struct Called<'a> {
    pub(super) admit: &'a Admit,
    pub(super) source: SocketAddr,
    pub(super) caller: Option<Number>,
    pub(super) callee: Number,
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
    pub(super) fn find_priced(
        &mut self,
        time: Time,
        customer: &Customer,
        called: &Called<'_>,
    ) -> Result<Priced, No> {
        let &Called { admit, source, caller, callee } = called;
        let gateway = &customer.gateway;
        let account = self.state.account_of(gateway.account);
        let is_forwarded = !diverter(customer, admit).as_bytes().is_empty();
        let forward = account.filter(|_| is_forwarded);
        let forward = forward.map(|account| account.forward_prefix.clone()).unwrap_or_default();
        if account.is_some_and(|account| account.route_prefix_billing) {
            let mut found = self.find(time, customer, source, caller, callee)?;
            let all = self.price_routes(time, customer, called, &forward, &mut found)?;
            return self.grant_routes(time, customer, &callee, found, &all);
        }
        let terms = self.terms(time, customer, called, &forward)?;
        let (granted, cover) = self.admit_credit(time, gateway, &terms, &callee)?;
        let mut found = self.find(time, customer, source, caller, callee)?;
        for candidate in &mut found.candidates {
            set_price(candidate, &terms, &forward);
        }
        Ok(Priced { found, terms: Some(terms), granted, cover })
    }

    /// Prices each route, and leaves out those without a rate. The prices, each once.
    fn price_routes(
        &self,
        time: Time,
        customer: &Customer,
        called: &Called<'_>,
        forward: &str,
        found: &mut Found,
    ) -> Result<Vec<Terms>, No> {
        let mut all = Vec::new();
        let mut no = No::new(503, EndReason::NoRoute);
        found.candidates.retain_mut(|candidate| {
            let prefix = format!("{}{forward}", self.state.billing_prefix(candidate.gateway));
            match self.terms(time, customer, called, &prefix) {
                Ok(terms) => {
                    set_price(candidate, &terms, &prefix);
                    if !all.contains(&terms) {
                        all.push(terms);
                    }
                    true
                }
                Err(why) => {
                    no = why;
                    false
                }
            }
        });
        if all.is_empty() { Err(no) } else { Ok(all) }
    }

    /// How long a call may talk that each of these routes may come to carry, the best first.
    fn grant_routes(
        &mut self,
        time: Time,
        customer: &Customer,
        callee: &Number,
        mut found: Found,
        all: &[Terms],
    ) -> Result<Priced, No> {
        let gateway = &customer.gateway;
        let keep = |found: &mut Found, terms: &[Terms]| {
            let words: Vec<_> = terms.iter().map(Terms::to_words).collect();
            found.candidates.retain(|it| words.contains(&it.customer_terms.words));
        };
        if all.len() > 1
            && let Some((granted, paid)) = self.grant_any(time, gateway, all)
        {
            keep(&mut found, &paid);
            return Ok(Priced { found, granted, ..Priced::default() });
        }
        // One price alone, or nothing but packages may pay: for the best route, then.
        let Some(&first) = all.first() else { return Err(No::new(503, EndReason::NoRoute)) };
        let (granted, cover) = self.admit_credit(time, gateway, &first, callee)?;
        keep(&mut found, &[first]);
        Ok(Priced { found, terms: Some(first), granted, cover })
    }

    /// The customer's price of a call behind a prefix.
    fn terms(
        &self,
        time: Time,
        customer: &Customer,
        called: &Called<'_>,
        prefix: &str,
    ) -> Result<Terms, No> {
        let Called { caller, callee, .. } = called;
        let asked = asked(time, caller.as_ref(), callee);
        let price = self.state.price_behind(customer.gateway.tariff, prefix, &asked);
        let price = price.ok_or(No::new(403, EndReason::NoRate))?;
        if price.locked {
            return Err(No::new(403, EndReason::DestinationLocked));
        }
        // Settled here, not at the end: what was agreed at the INVITE is what the record is charged by.
        let is_free = self.state.values.has_prefix("BILLING_FREE_E164S", callee.as_str());
        Ok(Terms::customer(if is_free { price.free() } else { price }, self.rounding()))
    }
}

/// What the record is to say if this candidate answers.
fn set_price(candidate: &mut Candidate, terms: &Terms, prefix: &str) {
    candidate.customer_terms = link::record::Terms { words: terms.to_words() };
    // Two prefixes of up to seven characters.
    candidate.billing_prefix = Text::cut(prefix.as_bytes());
}
