//! Keys of our own in a stream that goes on: what came as INFO, or was heard as a tone, towards a far end that
//! reads RFC 4733 events, or hears nothing but tones.
//!
//! ```text
//!   arrives   41 42 43 44 45 46 47 48 49 50 …        43 to 49 are spoken over the key, and go nowhere
//!   leaves    41 42 K  K  K  K  K  K  E  E  E  …     nine for seven: 50 leaves as 52, and so all behind it
//! ```
//!
//! The keys are packets of the stream itself, as a gateway that made it would send them (RFC 4733 §2.1): its
//! SSRC, its clock, the next sequence numbers. What follows is renumbered as long as the pair is open, so such a
//! flow is never settled again, and its shift is in the checkpoint: written when a key begins, with a leap over all
//! that may be sent of it, and when it ends. Where nothing is heard, we begin a stream.
//! An event is sent each 20 ms, its end three times; then 60 ms are left free before the next key.
//!
//! Whoever sends a key as INFO and as an event too is heard once: the event that follows within a second is taken
//! out. An event that meets one of ours waits behind it as one of ours.
//!
//! Withstands: losses, packets out of order across a key, sources that change or begin anew, too many keys.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::net::SocketAddr;

use codec::Start;
use codec::g711::{A_LAW_SILENCE, MU_LAW_SILENCE, to_a_law, to_mu_law};
use wire::rtp::{self, RTP_BYTES, Rtp};

use crate::flow::{NO_EVENTS, Owner};
use crate::inband::frequencies;
use crate::latch::Latch;
use crate::port::Port;
use crate::sound::{SOUND_BYTES, Sound, TONE_BYTES};
use crate::{Instant, Table};

/// Directions with keys of ours at a time, each until its pair closes.
const DIALS_MAX: usize = 1 << 16;
/// Keys that wait for the one before them; who is faster loses some.
pub const KEYS_WAITING_MAX: usize = 16;

const PACKET_TIME: Duration = Duration::from_millis(20);
const PACKET_MS: u32 = 20;
/// How often an end is said (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// Packets of silence behind a tone, and as long is the pause behind an event.
const PAUSE: u32 = 3;
/// So long we wait for a packet of the stream that a key is put into.
const PATIENCE: Duration = Duration::from_millis(60);
/// A key that comes again by another way within this time is the same key.
pub const ECHO: Duration = Duration::from_secs(1);
/// What a peer may say of a key's length, ms.
const LENGTH_MS: core::ops::RangeInclusive<u32> = 40..=5_000;
/// How far behind a packet may be; beyond, its source begins anew.
const LATE_MAX: u16 = 1_000;
/// Below the first packet that is seen there may be late ones.
const BELOW: u16 = 100;
/// More packets than there are in a queue of keys: a process that dies in the middle of them may have sent them all.
const LEAP: u16 =
    (KEYS_WAITING_MAX as u16 + 1) * ((*LENGTH_MS.end() / PACKET_MS) as u16 + ENDS as u16);
/// Each of two tones: −10 dBm0 or so.
const PEAK: f32 = 7_000.0;

/// How a far end is told keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// In no stream.
    #[default]
    None,
    /// As events of this payload type, by a clock of so many ticks a millisecond.
    Events {
        /// The payload type.
        payload_type: u8,
        /// Ticks of a millisecond.
        khz: u8,
    },
    /// As tones in G.711.
    Tones {
        /// In A-law, where nothing is heard that says so; else µ-law.
        is_a_law: bool,
    },
}

/// What is to be done with keys at a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keypad {
    /// How its far end is told ours.
    pub form: Form,
    /// Events that its far end sends are read, and go no further: the other side cannot read them.
    pub keeps: bool,
}

/// A stretch of a stream that left by one shift.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    ssrc: u32,
    /// The highest sequence number that arrived.
    high: u16,
    /// So many below it are of this stretch.
    span: u16,
    /// What leaves less what arrived.
    shift: u16,
}

impl Run {
    fn holds(&self, sequence: u16) -> bool {
        self.high.wrapping_sub(sequence) <= self.span
    }
}

/// A key that waits.
#[derive(Clone, Copy, Debug, Default)]
struct Press {
    key: u8,
    ms: u16,
}

/// A key that is being sent.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    key: u8,
    /// Its time in the stream.
    timestamp: u32,
    /// How long it lasts.
    ms: u32,
    /// Packets that went.
    sent: u32,
    ends: u8,
}

