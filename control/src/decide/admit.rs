//! Admit: who calls, may they, by which gateways in which order, at what price, for how long.

use link::answer::{
    ANNOUNCED, Candidate, RECORDED_AT, Refuse, Rerouted, Route, Span, WISHES_AT, WITHHELD,
};
use link::ask::{Admit, Forward, Reroute};
use link::profile::Wishes;
use link::record::{ATTEMPTS_MAX, EndReason, RECORDED_WAV};
use link::{Answer, CallRecord, Endpoint, Text};
use numbers::{Barred, Number};
use rating::{Asked, Rounding, Terms};
use routing::{Choice, Health, Known, Limits, MappingGateway, Query, RoutingGateway, select};

use super::callee::Found;
use super::caller::{Numbers, Stranger, is_withheld, numbers_of, said_caller};
use super::pricing::{Called, Priced, Retail};
use super::{Live, Office};
use crate::Time;
use crate::cdr::{self, Cdr};
use crate::state::customer::{Customer, INTERNATIONAL};
use crate::state::entity::Kind;
use crate::store::Change;

/// Places of one vendor that a call tries, so that others are left.
const PLACES_MAX: usize = 3;

/// Why a call is not admitted.
pub(super) struct No {
    status: u16,
    reason: EndReason,
    retry_after_s: u32,
}

impl No {
    pub(super) fn new(status: u16, reason: EndReason) -> Self {
        Self { status, reason, retry_after_s: 0 }
    }

    /// More new calls in a second than agreed.
    pub(super) fn at_pace() -> Self {
        Self { retry_after_s: 1, ..Self::new(503, EndReason::RateLimit) }
    }

    pub(super) fn reason(&self) -> EndReason {
        self.reason
    }
}

impl Office {
    /// Decides about an INVITE; the answer is waiting when this returns.
    pub fn handle_admit(&mut self, time: Time, worker: usize, admit: &Admit) {
        // Strangers first: they hear nothing of our troubles.
        let customer = match self.who_calls(time, admit) {
            Ok(customer) => customer,
            Err(stranger) => return self.turn_away(time, worker, admit, stranger),
        };
        self.note_customer(&admit.facts);
        match self.try_admit(time, worker, admit, customer) {
            Ok(route) => self.answer(worker, Answer::Route(route)),
            // The tech prefix is part of who somebody is.
            Err(No { reason: EndReason::Unauthorised, .. }) => {
                self.turn_away(time, worker, admit, Stranger::Policed);
            }
            Err(no) => self.refuse(worker, admit, customer, &no),
        }
    }

    /// How long a caller's number may be; 0: as it likes.
    pub(super) fn caller_max(&self) -> usize {
        self.state.values.small("SS_CALLERALLOWLENGTH") as usize
    }

    /// The rounding parameters in force.
    pub(super) fn rounding(&self) -> Rounding {
        Rounding {
            hold_time_precision_ms: self.state.values.small("HOLD_TIME_PRECISION"),
            free_time_s: self.state.values.small("FREE_TIME"),
        }
    }

