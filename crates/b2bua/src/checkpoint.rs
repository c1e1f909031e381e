//! A call on one page, for the process after this one: what a confirmed dialog cannot be rebuilt
//! without. The record lies beside it in the call table.
//!
//! The layout is versioned and written field by field, so that no memory layout of a struct is ever
//! part of it. What cannot be read back whole is not used: such a call ends.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use link::Endpoint;
use relay::{Keypad, NO_EVENTS, PayloadTypes, Port, PortState, Secured, Speaker, Transcoding};
use srtp::{KEPT_STREAMS, Kept, MASTER_BYTES_MAX, Master, Position, Suite};
use zerocopy::{FromBytes, IntoBytes};

use crate::arena::{ARENA_BYTES, Arena, FIELDS};
use crate::call::Session;
use crate::dialog::Leg;
use crate::keys::Shard;
use crate::media::{Described, STREAMS_MAX};
use crate::path::Path;

/// The longest checkpoint.
pub use link::table::CHECKPOINT_BYTES_MAX;

const VERSION: u8 = 9;

/// The own address that carries the media of a leg, as IPv6; zeros: none does.
const ADDRESS_BYTES: usize = 16;
const PORT_BYTES: usize = size_of::<Endpoint>() + 8 + 16 + 2 * KEY_BYTES_MAX + TRANSCODING_BYTES;
/// Both codecs and their payload types, those of events, and the packet time.
const TRANSCODING_BYTES: usize = 7;
/// A suite, a key, the streams under it, the index of SRTCP.
const KEY_BYTES_MAX: usize = 1 + MASTER_BYTES_MAX + KEPT_STREAMS * POSITION_BYTES + 4;
/// An SSRC and an index, of which none is this high.
const POSITION_BYTES: usize = 4 + 8;
const NO_POSITION: u64 = u64::MAX;
const LEG_BYTES: usize = 2 * size_of::<Endpoint>()
    + 8
    + 4
    + 4
    + 5
    + 2
    + 8
    + Session::BYTES
    + ADDRESS_BYTES
    + STREAMS_MAX
    + STREAMS_MAX * (2 + PORT_BYTES)
    + FIELDS * 2
    + ARENA_BYTES;
const _: () = assert!(7 + 2 * LEG_BYTES <= CHECKPOINT_BYTES_MAX);

/// How far a call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nobody answered.
    Early = 0,
    /// The vendor answered, the caller does not know.
    Half = 1,
    /// Both sides were put through.
    Confirmed = 2,
}

/// What a checkpoint says.
pub(crate) struct Checkpoint {
    pub(crate) phase: Phase,
    pub(crate) shard: Shard,
    /// When to ask for more talk.
    pub(crate) extend_at_s: u32,
    /// Of their ports the numbers alone stand here.
    pub(crate) legs: [Leg; 2],
    /// Of which own address those are.
    pub(crate) addresses: [Option<IpAddr>; 2],
    pub(crate) ports: [[PortState; STREAMS_MAX]; 2],
}

/// A leg as it is written down.
pub(crate) struct WrittenLeg<'a> {
    pub(crate) leg: &'a Leg,
    /// The own address of its ports.
    pub(crate) address: Option<IpAddr>,
    pub(crate) ports: [PortState; STREAMS_MAX],
}