/// One direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dial {
    port: Port,
    owner: Owner,
    form: Form,
    waiting: [Press; KEYS_WAITING_MAX],
    count: u8,
    sounding: Option<Sounding>,
    /// No key begins before: a pause is kept behind the last.
    free_at: Instant,
    /// When there is something to do, if there is.
    due: Instant,
    is_active: bool,
    start: Start,
    run: Option<Run>,
    before: Option<Run>,
    /// Of the first stretch after a restart.
    carried: u16,
    /// A key was put in, or something taken out, since the last packet that went on; the highest that did not.
    gap: Option<u16>,
    /// What left last.
    sequence: u16,
    timestamp: u32,
    at: Instant,
    is_a_law: bool,
    /// Keys that may come again as events, and since when they were sent.
    echoes: [Option<(u8, Instant)>; 4],
    /// Sender and time of the last event that was heard, and of the last that is taken out.
    heard: Option<(u32, u32)>,
    taken: Option<(u32, u32)>,
}

/// All of them.
pub(crate) struct Dials {
    all: Vec<Dial>,
    free: Vec<u16>,
    /// Those that are active, each once, by a time at which it is due or not yet.
    active: BinaryHeap<Reverse<(Instant, u16)>>,
    /// Keys that found no room.
    lost: u32,
}

impl Dials {
    /// For a table of so many pairs.
    pub(crate) fn new(pairs: usize) -> Self {
        let dials = pairs.min(DIALS_MAX);
        Self {
            all: Vec::with_capacity(dials),
            free: Vec::with_capacity(dials),
            active: BinaryHeap::with_capacity(dials),
            lost: 0,
        }
    }

    fn reserve(&mut self, dial: Dial) -> Option<u16> {
        if let Some(place) = self.free.pop() {
            self.all[usize::from(place)] = dial;
            return Some(place);
        }
        let place = u16::try_from(self.all.len()).ok()?;
        (self.all.len() < self.all.capacity()).then(|| self.all.push(dial))?;
        Some(place)
    }

    pub(crate) fn release(&mut self, place: u16) {
        self.rest(place);
        self.free.push(place);
    }

    fn get(&mut self, place: u16) -> Option<&mut Dial> {
        self.all.get_mut(usize::from(place))
    }

    pub(crate) fn shift(&self, place: u16) -> u16 {
        self.all.get(usize::from(place)).map_or(0, Dial::shift_to_keep)
    }

    fn wake(&mut self, place: u16) {
        let Some(dial) = self.all.get_mut(usize::from(place)) else { return };
        dial.is_active = true;
        let due = dial.due;
        self.active.retain(|Reverse((_, other))| *other != place);
        self.active.push(Reverse((due, place)));
    }

    fn due(&self) -> Option<Instant> {
        self.active.peek().map(|Reverse((at, _))| *at)
    }

    /// The next whose time has come.
    fn take_due(&mut self, now: Instant) -> Option<u16> {
        while let Some(mut first) = self.active.peek_mut() {
            let Reverse((at, place)) = *first;
            let due = self.all.get(usize::from(place)).map(|dial| dial.due);
            match due {
                _ if at > now => return None,
                // Since it was put there it has spoken.
                Some(due) if due > at => *first = Reverse((due, place)),
                Some(_) => return Some(place),
                None => drop(PeekMut::pop(first)),
            }
        }
        None
    }

    fn rest(&mut self, place: u16) {
        let Some(dial) = self.all.get_mut(usize::from(place)) else { return };
        if core::mem::replace(&mut dial.is_active, false) {
            self.active.retain(|Reverse((_, other))| *other != place);
        }
    }

    /// A packet that leaves where keys are put in. `false`: it goes nowhere.
    pub(crate) fn pass(&mut self, now: Instant, place: u16, packet: &mut [u8]) -> bool {
        let Some(dial) = self.all.get_mut(usize::from(place)) else { return true };
        let due = dial.due;
        let (goes, overflows) = dial.pass(now, packet);
        let is_earlier = dial.due < due;
        self.lost += u32::from(overflows);
        if is_earlier {
            self.wake(place);
        }
        goes
    }
}

impl Dial {
    fn new(port: Port, owner: Owner, start: Start, carried: u16) -> Self {
        Self {
            port,
            owner,
            form: Form::None,
            waiting: [Press::default(); KEYS_WAITING_MAX],
            count: 0,
            sounding: None,
            free_at: Instant::ZERO,
            due: Instant::ZERO,
            is_active: false,
            start,
            run: None,
            before: None,
            carried,
            gap: None,
            sequence: 0,
            timestamp: 0,
            at: Instant::ZERO,
            is_a_law: false,
            echoes: [None; 4],
            heard: None,
            taken: None,
        }
    }

