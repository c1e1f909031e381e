//! Who is calling: the mapping gateway of a source address, else whoever proves by a digest who he is,
//! else nobody.
//!
//! ```text
//!  address of a gateway ─┬─ known by it ────────────────────────────────▶ the gateway, or 403 (`fence`)
//!                        ├─ wrong port or tech prefix ──────────────────▶ policed: 403, or silence
//!                        └─ asks for a password too ─┐
//!  any other address ─┬─ somebody has a digest ──────┴─▶ a right one ───▶ gateway or phone
//!                     │                                  from outside ──▶ 403 (`fence`)
//!                     │                                  none, stale ───▶ challenge
//!                     │                                  a wrong one ───▶ challenge, an illegal call
//!                     │                                  too many ──────▶ 403, or silence (`suspend`)
//!                     ├─ no fence lets anybody in from there ───────────▶ policed
//!                     └─ nobody has ────────────────────────────────────▶ policed
//! ```

use std::net::SocketAddr;

use link::Answer;
use link::Text;
use link::answer::{Challenge, Refuse};
use link::ask::{Admit, Freshness, PRIVACY_ID, PRIVACY_USER};
use link::record::EndReason;
use numbers::{Number, NumberFault};
use routing::{MappingGateway, SourceFault};
use sip::method::Method;

use super::Office;
use super::admit::No;
use super::digest::{Doubt, Proof, endpoint_of};
use super::fence::{Bound, Outside};
use super::suspend::ShutOut;
use crate::Time;
use crate::cdr;
use crate::state::customer::{CallerFrom, Customer, INTERNATIONAL};
use crate::state::transforms::Level;

/// Why a call is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// Not asked for anything.
    Policed,
    /// Not asked either: no fence lets anybody in from there.
    Fenced,
    /// Asked, or asked again.
    Doubted(Doubt),
}

/// A call as the customer's rules left it.
pub(super) struct Numbers {
    pub(super) caller: Option<Number>,
    pub(super) callee: Number,
}

/// What is dialled, as far as it is a number: the tech prefix tells gateways apart even in what is none.
fn plain(callee: &[u8]) -> Result<Number, EndReason> {
    Number::normal(callee, &INTERNATIONAL).map_err(|_| EndReason::BadNumber)
}

/// The numbers of a call after the rules of its gateway, and of the levels `behind` it. `own`: the number that it calls by,
/// whatever it says; `caller_max`: how long the caller's may be, 0: as it likes.
pub(super) fn numbers_of(
    customer: &Customer,
    behind: &[&Level],
    own: Option<Number>,
    caller: &[u8],
    callee: &[u8],
    caller_max: usize,
) -> Result<Numbers, EndReason> {
    let gateway: &MappingGateway = &customer.gateway;
    let mut callee = plain(callee)?;
    if !gateway.tech_prefix.is_empty() {
        let rest = callee.as_bytes().strip_prefix(gateway.tech_prefix.as_bytes());
        let rest = rest.ok_or(EndReason::Unauthorised)?;
        callee = plain(rest)?;
    }
    let mut callee = gateway.callee_rules.apply(callee).ok_or(EndReason::BadNumber)?;
    // A caller that is no number ("anonymous" is one, an empty user is none) passes as none.
    let caller = own.map_or_else(|| Number::normal(caller, &INTERNATIONAL), Ok);
    if caller_max > 0 && is_longer(&caller, caller_max) {
        return Err(EndReason::CallerTooLong);
    }
    let caller = caller.ok();
    let mut caller = caller.and_then(|caller| gateway.caller_rules.apply(caller));
    for level in behind {
        callee = level.callee.apply(callee).ok_or(EndReason::BadNumber)?;
        caller = caller.and_then(|caller| level.caller.apply(caller));
    }
    Ok(Numbers { caller, callee })
}

/// Whether a caller's number is longer than it may be. A caller who is not shown has none.
fn is_longer(caller: &Result<Number, NumberFault>, max: usize) -> bool {
    match caller {
        Ok(number) => {
            let text = number.as_bytes();
            text.len() > max && !text.eq_ignore_ascii_case(b"anonymous")
        }
        Err(NumberFault::TooLong) => true,
        Err(NumberFault::Empty | NumberFault::BadCharacter) => false,
    }
}

