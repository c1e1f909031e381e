//! Register: who may be reached where, for how long (RFC 3261 §10.3); and who may publish (RFC 3903).
//!
//! A REGISTER comes with the digest that the worker found fresh; what it asks for is done whole or not at
//! all, and answered with all bindings. Nothing is written per REGISTER but its binding, and the answer
//! does not wait for that: a phone that is not there after a crash comes back by itself.

use link::Answer;
use link::Text;
use link::answer::Registered;
use link::ask::{CONTACTS_MAX, Contact, Register, UNSAID};
use link::report::ConnectionLost;
use sip::method::Method;

use super::Office;
use super::caller::Stranger;
use super::digest::{Doubt, Proof, Proven, endpoint_of};
use crate::Time;
use crate::shown::RegistrationFigures;
use crate::state::binding::{Binding, Bounds, Device, Moved, Refused, Request, Wanted};
use crate::store::Change;

/// What became of a REGISTER.
enum Outcome {
    /// Prove who you are.
    Challenge { stale: bool },
    /// It is done.
    Done(u32),
    /// It may hold for so many seconds.
    Published(u32),
    /// Nothing was done: a status, and Min-Expires or Retry-After.
    Refused(u16, u32),
}

impl Office {
    /// Decides about a REGISTER; the answer is waiting when this returns.
    pub(super) fn handle_register(&mut self, time: Time, worker: usize, register: &Register) {
        let mut registered = Registered {
            request: register.request,
            status: 200,
            stale: 0,
            contacts_used: 0,
            seconds: 0,
            contacts: [Contact::default(); CONTACTS_MAX],
        };
        let outcome = match register.publishes {
            0 => self.try_register(time, register),
            _ => self.try_publish(time, register),
        };
        match outcome {
            Outcome::Challenge { stale } => {
                self.figures.challenged += 1;
                registered.status = match register.publishes {
                    0 => self.register_challenge_status(),
                    _ => self.challenge_status(),
                };
                registered.stale = u8::from(stale);
            }
            Outcome::Published(seconds) => registered.seconds = seconds,
            Outcome::Done(owner) => {
                self.figures.accepted += 1;
                let bindings = self.state.bindings.of(owner, time.wall_us);
                for (place, binding) in registered.contacts.iter_mut().zip(bindings) {
                    *place = contact_of(binding, time);
                    registered.contacts_used += 1;
                }
            }
            Outcome::Refused(status, seconds) => {
                self.figures.refused += 1;
                (registered.status, registered.seconds) = (status, seconds);
            }
        }
        self.answer(worker, Answer::Registered(registered));
    }

    fn try_register(&mut self, time: Time, register: &Register) -> Outcome {
        let source = register.source.socket_address();
        let Some(source) = source.filter(|_| self.state.customers.has_users()) else {
            return Outcome::Refused(self.status_of_strangers(), 0);
        };
        let proof = Proof {
            method: Method::Register,
            source,
            call_id: register.call_id.as_bytes(),
            cseq: register.cseq,
            credentials: &register.credentials,
            endpoint: endpoint_of(&register.credentials, register.user.as_bytes()),
        };
        if !self.state.fences.lets_in(source.ip()) {
            self.note_stranger_outside(time, "REGISTER", source.ip());
            return Outcome::Refused(self.status_of_strangers(), 0);
        }
        match self.prove(time, &proof) {
            Ok(proven) => self.bind(time, proven, register),
            Err(Doubt::Outside(outside)) => {
                self.note_customer_outside(time, "REGISTER", outside, source.ip());
                Outcome::Refused(403, 0)
            }
            Err(Doubt::Unproven { stale }) => Outcome::Challenge { stale },
            Err(Doubt::Failed) => Outcome::Challenge { stale: false },
            Err(Doubt::ShutOut(how)) => Outcome::Refused(how.status(), 0),
        }
    }

