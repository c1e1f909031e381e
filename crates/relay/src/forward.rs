//! The verb: one datagram in, one verdict out.

use std::net::{IpAddr, SocketAddr};

use wire::rtp::{self, Rtp};

use crate::flow::{Flow, Owner, Pressed, Way};
use crate::latch::{Belief, Latch, REBIND_AFTER};
use crate::port::Port;
use crate::work::NO_WORK;
use crate::{Instant, Table};

/// Why a media datagram goes nowhere. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DropReason {
    /// Nobody's port.
    NoFlow,
    /// No RTP of version 2 on an RTP port.
    NotRtp,
    /// No RTCP on an RTCP port.
    NotRtcp,
    /// A payload type that was not negotiated.
    PayloadType,
    /// Not from the far end of this flow.
    Stranger,
    /// The other side's far end is not known yet, or wants no media.
    PeerUnknown,
    /// Media of the caller before the answer, or of the callee after 120 s without one.
    Early,
    /// Of a leg that waits beside its call.
    Parked,
    /// From where its far end may not be.
    Fenced,
    /// On a port of a fax: RTP of the call before it, nothing at all, or more than a datagram of it holds.
    NotFax,
    /// Nobody with the key of its leg has made it.
    Unauthentic,
    /// Under a key, and here before.
    Replayed,
    /// Longer than anything we change.
    TooLong,
    /// To be transcoded, and late, of no codec that was agreed, or a report of a stream that only one side sees.
    NotTranscoded,
    /// An event that the other side cannot read: its key goes on another way.
    OtherWay,
}

/// The longest datagram of a fax: what one frame of Ethernet carries over IPv4.
const FAX_BYTES_MAX: usize = 1_472;

impl DropReason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 15] = [
        Self::NoFlow,
        Self::NotRtp,
        Self::NotRtcp,
        Self::PayloadType,
        Self::Stranger,
        Self::PeerUnknown,
        Self::Early,
        Self::Parked,
        Self::Fenced,
        Self::NotFax,
        Self::Unauthentic,
        Self::Replayed,
        Self::TooLong,
        Self::NotTranscoded,
        Self::OtherWay,
    ];

    /// The name of its counter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFlow => "media_no_flow",
            Self::NotRtp => "media_not_rtp",
            Self::NotRtcp => "media_not_rtcp",
            Self::PayloadType => "media_payload_type",
            Self::Stranger => "media_stranger",
            Self::PeerUnknown => "media_peer_unknown",
            Self::Early => "media_early",
            Self::Parked => "media_parked",
            Self::Fenced => "media_fenced",
            Self::NotFax => "media_not_fax",
            Self::Unauthentic => "media_unauthentic",
            Self::Replayed => "media_replayed",
            Self::TooLong => "media_too_long",
            Self::NotTranscoded => "media_not_transcoded",
            Self::OtherWay => "media_other_way",
        }
    }
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, unchanged, from this own endpoint to that one.
    Send {
        /// Our endpoint on the other leg.
        from: SocketAddr,
        /// The other leg's far end.
        to: SocketAddr,
        /// Whose flow it is.
        owner: Owner,
    },
    /// It goes on, unchanged, to another port of ours: see [`Table::forward_inside`].
    Inside {
        /// Our endpoint on the other leg.
        from: SocketAddr,
        /// Our endpoint that hears it.
        to: SocketAddr,
        /// Whose flow it is.
        owner: Owner,
    },
    /// What was made of it goes on: [`Table::changed_packets`].
    Changed {
        /// Our endpoint on the other leg.
        from: SocketAddr,
        /// The other leg's far end.
        to: SocketAddr,
        /// Whose flow it is.
        owner: Owner,
    },
    /// What was made of it goes on to another port of ours: [`Table::changed_packets`], each by
    /// [`Table::forward_inside`].
    ChangedInside {
        /// Our endpoint on the other leg.
        from: SocketAddr,
        /// Our endpoint that hears it.
        to: SocketAddr,
        /// Whose flow it is.
        owner: Owner,
    },
    /// It goes nowhere.
    Drop(DropReason),
}

/// Where a datagram comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Wire,
    Inside,
}

impl Table {
    /// Judges one datagram that arrived at `port` from `source`.
    #[must_use]
    pub fn forward(
        &mut self,
        now: Instant,
        port: Port,
        source: SocketAddr,
        payload: &[u8],
    ) -> Verdict {
        self.forward_judged(now, port, source, payload, |_, _, _| true)
    }