    fn try_admit(
        &mut self,
        time: Time,
        worker: usize,
        admit: &Admit,
        customer: u32,
    ) -> Result<Route, No> {
        let nobody = || No::new(403, EndReason::Unauthorised);
        let source = admit.facts.source.socket_address().ok_or_else(nobody)?;
        let customer = self.state.customers.share(customer).ok_or_else(nobody)?;
        let said = said_caller(&customer, admit);
        let shows_another =
            admit.transferor != 0 && self.state.values.number("TG_TRANSFER_DISPLAY") != 0;
        let own = customer.number.filter(|_| !shows_another);
        let callee = admit.facts.callee.as_bytes();
        let behind = self.state.transforms.behind_gateway(customer.gateway.account);
        let numbers = numbers_of(&customer, &behind, own, said, callee, self.caller_max());
        let Numbers { caller, callee } = numbers.map_err(|reason| match reason {
            EndReason::BadNumber => No::new(484, reason),
            EndReason::CallerTooLong => No::new(403, reason),
            _ => nobody(),
        })?;
        let is_urgent = self.state.values.is_emergency(callee.as_str());
        if (self.draining || self.is_behind()) && !is_urgent {
            let retry_after_s = self.state.values.small("TG_RETRY_AFTER");
            return Err(No { retry_after_s, ..No::new(503, EndReason::Overload) });
        }
        let gateway = &customer.gateway;
        self.check_room(time, gateway)?;
        let picked_up = self.pick_up(&customer, admit)?;
        let is_pickup = picked_up.is_some();
        let Priced { found, terms, granted, cover } = if let Some(found) = picked_up {
            Priced { found, ..Priced::default() }
        } else {
            let diverter = diverter(&customer, admit);
            let called = Called { customer: &customer, source, caller, callee, diverter };
            self.check_screens(&customer, caller.as_ref(), &callee, called.forwarder())?;
            self.check_destination(gateway.account, &callee)?;
            self.check_abuse(time, gateway.account, &callee)?;
            self.find_priced(time, &called)?
        };
        let first = found.candidates.first().ok_or(No::new(503, EndReason::NoRoute))?.gateway;

        self.take_account_pace(time, gateway.account);
        self.state.limiters.entry(gateway.id).or_default().take_pace(time.now, gateway.limits);
        if let Some(gateway) = self.state.routings.get(&first) {
            let limits = gateway.limits;
            self.state.limiters.entry(first).or_default().take_pace(time.now, limits);
        }
        let (account, key) = (gateway.account, admit.call);
        let (mapping, routing) = (gateway.id, first);
        let since = time.now;
        let may_try = found.candidates.iter().map(|candidate| candidate.gateway).collect();
        let agent = (!is_pickup)
            .then(|| self.agent(account, &asked(time, caller.as_ref(), &callee)))
            .flatten();
        let asked = Some(Box::new(*admit));
        let live = Live {
            worker,
            key,
            mapping,
            account,
            routing,
            terms,
            granted,
            cover,
            agent,
            since,
            may_try,
            asked,
        };
        self.take(admit.record, live);

        let mut route = Route {
            call: admit.call,
            customer_gateway: mapping,
            held: granted.reserved.billionths(),
            granted_s: granted.granted_s,
            extend_at_s: granted.extend_at_s,
            grace_s: self.grace_s(account),
            caller_billed: text(caller),
            callee_billed: text(Some(callee)),
            candidates_used: 0,
            switches_max: self.state.values.number("SS_GATEWAY_SWITCH_LIMIT") as u32,
            flags: self.flags(&customer, admit, caller, callee),
            forward: Forward {
                // Who must not be heeded in its wishes withholds nobody else either.
                withheld: admit.identities.forward.withheld & u8::from(customer.heeds_privacy),
                ..admit.identities.forward
            },
            diverter: diverter(&customer, admit),
            candidates: [Candidate::default(); ATTEMPTS_MAX],
            texts: found.texts(),
        };
        for (place, candidate) in route.candidates.iter_mut().zip(found.candidates) {
            *place = candidate;
            route.candidates_used += 1;
        }
        Ok(route)
    }

    /// Whether the customer's gateway lets these numbers pass. Emergency numbers it always does.
    pub(super) fn check_screens(
        &self,
        customer: &Customer,
        caller: Option<&Number>,
        callee: &Number,
        forwarder: Option<&[u8]>,
    ) -> Result<(), No> {
        if self.state.values.is_emergency(callee.as_str()) {
            return Ok(());
        }
        let screens = &customer.gateway.screens;
        let barred = screens.barred(caller.map(Number::as_bytes), callee.as_bytes(), forwarder);
        let reason = match barred {
            None => return Ok(()),
            Some(Barred::Caller) => EndReason::CallerBarred,
            Some(Barred::Callee) => EndReason::CalleeBarred,
            Some(Barred::Forwarder) => EndReason::ForwarderBarred,
        };
        Err(No::new(403, reason))
    }

    /// [`Route::flags`] of a call.
    fn flags(
        &self,
        customer: &Customer,
        admit: &Admit,
        caller: Option<Number>,
        callee: Number,
    ) -> u32 {
        let callee_wishes = self.state.customers.of_number(&callee).map(|phone| phone.wishes);
        let wishes = Wishes::pair(customer.wishes, callee_wishes.unwrap_or_default());
        let withheld = if is_withheld(customer, admit) { WITHHELD } else { 0 };
        let recorded = self.recorded(customer.gateway.account, caller, callee);
        let announced = if self.hears_why(customer) { ANNOUNCED } else { 0 };
        withheld
            | u32::from(recorded) << RECORDED_AT
            | announced
            | u32::from(u16::from_le_bytes(wishes)) << WISHES_AT
    }

    /// How a call is recorded, whichever gateways it has: by its account and its numbers.
    fn recorded(&self, account: u32, caller: Option<Number>, callee: Number) -> u8 {
        let by_account = self.state.account_of(account).map_or(0, |one| one.recording.bits());
        let mut numbers = caller.into_iter().chain([callee]);
        let is_listed =
            |number: Number| self.state.values.has_prefix("TG_RECORDING_NUMBERS", number.as_str());
        by_account | if numbers.any(is_listed) { RECORDED_WAV } else { 0 }
    }

    /// Whether the callers of a customer hear why their calls fail.
    fn hears_why(&self, customer: &Customer) -> bool {
        let account = self.state.account_of(customer.gateway.account);
        customer.hears_why || account.is_some_and(|account| account.announcements)
    }

