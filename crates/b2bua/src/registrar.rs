//! REGISTER, read for control and answered in its words (RFC 3261 §10.3, RFC 3327 §5.3, RFC 5626 §6).
//!
//! ```text
//!   no nonce of ours, or an old one ──▶ 401, without memory
//!   a fresh one ──▶ transaction, Ask::Register ──Registered──▶ 200, 401, 403, 423 …
//!                                  └──too late──▶ 503
//! ```
//!
//! Whose password fits, which bindings hold and what a sequence number means is control's. Here a
//! message is read whole or refused: a binding with a part cut off is somebody else's.
//!
//! Withstands: floods without a password (challenged and forgotten) and with a nonce (they never take
//! the part of the transactions that calls need), contacts without number, `*` beside others.

use core::time::Duration;

use link::answer::Registered;
use link::ask::{Ask, CONTACTS_MAX, Freshness, Register, RequestKey, UNSAID};
use link::{Endpoint, Text};
use sip::header::contact::{Contact, Q_MAX};
use sip::header::seconds::{EXPIRES_MALFORMED_S, seconds};
use sip::{Message, Method, Name, NameAddr, Scheme};
use zerocopy::FromZeros;

use crate::Instant;
use crate::action::Action;
use crate::challenge::Nonces;
use crate::compose::{Adds, Reply};
use crate::counter::Counter;
use crate::path::Path;
use crate::switch::Switch;
use crate::table::Key;
use crate::transact::{Keep, Which};
use crate::transaction::{Machine, Role, TransactionKey, non_invite_server};
use crate::turned_away::Answered;

/// Of transactions and of kept messages, registrations leave one in so many to calls, and whatever those
/// that are there may need.
const LEFT_TO_CALLS: usize = 4;

/// Why a REGISTER is refused before control is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// 400: To (§10.2) or a contact that is no SIP address, `*` that is not alone or does not remove, a broken Path.
    Malformed,
    /// 403: more contacts than one address of record has.
    TooMany,
    /// 439: it wants a flow, and came by a proxy that keeps none (RFC 5626 §6).
    FlowImpossible,
    /// 404: To names nobody (§10.3 step 5).
    Nobody,
    /// 513: a part of it is longer than we can keep.
    TooLong,
}

impl Unfit {
    fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooMany => 403,
            Self::FlowImpossible => 439,
            Self::Nobody => 404,
            Self::TooLong => 513,
        }
    }
}

impl Switch {
    /// A REGISTER that matches no transaction.
    pub(crate) fn register(&mut self, now: Instant, path: Path, request: &Message<'_>, key: Key) {
        if self.turned_away.answered(now, key) == Some(Answered::Nothing) {
            return self.counters.add(Counter::Silenced);
        }
        if let Some(why) = self.no_time() {
            return self.refuse_overload(path, request, why);
        }
        if !self.admit_request(path, request) {
            return;
        }
        if self.refuse_fenced(now, path, request) {
            return;
        }
        let mut register = Register::new_zeroed();
        register.credentials = self.credentials(now, path.remote.ip(), request);
        let user = request.to().uri().user().unwrap_or_default();
        if self.refuse_shut_out(now, path, request, &register.credentials, user) {
            return;
        }
        let nonces = match Freshness::from(register.credentials.freshness) {
            Freshness::Fresh => None,
            Freshness::Stale => Some(Nonces::Stale),
            Freshness::None | Freshness::Foreign => Some(Nonces::Unseen),
        };
        if let Some(nonces) = nonces {
            let status = self.challenge_status(Method::Register);
            return self.challenge(now, path, request, status, nonces);
        }
        if let Err(unfit) = read(request, &mut register) {
            return self.refuse(path, request, unfit.status(), Counter::RefusedRegister);
        }
        match self.ask_registrar(now, path, request, key, register) {
            Ok(()) => self.counters.add(Counter::RegistersOffered),
            Err(why) => self.refuse_overload(path, request, why),
        }
    }