    fn push(&mut self, key: u8, ms: u32) -> bool {
        let Some(place) = self.waiting.get_mut(usize::from(self.count)) else { return false };
        let ms = ms.clamp(*LENGTH_MS.start(), *LENGTH_MS.end());
        *place = Press { key, ms: ms as u16 };
        self.count += 1;
        true
    }

    fn pop(&mut self) -> Option<Press> {
        self.count = self.count.checked_sub(1)?;
        let first = self.waiting[0];
        self.waiting.rotate_left(1);
        Some(first)
    }

    fn khz(&self) -> u32 {
        match self.form {
            Form::Events { khz, .. } => khz.into(),
            Form::None | Form::Tones { .. } => 8,
        }
    }

    /// By how much the next packet of the stream is renumbered, or of another that takes its place.
    fn shift(&self) -> u16 {
        match (self.run, self.gap) {
            (Some(_), Some(gap)) => self.sequence.wrapping_sub(gap),
            (Some(run), None) => run.shift,
            (None, _) => self.carried,
        }
    }

    /// The same for a process after this one: beyond all that this one may have sent until then.
    fn shift_to_keep(&self) -> u16 {
        let is_pressed = self.sounding.is_some() || self.count > 0;
        self.shift().wrapping_add(if is_pressed { LEAP } else { 0 })
    }

    /// Whether a packet goes on, with its number as it leaves; and whether it is an event that finds no room.
    fn pass(&mut self, now: Instant, packet: &mut [u8]) -> (bool, bool) {
        let Some(rtp) = rtp::parse(packet) else { return (true, false) };
        let Rtp { payload_type, .. } = rtp;
        if matches!(self.form, Form::Events { payload_type: own, .. } if own == payload_type) {
            let (is_taken, overflows) = self.takes_event(now, &rtp, packet);
            if is_taken {
                self.take_out(&rtp);
                return (false, overflows);
            }
        }
        if self.sounding.is_some() {
            self.take_out(&rtp);
            return (false, false);
        }
        let Some(sequence) = self.renumber(&rtp) else { return (false, false) };
        if let Some(place) = packet.get_mut(2..4) {
            place.copy_from_slice(&sequence.to_be_bytes());
        }
        if sequence == self.sequence {
            (self.timestamp, self.at) = (rtp.timestamp, now);
            self.is_a_law = (self.is_a_law || rtp.payload_type == 8) && rtp.payload_type != 0;
        }
        if self.is_active {
            // What it waited for is here.
            self.due = self.due.min(now.max(self.free_at));
        }
        (true, false)
    }

    /// Whether an event that arrives is not to go on as it is.
    fn takes_event(&mut self, now: Instant, rtp: &Rtp, packet: &[u8]) -> (bool, bool) {
        let event = (rtp.ssrc, rtp.timestamp);
        if self.taken == Some(event) {
            return (true, false);
        }
        let is_later = self.heard.filter(|heard| heard.0 == rtp.ssrc).is_none_or(|(_, last)| {
            let ahead = rtp.timestamp.wrapping_sub(last);
            ahead != 0 && ahead < u32::MAX / 2
        });
        let Some(key) = rtp::key(packet).filter(|_| is_later) else { return (false, false) };
        let echo = self.echoes.iter_mut().find(|echo| {
            echo.is_some_and(|(sent, at)| sent == key && now.saturating_sub(at) <= ECHO)
        });
        let is_echo = echo.is_some_and(|echo| echo.take().is_some());
        let waits = !is_echo && (self.sounding.is_some() || self.count > 0);
        self.heard = Some(event);
        if is_echo || waits {
            self.taken = Some(event);
        }
        let overflows = waits && !self.push(key, 100);
        (is_echo || waits, overflows)
    }

    fn take_out(&mut self, rtp: &Rtp) {
        let Some(run) = self.run.filter(|run| run.ssrc == rtp.ssrc) else { return };
        let last = self.gap.unwrap_or(run.high);
        let ahead = rtp.sequence.wrapping_sub(last);
        if ahead < u16::MAX / 2 {
            self.gap = Some(rtp.sequence);
        }
    }

