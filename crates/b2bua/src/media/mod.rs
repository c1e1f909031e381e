//! The media of a call: our ports, the descriptions with our addresses in them, the flows.
//!
//! Stream *i* is the *i*-th media line of the descriptions; each leg has a port pair for it. We
//! relay the first [`STREAMS_MAX`] lines that are RTP or fax in UDP, give any other port 0, which refuses it
//! (RFC 3264 §6), and tell of each what [`told`] says. Ports are taken when a description first needs them: so an offerless INVITE
//! needs no rule of its own.
//!
//! Withstands: descriptions that cannot be read (488), more lines than we relay, media addresses
//! of a private network behind a public one (learned from the packets instead).

mod far;
mod figures;
mod keypad;
mod passage;
mod pools;
mod restart;
pub(crate) mod secured;
mod speech;
mod told;

use core::time::Duration;
use std::net::IpAddr;

use link::profile::{Dtmf, MediaAddress, MediaTerms, Srtp};
use link::record::CallKey;
use relay::{Latch, Opening, Owner, PayloadTypes, Port};
use sip::Sdp;
use sip::sdp::{Change, Codec, Edit, Media, Rewrite};
use zerocopy::IntoBytes;

use crate::Instant;
use crate::dialog::Side;
use crate::keys;
use crate::limits::{Local, MediaLocal};
use crate::ports::{AddressPorts, PortCount};
pub(crate) use far::outside;
use far::{Asking, far_end, rtcp_beside};
pub(crate) use pools::Pools;
use secured::{Lock, Source};
use speech::Spoken;
pub(crate) use told::Word;
use told::{Between, Medium};

/// Streams of one call that we relay.
pub(crate) const STREAMS_MAX: usize = 2;

/// Stands for the describer's own port where media go from end to end.
const END_TO_END: u16 = 1;

/// One leg's side of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LegMedia {
    /// Our RTP port per stream.
    pub(crate) ports: [Port; STREAMS_MAX],
    /// What the leg's last description listed.
    payload_types: [PayloadTypes; STREAMS_MAX],
    /// Whether that description asked for silence.
    pub(crate) held: bool,
    /// Whether its media go from end to end, and not through us.
    pub(crate) bypassed: bool,
    /// What that description said of its keys.
    locks: [Lock; STREAMS_MAX],
    /// How often our keys of each stream were given up.
    pub(crate) rounds: [u8; STREAMS_MAX],
    /// Whether a key of ours of that round was given up: what is offered next is of another.
    given_up: [bool; STREAMS_MAX],
    /// Whether it was asked last, so that what it says next is an answer.
    asked: bool,
    /// What we told the leg last.
    pub(crate) told: Described,
    /// What it said of its speech when it last offered or answered.
    spoken: [Spoken; STREAMS_MAX],
    /// The payload type of telephone events that it was told last, by which it may send them.
    told_events: [Option<u8>; STREAMS_MAX],
    /// What its first stream is spoken in, as was agreed last.
    pub(crate) codec: Codec,
}

/// Which of our descriptions a leg heard last (RFC 3264 §8): the version counts on when it changes,
/// whoever stands behind us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    /// 0: none yet.
    pub(crate) version: u32,
    /// Of what it was made from.
    pub(crate) hash: u32,
}

impl LegMedia {
    pub(crate) const NONE: Self = Self {
        ports: [Port::NONE; STREAMS_MAX],
        payload_types: [PayloadTypes::ANY; STREAMS_MAX],
        held: false,
        bypassed: false,
        locks: [Lock::NONE; STREAMS_MAX],
        rounds: [0; STREAMS_MAX],
        given_up: [false; STREAMS_MAX],
        asked: false,
        told: Described { version: 0, hash: 0 },
        spoken: [Spoken::NONE; STREAMS_MAX],
        told_events: [None; STREAMS_MAX],
        codec: Codec::Other,
    };

    /// How what it says of a stream's keys is read.
    fn word(&self, stream: usize) -> secured::Heard {
        secured::Heard { is_answer: self.asked, in_use: self.locks[stream].suite() }
    }