/// Writes a checkpoint; `None`: `out` is shorter than [`CHECKPOINT_BYTES_MAX`].
pub(crate) fn write(
    out: &mut [u8],
    phase: Phase,
    shard: Shard,
    extend_at_s: u32,
    legs: [WrittenLeg<'_>; 2],
) -> Option<usize> {
    let mut cursor = Cursor { bytes: out, at: 0 };
    cursor.put(&[VERSION, phase as u8, shard.0])?;
    cursor.put(&extend_at_s.to_le_bytes())?;
    if phase == Phase::Early {
        return Some(cursor.at);
    }
    for written in &legs {
        put_leg(&mut cursor, written)?;
    }
    Some(cursor.at)
}

fn put_leg(cursor: &mut Cursor<'_>, written: &WrittenLeg<'_>) -> Option<()> {
    let WrittenLeg { leg, address, ports } = written;
    let transport = leg.path.transport;
    cursor.put(Endpoint::from(leg.path.local).by(transport).as_bytes())?;
    cursor.put(Endpoint::from(leg.path.remote).by(transport).as_bytes())?;
    // A connection dies with its process; a path inside leads to what is rebuilt like this.
    let inside = leg.path.inside().map_or(0, |_| leg.path.connection);
    cursor.put(&inside.to_le_bytes())?;
    cursor.put(&leg.random.to_le_bytes())?;
    cursor.put(&leg.cseq_local.to_le_bytes())?;
    cursor.put(&[u8::from(leg.cseq_remote.is_some())])?;
    cursor.put(&leg.cseq_remote.unwrap_or(0).to_le_bytes())?;
    let held = u8::from(leg.media.held) | u8::from(leg.media.bypassed) << 1;
    cursor.put(&[u8::from(leg.confirmed), held])?;
    cursor.put(&leg.media.rounds)?;
    cursor.put(&leg.media.told.version.to_le_bytes())?;
    cursor.put(&leg.media.told.hash.to_le_bytes())?;
    cursor.put(&leg.session.to_bytes())?;
    let address = address.map(|address| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    });
    cursor.put(&address.map_or([0; ADDRESS_BYTES], |address| address.octets()))?;
    for (port, state) in leg.media.ports.iter().zip(ports) {
        cursor.put(&port.number().to_le_bytes())?;
        let remote = state.remote.map_or(Endpoint::NONE, Endpoint::from);
        cursor.put(remote.as_bytes())?;
        let held = u8::from(state.on_hold) | u8::from(state.fax) << 1 | u8::from(state.inband) << 2;
        let held = held | u8::from(state.fixed) << 3;
        cursor.put(&[u8::from(state.latched), held, state.events])?;
        cursor.put(&state.keypad.to_bytes())?;
        cursor.put(&state.shift.to_le_bytes())?;
        cursor.put(&state.payload_types.bits().to_le_bytes())?;
        for key in &state.keys {
            put_key(cursor, key.as_ref())?;
        }
        cursor.put(&transcoding_bytes(state.transcoding))?;
    }
    let (ends, texts) = leg.arena.parts();
    for end in ends {
        cursor.put(&end.to_le_bytes())?;
    }
    cursor.put(texts)
}

fn put_key(cursor: &mut Cursor<'_>, key: Option<&Secured>) -> Option<()> {
    let Some(Secured { master, kept }) = key else { return cursor.put(&[0]) };
    cursor.put(&[master.suite() as u8])?;
    cursor.put(master.expose())?;
    for position in kept.streams {
        let (ssrc, index) = position.map_or((0, NO_POSITION), |it| (it.ssrc, it.index));
        cursor.put(&ssrc.to_le_bytes())?;
        cursor.put(&index.to_le_bytes())?;
    }
    cursor.put(&kept.rtcp.to_le_bytes())
}

/// Reads a checkpoint. `None`: of another version, or nobody of ours wrote it.
pub(crate) fn read(bytes: &[u8]) -> Option<Checkpoint> {
    let mut reader = Reader { bytes };
    let [version, phase, shard] = reader.take()?;
    if version != VERSION {
        return None;
    }
    let phase = match phase {
        0 => Phase::Early,
        1 => Phase::Half,
        2 => Phase::Confirmed,
        _ => return None,
    };
    let extend_at_s = u32::from_le_bytes(reader.take()?);
    let mut checkpoint = Checkpoint {
        phase,
        shard: Shard(shard),
        extend_at_s,
        legs: [Leg::new(), Leg::new()],
        addresses: [None; 2],
        ports: [[PortState::default(); STREAMS_MAX]; 2],
    };
    if phase == Phase::Early {
        return Some(checkpoint);
    }
    let Checkpoint { legs, addresses, ports, .. } = &mut checkpoint;
    for ((leg, address), ports) in legs.iter_mut().zip(addresses).zip(ports) {
        *address = take_leg(&mut reader, leg, ports)?;
    }
    reader.bytes.is_empty().then_some(checkpoint)
}

