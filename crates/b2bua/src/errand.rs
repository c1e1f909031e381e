//! Requests of ours outside of any call: OPTIONS to see whether a gateway is there, REGISTER where we
//! are the phone, and two line ends that keep a way through NAT open.
//!
//! Control says when and to whom, and judges what came back; here it is sent, its challenges are
//! answered (`login.rs`), and what became of it is reported exactly once, whatever happens. All
//! REGISTERs of one registration share a Call-ID (RFC 3261 §10.2.4), which names this worker, so that
//! the answers come here.
//!
//! Withstands: errands without end (the table is fixed; one too many is reported as unanswered), a
//! registrar that grants times to strangers' Contacts (only ours counts).

use std::net::SocketAddr;

use link::Report;
use link::order::{Errand, ErrandKind};
use link::report::ErrandDone;
use sip::header::{Contact, retry_after, seconds};
use sip::{Message, Method, Name, Uri, Writer};

use crate::Instant;
use crate::action::Action;
use crate::compose::{CAPABILITIES, HOPS, Line, Party, SDP, Us, push_user, write_content};
use crate::counter::Counter;
use crate::keys::{Shard, Token, mint_call_id};
use crate::limits::own_towards;
use crate::path::Path;
use crate::switch::Switch;
use crate::transact::Which;
use crate::transaction::{Birth, Machine, Role, TransactionKey, non_invite_client};

/// How many errands of one worker may run at once.
const ERRANDS_MAX: u16 = 1_024;

/// What keeps a way through NAT open (RFC 5626 §3.5.1).
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";

/// An errand whose last word is awaited.
#[derive(Clone, Copy)]
struct Running {
    /// What there is to report if nobody answers.
    unanswered: ErrandDone,
    transaction: TransactionKey,
    /// When its last request went out.
    sent: Instant,
    kind: ErrandKind,
    /// Lifetime asked for.
    expires_s: u32,
}

/// What there is to report of an errand that nobody answers.
fn unanswered(errand: &Errand) -> ErrandDone {
    ErrandDone {
        id: errand.id,
        status: 0,
        challenges: 0,
        round_trip_us: 0,
        expires_s: 0,
        retry_after_s: 0,
        cseq: errand.cseq,
        spare: 0,
    }
}

/// Those that run.
pub(crate) struct Errands {
    running: Box<[Option<Running>]>,
    free: Vec<u16>,
}

impl Errands {
    pub(crate) fn new() -> Self {
        Self {
            running: vec![None; usize::from(ERRANDS_MAX)].into_boxed_slice(),
            free: (0..ERRANDS_MAX).rev().collect(),
        }
    }

    /// The one at a place, if it still waits for that transaction.
    fn find(&mut self, place: u16, key: TransactionKey) -> Option<&mut Running> {
        let running = self.running.get_mut(usize::from(place))?.as_mut()?;
        (running.transaction == key).then_some(running)
    }

    fn open(&mut self, running: Running) {
        if let Some(place) = self.free.pop()
            && let Some(slot) = self.running.get_mut(usize::from(place))
        {
            *slot = Some(running);
        }
    }

    fn close(&mut self, place: u16, key: TransactionKey) -> Option<Running> {
        self.find(place, key)?;
        self.free.push(place);
        self.running.get_mut(usize::from(place))?.take()
    }
}

/// Whose house a URI names.
#[derive(Clone, Copy)]
enum Host<'a> {
    Name(&'a [u8]),
    Address(SocketAddr),
}

/// Room for any URI of an errand: a user of three bytes a letter, and a domain.
type UriLine = Line<260>;

fn uri(user: &[u8], host: Host<'_>) -> UriLine {
    use core::fmt::Write;
    let mut line = Line::new();
    line.push(b"sip:");
    if !user.is_empty() {
        push_user(&mut line, user);
        line.push(b"@");
    }
    match host {
        Host::Name(name) => {
            line.push(name);
        }
        Host::Address(address) => {
            // Writing into a line never fails; what does not fit shows in its text.
            let _ = write!(line, "{address}");
        }
    }
    line
}

/// What the request of an errand says.
struct Letter<'a> {
    errand: &'a Errand,
    kind: ErrandKind,
    uri: &'a [u8],
    from: Party<'a>,
    to: &'a [u8],
    /// Where calls for whom we register arrive.
    contact: &'a [u8],
    call_id: &'a [u8],
    branch: Token,
}