    /// The number under which a packet leaves; `None`: it is too late.
    fn renumber(&mut self, rtp: &Rtp) -> Option<u16> {
        let &Rtp { ssrc, sequence, .. } = rtp;
        let begin = |shift| Run { ssrc, high: sequence, span: BELOW, shift };
        let run = self.run.filter(|run| run.ssrc == ssrc);
        let behind = run.map_or(0, |run| run.high.wrapping_sub(sequence));
        let is_late = behind < u16::MAX / 2;
        let Some(mut run) = run.filter(|run| !is_late || run.holds(sequence) || behind <= LATE_MAX)
        else {
            // Of another source, or of one that begins anew: by the same shift, so that none comes twice.
            let shift = self.shift();
            self.run = Some(begin(shift));
            (self.before, self.gap) = (None, None);
            self.sequence = sequence.wrapping_add(shift);
            return Some(self.sequence);
        };
        if is_late {
            let before = self.before.filter(|before| before.holds(sequence));
            let held = if run.holds(sequence) { Some(run) } else { before };
            return held.map(|run| sequence.wrapping_add(run.shift));
        }
        if let Some(gap) = self.gap {
            let further = sequence.wrapping_sub(gap);
            if further == 0 || further >= u16::MAX / 2 {
                return None;
            }
            self.sequence = self.sequence.wrapping_add(further);
            self.before = Some(run);
            let shift = self.sequence.wrapping_sub(sequence);
            self.run = Some(Run { ssrc, high: sequence, span: further - 1, shift });
            self.gap = None;
            return Some(self.sequence);
        }
        let ahead = sequence.wrapping_sub(run.high);
        run.span = run.span.saturating_add(ahead).min(LATE_MAX);
        run.high = sequence;
        self.run = Some(run);
        self.sequence = sequence.wrapping_add(run.shift);
        Some(self.sequence)
    }

    /// Begins the key that waits first; `None`: none does.
    fn begin(&mut self, now: Instant) -> Option<Sounding> {
        let Press { key, ms } = self.pop()?;
        let since = now.saturating_sub(self.at).max(PACKET_TIME);
        let ticks = (since.as_micros() as u64 * u64::from(self.khz()) / 1_000) as u32;
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.at = now;
        // An event has 16 bits for its length.
        let ms = u32::from(ms).min(u32::from(u16::MAX) / self.khz().max(1));
        Some(Sounding { key, timestamp: self.timestamp, ms, sent: 0, ends: 0 })
    }