    /// Keys that were given up are followed by others.
    fn renew_keys(&mut self) {
        for (round, given_up) in self.rounds.iter_mut().zip(&mut self.given_up) {
            *round = round.wrapping_add(u8::from(core::mem::take(given_up)));
        }
    }

    pub(crate) fn open_ports(&self) -> impl Iterator<Item = Port> {
        self.ports.into_iter().filter(|port| !port.is_none())
    }
}

/// Why a description cannot be carried to the other leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaFault {
    /// It cannot be read, or does not fit rewritten.
    Unusable,
    /// No port pair is free on that side.
    PortsFull(Side),
    /// It wants media outside the fence of its leg.
    Fenced,
    /// No codec in it is allowed on both sides.
    NoCodec,
    /// Its keys, or that there are none, are not what its gateway wants.
    Unsecured,
}

/// A call as the media plane sees it.
pub(crate) struct Streams<'a> {
    pub(crate) key: CallKey,
    /// Both legs' media, by [`Side`].
    pub(crate) legs: [&'a mut LegMedia; 2],
    /// Both legs' own addresses, by [`Side`].
    pub(crate) locals: [&'a Local; 2],
    /// Own addresses that carry media beside those.
    pub(crate) media_locals: &'a [MediaLocal],
    /// Whether the far end of a leg is another call of ours, by [`Side`].
    pub(crate) inside: [bool; 2],
    /// Where both legs' far ends signal from, by [`Side`].
    pub(crate) signalling: [IpAddr; 2],
    /// Whether the media are for us to read.
    pub(crate) reads: bool,
    /// Whether what is carried is a description of ours, so that it says no keys of the one it stands for.
    pub(crate) is_ours: bool,
    /// Whether both sides may be heard.
    pub(crate) answered: bool,
    /// Whether the call is recorded.
    pub(crate) tapped: bool,
    /// When the call has talked for as long as was granted; `None`: never.
    pub(crate) ends: Option<Instant>,
    /// Our number of each leg's session, by [`Side`].
    pub(crate) sessions: [u32; 2],
    /// What is random in our tag of each leg, by [`Side`].
    pub(crate) randoms: [u64; 2],
    /// What both legs' gateways want of media, by [`Side`].
    pub(crate) terms: [&'a MediaTerms; 2],
    /// What no peer knows.
    pub(crate) secret: &'a [u8; 16],
}

impl Streams<'_> {
    /// Whether a description of `from` has no codec that the other leg may be told of.
    pub(crate) fn shares_no_codec(&self, from: Side, word: Word, description: &[u8]) -> bool {
        let between = self.between(from);
        let is_told = |sdp: Sdp<'_>| told::told(&sdp, word, between).is_ok();
        !between.is_plain() && Sdp::parse(description).is_ok_and(|sdp| !is_told(sdp))
    }

    /// What a side wants of keys; from inside, media come in clear.
    fn wants_keys(&self, side: Side) -> Srtp {
        match self.inside[side as usize] {
            true => Srtp::Off,
            false => Srtp::from(self.terms[side as usize].srtp),
        }
    }

    /// Whether a description has no keys that its gateway wants, or such as it does not want.
    pub(crate) fn lacks_keys(&self, from: Side, description: &[u8]) -> bool {
        let is_ours = !self.legs[Side::Callee as usize].bypassed;
        is_ours && Sdp::parse(description).is_ok_and(|sdp| !self.has_keys(from, &sdp))
    }

    fn has_keys(&self, from: Side, sdp: &Sdp<'_>) -> bool {
        let (wanted, leg) = (self.wants_keys(from), &self.legs[from as usize]);
        usable(sdp).all(|(stream, media)| secured::is_met(media, wanted, leg.word(stream)))
    }

    fn source(&self, side: Side, stream: usize) -> Source<'_> {
        let (random, secret) = (self.randoms[side as usize], self.secret);
        Source { secret, random, stream, round: self.legs[side as usize].rounds[stream] }
    }

    /// What decides which address of a side is believed.
    pub(crate) fn asking(&self, from: Side) -> Asking<'_> {
        let signalling = self.signalling[from as usize];
        let address = MediaAddress::from(self.terms[from as usize].address);
        Asking { signalling, locals: self.locals, media_locals: self.media_locals, address }
    }

    /// Adds the keys that a leg is told to what else it is told.
    fn tell_keys(&self, to: Side, word: Word, sdp: &Sdp<'_>, told: &mut [Medium; STREAMS_MAX]) {
        for (stream, (medium, media)) in told.iter_mut().zip(sdp.media()).enumerate() {
            let Medium::Told(change) = medium else { continue };
            let (source, lock) = (self.source(to, stream), self.legs[to as usize].locks[stream]);
            match word {
                Word::Offer => secured::offer(media, self.wants_keys(to), lock, source, change),
                Word::Answer => secured::answer(media, lock, source, change),
            }
        }
    }

    /// What whoever hears us alone is told of its keys in one stream of its offer.
    pub(crate) fn keys_told(&self, to: Side, stream: usize, offer: &Sdp<'_>) -> Option<Change> {
        let (leg, mut change) = (&self.legs[to as usize], None);
        let (lock, media) = (leg.locks.get(stream)?, offer.media().get(stream)?);
        secured::answer(media, *lock, self.source(to, stream), &mut change);
        change
    }

    /// What must differ where keys do.
    fn digest_of_keys(&self, to: usize) -> u64 {
        let leg = &self.legs[to];
        let keys = leg.locks.iter().zip(leg.rounds);
        keys.fold(0, |all, (lock, round)| {
            (all ^ lock.digest() ^ u64::from(round) << 56).rotate_left(7)
        })
    }

    fn between(&self, from: Side) -> Between<'_> {
        let [teller, hearer] = [from, from.other()].map(|side| self.terms[side as usize]);
        let offered = self.legs[from.other() as usize].spoken;
        Between { teller, hearer, offered, has_room: true }
    }
}

