//! What we say ourselves from a port of ours to its far end: ringback, or a prompt.
//!
//! Ringback sounds as if the other leg had sent it, and ends by itself: as soon as the other leg is heard, the
//! call is answered, or the port is closed. A prompt is played once or until it is stopped, whoever else is there;
//! [`Table::poll_played`] says when one ended that nobody stopped. Neither begins before its far end is known.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::Instant;
use crate::flow::Owner;
use crate::port::Port;
use crate::prompt::{PromptId, Prompts};
use crate::table::Table;
use crate::tone::{SAMPLES, Waves};

/// Bytes of a packet: a header and 20 ms at 8 kHz.
pub const TONE_BYTES: usize = wire::rtp::RTP_BYTES + SAMPLES;

/// The same under a key.
pub const SOUND_BYTES: usize = TONE_BYTES + srtp::OVERHEAD_MAX;

/// How long a packet of ours sounds.
pub const PACKET_TIME: Duration = Duration::from_millis(20);

/// Sounds at a time; a call that rings beyond hears what it would hear without.
const SOUNDS_MAX: usize = 1_024;

/// Prompts among them: those who ring are not to be silenced by those who fail.
pub const PROMPTS_MAX: usize = SOUNDS_MAX / 2;

/// How often a prompt is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// From its beginning to its end.
    Once,
    /// From its beginning again, until it is stopped.
    Looped,
}

/// A prompt that is to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// Which.
    pub prompt: PromptId,
    /// How often.
    pub times: Times,
    /// In A-law, or else in µ-law.
    pub is_a_law: bool,
    /// The RTP source that it comes from: a new one, so that its numbers continue nobody's.
    pub ssrc: u32,
}

/// How a prompt ended that nobody stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// All of it was sent.
    Finished,
    /// Its port was closed.
    Cut,
}

/// A prompt that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// Whose port it was.
    pub owner: Owner,
    /// That port.
    pub port: Port,
    /// How it ended.
    pub end: PlayEnd,
}

/// A packet that is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Our endpoint.
    pub from: SocketAddr,
    /// Who hears it.
    pub to: SocketAddr,
    /// How long it is.
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Ringback,
    Prompt(PromptId, Times),
}

/// One that sounds.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    port: Port,
    owner: Owner,
    began: Instant,
    /// When its next packet is to go.
    due: Instant,
    what: What,
    is_a_law: bool,
    ssrc: u32,
    /// How many packets went.
    sent: u32,
}

/// Whether a sound goes on.
enum Course {
    /// From here to there; `None`: its far end is not known yet.
    On(SocketAddr, Option<SocketAddr>),
    /// It has been heard whole.
    Finished,
    Over,
}

/// All that sounds, and what may.
pub(crate) struct Sounds {
    waves: Waves,
    prompts: Arc<Prompts>,
    /// Those that sound, the one that is due first in front.
    sounding: VecDeque<Sounding>,
    /// How many of them are prompts.
    prompting: usize,
    played: VecDeque<Played>,
}

impl Sounds {
    pub(crate) fn new() -> Self {
        Self {
            waves: Waves::new(),
            prompts: Arc::default(),
            sounding: VecDeque::with_capacity(SOUNDS_MAX),
            prompting: 0,
            played: VecDeque::with_capacity(PROMPTS_MAX),
        }
    }

    /// It is due now, and so before all that wait for their next packet.
    fn begin(&mut self, sounding: Sounding) {
        self.prompting += usize::from(sounding.what != What::Ringback);
        self.sounding.push_front(sounding);
    }

    /// One that sounds no more; of a prompt that nobody stopped it is told how it ended.
    fn end(&mut self, ended: Sounding, end: Option<PlayEnd>) {
        if ended.what == What::Ringback {
            return;
        }
        self.prompting -= 1;
        let Sounding { owner, port, .. } = ended;
        // As many as may be played end between two looks at most.
        if let Some(end) = end.filter(|_| self.played.len() < PROMPTS_MAX) {
            self.played.push_back(Played { owner, port, end });
        }
    }

    /// Writes the next packet of one.
    fn write(&self, one: &mut Sounding, out: &mut [u8; TONE_BYTES]) {
        let payload_type = if one.is_a_law { 8 } else { 0 };
        // The marker tells where a talk begins (RFC 3551 §4.1).
        let marker = if one.sent == 0 { 0x80 } else { 0 };
        let timestamp = one.sent.wrapping_mul(SAMPLES as u32);
        let (head, samples) = out.split_at_mut(wire::rtp::RTP_BYTES);
        head[..2].copy_from_slice(&[0x80, marker | payload_type]);
        head[2..4].copy_from_slice(&(one.sent as u16).to_be_bytes());
        head[4..8].copy_from_slice(&timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&one.ssrc.to_be_bytes());
        match one.what {
            What::Ringback => self.waves.write(one.sent, one.is_a_law, samples),
            What::Prompt(prompt, _) => {
                let packet = one.sent.checked_rem(self.prompts.packets(prompt)).unwrap_or(0);
                if let Some(said) = self.prompts.packet(prompt, packet, one.is_a_law) {
                    samples.copy_from_slice(said);
                }
            }
        }
        one.sent = one.sent.wrapping_add(1);
    }