    /// Whether someone may publish, and for how long: as long as he might register.
    fn try_publish(&mut self, time: Time, publish: &Register) -> Outcome {
        let Some(source) = publish.source.socket_address() else {
            return Outcome::Refused(self.status_of_strangers(), 0);
        };
        let proof = Proof {
            method: Method::Publish,
            source,
            call_id: publish.call_id.as_bytes(),
            cseq: publish.cseq,
            credentials: &publish.credentials,
            endpoint: endpoint_of(&publish.credentials, b""),
        };
        let customer = match self.who_sends(time, &proof, b"") {
            Ok(customer) => self.state.customers.get(customer),
            Err(Stranger::Policed) => return Outcome::Refused(self.status_of_strangers(), 0),
            Err(Stranger::Fenced) => {
                self.note_stranger_outside(time, "PUBLISH", source.ip());
                return Outcome::Refused(self.status_of_strangers(), 0);
            }
            Err(Stranger::Doubted(Doubt::Outside(outside))) => {
                self.note_customer_outside(time, "PUBLISH", outside, source.ip());
                return Outcome::Refused(403, 0);
            }
            Err(Stranger::Doubted(Doubt::ShutOut(how))) => {
                return Outcome::Refused(how.status(), 0);
            }
            Err(Stranger::Doubted(doubt)) => {
                return Outcome::Challenge { stale: doubt == Doubt::Unproven { stale: true } };
            }
        };
        let Some(customer) = customer.filter(|customer| customer.publishes) else {
            return Outcome::Refused(405, 0);
        };
        let account = self.state.account_of(customer.gateway.account);
        if customer.gateway.locked || account.is_none_or(|account| account.locked) {
            return Outcome::Refused(403, 0);
        }
        let values = &self.state.values;
        let least_s = values.small("TG_REG_EXPIRES_MIN");
        let asked_s = match publish.expires_s {
            UNSAID => values.small("TG_REG_EXPIRES").max(least_s),
            seconds => seconds,
        };
        match asked_s {
            // What is published is taken back.
            0 => Outcome::Published(0),
            seconds if seconds < least_s => Outcome::Refused(423, least_s),
            seconds => {
                Outcome::Published(seconds.min(values.small("TG_REG_EXPIRES_MAX").max(least_s)))
            }
        }
    }

    /// Does what someone wants who proved who he is.
    fn bind(&mut self, time: Time, proven: Proven, register: &Register) -> Outcome {
        let values = &self.state.values;
        let Some(customer) = self.state.customers.get(proven.customer()) else {
            return Outcome::Refused(403, 0);
        };
        let owner = customer.gateway.id;
        let account = self.state.account_of(customer.gateway.account);
        let locked = customer.gateway.locked || account.is_none_or(|account| account.locked);
        // Nobody registers for anybody else (§10.3 step 3).
        if locked || register.user.as_bytes() != customer.username.as_bytes() {
            return Outcome::Refused(403, 0);
        }
        let expires_min_s = values.small("TG_REG_EXPIRES_MIN");
        let bounds = Bounds {
            contacts_max: customer.contacts_max,
            bindings_max: values.number("TG_REGISTRATIONS_MAX") as usize,
            expires_min_s,
            expires_max_s: values.small("TG_REG_EXPIRES_MAX").max(expires_min_s),
            light: values.number("SS_SIP_REGISTRATION_LIGHTWEIGHT") == 1,
        };
        let expires_s = values.small("TG_REG_EXPIRES").max(expires_min_s);
        let retry_after_s = values.small("TG_RETRY_AFTER");
        let Some(request) = read(register, expires_s, self.epoch) else {
            return Outcome::Refused(403, 0);
        };
        if request.contacts.is_empty() && !request.all_gone {
            return Outcome::Done(owner);
        }
        if self.is_behind() {
            return Outcome::Refused(503, retry_after_s);
        }
        match self.state.bindings.register(owner, time.wall_us, &bounds, &request) {
            Ok(moved) => {
                for moved in moved {
                    self.change(match moved {
                        Moved::Bound(binding) => Change::Binding(owner, binding),
                        Moved::Gone(uri) => Change::BindingGone(owner, uri),
                    });
                }
                Outcome::Done(owner)
            }
            Err(Refused::Overtaken) => Outcome::Refused(500, 0),
            Err(Refused::TooBrief) => Outcome::Refused(423, expires_min_s),
            Err(Refused::TooMany) => Outcome::Refused(403, 0),
            Err(Refused::Full) => Outcome::Refused(503, retry_after_s),
        }
    }