/// The caller as the header says it that this customer is believed in. What we say ourselves of somebody who
/// transfers is believed as it is.
pub(super) fn said_caller<'a>(customer: &Customer, admit: &'a Admit) -> &'a [u8] {
    if admit.transferor != 0 {
        return admit.facts.caller.as_bytes();
    }
    let identities = &admit.identities;
    let said: &Text<62> = match customer.caller_from {
        CallerFrom::From => &Text::EMPTY,
        CallerFrom::Asserted => &identities.asserted,
        CallerFrom::Preferred => &identities.preferred,
        CallerFrom::RemoteParty => &identities.remote_party,
    };
    if said.is_empty() { admit.facts.caller.as_bytes() } else { said.as_bytes() }
}

/// Whether the caller withholds who it is, and may.
pub(super) fn is_withheld(customer: &Customer, admit: &Admit) -> bool {
    let asked = admit.identities.privacy & (PRIVACY_ID | PRIVACY_USER) != 0;
    let anonymous = admit.facts.caller.as_bytes().eq_ignore_ascii_case(b"anonymous");
    customer.heeds_privacy && (asked || anonymous)
}

impl Office {
    /// Whose call it is.
    pub(super) fn who_calls(&mut self, time: Time, admit: &Admit) -> Result<u32, Stranger> {
        // A call of ours for somebody who transfers: a worker knows him by the call that he talked in.
        // A vendor has no account that could pay for it.
        if admit.transferor != 0 {
            let customer = self.state.customers.get(admit.transferor);
            return customer.map(|customer| customer.gateway.id).ok_or(Stranger::Policed);
        }
        let source = admit.facts.source.socket_address().ok_or(Stranger::Policed)?;
        let proof = Proof {
            method: Method::Invite,
            source,
            call_id: admit.facts.call_id.as_bytes(),
            cseq: admit.facts.cseq,
            credentials: &admit.credentials,
            endpoint: endpoint_of(&admit.credentials, b""),
        };
        let who = self.who_sends(time, &proof, admit.facts.callee.as_bytes());
        let is_answer = Freshness::from(admit.credentials.freshness) == Freshness::Fresh;
        let is_judged =
            matches!(who, Ok(_) | Err(Stranger::Doubted(Doubt::Failed | Doubt::Outside(_))));
        if is_answer && is_judged {
            self.note_answer(&admit.facts);
        }
        self.judge_account(time, &proof, who)
    }

    /// Whose request it is, by its source and what it dialled, or by its digest.
    pub(super) fn who_sends(
        &mut self,
        time: Time,
        proof: &Proof<'_>,
        callee: &[u8],
    ) -> Result<u32, Stranger> {
        let source = proof.source;
        let gateway = self.gateway_at(source, callee)?;
        if let Some(gateway) = gateway
            && !gateway.authentication.asks_password()
        {
            let id = gateway.gateway.id;
            return match self.bound_of(id, source.ip()) {
                Some(outside) => Err(Stranger::Doubted(Doubt::Outside(outside))),
                None => Ok(id),
            };
        }
        let gateway = gateway.map(|gateway| gateway.gateway.id);
        if !self.state.fences.lets_in(source.ip()) {
            return Err(Stranger::Fenced);
        }
        if !self.state.customers.has_users() {
            return Err(Stranger::Policed);
        }
        match self.prove(time, proof) {
            // A gateway that asks for both is called from by nobody else.
            Ok(proven) if gateway.is_none_or(|gateway| gateway == proven.customer()) => {
                Ok(proven.customer())
            }
            Ok(_) | Err(Doubt::Failed) => Err(Stranger::Doubted(Doubt::Failed)),
            Err(doubt @ (Doubt::ShutOut(_) | Doubt::Outside(_))) => Err(Stranger::Doubted(doubt)),
            Err(doubt) if self.may_ask(source, doubt) => Err(Stranger::Doubted(doubt)),
            Err(_) => Err(Stranger::Policed),
        }
    }

    /// An account whose calls were invalid too often is not charged from there; never for a gateway that
    /// is known by its address.
    fn judge_account(
        &mut self,
        time: Time,
        proof: &Proof<'_>,
        who: Result<u32, Stranger>,
    ) -> Result<u32, Stranger> {
        let source = proof.source.ip();
        let account = |customer: Option<&Customer>| {
            customer.filter(|it| it.authentication.asks_password()).map(|it| it.gateway.account)
        };
        match who {
            Ok(id) => match account(self.state.customers.get(id)) {
                Some(account) if self.is_locked_out(time, account, source) => {
                    Err(Stranger::Doubted(Doubt::ShutOut(ShutOut::Refused)))
                }
                _ => Ok(id),
            },
            Err(Stranger::Doubted(Doubt::Outside(outside))) => {
                match account(self.state.customers.get(outside.customer)) {
                    Some(account) if self.is_locked_out(time, account, source) => {
                        return Err(Stranger::Doubted(Doubt::ShutOut(ShutOut::Refused)));
                    }
                    Some(account) if outside.bound == Bound::AccessList => {
                        self.note_invalid_call(time, account, source);
                    }
                    _ => {}
                }
                who
            }
            Err(Stranger::Doubted(Doubt::Failed)) => {
                let named = self.state.customers.of_user(proof.endpoint);
                if let Some(account) = account(named) {
                    self.note_invalid_call(time, account, source);
                }
                who
            }
            Err(_) => who,
        }
    }