impl Letter<'_> {
    fn method(&self) -> Method<'static> {
        match self.kind {
            ErrandKind::Register => Method::Register,
            ErrandKind::Options | ErrandKind::KeepAlive => Method::Options,
        }
    }

    /// `None`: it does not fit, or a text of it would break a line.
    fn write(&self, out: &mut [u8], us: &Us<'_>) -> Option<usize> {
        let mut writer = Writer::new(out);
        let method = self.method();
        writer.request(method, &[self.uri.into()]);
        us.write_via(&mut writer, self.branch);
        writer.header(Name::MaxForwards, &[u16::from(HOPS).into()]);
        self.from.write(&mut writer, Name::From);
        Party { uri: self.to, tag: b"", display: b"" }.write(&mut writer, Name::To);
        writer.header(Name::CallId, &[self.call_id.into()]);
        let cseq = [self.errand.cseq.into(), " ".into(), method.as_bytes().into()];
        writer.header(Name::Cseq, &cseq);
        let contact = ["<".into(), self.contact.into(), us.contact_end().into()];
        writer.header(Name::Contact, &contact);
        match self.kind {
            ErrandKind::Register => {
                writer.header(Name::Expires, &[self.errand.expires_s.into()]);
                CAPABILITIES.write_allow(&mut writer);
            }
            ErrandKind::Options | ErrandKind::KeepAlive => {
                writer.header(Name::Accept, &[SDP.into()]);
            }
        }
        us.write_name(&mut writer, Name::UserAgent);
        write_content(&mut writer, None)
    }
}

/// How long a registrar keeps our Contact (§10.2.4): as it says there, else of all, else as asked.
fn granted(register: &Message<'_>, answer: &Message<'_>, asked_s: u32) -> u32 {
    let ours = register.contact().map(|contact| *contact.uri());
    let port = |uri: &Uri<'_>| uri.port().unwrap_or(5060);
    let is_ours = |uri: &Uri<'_>| {
        ours.is_some_and(|ours| {
            let is_there = uri.host().is_same(&ours.host()) && port(uri) == port(&ours);
            is_there && uri.user() == ours.user()
        })
    };
    let own = answer.list(Name::Contact).find_map(|value| match Contact::parse(value) {
        Some(Contact::Binding(binding)) if is_ours(&binding.uri) => Some(binding.expires_s),
        _ => None,
    });
    let of_all = || answer.value(Name::Expires).and_then(seconds);
    own.flatten().or_else(of_all).unwrap_or(asked_s)
}

impl Switch {
    /// Sends what control asks for, or reports that it could not be sent.
    pub(crate) fn handle_errand(&mut self, now: Instant, errand: &Errand) {
        self.counters.add(Counter::Errands);
        let kind = ErrandKind::from(errand.kind);
        let is_running = match self.errand_path(errand) {
            Some(path) if kind == ErrandKind::KeepAlive => {
                self.keep_alive(path);
                false
            }
            Some(path) => self.run_errand(now, errand, kind, path).is_some(),
            None => false,
        };
        if !is_running {
            self.report_errand(unanswered(errand));
        }
    }

    /// The way to an errand's target. `None`: there is none.
    fn errand_path(&self, errand: &Errand) -> Option<Path> {
        let remote = errand.target.socket_address()?;
        let local = own_towards(&self.setup.locals, errand.local, remote.ip())?;
        let local = self.setup.locals[usize::from(local)].sip();
        let transport = errand.target.transport();
        Some(Path { transport, local, remote, connection: errand.connection })
    }

    /// Two line ends: no transaction, since nobody answers.
    fn keep_alive(&mut self, path: Path) {
        let written = self.outbox.write(path, |out| {
            out.get_mut(..KEEP_ALIVE.len())?.copy_from_slice(KEEP_ALIVE);
            Some(KEEP_ALIVE.len())
        });
        self.count_unsent(written);
    }

    /// Sends OPTIONS or REGISTER. `None`: it could not be sent, which was counted.
    fn run_errand(
        &mut self,
        now: Instant,
        errand: &Errand,
        kind: ErrandKind,
        path: Path,
    ) -> Option<TransactionKey> {
        let Some(&place) = self.errands.free.last() else {
            self.counters.add(Counter::ErrandsFull);
            return None;
        };
        let Some(branch) = self.next_branch() else {
            self.counters.add(Counter::TransactionsFull);
            return None;
        };
        self.write_errand(errand, kind, path, branch)?;
        let birth = Birth {
            role: Role::Errand(place),
            random: branch.random,
            cseq: errand.cseq,
            gateway: errand.gateway,
            ..Birth::of(Machine::NonInviteClient(non_invite_client::State::Trying), path)
        };
        let transaction = self.open_client(now, birth).ok()?;
        let (unanswered, expires_s) = (unanswered(errand), errand.expires_s);
        self.errands.open(Running { unanswered, transaction, sent: now, kind, expires_s });
        Some(transaction)
    }

