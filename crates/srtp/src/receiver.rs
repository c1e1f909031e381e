//! What arrives under a key.

use core::fmt;

use crate::cipher::Cipher;
use crate::derive::{Purpose, Session};
use crate::packet::{Rtp, rtcp_ssrc};
use crate::stream::{Kept, Streams};
use crate::{Fault, Master};

/// One direction of one stream of a leg, inward.
pub struct Receiver {
    master: Master,
    rtp: Cipher,
    /// Its cipher is made when a packet needs it: there are few.
    rtcp: Session,
    streams: Streams,
    /// The indices of SRTCP, which stand in its packets.
    rtcp_streams: Streams,
    turned: bool,
}

impl Receiver {
    /// That has heard nothing.
    #[must_use]
    pub fn new(master: &Master) -> Self {
        Self {
            master: *master,
            rtp: Cipher::new(&Session::derive(master, Purpose::Rtp)),
            rtcp: Session::derive(master, Purpose::Rtcp),
            streams: Streams::new(),
            rtcp_streams: Streams::new(),
            turned: false,
        }
    }

    /// As it was when [`Self::kept`] was asked, by a process that may have heard more since.
    #[must_use]
    pub fn restore(master: &Master, kept: &Kept) -> Self {
        Self { streams: Streams::restore(&kept.streams), ..Self::new(master) }
    }

    /// Its key.
    #[must_use]
    pub const fn master(&self) -> &Master {
        &self.master
    }

    /// What a restart must remember.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept { streams: self.streams.kept(), rtcp: 0 }
    }

    /// Whether a stream has begun another half turn since this was asked last: then [`Self::kept`] is to be
    /// written down anew.
    pub fn take_turned(&mut self) -> bool {
        core::mem::take(&mut self.turned)
    }

    /// Opens a whole RTP packet; how long it is in clear. One that is refused stays as it was.
    ///
    /// # Errors
    ///
    /// See [`Fault`]. None of them has changed anything here.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Fault> {
        let Rtp { ssrc, sequence, header } = Rtp::read(packet).ok_or(Fault::Malformed)?;
        let guess = self.streams.guess(ssrc, sequence);
        if self.streams.was_here(ssrc, guess) {
            return Err(Fault::Replayed);
        }
        let mut fault = Fault::Replayed;
        for index in core::iter::once(guess).chain(self.streams.neighbours(ssrc, guess)) {
            if !self.streams.is_new(ssrc, index) {
                continue;
            }
            match self.rtp.open_rtp(packet, header, ssrc, index) {
                Ok(length) => {
                    self.turned |= self.streams.note(ssrc, index);
                    return Ok(length);
                }
                Err(Fault::Unauthentic) => fault = Fault::Unauthentic,
                Err(other) => return Err(other),
            }
        }
        Err(fault)
    }

    /// Opens a whole RTCP packet; how long it is in clear. One that is refused stays as it was.
    ///
    /// # Errors
    ///
    /// See [`Fault`]. None of them has changed anything here.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Fault> {
        let ssrc = rtcp_ssrc(packet).ok_or(Fault::Malformed)?;
        let index = self.master.suite().rtcp_index(packet).ok_or(Fault::Malformed)?;
        if !self.rtcp_streams.is_new(ssrc, index.into()) {
            return Err(Fault::Replayed);
        }
        let length = Cipher::new(&self.rtcp).open_rtcp(packet, ssrc, index)?;
        self.rtcp_streams.note(ssrc, index.into());
        Ok(length)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.master.suite().name())
    }
}

#[cfg(test)]
impl Receiver {
    /// Of session keys, as the RFCs' examples give them.
    pub(crate) fn of_sessions(master: &Master, session: &Session) -> Self {
        let (rtp, rtcp) = (Cipher::new(session), session.clone());
        Self { rtp, rtcp, ..Self::new(master) }
    }
}