/// The worker's ports and flows.
pub(crate) struct MediaPlane {
    pools: Pools,
    /// The time of what the worker does now.
    now: Instant,
    pub(crate) table: relay::Table,
    /// Calls that were transcoded, and such as were not because all transcoders were taken.
    made: u64,
    unmade: u64,
}

impl MediaPlane {
    /// Of these ports, which rest so long; so many calls are transcoded at a time.
    pub(crate) fn new(mut pools: Pools, port_rest_s: u32, transcoded_max: u16) -> Self {
        pools.set_rest(port_rest_s);
        let mut table = pools.table();
        table.reserve_transcoders(transcoded_max.saturating_mul(2));
        Self { pools, now: Instant::ZERO, table, made: 0, unmade: 0 }
    }

    /// How many calls more were transcoded since this was asked last, and how many were not for want of room.
    pub(crate) fn take_transcoded(&mut self) -> [u64; 2] {
        [core::mem::take(&mut self.made), core::mem::take(&mut self.unmade)]
    }

    /// It is this late: ports that have rested are free again.
    pub(crate) fn wake(&mut self, now: Instant) {
        self.now = now;
        self.pools.wake(now);
    }

    /// How long ports rest after a call (`TG_MEDIA_PORT_QUARANTINE`), s.
    pub(crate) fn set_port_rest(&mut self, seconds: u32) {
        self.pools.set_rest(seconds);
    }

    /// How often a pair was taken.
    pub(crate) fn ports_taken(&self) -> u64 {
        self.pools.taken()
    }

    /// How many port pairs are what.
    pub(crate) fn port_count(&self) -> PortCount {
        self.pools.count()
    }

    /// The same by own address.
    pub(crate) fn port_counts(&self) -> impl Iterator<Item = AddressPorts> {
        self.pools.counts()
    }

    /// How many port pairs there are.
    pub(crate) fn pairs(&self) -> usize {
        self.pools.pairs() as usize
    }

    /// Whether a new call has a chance.
    pub(crate) fn has_room(&self) -> bool {
        self.pools.count().free >= 2
    }

