//! Frames that the kernel makes from a table (`xdp_prog::Tape`): the quickest way, at no pace.
//!
//! A capture as it is lies in the table whole, with its orders, and goes out without a look at any frame. Of
//! calls that are made of it the RTP packets lie there once, with a patch per stream of a call; what else they
//! say is written for each, into a ring of the table. One system call sends a *stretch*: it costs some
//! 20 ms while the kernel readies itself, so stretches are long.

use capture::{Due, Kind};
use xdp_prog::{LARGE_BYTES, Order, Patch, Place, SMALL_BYTES, Tape, TapeSizes};

use super::{FRAME_BYTES, Play, Put, Sender};
use crate::Failure;

/// Frames of one stretch.
const STRETCH: u32 = 262_144;
/// Frames of a stretch that are written for one call alone.
const OWN_SMALLS: u32 = 32_768;
const OWN_LARGES: u32 = 16_384;
/// Frames that are kept in the kernel, in bytes.
const KEPT_BYTES_MAX: usize = 1 << 30;
/// A slot's patches are written for one call while those of the call before are still in use.
const TURNS: u32 = 2;

pub(crate) struct Live {
    tape: Tape,
    /// Where each frame of the capture lies, if it does.
    kept: Vec<Option<Place>>,
    /// Whether all of them are one stretch that is in the kernel already.
    whole: Option<u32>,
    first_small: u32,
    first_large: u32,
    streams: u32,
    orders: Vec<Order>,
    smalls: Own,
    larges: Own,
    /// Which call's patches are where, and in which stretch they were written.
    patched: Vec<(u64, u64)>,
    stretch: u64,
    room: Vec<u8>,
    refused: u32,
}

/// Frames of this stretch alone, one behind the other.
#[derive(Default)]
struct Own {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Own {
    fn push(&mut self, frame: &[u8]) -> u32 {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
        self.ends.len() as u32 - 1
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).filter_map(|(begin, &end)| self.bytes.get(begin..end))
    }
}

impl Live {
    pub(crate) fn open(interface: &str, play: &Play) -> Result<Self, Failure> {
        let index = nix::net::if_::if_nametoindex(interface)?;
        if !xdp_prog::sends_for_drivers(index) {
            return Err(format!(
                "{interface} does not send for drivers (a veth does while its far end polls: ethtool -K … gro on)"
            )
            .into());
        }
        let (frames, streams) = (play.capture.frames(), play.capture.streams());
        let verbatim = play.clones.is_verbatim();
        let is_plain = |stream: Option<u32>| {
            stream.and_then(|at| streams.get(at as usize)).is_some_and(|stream| stream.is_plain)
        };
        let mut bytes = 0;
        let (mut smalls, mut larges) = (0, 0);
        let kept: Vec<Option<Place>> = frames
            .iter()
            .map(|frame| {
                let is_wanted =
                    verbatim || matches!(frame.kind, Kind::Rtp { .. }) && is_plain(frame.stream());
                let length = frame.length();
                let (next, room, place): (&mut u32, usize, fn(u32) -> Place) =
                    if length <= SMALL_BYTES {
                        (&mut smalls, SMALL_BYTES, Place::Small)
                    } else {
                        (&mut larges, LARGE_BYTES, Place::Large)
                    };
                if length > LARGE_BYTES {
                    return None;
                }
                if !is_wanted || bytes + room > KEPT_BYTES_MAX {
                    return None;
                }
                bytes += room;
                *next += 1;
                Some(place(*next - 1))
            })
            .collect();
        let whole = verbatim && kept.iter().all(Option::is_some);
        let turns = play.clones.slots() * TURNS * streams.len() as u32;
        let sizes = TapeSizes {
            orders: if whole { frames.len() as u32 } else { STRETCH },
            smalls: smalls + if whole { 0 } else { OWN_SMALLS },
            larges: larges + if whole { 0 } else { OWN_LARGES },
            patches: 1 + if verbatim { 0 } else { turns },
        };
        let tape = Tape::open(interface, sizes, usual(play))?;
        let bytes_of = |wanted: fn(&Place) -> bool| {
            frames.iter().zip(&kept).filter_map(move |(frame, place)| {
                place.as_ref().filter(|place| wanted(place)).map(|_| play.capture.bytes(frame))
            })
        };
        tape.write_smalls(0, bytes_of(|place| matches!(place, Place::Small(_))))?;
        tape.write_larges(0, bytes_of(|place| matches!(place, Place::Large(_))))?;
        if whole {
            let orders: Vec<Order> =
                kept.iter().flatten().map(|&place| Order::new(place, 0)).collect();
            tape.write_orders(0, &orders)?;
            tape.wind(0, 0, sizes.orders)?;
        }
        Ok(Self {
            tape,
            kept,
            whole: whole.then_some(sizes.orders),
            first_small: smalls,
            first_large: larges,
            streams: streams.len() as u32,
            orders: Vec::with_capacity(if whole { 0 } else { STRETCH as usize }),
            smalls: Own::default(),
            larges: Own::default(),
            patched: vec![
                (u64::MAX, 0);
                if verbatim { 0 } else { (play.clones.slots() * TURNS) as usize }
            ],
            stretch: 1,
            room: vec![0; FRAME_BYTES],
            refused: 0,
        })
    }