    /// Opens the transaction that waits for control. The error is the counter of what is full.
    pub(crate) fn ask_registrar(
        &mut self,
        now: Instant,
        path: Path,
        request: &Message<'_>,
        key: Key,
        register: Register,
    ) -> Result<(), Counter> {
        let left = self.transactions_max as usize / LEFT_TO_CALLS;
        if self.transactions.free() <= left.max(self.transactions_reserve()) {
            return Err(Counter::RefusedTransactionsFull);
        }
        let left = self.kept.blocks() / LEFT_TO_CALLS;
        if self.kept.free_blocks() as usize <= left.max(self.blocks_reserve() as usize) {
            return Err(Counter::RefusedKeptFull);
        }
        let server = self.open_server(now, path, request, key, 0, Keep::Request)?;
        if let Some(transaction) = self.transactions.find(server) {
            transaction.role = Role::Register;
        }
        let wait = Duration::from_millis(u64::from(self.parameters.admit_wait_ms));
        self.await_control(server, now + wait);
        self.act(Action::Ask(Ask::Register(Register {
            request: RequestKey { slot: server.slot, generation: server.generation },
            asked_us: now.as_micros() as u64,
            deadline_us: (now + wait).as_micros() as u64,
            source: Endpoint::from(path.remote).by(path.transport),
            local: Endpoint::from(path.local).by(path.transport),
            connection: path.connection,
            ..register
        })));
        Ok(())
    }

    /// What control says to a REGISTER.
    pub(crate) fn handle_registered(&mut self, now: Instant, registered: &Registered) {
        let RequestKey { slot, generation } = registered.request;
        let server = TransactionKey { slot, generation };
        let Some(path) = self.waiting_register(server) else {
            return self.counters.add(Counter::AnswersLate);
        };
        let seconds = Some(registered.seconds).filter(|&seconds| seconds > 0);
        match registered.status {
            0 => {
                self.counters.add(Counter::Silenced);
                self.stay_refused(now, server, Answered::Nothing);
            }
            200 => self.grant(now, server, registered),
            status @ (401 | 407) => {
                let nonces = Nonces::of(registered.stale);
                let challenge = self.make_challenge(now, path.remote.ip(), status, nonces);
                let adds = Adds::Challenge(&challenge);
                self.answer_register(now, server, &Reply { adds, ..Reply::plain(status) });
            }
            423 => {
                let adds = seconds.map_or(Adds::Nothing, Adds::MinExpires);
                self.answer_register(now, server, &Reply { adds, ..Reply::plain(423) });
            }
            status @ 300..=699 => {
                let retry_after = seconds.filter(|_| status == 503);
                self.answer_register(now, server, &Reply { retry_after, ..Reply::plain(status) });
            }
            _ => {
                self.counters.add(Counter::AnswersInvalid);
                self.answer_register(now, server, &Reply::plain(500));
            }
        }
    }

    fn grant(&mut self, now: Instant, server: TransactionKey, registered: &Registered) {
        self.with_kept(server, Which::Request, |switch, request| {
            if request.method() == Method::Publish {
                return switch.published(now, server, request, registered.seconds);
            }
            switch.counters.add(Counter::RegistersGranted);
            let tag = switch.stateless_tag(request);
            let adds = Adds::Bindings(registered);
            let reply = Reply { to_tag: tag.text(), adds, ..Reply::plain(200) };
            switch.answer_to(now, server, request, &reply);
        });
    }

    /// Control did not answer in time.
    pub(crate) fn register_late(&mut self, now: Instant, server: TransactionKey) {
        self.counters.add(Counter::RefusedAdmitLate);
        let retry_after = Some(self.parameters.retry_after_s);
        let reply = Reply { retry_after, ..Reply::plain(503) };
        let mut is_unjudged = false;
        if self.parameters.reply_unauthorized == 0 {
            // Whoever registers has had a nonce of ours; whoever publishes may be anybody.
            self.with_kept(server, Which::Request, |_, request| {
                is_unjudged = request.method() == Method::Publish;
            });
        }
        match self.waiting_register(server) {
            Some(path) if is_unjudged => {
                self.with_kept(server, Which::Request, |switch, request| {
                    switch.discreetly(|switch| switch.reply_stateless(path, request, &reply));
                });
                self.stay_refused(now, server, Answered::Nothing);
            }
            _ => self.answer_register(now, server, &reply),
        }
    }

    /// Where a REGISTER came from that waits for control.
    fn waiting_register(&mut self, server: TransactionKey) -> Option<Path> {
        let transaction = self.transactions.find(server)?;
        let waits = transaction.machine
            == Machine::NonInviteServer(non_invite_server::State::Trying)
            && transaction.role == Role::Register;
        waits.then_some(transaction.path)
    }

    fn answer_register(&mut self, now: Instant, server: TransactionKey, reply: &Reply<'_>) {
        self.with_kept(server, Which::Request, |switch, request| {
            let tag = switch.stateless_tag(request);
            switch.answer_to(now, server, request, &Reply { to_tag: tag.text(), ..*reply });
        });
    }
}