    fn is_finished(&self, one: &Sounding) -> bool {
        let What::Prompt(prompt, Times::Once) = one.what else { return false };
        one.sent >= self.prompts.packets(prompt)
    }
}

impl Table {
    /// What can be played. Said before the first call.
    pub fn set_prompts(&mut self, prompts: Arc<Prompts>) {
        self.sounds.prompts = prompts;
    }

    /// What can be played.
    #[must_use]
    pub fn prompts(&self) -> &Prompts {
        &self.sounds.prompts
    }

    /// Sounds ringback from an open port of an early call, in A-law or µ-law, until the other leg is heard
    /// or the call answered. Whether it does: as many sounds as there may be sound already.
    pub fn ring(&mut self, now: Instant, port: Port, is_a_law: bool, ssrc: u32) -> bool {
        self.begin_sound(now, port, What::Ringback, is_a_law, ssrc)
    }

    /// Plays a prompt from an open port, in place of one that it plays already. Whether it does: as many
    /// prompts as there may be are played already.
    pub fn play(&mut self, now: Instant, port: Port, play: &Play) -> bool {
        self.stop(port);
        let Play { prompt, times, is_a_law, ssrc } = *play;
        self.sounds.prompting < PROMPTS_MAX
            && self.begin_sound(now, port, What::Prompt(prompt, times), is_a_law, ssrc)
    }

    fn begin_sound(
        &mut self,
        now: Instant,
        port: Port,
        what: What,
        is_a_law: bool,
        ssrc: u32,
    ) -> bool {
        let owner = self.open_flow(port).map(|flow| flow.owner);
        let has_room = self.sounds.sounding.len() < SOUNDS_MAX;
        let Some(owner) = owner.filter(|_| has_room) else { return false };
        let (began, due, sent) = (now, now, 0);
        self.sounds.begin(Sounding { port, owner, began, due, what, is_a_law, ssrc, sent });
        true
    }

    /// Stops the prompt of a port. Whether it played one.
    pub fn stop(&mut self, port: Port) -> bool {
        let is_its = |one: &Sounding| one.port == port && one.what != What::Ringback;
        let place = self.sounds.sounding.iter().position(is_its);
        let Some(ended) = place.and_then(|place| self.sounds.sounding.remove(place)) else {
            return false;
        };
        self.sounds.end(ended, None);
        true
    }

    /// When [`Self::poll_sound`] has something next.
    #[must_use]
    pub fn sound_due(&self) -> Option<Instant> {
        self.sounds.sounding.front().map(|one| one.due)
    }

    /// The next packet of a sound, written into `out`; `None`: nothing is due. All sounds have one pace, so
    /// the one that was served last is due last.
    pub fn poll_sound(&mut self, now: Instant, out: &mut [u8; SOUND_BYTES]) -> Option<Sound> {
        while self.sound_due().is_some_and(|due| due <= now) {
            let mut one = self.sounds.sounding.pop_front()?;
            let (from, to) = match self.course_of(&one) {
                Course::On(from, to) => (from, to),
                Course::Finished => {
                    self.sounds.end(one, Some(PlayEnd::Finished));
                    continue;
                }
                Course::Over => {
                    self.sounds.end(one, Some(PlayEnd::Cut));
                    continue;
                }
            };
            // What was missed is not made up for.
            let next = one.due + PACKET_TIME;
            one.due = if next > now { next } else { now + PACKET_TIME };
            let room = out.first_chunk_mut::<TONE_BYTES>()?;
            if to.is_some() {
                self.sounds.write(&mut one, room);
            }
            let port = one.port;
            self.sounds.sounding.push_back(one);
            let bytes = to.and_then(|_| self.seal_own(port, out, TONE_BYTES));
            if let (Some(to), Some(bytes)) = (to, bytes) {
                return Some(Sound { from, to, bytes });
            }
        }
        None
    }

    /// The next prompt that ended without being stopped.
    pub fn poll_played(&mut self) -> Option<Played> {
        self.sounds.played.pop_front()
    }

    /// Prompts that are played.
    #[must_use]
    pub fn prompts_played(&self) -> usize {
        self.sounds.prompting
    }

    fn course_of(&self, one: &Sounding) -> Course {
        if self.sounds.is_finished(one) {
            return Course::Finished;
        }
        let flow = self.open_at(one.port).filter(|flow| flow.owner == one.owner);
        let (Some(flow), Some(own)) = (flow, self.own(one.port)) else { return Course::Over };
        let course = Course::On(own, flow.remote);
        if one.what != What::Ringback {
            return course;
        }
        let (peer, is_over) = (flow.peer, flow.early_until.is_none() || flow.opened > one.began);
        let is_heard = || self.heard_at(peer).is_some_and(|at| at >= one.began);
        if is_over || is_heard() { Course::Over } else { course }
    }
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