    /// The mapping gateway that calls from there.
    fn gateway_at(&self, source: SocketAddr, callee: &[u8]) -> Result<Option<&Customer>, Stranger> {
        let dialled = plain(callee);
        let dialled = dialled.as_ref().map_or(callee, Number::as_bytes);
        match self.state.sources.find(source, dialled) {
            Ok(id) => Ok(self.state.customers.get(id)),
            Err(SourceFault::Nobody) => Ok(None),
            Err(SourceFault::WrongPortOrTechPrefix) => Err(Stranger::Policed),
        }
    }

    /// Where strangers get no answer at all, only those are asked who are none: phones that are
    /// registered from there, and whoever has had a nonce of ours.
    fn may_ask(&self, source: SocketAddr, doubt: Doubt) -> bool {
        self.state.values.number("SS_REPLY_UNAUTHORIZED") == 1
            || doubt == Doubt::Unproven { stale: true }
            || self.state.bindings.has_source(source.ip())
    }

    /// Sends nobody's call away, or asks who it is.
    pub(super) fn turn_away(
        &mut self,
        time: Time,
        worker: usize,
        admit: &Admit,
        stranger: Stranger,
    ) {
        // Whoever transfers is a party to a call that was admitted: no stranger, and never left waiting.
        if admit.transferor != 0 {
            let no = No::new(403, EndReason::Unauthorised);
            return self.refuse(worker, admit, admit.transferor, &no);
        }
        if let Stranger::Doubted(Doubt::Outside(outside)) = stranger {
            return self.turn_away_outside(time, worker, admit, outside);
        }
        let (status, stale) = match stranger {
            Stranger::Policed | Stranger::Fenced => (self.status_of_strangers(), false),
            Stranger::Doubted(Doubt::ShutOut(how)) => (how.status(), false),
            Stranger::Doubted(doubt) => {
                (self.challenge_status(), doubt == Doubt::Unproven { stale: true })
            }
        };
        let (call, reason) = (admit.call, EndReason::Unauthorised);
        self.answer(
            worker,
            match stranger {
                Stranger::Policed
                | Stranger::Fenced
                | Stranger::Doubted(Doubt::ShutOut(_) | Doubt::Outside(_)) => {
                    Answer::Refuse(Refuse {
                        call,
                        status,
                        reason: reason as u8,
                        stateless: 1,
                        retry_after_s: 0,
                        announced: 0,
                    })
                }
                Stranger::Doubted(_) => {
                    Answer::Challenge(Challenge { call, status, stale: u8::from(stale), spare: 0 })
                }
            },
        );
        match stranger {
            Stranger::Doubted(Doubt::Unproven { .. }) => self.await_answer(time, admit, status),
            Stranger::Policed
            | Stranger::Fenced
            | Stranger::Doubted(Doubt::Failed | Doubt::ShutOut(_) | Doubt::Outside(_)) => {
                if stranger == Stranger::Fenced
                    && let Some(source) = admit.facts.source.socket_address()
                {
                    self.note_stranger_outside(time, "INVITE", source.ip());
                }
                if self.refused.is_new(&admit.facts) {
                    self.record_illegal(time, cdr::refused(admit, status, reason, 0));
                }
            }
        }
    }

    /// Sends the call of somebody away whom we know, and who may not call from there.
    fn turn_away_outside(&mut self, time: Time, worker: usize, admit: &Admit, outside: Outside) {
        let reason = match outside.bound {
            Bound::Fence => EndReason::Geofence,
            Bound::AccessList => EndReason::AccessList,
        };
        if let Some(source) = admit.facts.source.socket_address() {
            self.note_customer_outside(time, "INVITE", outside, source.ip());
        }
        self.refuse(worker, admit, outside.customer, &No::new(403, reason));
    }

    /// By which status all but a REGISTER is asked for a password; the worker adds the header fields.
    pub(super) fn challenge_status(&self) -> u16 {
        if self.state.values.number("SS_AUTHCHALLENGEMODE") == 1 { 401 } else { 407 }
    }
}