/// What a REGISTER says.
fn read(request: &Message<'_>, register: &mut Register) -> Result<(), Unfit> {
    let of_record = request.to().uri();
    if !matches!(of_record.scheme(), Scheme::Sip | Scheme::Sips) {
        return Err(Unfit::Malformed);
    }
    let user = of_record.user().ok_or(Unfit::Nobody)?;
    // Nobody of ours has so long a name.
    register.user = Text::new(user).ok_or(Unfit::Nobody)?;
    register.call_id = Text::new(request.call_id()).ok_or(Unfit::TooLong)?;
    register.user_agent = Text::cut(request.value(Name::UserAgent).unwrap_or_default());
    register.cseq = request.cseq().number;
    let expires = request.value(Name::Expires);
    register.expires_s = said(expires.map(|value| seconds(value).unwrap_or(EXPIRES_MALFORMED_S)));
    register.path = read_path(request)?;
    read_contacts(request, register)
}

/// Seconds as control is told of them; nobody means the one number that stands for "unsaid".
fn said(seconds: Option<u32>) -> u32 {
    seconds.map_or(UNSAID, |seconds| seconds.min(UNSAID - 1))
}

fn read_contacts(request: &Message<'_>, register: &mut Register) -> Result<(), Unfit> {
    let mut used = 0_u8;
    let (has_flows, mut flows) = (has_flows(request), 0);
    for value in request.list(Name::Contact) {
        let binding = match Contact::parse(value).ok_or(Unfit::Malformed)? {
            Contact::Star => {
                register.star = 1;
                continue;
            }
            Contact::Binding(binding) => binding,
        };
        if !matches!(binding.uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(Unfit::Malformed);
        }
        let place = register.contacts.get_mut(usize::from(used)).ok_or(Unfit::TooMany)?;
        place.uri = Text::new(binding.uri.as_bytes()).ok_or(Unfit::TooLong)?;
        place.q = binding.q.unwrap_or(Q_MAX);
        place.expires_s = said(binding.expires_s);
        // A device whose name we cannot keep is bound as if it had none.
        place.instance =
            binding.instance.and_then(|it| Text::new(it.as_bytes())).unwrap_or_default();
        if has_flows && !place.instance.is_empty() {
            place.reg_id = binding.reg_id.unwrap_or_default();
        }
        if place.reg_id != 0 {
            keeps_flow(request).then_some(()).ok_or(Unfit::FlowImpossible)?;
            let expires_s = binding.expires_s.unwrap_or(register.expires_s);
            flows += u32::from(expires_s != 0);
        }
        used += 1;
    }
    if flows > 1 {
        return Err(Unfit::Malformed);
    }
    register.contacts_used = used;
    // §10.3 step 6: `*` stands alone, and only to remove.
    let is_sound = register.star == 0 || (used == 0 && register.expires_s == 0);
    if is_sound { Ok(()) } else { Err(Unfit::Malformed) }
}
const _: () = assert!(CONTACTS_MAX <= u8::MAX as usize);

/// Whether a phone keeps its flows open itself, so that a contact may be one of them (RFC 5626 §4.2).
pub(crate) fn has_flows(request: &Message<'_>) -> bool {
    let says = |name| request.list(name).any(|tag| tag.eq_ignore_ascii_case(b"outbound"));
    says(Name::Supported) || says(Name::Require)
}

/// Whether the first hop of a phone keeps its flow: we do, and a proxy says so (RFC 5626 §5.1, §6).
fn keeps_flow(request: &Message<'_>) -> bool {
    if request.list(Name::Via).count() == 1 {
        return true;
    }
    let first_hop = request.list(Name::Path).last().and_then(NameAddr::parse);
    first_hop.is_some_and(|hop| hop.uri().is_outbound())
}

/// Path, top first, as the route set that it will be. It is taken of everybody, Supported or not: a
/// phone whose proxy adds it knows nothing of it, and without it cannot be called.
fn read_path<const N: usize>(request: &Message<'_>) -> Result<Text<N>, Unfit> {
    let (mut joined, mut length) = ([0; N], 0);
    for value in request.list(Name::Path) {
        // Its grammar has no address without brackets, and joined with others it would end nowhere.
        NameAddr::parse(value).filter(|_| value.contains(&b'<')).ok_or(Unfit::Malformed)?;
        let comma: &[u8] = if length == 0 { b"" } else { b"," };
        for text in [comma, value] {
            let place = joined.get_mut(length..length + text.len()).ok_or(Unfit::TooLong)?;
            place.copy_from_slice(text);
            length += text.len();
        }
    }
    Text::new(&joined[..length]).ok_or(Unfit::TooLong)
}