    /// By which status a REGISTER is asked for a password; the worker adds the header fields.
    fn register_challenge_status(&self) -> u16 {
        if self.state.values.number("SS_AUTHCHALLENGEMODE") == 2 { 407 } else { 401 }
    }

    /// Bindings whose time is over go.
    pub(super) fn expire_bindings(&mut self, time: Time) {
        if self.is_behind() {
            return;
        }
        for (owner, uri) in self.state.bindings.expire(time.wall_us) {
            self.change(Change::BindingGone(owner, uri));
        }
    }

    /// Whoever registered by a connection that is no more is reached by it no longer.
    pub fn handle_connection_lost(&mut self, lost: ConnectionLost) {
        for (owner, binding) in self.state.bindings.lose_connection(self.epoch, lost.connection) {
            self.change(Change::Binding(owner, Box::new(binding)));
        }
    }

    /// Takes back all bindings of an owner; how many there were.
    pub(super) fn unregister(&mut self, owner: u32) -> usize {
        let gone = self.state.bindings.forget(owner);
        if gone > 0 {
            self.change(Change::BindingsGone(owner));
        }
        gone
    }

    /// How many are registered, and what became of REGISTERs since the start.
    pub(super) fn registrations(&self) -> RegistrationFigures {
        RegistrationFigures { live: self.state.bindings.live(), ..self.figures.clone() }
    }
}

/// What a REGISTER says. `None`: something in it is no text, or makes no sense together.
fn read(register: &Register, expires_default_s: u32, epoch: u64) -> Option<Request> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let used = usize::from(register.contacts_used).min(CONTACTS_MAX);
    let all_gone = register.star == 1;
    if all_gone && (used > 0 || register.expires_s != 0) {
        return None;
    }
    let usual_s = if register.expires_s == UNSAID { expires_default_s } else { register.expires_s };
    let wanted = |contact: &Contact| {
        let expires_s = if contact.expires_s == UNSAID { usual_s } else { contact.expires_s };
        let uri = text(contact.uri.as_bytes()).filter(|uri| !uri.is_empty())?;
        let instance = text(contact.instance.as_bytes())?;
        let device = Device { instance, reg_id: contact.reg_id };
        let device = Some(device).filter(|device| !device.instance.is_empty());
        Some(Wanted { uri, q: contact.q, expires_s, device })
    };
    let contacts: Option<Vec<Wanted>> = register.contacts.iter().take(used).map(wanted).collect();
    let template = Binding {
        uri: String::new(),
        device: None,
        q: 0,
        expires_us: 0,
        stored_until_us: 0,
        path: text(register.path.as_bytes())?,
        source: register.source,
        local: register.local,
        connection: register.connection,
        epoch,
        user_agent: register.user_agent.to_text().into_owned(),
        call_id: text(register.call_id.as_bytes())?,
        cseq: register.cseq,
        since_us: 0,
        refreshed_us: 0,
        generation: 0,
        nat: false,
    };
    Some(Request { contacts: contacts?, all_gone, template })
}

/// A binding as the 200 names it, with what is left of its life.
fn contact_of(binding: &Binding, time: Time) -> Contact {
    let device = binding.device.as_ref();
    let left_s = binding.expires_us.saturating_sub(time.wall_us).div_ceil(1_000_000);
    Contact {
        uri: Text::cut(binding.uri.as_bytes()),
        q: binding.q,
        spare: 0,
        expires_s: u32::try_from(left_s).unwrap_or(UNSAID - 1),
        instance: device.map_or(Text::EMPTY, |it| Text::cut(it.instance.as_bytes())),
        reg_id: device.map_or(0, |it| it.reg_id),
    }
}