    /// Writes the description of `from` for the other leg into `out`, taking the ports it needs.
    pub(crate) fn carry(
        &mut self,
        now: Instant,
        streams: &mut Streams<'_>,
        from: Side,
        word: Word,
        description: &[u8],
        out: &mut [u8],
    ) -> Result<usize, MediaFault> {
        let sdp = Sdp::parse(description).map_err(|_| MediaFault::Unusable)?;
        let to = from.other() as usize;
        let mut between = streams.between(from);
        let has_its_own = self.table.transcoding(streams.legs[to].ports[0]).is_some();
        between.has_room = has_its_own || self.table.free_transcoders() >= 2;
        let transcodes = between.transcodes();
        self.unmade += u64::from(transcodes && !between.has_room && word == Word::Offer);
        let mut told = told::told(&sdp, word, between)?;
        let bypassed = streams.settle_passage(&sdp);
        if word == Word::Answer {
            streams.note_codecs(from, &sdp, told[0].payloads());
        }
        if word == Word::Offer {
            // Whoever offers answers nothing, and what it is offered next has keys that were never given up.
            streams.legs[from as usize].asked = false;
            streams.legs[to].renew_keys();
        }
        if !bypassed {
            if !streams.is_ours && !streams.has_keys(from, &sdp) {
                return Err(MediaFault::Unsecured);
            }
            streams.tell_keys(from.other(), word, &sdp, &mut told);
            for (index, _) in told.iter().enumerate().filter(|(_, medium)| medium.is_told()) {
                self.open_stream(now, streams, index)?;
            }
            let events = keypad::told_events(&sdp, word, streams.between(from));
            self.settle_speech(now, streams, from, word, transcodes, &sdp)?;
            streams.legs[to].told_events = events;
        }
        let ours = match bypassed {
            true => [END_TO_END; STREAMS_MAX],
            false => streams.legs[to].ports.map(Port::number),
        };
        let edits = core::array::from_fn::<_, STREAMS_MAX, _>(|index| match &told[index] {
            Medium::Told(change) => Edit { port: ours[index], change: change.as_ref() },
            Medium::Refused => Edit::default(),
        });
        let origin = streams.locals[to].advertised();
        let address = self.advertised(streams.legs[to], streams.locals[to]);
        let version = next_description(streams, to, address, &edits, description);
        let session = streams.sessions[to];
        let rewrite =
            Rewrite { origin, address, session, version: version.version, edits: &edits, bypassed };
        let length = sdp.rewrite(&rewrite, out).ok_or(MediaFault::Unusable)?;
        streams.legs[to].told = version;
        streams.legs[to].asked = word == Word::Offer;
        Ok(length)
    }

    /// An answer that is told to nobody: who offered has said before what it speaks. `false`: there is no room to make
    /// what it needs.
    pub(crate) fn agree_speech(
        &mut self,
        now: Instant,
        streams: &mut Streams<'_>,
        from: Side,
        answer: &[u8],
    ) -> bool {
        let Ok(sdp) = Sdp::parse(answer) else { return false };
        let transcodes = streams.between(from).transcodes();
        let is_ours = !streams.legs[from as usize].bypassed;
        let settled =
            is_ours.then(|| self.settle_speech(now, streams, from, Word::Answer, transcodes, &sdp));
        settled.is_none_or(|settled| settled.is_ok())
    }

    /// Remembers what a leg says of its speech; with an answer, settles what is made of it for the other.
    fn settle_speech(
        &mut self,
        now: Instant,
        streams: &mut Streams<'_>,
        from: Side,
        word: Word,
        transcodes: bool,
        sdp: &Sdp<'_>,
    ) -> Result<(), MediaFault> {
        let [own, other] = [from as usize, from.other() as usize];
        for (index, media) in sdp.media().iter().enumerate().take(STREAMS_MAX) {
            let is_speech = media.kind == b"audio" && media.port != 0;
            let spoken = if is_speech { Spoken::of(media) } else { Spoken::NONE };
            streams.legs[own].spoken[index] = spoken;
            let ports = [own, other].map(|leg| streams.legs[leg].ports[index]);
            if word == Word::Offer || ports.contains(&Port::NONE) {
                continue;
            }
            let offered = streams.legs[other].spoken[index];
            let pair = (transcodes && is_speech)
                .then(|| offered.pair(media, &media.codecs(), streams.terms[other]));
            let pair = pair.flatten();
            if let Some([theirs, ours]) = pair.filter(|_| index == 0) {
                streams.legs[other].codec = speech::named(theirs);
                streams.legs[own].codec = speech::named(ours);
            }
            let [back, forth] = pair.map_or([None, None], |[theirs, ours]| {
                [
                    Some(speech::transcoding(theirs, ours, spoken, streams.terms[own])),
                    Some(speech::transcoding(ours, theirs, offered, streams.terms[other])),
                ]
            });
            self.made += u64::from(forth.is_some() && self.table.transcoding(ports[0]).is_none());
            let directions = [(ports[0], forth, own), (ports[1], back, other)];
            for (port, transcoding, leg) in directions {
                let start = start_of(now, streams.randoms[leg], index, streams.secret);
                if !self.table.set_transcoding(port, transcoding, start) {
                    let start = start_of(now, 0, 0, streams.secret);
                    for port in ports {
                        self.table.set_transcoding(port, None, start);
                    }
                    self.unmade += 1;
                    return Err(MediaFault::NoCodec);
                }
            }
        }
        Ok(())
    }

