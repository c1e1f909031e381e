//! What waits for a worker, in order: messages, and what is told in many of them.

use std::collections::VecDeque;

use link::message::Down;

use crate::state::fence::Telling;

/// One thing that waits.
#[expect(clippy::large_enum_variant, reason = "messages of a ring have one size anyway")]
enum Waiting {
    Message(Down),
    /// All fences, made into messages one by one as they leave.
    Fences(Telling),
}

/// The queue of one worker.
#[derive(Default)]
pub(super) struct Downward {
    waiting: VecDeque<Waiting>,
}

impl Downward {
    /// One more message.
    pub(super) fn push(&mut self, down: Down) {
        self.waiting.push_back(Waiting::Message(down));
    }

    /// What a full ring did not take, or what must come first.
    pub(super) fn push_front(&mut self, down: Down) {
        self.waiting.push_front(Waiting::Message(down));
    }

    /// Tells of all fences. A telling that waits, or is on its way, is void by this one.
    pub(super) fn tell(&mut self, telling: Telling) {
        self.waiting.retain(|it| !matches!(it, Waiting::Fences(_)));
        self.waiting.push_back(Waiting::Fences(telling));
    }

    /// Keeps the messages that `keeps` says.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Down) -> bool) {
        self.waiting.retain(|it| match it {
            Waiting::Message(down) => keeps(down),
            Waiting::Fences(_) => true,
        });
    }

    /// How much waits; the telling of fences counts once.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The next message.
    pub(super) fn pop(&mut self) -> Option<Down> {
        loop {
            if let Some(Waiting::Fences(telling)) = self.waiting.front_mut()
                && let Some(part) = telling.poll_part()
            {
                return Some(Down::Order(part));
            }
            match self.waiting.pop_front()? {
                Waiting::Message(down) => return Some(down),
                // Told to its end.
                Waiting::Fences(_) => {}
            }
        }
    }
}