    /// How many frames are one round that lies in the kernel whole.
    pub(crate) fn whole(&self) -> Option<u32> {
        self.whole
    }

    /// Sends so many of that round, and goes on behind them the next time.
    pub(crate) fn send_whole(&mut self, frames: u32) -> Result<u64, Failure> {
        let refused = self.tape.send(frames)?;
        let more = refused - self.refused;
        self.refused = refused;
        Ok(u64::from(frames - more.min(frames)))
    }

    /// The place of a call's patch; `None`: it is in use until the next flush.
    fn patch(&mut self, play: &Play, call: u64, stream: u32) -> Result<Option<u32>, Failure> {
        let slots = u64::from(play.clones.slots());
        let turn = (call / slots % u64::from(TURNS)) as u32;
        let place = play.clones.slot(call) * TURNS + turn;
        let first = 1 + place * self.streams;
        let Some(patched) = self.patched.get_mut(place as usize) else { return Ok(None) };
        if patched.0 != call {
            if patched.1 == self.stretch {
                return Ok(None);
            }
            patched.0 = call;
            let patches: Vec<Patch> = (0..self.streams)
                .map(|stream| play.capture.patch(&play.clones, call, stream))
                .map(|found| {
                    let Some(found) = found else { return Patch::new(false) };
                    let mut patch = Patch::new(found.is_v6);
                    patch.address_sum = found.address_sum;
                    patch.rest_sum = found.rest_sum;
                    patch.rtp_source = found.source;
                    patch.ports = found.ports;
                    patch.addresses = found.addresses;
                    patch
                })
                .collect();
            self.tape.write_patches(first, &patches)?;
        }
        // What is ordered in this stretch needs it until that has left.
        patched.1 = self.stretch;
        Ok(Some(first + stream))
    }
}

/// The length of most frames.
fn usual(play: &Play) -> usize {
    let mut counts = vec![0_u32; LARGE_BYTES + 1];
    for frame in play.capture.frames() {
        if let Some(count) = counts.get_mut(frame.length()) {
            *count += 1;
        }
    }
    let most = counts.iter().zip(0..).max_by_key(|&(count, _)| count);
    most.map_or(SMALL_BYTES, |(_, length)| length)
}

impl Sender for Live {
    fn name(&self) -> String {
        "live frames of the kernel".to_owned()
    }

    fn put(&mut self, play: &Play, due: Due) -> Result<Put, Failure> {
        if self.orders.len() >= STRETCH as usize {
            return Ok(Put::Full);
        }
        let Some(frame) = play.capture.frames().get(due.frame as usize) else {
            return Ok(Put::TooLong);
        };
        if let Some(&Some(place)) = self.kept.get(due.frame as usize) {
            let patch = match frame.stream().filter(|_| !play.clones.is_verbatim()) {
                None => 0,
                Some(stream) => match self.patch(play, due.call, stream)? {
                    None => return Ok(Put::Full),
                    Some(patch) => patch,
                },
            };
            self.orders.push(Order::new(place, patch));
            return Ok(Put::Taken(frame.length()));
        }
        if self.smalls.ends.len() >= OWN_SMALLS as usize
            || self.larges.ends.len() >= OWN_LARGES as usize
        {
            return Ok(Put::Full);
        }
        let written = play.capture.write(&play.clones, due.call, due.frame, &mut self.room);
        let Ok(length) = written else { return Ok(Put::TooLong) };
        let bytes = self.room.get(..length).unwrap_or_default();
        let place = if length <= SMALL_BYTES {
            Place::Small(self.first_small + self.smalls.push(bytes))
        } else {
            Place::Large(self.first_large + self.larges.push(bytes))
        };
        self.orders.push(Order::new(place, 0));
        Ok(Put::Taken(length))
    }

    fn flush(&mut self) -> Result<u64, Failure> {
        let frames = self.orders.len() as u32;
        if frames == 0 {
            return Ok(0);
        }
        self.tape.write_smalls(self.first_small, self.smalls.frames())?;
        self.tape.write_larges(self.first_large, self.larges.frames())?;
        self.tape.write_orders(0, &self.orders)?;
        self.tape.wind(0, 0, frames)?;
        let refused = self.tape.send(frames)?;
        self.orders.clear();
        self.smalls.clear();
        self.larges.clear();
        self.stretch += 1;
        Ok(u64::from(frames - refused.min(frames)))
    }

    fn batch(&self) -> usize {
        STRETCH as usize
    }

    fn is_prompt(&self) -> bool {
        false
    }
}
