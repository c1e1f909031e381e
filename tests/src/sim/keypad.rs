//! Keys that a simulated peer presses while it talks: one after the other, as RFC 4733 events among its
//! audio or as INFO.

use std::collections::VecDeque;
use std::time::Duration;

/// How keys travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tones {
    /// As events of RTP.
    Events,
    /// As INFO, each once the one before is answered.
    Info,
}

/// The payload type of events, by every description that has them.
pub(super) const EVENTS: u8 = 101;
/// From one key to the next.
const PACE: Duration = Duration::from_millis(150);
/// How often the end of an event is told (RFC 4733 §2.5.1.4).
const ENDS: usize = 3;

/// Keys that are still to be pressed.
#[derive(Debug, Default)]
pub(super) struct Keypad {
    waiting: VecDeque<u8>,
    due: Duration,
    pressed: u16,
}

impl Keypad {
    pub(super) fn press(&mut self, now: Duration, keys: &str) {
        self.due = self.due.max(now);
        self.waiting.extend(keys.bytes());
    }

    pub(super) fn due(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.due)
    }

    /// The key that is pressed now.
    pub(super) fn next(&mut self, now: Duration) -> Option<u8> {
        self.due().filter(|due| *due <= now)?;
        (self.due, self.pressed) = (now + PACE, self.pressed + 1);
        self.waiting.pop_front()
    }

    /// The packets of the key that was pressed last: how it begins, and how it ends.
    pub(super) fn event(&self, key: u8) -> Vec<Vec<u8>> {
        let number = b"0123456789*#".iter().position(|one| *one == key).unwrap_or_default();
        let packet = |place: usize| {
            let is_end = place > 0;
            let sequence = 0x8000_u16 + self.pressed * 8 + place as u16;
            let mut packet = vec![0x80, EVENTS | if place == 0 { 0x80 } else { 0 }];
            packet.extend(sequence.to_be_bytes());
            packet.extend((u32::from(self.pressed) * 1_600).to_be_bytes());
            packet.extend(0x4b65_7973_u32.to_be_bytes());
            packet.extend([number as u8, if is_end { 0x8a } else { 0x0a }]);
            packet.extend(if is_end { [0x03, 0x20] } else { [0, 0xa0] });
            packet
        };
        (0..=ENDS).map(packet).collect()
    }
}

/// Whether a packet is part of a key.
pub(super) fn is_event(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| kind & 0x7f == EVENTS)
}

/// The body of an INFO with a key.
pub(super) fn signal(key: u8) -> String {
    format!("Signal={}\r\nDuration=160\r\n", char::from(key))
}

/// Whether it is one.
pub(super) fn is_signal(body: &str) -> bool {
    body.starts_with("Signal=")
}
