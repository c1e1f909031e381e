//! What leaves under a key.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::cipher::Cipher;
use crate::derive::{Purpose, Session};
use crate::packet::{RTCP_HEADER, Rtp, rtcp_ssrc};
use crate::stream::{Kept, STREAMS, Streams};
use crate::{Fault, Master};

/// SRTCP has 31 bits for its index.
const RTCP_END: u32 = 1 << 31;
/// More packets than RTCP of a call sends between two checkpoints.
const RTCP_LEAP: u32 = 1 << 16;

/// Names that one key is good for: whoever takes turns with more sources than are told apart would need one for
/// each packet, and one could come twice.
const NAMES_MAX: u32 = 256;

/// One direction of one stream of a leg, outward.
pub struct Sender {
    master: Master,
    rtp: Cipher,
    /// Its cipher is made when a packet needs it: there are few.
    rtcp: Session,
    streams: Streams,
    /// The index of the SRTCP packet that was sent last; counted for all senders together, so each pair of
    /// SSRC and index is used once.
    rtcp_index: u32,
    turned: bool,
    /// Streams that leave by another SSRC: theirs, then ours.
    renamed: [Option<(u32, u32)>; STREAMS],
    names: u32,
}

impl Sender {
    /// That has sent nothing.
    #[must_use]
    pub fn new(master: &Master) -> Self {
        Self {
            master: *master,
            rtp: Cipher::new(&Session::derive(master, Purpose::Rtp)),
            rtcp: Session::derive(master, Purpose::Rtcp),
            streams: Streams::new(),
            rtcp_index: 0,
            turned: false,
            renamed: [None; STREAMS],
            names: 0,
        }
    }

    /// As it was when [`Self::kept`] was asked, by a process that may have sent more since.
    #[must_use]
    pub fn restore(master: &Master, kept: &Kept) -> Self {
        let streams = Streams::restore(&kept.streams);
        let rtcp_index = kept.rtcp.saturating_add(RTCP_LEAP).min(RTCP_END);
        Self { streams, rtcp_index, ..Self::new(master) }
    }

    /// Its key.
    #[must_use]
    pub const fn master(&self) -> &Master {
        &self.master
    }

    /// What a restart must remember.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept { streams: self.streams.kept(), rtcp: self.rtcp_index }
    }

    /// Whether a stream has begun another half turn since this was asked last: then [`Self::kept`] is to be
    /// written down anew.
    pub fn take_turned(&mut self) -> bool {
        core::mem::take(&mut self.turned)
    }

    /// The SSRC by which a stream leaves. One that may be of those we have forgotten could come again to a number that
    /// it had, under the same key: it leaves as one that never was. `None`: there were too many such.
    fn name(&mut self, ssrc: u32, head: &[u8]) -> Option<u32> {
        let renamed = self.renamed.iter().flatten().find(|(theirs, _)| *theirs == ssrc);
        if let Some((_, ours)) = renamed.filter(|(_, ours)| self.streams.knows(*ours)) {
            return Some(*ours);
        }
        if !self.streams.may_be_forgotten(ssrc) {
            return Some(ssrc);
        }
        if self.names >= NAMES_MAX {
            return None;
        }
        // Two processes that go on from one checkpoint must not come to the same name: the second finds another
        // index of SRTCP there. What is named later needs no other.
        self.turned |= self.names == 0;
        let ours = loop {
            self.names = self.names.wrapping_add(1);
            let ours = self.new_name(head);
            if !self.streams.knows(ours) {
                break ours;
            }
        };
        let is_free = |place: &Option<(u32, u32)>| {
            place.is_none_or(|(theirs, ours)| theirs == ssrc || !self.streams.knows(ours))
        };
        let at = self.renamed.iter().position(is_free).unwrap_or(0);
        self.renamed[at] = Some((ssrc, ours));
        Some(ours)
    }

    /// Of the key, of what no other process had, of how many there were, and of the packet.
    fn new_name(&self, head: &[u8]) -> u32 {
        let mut hash =
            Hmac::<Sha1>::new_from_slice(self.master.expose()).expect("HMAC takes any key");
        hash.update(b"ssrc");
        hash.update(&self.rtcp_index.to_be_bytes());
        hash.update(&self.names.to_be_bytes());
        hash.update(head);
        let hash = hash.finalize().into_bytes();
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }

    /// Protects the RTP packet in the first `length` bytes of `room`; how long it is now. Of a stream that may
    /// be one we have forgotten the SSRC is another behind this.
    ///
    /// # Errors
    ///
    /// [`Fault::Replayed`]: a packet of that sequence number was sent, and two under one key stream would
    /// give both away. [`Fault::Exhausted`]: too many sources were under this key.
    pub fn protect_rtp(&mut self, room: &mut [u8], length: usize) -> Result<usize, Fault> {
        let packet = room.get(..length).ok_or(Fault::Malformed)?;
        let rtp = Rtp::read(packet).ok_or(Fault::Malformed)?;
        let ssrc = self.name(rtp.ssrc, packet.get(..12).unwrap_or_default());
        let ssrc = ssrc.ok_or(Fault::Exhausted)?;
        let index = self.streams.guess(ssrc, rtp.sequence);
        if !self.streams.is_new(ssrc, index) {
            return Err(Fault::Replayed);
        }
        if let Some(name) = room.get_mut(8..12) {
            name.copy_from_slice(&ssrc.to_be_bytes());
        }
        let length = self.rtp.seal_rtp(room, length, rtp.header, ssrc, index)?;
        self.turned |= self.streams.note(ssrc, index);
        Ok(length)
    }

    /// Protects the RTCP packet in the first `length` bytes of `room`; how long it is now.
    ///
    /// # Errors
    ///
    /// See [`Fault`].
    pub fn protect_rtcp(&mut self, room: &mut [u8], length: usize) -> Result<usize, Fault> {
        let packet = room.get(..length).filter(|packet| packet.len() >= RTCP_HEADER);
        let ssrc = packet.and_then(rtcp_ssrc).ok_or(Fault::Malformed)?;
        let next = self.rtcp_index.checked_add(1).filter(|&next| next < RTCP_END);
        let next = next.ok_or(Fault::Exhausted)?;
        let length = Cipher::new(&self.rtcp).seal_rtcp(room, length, ssrc, next)?;
        self.rtcp_index = next;
        self.turned |= next.is_multiple_of(RTCP_LEAP / 2);
        Ok(length)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.master.suite().name())
    }
}

#[cfg(test)]
impl Sender {
    /// Of session keys, as the RFCs' examples give them.
    pub(crate) fn of_sessions(master: &Master, session: &Session, rtcp_index: u32) -> Self {
        let (rtp, rtcp) = (Cipher::new(session), session.clone());
        Self { rtp, rtcp, rtcp_index, ..Self::new(master) }
    }
}