    fn write_errand(
        &mut self,
        errand: &Errand,
        kind: ErrandKind,
        path: Path,
        branch: Token,
    ) -> Option<()> {
        let local = self.local_of(&path);
        let us = Us {
            local: &self.setup.locals[usize::from(local)],
            transport: path.transport,
            user_agent: self.setup.user_agent.as_bytes(),
        };
        let ours = Host::Address(us.address());
        let domain = |otherwise| match errand.domain.as_bytes() {
            [] => otherwise,
            domain => Host::Name(domain),
        };
        let target = Host::Address(path.remote);
        let user = errand.user.as_bytes();
        let is_register = kind == ErrandKind::Register;
        let home = if is_register { target } else { ours };
        let (from, there) = (uri(user, domain(home)), uri(user, domain(target)));
        let asked = uri(b"", if is_register { domain(target) } else { target });
        let asked = match errand.uri.as_bytes() {
            [] => asked.text()?,
            given => given,
        };
        let is_named = is_register || !errand.domain.is_empty();
        // A provider calls us by the Contact, so it names whom the call is for.
        let called =
            if user.is_empty() { self.profiles.of(errand.gateway).username } else { errand.user };
        let contact = uri(called.as_bytes(), ours);
        // Shards and workers have the same remainder, so the worker's own number is a shard of it.
        let shard = Shard(self.setup.worker);
        let letter = Letter {
            errand,
            kind,
            uri: asked,
            from: Party { uri: from.text()?, tag: &self.random.text(), display: b"" },
            to: if is_named { there.text()? } else { asked },
            contact: contact.text()?,
            call_id: &mint_call_id(shard, errand.call_id, &self.setup.keys).text(),
            branch,
        };
        let is_clean = |text| Uri::parse(text).is_some();
        if ![letter.uri, letter.from.uri, letter.to, letter.contact].into_iter().all(is_clean) {
            self.counters.add(Counter::ErrandsUnfit);
            return None;
        }
        let written = self.outbox.write(path, |out| letter.write(out, &us));
        self.count_unsent(written).then_some(())
    }

    /// The final answer to an errand.
    pub(crate) fn errand_answered(
        &mut self,
        now: Instant,
        place: u16,
        key: TransactionKey,
        answer: &Message<'_>,
    ) {
        let Some(running) = self.errands.close(place, key) else { return };
        let status = answer.status().unwrap_or(0);
        let value = |name, read: fn(&[u8]) -> Option<u32>| answer.value(name).and_then(read);
        let expires_s = match (running.kind, status) {
            // Taken back: whatever the registrar still lists is not ours.
            (ErrandKind::Register, 200..=299) if running.expires_s == 0 => 0,
            (ErrandKind::Register, 200..=299) => {
                let granted = self.with_kept(key, Which::Sent, |_, register| {
                    granted(register, answer, running.expires_s)
                });
                granted.unwrap_or(running.expires_s)
            }
            (ErrandKind::Register, 423) => value(Name::MinExpires, seconds).unwrap_or(0),
            _ => 0,
        };
        let round_trip = now.saturating_sub(running.sent).as_micros();
        self.report_errand(ErrandDone {
            status,
            round_trip_us: u32::try_from(round_trip).unwrap_or(u32::MAX),
            expires_s,
            retry_after_s: value(Name::RetryAfter, retry_after).unwrap_or(0),
            ..running.unanswered
        });
    }

    /// Nobody answered an errand.
    pub(crate) fn errand_unanswered(&mut self, place: u16, key: TransactionKey) {
        if let Some(running) = self.errands.close(place, key) {
            self.report_errand(running.unanswered);
        }
    }

    /// An errand goes on under its next number, after a challenge.
    pub(crate) fn errand_again(
        &mut self,
        now: Instant,
        place: u16,
        old: TransactionKey,
        (new, number): (TransactionKey, u32),
    ) {
        if let Some(running) = self.errands.find(place, old) {
            (running.transaction, running.sent) = (new, now);
            running.unanswered.challenges += 1;
            running.unanswered.cseq = number;
        }
    }

    fn report_errand(&mut self, done: ErrandDone) {
        self.act(Action::Report(Report::Errand(done)));
    }

    /// Errands whose last word is awaited.
    #[must_use]
    pub fn errands_running(&self) -> usize {
        usize::from(ERRANDS_MAX) - self.errands.free.len()
    }
}