fn take_leg(
    reader: &mut Reader<'_>,
    leg: &mut Leg,
    ports: &mut [PortState; STREAMS_MAX],
) -> Option<Option<IpAddr>> {
    let local = reader.endpoint()?;
    let remote = reader.endpoint()?;
    leg.path = Path {
        transport: remote.transport(),
        local: local.socket_address()?,
        remote: remote.socket_address()?,
        connection: u32::from_le_bytes(reader.take()?),
    };
    leg.random = u64::from_le_bytes(reader.take()?);
    leg.cseq_local = u32::from_le_bytes(reader.take()?);
    let [has_remote] = reader.take()?;
    let cseq_remote = u32::from_le_bytes(reader.take()?);
    leg.cseq_remote = (has_remote != 0).then_some(cseq_remote);
    let [confirmed, held] = reader.take()?;
    leg.confirmed = confirmed != 0;
    leg.media.held = held & 1 != 0;
    leg.media.bypassed = held & 2 != 0;
    leg.media.rounds = reader.take()?;
    leg.media.told = Described {
        version: u32::from_le_bytes(reader.take()?),
        hash: u32::from_le_bytes(reader.take()?),
    };
    leg.session = Session::from_bytes(reader.take()?);
    let address = Ipv6Addr::from(reader.take::<ADDRESS_BYTES>()?);
    let address = (!address.is_unspecified()).then(|| IpAddr::V6(address).to_canonical());
    for (port, state) in leg.media.ports.iter_mut().zip(ports) {
        *port = Port::new(0, u16::from_le_bytes(reader.take()?));
        let remote: Option<SocketAddr> = reader.endpoint()?.socket_address();
        let [latched, held, events] = reader.take()?;
        let keypad = Keypad::from_bytes(reader.take()?);
        let shift = u16::from_le_bytes(reader.take()?);
        let payload_types = PayloadTypes::from_bits(u128::from_le_bytes(reader.take()?));
        let (latched, on_hold, fax) = (latched != 0, held & 1 != 0, held & 2 != 0);
        let (inband, fixed) = (held & 4 != 0, held & 8 != 0);
        let keys = [take_key(reader)?, take_key(reader)?];
        let transcoding = read_transcoding(reader.take()?)?;
        *state = PortState {
            remote,
            latched,
            fixed,
            on_hold,
            payload_types,
            events,
            fax,
            inband,
            keypad,
            shift,
            keys,
            transcoding,
        };
    }
    let mut ends = [0; FIELDS];
    for end in &mut ends {
        *end = u16::from_le_bytes(reader.take()?);
    }
    let texts = reader.slice(usize::from(ends[FIELDS - 1]))?;
    leg.arena = Arena::from_parts(ends, texts)?;
    Some(address)
}

/// Codecs count from one; zeros: none.
fn transcoding_bytes(transcoding: Option<Transcoding>) -> [u8; TRANSCODING_BYTES] {
    let Some(Transcoding { from, to, packet_ms }) = transcoding else {
        return [0; TRANSCODING_BYTES];
    };
    let events = [from, to].map(|side| side.events.unwrap_or(NO_EVENTS));
    let codecs = [from, to].map(|side| side.codec as u8 + 1);
    let types = [from, to].map(|side| side.payload_type);
    [codecs[0], codecs[1], types[0], types[1], events[0], events[1], packet_ms]
}

/// Outer `None`: it cannot be read.
fn read_transcoding(bytes: [u8; TRANSCODING_BYTES]) -> Option<Option<Transcoding>> {
    if bytes == [0; TRANSCODING_BYTES] {
        return Some(None);
    }
    let side = |which: usize| {
        let place = usize::from(bytes[which]).checked_sub(1)?;
        let codec = *relay::Codec::ALL.get(place)?;
        let events = Some(bytes[which + 4]).filter(|&events| events != NO_EVENTS);
        Some(Speaker { codec, payload_type: bytes[which + 2], events, noise: None })
    };
    Some(Some(Transcoding { from: side(0)?, to: side(1)?, packet_ms: bytes[6] }))
}

/// Outer `None`: it cannot be read.
fn take_key(reader: &mut Reader<'_>) -> Option<Option<Secured>> {
    let [suite] = reader.take()?;
    if suite == 0 {
        return Some(None);
    }
    let suite = Suite::from_number(suite)?;
    let master = Master::new(suite, reader.slice(suite.master_bytes())?)?;
    let mut kept = Kept::default();
    for position in &mut kept.streams {
        let (ssrc, index) =
            (u32::from_le_bytes(reader.take()?), u64::from_le_bytes(reader.take()?));
        *position = (index != NO_POSITION).then_some(Position { ssrc, index });
    }
    kept.rtcp = u32::from_le_bytes(reader.take()?);
    Some(Some(Secured { master, kept }))
}

struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        Endpoint::read_from_bytes(self.slice(size_of::<Endpoint>())?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use relay::Form;

    use super::*;
    use crate::arena::Field;

    fn leg(random: u64) -> Leg {
        let mut leg = Leg::new();
        leg.path.local = "10.0.0.1:5060".parse().unwrap();
        leg.path.remote = "[fd10::1]:5070".parse().unwrap();
        leg.random = random;
        leg.cseq_local = 7;
        leg.cseq_remote = Some(9);
        leg.confirmed = true;
        leg.media.ports = [Port::new(0, 10_000), Port::NONE];
        leg.media.told = Described { version: 3, hash: 7 };
        leg.media.bypassed = true;
        leg.media.rounds = [3, 4];
        leg.session = Session { interval_s: 1_800, ours: true, ..Session::NONE };
        leg.arena.set(Field::CallId, b"call").unwrap();
        leg.arena.set(Field::Routes, b"<sip:r;lr>").unwrap();
        leg
    }

    /// The longest there is.
    fn secured(seed: u8) -> Secured {
        let master = Master::new(Suite::AeadAes256Gcm, &[seed; 44]).unwrap();
        let position = Some(Position { ssrc: 9, index: (1 << 40) + u64::from(seed) });
        Secured { master, kept: Kept { streams: [position, None], rtcp: 7 } }
    }

    fn transcoding() -> Transcoding {
        let side = |codec: relay::Codec, events| Speaker {
            codec,
            payload_type: codec.payload_type(),
            events,
            noise: None,
        };
        let (from, to) = (side(relay::Codec::Pcmu, Some(101)), side(relay::Codec::G729, None));
        Transcoding { from, to, packet_ms: 30 }
    }

    fn written() -> Vec<u8> {
        let mut out = vec![0; CHECKPOINT_BYTES_MAX];
        let state = PortState {
            remote: Some("192.0.2.1:4000".parse().unwrap()),
            latched: true,
            fixed: true,
            on_hold: false,
            payload_types: PayloadTypes::ANY.with(8),
            events: 101,
            fax: true,
            inband: true,
            keypad: Keypad { form: Form::Events { payload_type: 101, khz: 8 }, keeps: true },
            shift: 513,
            keys: [Some(secured(1)), Some(secured(2))],
            transcoding: Some(transcoding()),
        };
        let ports = [state, PortState::default()];
        let (caller, callee) = (leg(1), leg(2));
        let address = Some([192, 0, 2, 9].into());
        let legs = [(&caller, address), (&callee, Some("fd10::9".parse().unwrap()))];
        let legs = legs.map(|(leg, address)| WrittenLeg { leg, address, ports });
        let length = write(&mut out, Phase::Confirmed, Shard(5), 60, legs).unwrap();
        out.truncate(length);
        out
    }

    #[test]
    fn what_is_written_is_read_back() {
        let checkpoint = read(&written()).unwrap();
        assert_eq!(checkpoint.phase, Phase::Confirmed);
        assert_eq!((checkpoint.shard, checkpoint.extend_at_s), (Shard(5), 60));
        let [caller, callee] = &checkpoint.legs;
        assert_eq!((caller.random, callee.random), (1, 2));
        assert_eq!(caller.path, leg(1).path);
        assert_eq!((caller.cseq_local, caller.cseq_remote), (7, Some(9)));
        assert_eq!(caller.text(Field::Routes), b"<sip:r;lr>");
        let addresses = ["192.0.2.9", "fd10::9"].map(|address| address.parse().ok());
        assert_eq!(checkpoint.addresses, addresses);
        assert_eq!(caller.media.ports, [Port::new(0, 10_000), Port::NONE]);
        assert_eq!(caller.media.told, Described { version: 3, hash: 7 });
        assert_eq!(caller.session.to_bytes(), leg(1).session.to_bytes());
        assert!(caller.media.bypassed && !caller.media.held);
        assert_eq!(caller.media.rounds, [3, 4]);
        let fax = checkpoint.ports[1][0];
        assert!(fax.latched && fax.fixed && fax.fax && !fax.on_hold);
        assert_eq!(fax.keys, [Some(secured(1)), Some(secured(2))]);
        assert_eq!(fax.transcoding, Some(transcoding()));
        let form = Form::Events { payload_type: 101, khz: 8 };
        assert_eq!((fax.keypad, fax.shift), (Keypad { form, keeps: true }, 513));
        assert_eq!(checkpoint.ports[1][1].keys, [None; 2]);
        assert_eq!(checkpoint.ports[1][0].payload_types, PayloadTypes::ANY.with(8));
    }

    #[test]
    fn the_biggest_call_fits() {
        let mut leg = leg(1);
        let free = ARENA_BYTES - leg.arena.parts().1.len();
        leg.arena.set(Field::Target, &vec![b'x'; free]).unwrap();
        let mut out = vec![0; CHECKPOINT_BYTES_MAX];
        let keys = [Some(secured(1)), Some(secured(2))];
        let ports = [PortState { keys, ..PortState::default() }; STREAMS_MAX];
        let legs = [0; 2].map(|_| WrittenLeg { leg: &leg, address: None, ports });
        assert!(write(&mut out, Phase::Confirmed, Shard(5), 60, legs).is_some());
    }

    proptest! {
        #[test]
        fn a_checkpoint_cut_or_changed_anywhere_never_panics(cut in 0_usize..700, at in 0_usize..700, byte: u8) {
            let mut bytes = written();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = read(&bytes);
            bytes.truncate(cut);
            let _ = read(&bytes);
        }
    }

    #[test]
    fn a_short_checkpoint_is_refused() {
        let bytes = written();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_none());
        }
    }
}