    fn open_stream(
        &mut self,
        now: Instant,
        streams: &mut Streams<'_>,
        index: usize,
    ) -> Result<(), MediaFault> {
        let mut taken = [Port::NONE; 2];
        for (side, local) in Side::BOTH.into_iter().zip(streams.locals) {
            let leg = &streams.legs[side as usize];
            if !leg.ports[index].is_none() {
                continue;
            }
            let holds = leg.open_ports().next();
            let Some(port) = self.pools.reserve(self.now, local.address, holds) else {
                // A stream has both pairs or none.
                for port in taken.into_iter().filter(|port| !port.is_none()) {
                    self.pools.give_back(port);
                }
                return Err(MediaFault::PortsFull(side));
            };
            taken[side as usize] = port;
        }
        for (leg, port) in streams.legs.iter_mut().zip(taken).filter(|(_, port)| !port.is_none()) {
            leg.ports[index] = port;
        }
        if taken.iter().any(|port| !port.is_none()) {
            self.join(now, streams, index);
        }
        Ok(())
    }

    /// Joins the two legs' ports of one stream. One that is open already has another leg beside it from
    /// now on, and goes on hearing its own far end.
    fn join(&mut self, now: Instant, streams: &Streams<'_>, index: usize) {
        for side in Side::BOTH {
            let (port, opening) = opening(streams, side, index);
            if self.table.turn(port, opening.peer) {
                continue;
            }
            let opened = self.table.open(now, port, &opening);
            assert!(opened, "a reserved port was not a closed pair of the table");
            if streams.answered {
                self.table.set_answered(now, port);
                self.table.set_not_after(port, not_after(streams.ends));
                self.table.set_tapped(port, streams.tapped);
            }
        }
    }

    /// Opens one stream of a leg that has nobody beside it: we speak to it, and nobody else hears or is heard.
    /// `None`: no port is free.
    pub(crate) fn open_alone(
        &mut self,
        now: Instant,
        streams: &mut Streams<'_>,
        side: Side,
        index: usize,
    ) -> Option<Port> {
        let [own, other] = [side as usize, side.other() as usize];
        let kept = streams.legs[own].ports[index];
        for port in streams.legs[own].open_ports().filter(|&port| port != kept) {
            self.table.close(port);
        }
        self.release(streams.legs[other]);
        // Its keys go on where they are: what leaves under one must not be counted anew.
        if self.table.turn(kept, Port::NONE) {
            return Some(kept);
        }
        if streams.legs[own].ports[index].is_none() {
            let holds = streams.legs[own].open_ports().next();
            let local = streams.locals[own].address;
            streams.legs[own].ports[index] = self.pools.reserve(self.now, local, holds)?;
        }
        let (port, opening) = opening(streams, side, index);
        let opened = self.table.open(now, port, &opening);
        assert!(opened, "a reserved port was not a closed pair of the table");
        Some(port)
    }

    /// Lets the ports of two legs hear each other again, after one of them was beside another leg.
    pub(crate) fn rejoin(&mut self, legs: [&LegMedia; 2]) {
        let pairs = legs[0].ports.into_iter().zip(legs[1].ports);
        for (one, other) in pairs.filter(|(one, other)| !one.is_none() && !other.is_none()) {
            self.table.turn(one, other);
            self.table.turn(other, one);
        }
    }