    /// Whither a call may go: to a phone, where it rings one, and to vendors; and what it costs there.
    pub(super) fn find(
        &mut self,
        time: Time,
        called: &Called<'_>,
        retail: &Retail<'_>,
    ) -> Result<Found, No> {
        let &Called { customer, source, ref caller, ref callee, .. } = called;
        let query = Query {
            now: time.now,
            asked: asked(time, caller.as_ref(), callee),
            forwarder: called.forwarder(),
            account: customer.gateway.account,
            source,
            // A route for which the customer has no price takes no other's place.
            candidates_max: if retail.agreed.is_some() { ATTEMPTS_MAX } else { usize::MAX },
        };
        let Some((phone, ringing)) = self.phone_of(callee) else {
            let mut found = Found::default();
            self.add_routed(&query, &mut found, called, retail);
            return Ok(found);
        };
        let rings = self.ring(time, (phone, ringing), *caller, *callee);
        // Who rings may be gone without a word, and then it is as if he were offline.
        let offline = matches!(&rings, Ok(_) | Err(No { reason: EndReason::NoRoute, .. }));
        let (mut found, no) = match rings {
            Ok(found) => (found, None),
            Err(no) => (Found::default(), Some(no)),
        };
        self.price_phone(&query, &mut found, called, retail);
        if offline {
            let stand_in = self.choose_offline(&query, ringing);
            self.add(&stand_in, &query, &mut found, called, retail);
        }
        if ringing.fall_through {
            self.add_routed(&query, &mut found, called, retail);
        }
        match no {
            Some(no) if found.candidates.is_empty() => Err(no),
            _ => Ok(found),
        }
    }

    /// A vendor failed: its line goes to the next one, if that one takes a call now.
    pub(super) fn handle_reroute(&mut self, time: Time, worker: usize, reroute: &Reroute) {
        let granted = u32::from(self.move_line(time, worker, reroute));
        let Reroute { call, gateway, .. } = *reroute;
        self.answer(worker, Answer::Rerouted(Rerouted { call, gateway, granted }));
    }

    fn move_line(&mut self, time: Time, worker: usize, reroute: &Reroute) -> bool {
        let state = &mut self.state;
        let id = self.live_at.get(&(worker, reroute.call));
        let Some(live) = id.and_then(|id| self.live.get_mut(id)) else { return false };
        let next = reroute.gateway;
        if live.routing == next {
            return true;
        }
        let is_offline = self.upstream.health(next) == Health::Offline;
        let gateway = state.routings.get(&next).filter(|gateway| !gateway.locked && !is_offline);
        let phone = state.customers.get(next).filter(|phone| !phone.gateway.locked);
        let limits: Option<Limits> =
            gateway.map(|it| it.limits).or(phone.map(|phone| phone.gateway.limits));
        let Some(limits) = limits else { return false };
        let limiter = state.limiters.entry(next).or_default();
        if !limiter.has_line(limits) || !limiter.has_pace(time.now, limits) {
            return false;
        }
        limiter.take_pace(time.now, limits);
        limiter.take_line();
        if let Some(left) = state.limiters.get_mut(&live.routing) {
            left.release_line();
        }
        live.routing = next;
        true
    }

    /// Locks, lines and pace on the customer's side.
    fn check_room(&self, time: Time, mapping: &MappingGateway) -> Result<(), No> {
        if mapping.locked {
            return Err(No::new(403, EndReason::Locked));
        }
        self.check_account(time, mapping.account)?;
        let limiter = self.state.limiters.get(&mapping.id);
        if limiter.is_some_and(|limiter| !limiter.has_line(mapping.limits)) {
            return Err(No::new(503, EndReason::LinesFull));
        }
        if limiter.is_some_and(|limiter| !limiter.has_pace(time.now, mapping.limits)) {
            return Err(No::at_pace());
        }
        Ok(())
    }

    /// The vendors that serve a number, in their order, behind what was found already.
    fn add_routed(
        &mut self,
        query: &Query<'_>,
        found: &mut Found,
        called: &Called<'_>,
        retail: &Retail<'_>,
    ) {
        let state = &mut self.state;
        let mut rotation = std::mem::take(&mut state.rotation);
        let known = Known {
            gateway: |id| state.routings.get(&id),
            limiter: |id| state.limiters.get(&id),
            health: |id| state.health_of(id, self.upstream.health(id)),
            price: |gateway: &RoutingGateway, asked: &Asked<'_>| state.price(gateway.tariff, asked),
        };
        let (choices, _) = select(&state.routes, query, &known, Some(&mut rotation));
        state.rotation = rotation;
        self.add(&choices, query, found, called, retail);
    }