    /// Writes the next packet of a key, and says how long it is.
    fn write(&mut self, sounding: &mut Sounding, out: &mut [u8; TONE_BYTES]) -> usize {
        let khz = self.khz();
        let marker = if sounding.sent == 0 { 0x80 } else { 0 };
        let at = sounding.sent * PACKET_MS;
        sounding.sent += 1;
        let ms = (at + PACKET_MS).min(sounding.ms);
        let (payload_type, timestamp, length) = match self.form {
            Form::Events { payload_type, .. } => {
                let is_end = ms >= sounding.ms;
                sounding.ends += u8::from(is_end);
                let event = event_of(sounding.key);
                // 10 dB below full (§2.5.2.3).
                let level = if is_end { 0x80 | 10 } else { 10 };
                let ticks = ((ms * khz).min(u16::MAX.into()) as u16).to_be_bytes();
                out[RTP_BYTES..RTP_BYTES + 4].copy_from_slice(&[event, level, ticks[0], ticks[1]]);
                (payload_type, sounding.timestamp, RTP_BYTES + 4)
            }
            Form::None | Form::Tones { .. } => {
                let ends = sounding.ms.div_ceil(PACKET_MS);
                if sounding.sent > ends {
                    sounding.ends += 1;
                }
                write_tone(sounding, self.is_a_law, &mut out[RTP_BYTES..]);
                let timestamp = sounding.timestamp.wrapping_add(at * 8);
                (if self.is_a_law { 8 } else { 0 }, timestamp, TONE_BYTES)
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(run) = self.run {
            self.gap.get_or_insert(run.high);
        }
        let ssrc = self.run.map_or(self.start.ssrc, |run| run.ssrc);
        out[..2].copy_from_slice(&[0x80, marker | payload_type & 0x7f]);
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&timestamp.to_be_bytes());
        out[8..RTP_BYTES].copy_from_slice(&ssrc.to_be_bytes());
        length
    }

    /// The stream as far as it is known otherwise; else one of ours.
    fn seed(&mut self, now: Instant, known: Option<(Start, Instant)>) {
        let (from, at) = known.unwrap_or((self.start, now));
        let shift = self.carried;
        self.run = Some(Run { ssrc: from.ssrc, high: from.sequence, span: BELOW, shift });
        self.sequence = from.sequence.wrapping_add(shift);
        (self.timestamp, self.at) = (from.timestamp, at);
    }
}

/// The number of an event (RFC 4733 §3.2).
fn event_of(key: u8) -> u8 {
    match key {
        b'0'..=b'9' => key - b'0',
        b'*' => 10,
        b'#' => 11,
        b'A'..=b'D' => key - b'A' + 12,
        _ => 16,
    }
}

fn is_key(key: u8) -> bool {
    matches!(key, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D' | b'!')
}

/// 20 ms of both tones of a key, or of the silence behind them.
fn write_tone(sounding: &Sounding, is_a_law: bool, out: &mut [u8]) {
    let silence = if is_a_law { A_LAW_SILENCE } else { MU_LAW_SILENCE };
    let first = (sounding.sent - 1) * PACKET_MS * 8;
    let last = sounding.ms * 8;
    let tones = frequencies(sounding.key);
    for (sample, place) in (first..).zip(out) {
        let Some([low, high]) = tones.filter(|_| sample < last) else {
            *place = silence;
            continue;
        };
        let turn = core::f32::consts::TAU * sample as f32 / 8_000.0;
        let level = (((turn * low).sin() + (turn * high).sin()) * PEAK) as i16;
        *place = if is_a_law { to_a_law(level) } else { to_mu_law(level) };
    }
}

impl Table {
    /// What is to be done with keys at an open pair.
    pub fn set_keypad(&mut self, port: Port, keypad: Keypad) {
        if let Some(flow) = self.open_flow(port.rtp()) {
            flow.keypad = keypad;
        }
    }

    /// Lets a payload type pass that arrives at a pair, besides those that may.
    pub fn allow(&mut self, port: Port, payload_type: u8) {
        let port = port.rtp();
        let flow = self.open_flow(port).filter(|flow| !flow.payload_types.allows(payload_type));
        if let Some(flow) = flow {
            flow.payload_types = flow.payload_types.with(payload_type);
            self.change_one(port);
        }
    }

    /// What is done with keys at a pair.
    #[must_use]
    pub fn keypad(&self, port: Port) -> Keypad {
        self.open_at(port.rtp()).map(|flow| flow.keypad).unwrap_or_default()
    }

    /// Tells the far end of a pair a key of so many milliseconds, behind those that it is told now. `start`: where a
    /// stream of ours begins if there is none. `false`: it cannot be told, or too many wait.
    pub fn press(&mut self, now: Instant, port: Port, key: u8, ms: u32, start: Start) -> bool {
        let port = port.rtp();
        let Some(flow) = self.open_at(port) else { return false };
        let (owner, form) = (flow.owner, flow.keypad.form);
        let may = form != Form::None && flow.latch != Latch::Inside && flow.remote.is_some();
        let sounds = !matches!(form, Form::Tones { .. }) || frequencies(key).is_some();
        if !(may && sounds && is_key(key)) {
            return false;
        }
        let Some(place) = self.dial_of(port, owner, start, 0) else { return false };
        let Some(dial) = self.bench.dials.get(place) else { return false };
        dial.form = form;
        if dial.run.is_none() {
            dial.start = start;
        }
        if dial.run.is_none()
            && let Form::Tones { is_a_law } = form
        {
            dial.is_a_law = is_a_law;
        }
        if !dial.push(key, ms) {
            return false;
        }
        if let Some(echo) = dial.echoes.iter_mut().min_by_key(|echo| echo.map(|(_, at)| at)) {
            *echo = Some((key, now));
        }
        if !dial.is_active {
            let wait = if dial.run.is_some() { Duration::ZERO } else { PATIENCE };
            dial.due = dial.free_at.max(now + wait);
        }
        self.bench.dials.wake(place);
        true
    }

    /// The place of a pair's dial, which is its own until it closes.
    fn dial_of(&mut self, port: Port, owner: Owner, start: Start, shift: u16) -> Option<u16> {
        if let Some(place) = self.bench.dial(self.open_at(port)?.work) {
            return Some(place);
        }
        let place = self.bench.dials.reserve(Dial::new(port, owner, start, shift))?;
        if !self.set_dial(port, place) {
            self.bench.dials.release(place);
            return None;
        }
        Some(place)
    }

    /// By how much what leaves by a pair is renumbered.
    #[must_use]
    pub fn shift(&self, port: Port) -> u16 {
        let place = self.open_at(port.rtp()).and_then(|flow| self.bench.dial(flow.work));
        place.map_or(0, |place| self.bench.dials.shift(place))
    }

    /// As it was before a restart.
    pub(crate) fn restore_shift(&mut self, port: Port, shift: u16) {
        let Some(owner) = self.open_at(port).map(|flow| flow.owner).filter(|_| shift != 0) else {
            return;
        };
        let start = Start { ssrc: 0, sequence: 0, timestamp: 0 };
        let _ = self.dial_of(port, owner, start, shift);
    }

    /// When [`Self::poll_dialled`] has something next.
    #[must_use]
    pub fn dial_due(&self) -> Option<Instant> {
        self.bench.dials.due()
    }

    /// Keys that were lost since this was asked last, because too many waited.
    pub fn take_lost_keys(&mut self) -> u32 {
        core::mem::take(&mut self.bench.dials.lost)
    }

    /// The next packet of a key, written into `out`; `None`: nothing is due.
    pub fn poll_dialled(&mut self, now: Instant, out: &mut [u8; SOUND_BYTES]) -> Option<Sound> {
        while let Some(place) = self.bench.dials.take_due(now) {
            let dial = self.bench.dials.get(place)?;
            let (port, owner) = (dial.port, dial.owner);
            let is_started = dial.run.is_some();
            let known = if is_started { None } else { self.stream_towards(now, port) };
            let flow = self.open_at(port).filter(|flow| flow.owner == owner);
            let ends = flow.and_then(|flow| Some((self.own(port)?, flow.remote?)));
            let dial = self.bench.dials.get(place)?;
            if !is_started {
                dial.seed(now, known);
            }
            let Some(mut sounding) = dial.sounding.take().or_else(|| dial.begin(now)) else {
                self.bench.dials.rest(place);
                continue;
            };
            let room = out.first_chunk_mut::<TONE_BYTES>()?;
            let length = dial.write(&mut sounding, room);
            let next = dial.due.max(now.saturating_sub(PACKET_TIME)) + PACKET_TIME;
            let (begins, is_over) = (sounding.sent == 1, sounding.ends >= ENDS);
            let is_event = matches!(dial.form, Form::Events { .. });
            dial.due = if is_over && is_event { next + PACKET_TIME * (PAUSE - 1) } else { next };
            dial.free_at = dial.due;
            dial.sounding = (!is_over).then_some(sounding);
            if begins || is_over {
                self.tell_shift(port);
            }
            let ends: Option<(SocketAddr, SocketAddr)> = ends;
            let bytes = ends.and_then(|_| self.seal_own(port, out, length));
            if let (Some((from, to)), Some(bytes)) = (ends, bytes) {
                return Some(Sound { from, to, bytes });
            }
        }
        None
    }

    /// How far the stream has come that leaves by a pair, where no packet of it was seen since a key came.
    fn stream_towards(&self, now: Instant, port: Port) -> Option<(Start, Instant)> {
        let flow = self.open_at(port)?;
        let source = self.open_at(flow.peer).filter(|source| source.owner == flow.owner)?;
        if let Some(start) = self.bench.transcoded(source.work) {
            return Some((start, self.heard_at(flow.peer).unwrap_or(now)));
        }
        let sums = self.sums_of(flow.peer, source);
        let timestamp = ((sums.last.as_micros() / 125) as u32).wrapping_sub(sums.transit);
        let start = Start { ssrc: sums.ssrc, sequence: sums.highest as u16, timestamp };
        (sums.received > 0).then_some((start, sums.last))
    }
}

impl Keypad {
    /// As three bytes, for a checkpoint.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 3] {
        let (payload_type, rest) = match self.form {
            Form::None => (NO_EVENTS, 0),
            Form::Events { payload_type, khz } => (payload_type, khz),
            Form::Tones { is_a_law } => (NO_EVENTS, 1 + u8::from(is_a_law)),
        };
        [payload_type, rest, self.keeps.into()]
    }

    /// Of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes([payload_type, rest, keeps]: [u8; 3]) -> Self {
        let form = match (payload_type, rest) {
            (NO_EVENTS, 1 | 2) => Form::Tones { is_a_law: rest == 2 },
            (NO_EVENTS, _) => Form::None,
            (payload_type, khz) => Form::Events { payload_type: payload_type & 0x7f, khz },
        };
        Self { form, keeps: keeps != 0 }
    }
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