    /// Whether a leg waits beside its call: then nobody hears it.
    pub(crate) fn park(&mut self, leg: &LegMedia, parked: bool) {
        for port in leg.open_ports() {
            self.table.set_parked(port, parked);
        }
    }

    /// Believes the description of `from`: where it wants media, what it may send.
    pub(crate) fn believe(
        &mut self,
        streams: &mut Streams<'_>,
        from: Side,
        description: &[u8],
        until: Instant,
    ) {
        let Ok(sdp) = Sdp::parse(description) else { return };
        let [own, other] = [from as usize, from.other() as usize];
        // Nobody sends what the other side was not told of, unless something else is made of it.
        let between = streams.between(from);
        let told = told::told(&sdp, Word::Answer, between).ok().filter(|_| !between.transcodes());
        let mut held = false;
        for (index, port) in streams.legs[own].ports.into_iter().enumerate() {
            let media = sdp.media().get(index).filter(|media| is_relayed(media));
            if port.is_none() {
                continue;
            }
            let is_fax = media.is_some_and(Media::is_udptl);
            self.table.set_fax(port, is_fax);
            let sound = media.filter(|_| !is_fax);
            let types = match told.as_ref().and_then(|told| told[index].payloads()) {
                Some(told) => told.iter().copied().fold(PayloadTypes::ANY, PayloadTypes::with),
                None => {
                    let types = sound.into_iter().flat_map(Media::payload_types);
                    types.fold(PayloadTypes::ANY, PayloadTypes::with)
                }
            };
            streams.legs[own].payload_types[index] = types;
            let both = types.bits() | streams.legs[other].payload_types[index].bits();
            let both = PayloadTypes::from_bits(both);
            let far = match streams.inside[own] {
                true => media.and_then(|media| self.inside_end(port, media, streams.locals[own])),
                false => media.and_then(|media| far_end(media, &streams.asking(from))),
            };
            let address = MediaAddress::from(streams.terms[own].address);
            let latch = match far {
                _ if streams.inside[own] => Latch::Inside,
                Some((Some(_), _)) if address == MediaAddress::Described => Latch::Fixed,
                // Whatever it describes cannot be reached: the packets say where it is.
                Some((None, _)) => Latch::Learn { until },
                Some((Some(_), _)) => Latch::LearnPort { until },
                None => Latch::Fixed,
            };
            let (rtp, rtcp) = far.unwrap_or_default();
            self.table.set_remote(port, rtp, rtcp, latch, both);
            self.believe_keys(streams, from, index, media.filter(|_| !is_fax));
            let port = streams.legs[other].ports[index];
            let address = MediaAddress::from(streams.terms[other].address);
            let latch = match address {
                _ if streams.inside[other] => Latch::Inside,
                MediaAddress::Described => Latch::Fixed,
                MediaAddress::Auto | MediaAddress::Observed => Latch::LearnPort { until },
            };
            self.widen(port, both, latch);
            // Who is told of events sends them so. Those from inside another call of ours has read.
            let events = media.and_then(speech::events).map(|(number, _)| number);
            let events = events.filter(|_| !streams.inside[other]);
            self.table.set_events(port, events.unwrap_or(relay::NO_EVENTS));
            self.settle_keypads(streams, index);
            let is_speech = media.is_some_and(|media| media.kind == b"audio" && media.port != 0);
            self.listen_for_tones(streams, index, is_speech);
            held |= media.is_none_or(|media| {
                media.is_held() || media.direction == sip::sdp::Direction::RecvOnly
            }) && index == 0;
        }
        streams.legs[own].held = held;
        let on_hold = held || streams.legs[other].held;
        for port in streams.legs.iter().flat_map(|leg| leg.open_ports()) {
            self.table.set_on_hold(port, on_hold);
        }
    }

    /// Keys are heard in the tones of a leg whose gateway sends them so, unless both sides describe events.
    fn listen_for_tones(&mut self, streams: &Streams<'_>, index: usize, is_speech: bool) {
        let ports = [0, 1].map(|leg| streams.legs[leg].ports[index]);
        let by_events = ports.iter().all(|&port| self.snapshot(port).events != relay::NO_EVENTS);
        for (port, terms) in ports.into_iter().zip(streams.terms) {
            let sounds = terms.inband != 0 || Dtmf::from(terms.dtmf) == Dtmf::Inband;
            self.table.set_inband(port, is_speech && sounds && !by_events);
        }
    }