    fn add(
        &mut self,
        choices: &[Choice],
        query: &Query<'_>,
        found: &mut Found,
        called: &Called<'_>,
        retail: &Retail<'_>,
    ) {
        for choice in choices {
            if found.candidates.iter().any(|it| it.gateway == choice.gateway) {
                continue;
            }
            let prefix = self.state.billing_prefix(choice.gateway);
            let Some(agreed) = found.agree(self.agreed(query, called, retail, prefix)) else {
                continue;
            };
            // A vendor whose rules leave no number is none.
            let candidate = self.candidate(choice, called.caller, called.callee);
            let Some(candidate) = candidate.map(|it| agreed.of(it)) else { continue };
            let chance = &mut self.chance;
            let places = self.state.places_of_a_call(choice.gateway, |end| chance.below(end));
            let upstream = &self.upstream;
            let fences = &self.state.fences;
            let passes = |place: &Endpoint| {
                place.socket_address().is_some_and(|it| fences.passes(choice.gateway, it.ip()))
            };
            let places = places.into_iter().filter(passes);
            let places = places.filter(|it| upstream.has_online(choice.gateway, *it));
            for target in places.take(PLACES_MAX).take(found.room()) {
                found.candidates.push(Candidate { target, ..candidate });
            }
        }
    }

    /// The candidate; at which of its places is chosen for each call.
    fn candidate(
        &self,
        choice: &Choice,
        caller: Option<Number>,
        callee: Number,
    ) -> Option<Candidate> {
        let gateway = self.state.routings.get(&choice.gateway)?;
        let mut stop_codes = [0; 8];
        for (place, code) in stop_codes.iter_mut().zip(&gateway.stop_codes) {
            *place = *code;
        }
        let terms = choice.price.map(|price| Terms::vendor(price, self.rounding()).to_words());
        Some(Candidate {
            gateway: gateway.id,
            target: Endpoint::NONE,
            local: Endpoint::NONE,
            connection: 0,
            uri: Span::default(),
            path: Span::default(),
            group: 0,
            pickup: Span::default(),
            stop_codes,
            caller: text(caller.and_then(|caller| gateway.caller_rules.apply(caller))),
            callee: text(Some(gateway.callee_rules.apply(callee)?)),
            terms: link::record::Terms { words: terms.unwrap_or_default() },
            customer_terms: link::record::Terms::default(),
            billing_prefix: Text::default(),
        })
    }

    pub(super) fn refuse(&mut self, worker: usize, admit: &Admit, customer: u32, no: &No) {
        let known = self.state.customers.get(customer);
        let heeds = known.is_none_or(|customer| customer.heeds_retry_after);
        let hears_why = known.is_some_and(|customer| self.hears_why(customer));
        self.answer(
            worker,
            Answer::Refuse(Refuse {
                call: admit.call,
                status: no.status,
                reason: no.reason as u8,
                stateless: 0,
                retry_after_s: if heeds { no.retry_after_s } else { 0 },
                announced: if hears_why { customer } else { 0 },
            }),
        );
        if self.refused.is_new(&admit.facts) {
            self.record_refusal(customer, cdr::refused(admit, no.status, no.reason, 0));
        }
    }

    /// The CDR of a customer's call that never got a slot.
    fn record_refusal(&mut self, customer: u32, record: CallRecord) {
        let values = &self.state.values;
        if values.number("SERVER_BILLING_RECORD_ZERO_HOLD_TIME") == 0
            || values.has_prefix("BILLING_NO_CDR_E164S", &record.facts.callee.to_text())
        {
            return;
        }
        if self.is_behind() {
            // What waits for a store that is away has an end; the refusal itself was sent.
            self.refusals_unwritten += 1;
            return;
        }
        let customer = self.state.customers.get(customer);
        let payer = customer.map_or(0, |customer| customer.gateway.account);
        let cdr = Cdr {
            gateway: customer.map_or("", |customer| &customer.name).to_owned(),
            customer: payer,
            account: self.state.name_of(Kind::Account, payer).to_owned(),
            record,
            ..Cdr::default()
        };
        self.change(Change::CdrEnd(Box::new(cdr)));
    }
}

/// What both sides' prices of a call are asked for.
pub(super) fn asked<'n>(time: Time, caller: Option<&'n Number>, callee: &'n Number) -> Asked<'n> {
    // A name is no number, and neither is nothing.
    let is_number = |text: &&[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let caller = caller.map(Number::as_bytes).filter(is_number);
    Asked { callee: callee.as_bytes(), caller, at_us: time.wall_us }
}

/// Who diverted a call, if the customer is believed when it says so.
pub(super) fn diverter(customer: &Customer, admit: &Admit) -> Text<38> {
    let said = admit.identities.diverter.as_bytes();
    let said = Number::normal(said, &INTERNATIONAL).ok().filter(|_| customer.believes_diversion);
    text(said)
}

pub(super) fn text(number: Option<Number>) -> Text<38> {
    // A number has at most 32 characters.
    number.and_then(|number| Text::new(number.as_bytes())).unwrap_or_default()
}