    /// The same; a source that is to be believed for the first time is judged before: whose flow it is,
    /// whether of the caller's leg, and its address. It is not asked again about an address that it refused
    /// last.
    #[must_use]
    pub fn forward_judged(
        &mut self,
        now: Instant,
        port: Port,
        source: SocketAddr,
        payload: &[u8],
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Verdict {
        let verdict = self.try_forward(now, port, source, payload, Origin::Wire, judge);
        verdict.unwrap_or_else(Verdict::Drop)
    }

    /// Judges one datagram that another port of ours sent to `port`.
    #[must_use]
    pub fn forward_inside(
        &mut self,
        now: Instant,
        port: Port,
        source: SocketAddr,
        payload: &[u8],
    ) -> Verdict {
        let passes = |_, _, _| true;
        let verdict = self.try_forward(now, port, source, payload, Origin::Inside, passes);
        verdict.unwrap_or_else(Verdict::Drop)
    }

    fn try_forward(
        &mut self,
        now: Instant,
        port: Port,
        source: SocketAddr,
        payload: &[u8],
        origin: Origin,
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<Verdict, DropReason> {
        let flow = self.open_at(port).ok_or(DropReason::NoFlow)?;
        let (place, is_settled) = (flow.work, flow.settled);
        let is_inside = flow.latch == Latch::Inside;
        // What is settled comes here only if there is more to it.
        if is_settled {
            self.hear_out(port);
        }
        if is_inside != (origin == Origin::Inside) {
            return Err(DropReason::Stranger);
        }
        if origin == Origin::Wire && self.opens(place) {
            return self.open_packet(port, place, payload, |table, clear| {
                let (verdict, leaves) = table.judge_clear(now, port, source, clear, judge)?;
                table.finish(now, verdict, place, leaves, clear, true)
            });
        }
        let (verdict, leaves) = self.judge_clear(now, port, source, payload, judge)?;
        if [place, leaves.1] == [NO_WORK; 2] {
            return Ok(verdict);
        }
        self.finish(now, verdict, place, leaves, payload, false)
    }

    /// Judges a packet in clear; with the verdict, the port it leaves by and the place of its work.
    fn judge_clear(
        &mut self,
        now: Instant,
        port: Port,
        source: SocketAddr,
        payload: &[u8],
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<(Verdict, (Port, u32)), DropReason> {
        let flow = self.open_flow(port).ok_or(DropReason::NoFlow)?;
        let key = match (port.is_rtcp(), flow.fax) {
            (false, false) => flow.accept_rtp(now, source, payload, judge)?,
            (false, true) => flow.accept_fax(now, source, payload, judge).map(|()| None)?,
            _ => flow.accept_rtcp(now, source, payload, judge).map(|()| None)?,
        };
        let (peer, owner, parked, tapped) = (flow.peer, flow.owner, flow.parked, flow.tapped);
        let inband = flow.inband;
        let is_kept =
            flow.keypad.keeps && !port.is_rtcp() && !flow.fax && flow.reads_packet(payload);
        let has_moved = core::mem::take(&mut flow.moved);
        // Who may be heard before the answer is a matter of the leg it goes to.
        let heard_by_callee = flow.towards_caller;
        let is_early = flow.early_until.is_some_and(|until| heard_by_callee || now > until);
        if has_moved {
            self.change(port);
        }
        if let Some(key) = key {
            let way = if is_kept { Way::Kept } else { Way::Passed };
            self.note_key(Pressed { owner, port, key, way });
        }
        if let Some(place) = inband {
            self.hear_tones(place, port, owner, payload);
        }
        if is_kept {
            return Err(DropReason::OtherWay);
        }
        if is_early {
            return Err(DropReason::Early);
        }
        if parked {
            return Err(DropReason::Parked);
        }
        let leaves = peer.beside(port);
        // A port that was closed and opened again belongs to another call.
        let target = self.open_at(leaves).filter(|target| target.owner == owner);
        let target = target.ok_or(DropReason::PeerUnknown)?;
        let to = target.remote.ok_or(DropReason::PeerUnknown)?;
        let (latch, work) = (target.latch, target.work);
        let from = self.own(leaves).ok_or(DropReason::PeerUnknown)?;
        if tapped {
            self.copy(now, port, source, payload);
        }
        if port.is_rtcp() {
            self.read_reports(now, port, peer, payload);
        }
        let verdict = match latch {
            Latch::Inside => Verdict::Inside { from, to, owner },
            Latch::Fixed | Latch::LearnPort { .. } | Latch::Learn { .. } => {
                Verdict::Send { from, to, owner }
            }
        };
        Ok((verdict, (leaves, work)))
    }
}

impl Flow {
    /// The key that the packet tells of first, if it tells of one.
    fn accept_rtp(
        &mut self,
        now: Instant,
        source: SocketAddr,
        payload: &[u8],
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<Option<u8>, DropReason> {
        let rtp = rtp::parse(payload).ok_or(DropReason::NotRtp)?;
        if !self.payload_types.allows(rtp.payload_type) {
            return Err(DropReason::PayloadType);
        }
        match self.latch.judge(now, source, self.remote, self.latched) {
            Belief::Known => {}
            Belief::Learn => {
                self.pass(source, judge)?;
                self.believe(source);
            }
            Belief::Stranger => self.rebind(now, source, &rtp, judge)?,
        }
        self.heard = Some(now);
        self.judged = self.judged.saturating_add(1);
        if self.settled {
            // Sequence numbers are for who counts the rest.
            self.beside.packets += 1;
            self.beside.bytes += payload.len() as u64;
        } else {
            self.quality.note(now, &rtp, payload.len());
        }
        Ok(if self.reads(rtp.payload_type) { self.hear_key(&rtp, payload) } else { None })
    }

    fn believe(&mut self, source: SocketAddr) {
        (self.remote, self.latched, self.moved) = (Some(source), true, true);
    }

    /// Each key once, however many packets tell of it: they share their timestamp (RFC 4733 §2.5.1.2).
    /// What was overtaken by a later event was told, or is lost for good.
    #[cold]
    fn hear_key(&mut self, rtp: &Rtp, payload: &[u8]) -> Option<u8> {
        let is_told = self.event.is_some_and(|(ssrc, last, _)| {
            ssrc == rtp.ssrc && last.wrapping_sub(rtp.timestamp) < u32::MAX / 2
        });
        let key = rtp::key(payload).filter(|_| !is_told)?;
        // A key that lasts longer than an event can say goes on as another event, at once (§2.5.1.3).
        let goes_on = self.event.is_some_and(|(ssrc, last, before)| {
            let further = rtp.timestamp.wrapping_sub(last);
            ssrc == rtp.ssrc && before == key && further == u32::from(u16::MAX)
        });
        self.event = Some((rtp.ssrc, rtp.timestamp, key));
        (!goes_on).then_some(key)
    }

    /// The one way to move without new SDP; cold, since it is almost always an attack.
    #[cold]
    fn rebind(
        &mut self,
        now: Instant,
        source: SocketAddr,
        rtp: &Rtp,
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<(), DropReason> {
        let silent = self.heard.is_some_and(|heard| now.saturating_sub(heard) >= REBIND_AFTER);
        let may_move = self.latched && !matches!(self.latch, Latch::Fixed | Latch::Inside);
        if may_move && silent && self.quality.continues(rtp) {
            self.pass(source, judge)?;
            self.believe(source);
            return Ok(());
        }
        // While nobody is believed yet, a stranger may be the far end itself, from where it may not be.
        if !self.latched {
            self.pass(source, judge)?;
        }
        Err(DropReason::Stranger)
    }

    /// Whether a source may be believed at all; cold, since it is asked once for each far end.
    #[cold]
    fn pass(
        &mut self,
        source: SocketAddr,
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<(), DropReason> {
        let address = source.ip();
        if self.refused == Some(address) {
            return Err(DropReason::Fenced);
        }
        if judge(self.owner, self.towards_caller, address) {
            return Ok(());
        }
        self.refused = Some(address);
        Err(DropReason::Fenced)
    }

    /// Fax has no header to know it by; cold, since calls that carry it are few. What is on its way of the
    /// sound before it comes from another port perhaps, and must not be learned from.
    #[cold]
    fn accept_fax(
        &mut self,
        now: Instant,
        source: SocketAddr,
        payload: &[u8],
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<(), DropReason> {
        let is_sound = !self.latched && rtp::parse(payload).is_some();
        if is_sound || payload.is_empty() || payload.len() > FAX_BYTES_MAX {
            return Err(DropReason::NotFax);
        }
        match self.latch.judge(now, source, self.remote, self.latched) {
            Belief::Known => {}
            Belief::Learn => {
                self.pass(source, judge)?;
                self.believe(source);
            }
            Belief::Stranger => return Err(DropReason::Stranger),
        }
        self.heard = Some(now);
        self.judged = self.judged.saturating_add(1);
        self.quality.note_unread(payload.len());
        Ok(())
    }

    fn accept_rtcp(
        &mut self,
        now: Instant,
        source: SocketAddr,
        payload: &[u8],
        judge: impl FnOnce(Owner, bool, IpAddr) -> bool,
    ) -> Result<(), DropReason> {
        if !rtp::is_rtcp(payload) {
            return Err(DropReason::NotRtcp);
        }
        match self.latch.judge(now, source, self.remote, self.latched) {
            Belief::Known => {}
            Belief::Learn => {
                self.pass(source, judge)?;
                self.believe(source);
            }
            Belief::Stranger => return Err(DropReason::Stranger),
        }
        self.heard = Some(now);
        Ok(())
    }
}