    /// Whether any stream of a leg is under keys.
    pub(crate) fn has_keys(&self, leg: &LegMedia) -> bool {
        leg.open_ports().any(|port| self.table.keys(port).iter().any(Option::is_some))
    }

    /// Believes the keys of one stream of `from`: by which it sends, and by which of ours it hears. The same
    /// as before go on where they are.
    fn believe_keys(
        &mut self,
        streams: &mut Streams<'_>,
        from: Side,
        stream: usize,
        media: Option<&Media<'_>>,
    ) {
        let wanted = streams.wants_keys(from);
        let leg = &streams.legs[from as usize];
        let (port, is_answer) = (leg.ports[stream], leg.asked);
        let read = media.map(|media| secured::read(media, wanted, leg.word(stream)));
        let (lock, inward) = read.unwrap_or((Lock::NONE, None));
        let [_, before] = self.table.keys(port);
        // A key whose count is forgotten must not begin anew. One that answers an offer was told in it, and stays.
        let is_given_up = before.is_some_and(|it| Some(it.master.suite()) != lock.suite());
        let leg = &mut streams.legs[from as usize];
        leg.given_up[stream] |= is_given_up;
        if !is_answer {
            leg.renew_keys();
        }
        let outward = lock.suite().map(|suite| streams.source(from, stream).key(suite));
        // Each open pair has a place for its keys; one that is closed needs none.
        let _ = self.table.set_keys(port, inward.as_ref(), outward.as_ref());
        streams.legs[from as usize].locks[stream] = lock;
    }

    /// An answer that names payload types which the offer did not lets the one who offered use them
    /// too. Rare, and so at the price of RTCP being learned again.
    fn widen(&mut self, port: Port, payload_types: PayloadTypes, latch: Latch) {
        let state = self.snapshot(port);
        // What is read of events passes beside those that both describe.
        let are_known =
            [payload_types, payload_types.with(state.events)].contains(&state.payload_types);
        // One that is heard nowhere yet will be told of all types by its own description.
        let Some(rtp) = state.remote.filter(|_| !are_known) else { return };
        self.table.set_remote(port, Some(rtp), rtcp_beside(rtp), latch, payload_types);
    }

    /// Both sides are heard from now on, until the granted time is over, and by whoever records if they are tapped.
    pub(crate) fn set_answered(
        &mut self,
        now: Instant,
        legs: [&LegMedia; 2],
        ends: Option<Instant>,
        tapped: bool,
    ) {
        for port in legs.into_iter().flat_map(LegMedia::open_ports) {
            self.table.set_answered(now, port);
            self.table.set_not_after(port, not_after(ends));
            self.table.set_tapped(port, tapped);
        }
    }

    /// Whether a leg's first stream went on while no process was there: then it was counted too, but for those
    /// packets that had been left `beside`.
    pub(crate) fn go_on(&mut self, leg: &LegMedia, beside: (u32, u64)) -> bool {
        let port = leg.ports[0];
        self.table.restore_beside(port, beside);
        !port.is_none() && self.table.is_settled(port)
    }

    /// Whether the leg's far end has sent media.
    pub(crate) fn has_heard(&self, leg: &LegMedia) -> bool {
        leg.open_ports().any(|port| self.table.has_heard(port))
    }

    /// When the leg's far end was last heard.
    pub(crate) fn heard_at(&self, leg: &LegMedia) -> Option<Instant> {
        leg.open_ports().filter_map(|port| self.table.heard_at(port)).max()
    }

    /// Closes the leg's flows and gives its ports back, and nothing else.
    pub(crate) fn release_ports(&mut self, leg: &mut LegMedia) {
        for port in leg.open_ports() {
            self.table.close(port);
            self.pools.release(self.now, port);
        }
        leg.ports = [Port::NONE; STREAMS_MAX];
    }

    /// Closes the leg's flows and gives its ports back.
    pub(crate) fn release(&mut self, leg: &mut LegMedia) {
        self.release_ports(leg);
        // Its dialog may go on, by other ports.
        let rounds = leg.rounds.map(|round| round.wrapping_add(1));
        *leg = LegMedia { told: leg.told, rounds, ..LegMedia::NONE };
    }
}

/// Our number for the session of a leg, by what is random in its tag: the same as long as the dialog, and
/// not to be guessed, nor to be found on another leg, without the secret.
pub(crate) fn session_of(random: u64, secret: &[u8; 16]) -> u32 {
    // 31 bits: some peers read no more.
    (keys::hash(secret, &random.to_be_bytes()) >> 33) as u32
}

/// Where a stream of ours begins, to be guessed by nobody.
fn start_of(now: Instant, random: u64, stream: usize, secret: &[u8; 16]) -> relay::Start {
    let parts = [now.as_nanos(), u128::from(random) << 8 | stream as u128];
    let [one, other] = [0, 1].map(|place: u128| {
        let bytes = [parts[0], parts[1], place].map(u128::to_be_bytes);
        keys::hash(secret, bytes.as_flattened())
    });
    relay::Start { ssrc: one as u32, sequence: (one >> 32) as u16, timestamp: other as u32 }
}

/// What a leg is told now: the same version as last if all that it is made from is the same.
fn next_description(
    streams: &Streams<'_>,
    to: usize,
    address: IpAddr,
    edits: &[Edit<'_>; STREAMS_MAX],
    description: &[u8],
) -> Described {
    let address = match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut ports = edits.iter().fold(0, |all, edit| all << 16 | u128::from(edit.port));
    // Other terms make another description of the same.
    for terms in streams.terms.iter().filter(|terms| !terms.is_plain()) {
        let told = keys::hash(streams.secret, terms.as_bytes());
        ports = (ports ^ u128::from(told) << 64).rotate_left(1);
    }
    let said = u128::from(streams.digest_of_keys(to)) << 64;
    let said = said | u128::from(keys::hash(streams.secret, description));
    let parts = [said, address.to_bits(), ports];
    let hash = keys::hash(streams.secret, parts.map(u128::to_be_bytes).as_flattened()) as u32;
    let told = streams.legs[to].told;
    match told.version {
        0 => Described { version: 1, hash },
        _ if told.hash == hash => told,
        version => Described { version: version.wrapping_add(1), hash },
    }
}

/// Until when media goes on if nobody is there to end the call: who is ends it at the granted second.
fn not_after(ends: Option<Instant>) -> Option<Instant> {
    const GRACE: Duration = Duration::from_secs(5);
    ends.map(|ends| ends + GRACE)
}

fn opening(streams: &Streams<'_>, side: Side, index: usize) -> (Port, Opening) {
    let opening = Opening {
        peer: streams.legs[side.other() as usize].ports[index],
        owner: owner_of(streams.key),
        towards_caller: side == Side::Caller,
    };
    (streams.legs[side as usize].ports[index], opening)
}

/// How many lines of a description are refused, because we do not relay them.
pub(crate) fn refused_streams(description: &[u8]) -> usize {
    let Ok(sdp) = Sdp::parse(description) else { return 0 };
    let wanted = sdp.media().iter().filter(|media| media.port != 0).count();
    wanted - usable(&sdp).count()
}

/// The lines that we relay: RTP or fax in UDP, in use, within our number of streams.
fn usable<'s, 'a>(sdp: &'s Sdp<'a>) -> impl Iterator<Item = (usize, &'s Media<'a>)> {
    let lines = sdp.media().iter().enumerate().take(STREAMS_MAX);
    lines.filter(|(_, media)| media.port != 0 && is_relayed(media))
}

/// Whether a medium is of a kind that we relay.
fn is_relayed(media: &Media<'_>) -> bool {
    media.is_rtp() || media.is_udptl()
}

/// The number under which the relay knows a call.
pub(crate) fn owner_of(key: CallKey) -> Owner {
    Owner(u64::from(key.generation) << 32 | u64::from(key.slot))
}

/// The call that a flow of the relay belongs to.
#[must_use]
pub fn call_of(owner: Owner) -> CallKey {
    CallKey { slot: owner.0 as u32, generation: (owner.0 >> 32) as u32 }
}

#[cfg(test)]
mod tests;
