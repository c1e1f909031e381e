//! The INVITE server transaction: how one INVITE of theirs is answered exactly once
//! (RFC 3261 §17.2.1, with the Accepted state of RFC 6026 §7.1).

use core::time::Duration;

use super::{Carrier, Class, SIXTY_FOUR_T1, T1, T4, Timer};

/// Proceeding → Accepted (2xx) → Ended; or → Completed (3xx–6xx) → Confirmed (ACK) → Ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No final response yet.
    Proceeding,
    /// A 2xx was sent; the call repeats it.
    Accepted,
    /// A failure was sent and is repeated until its ACK.
    Completed,
    /// The failure was acknowledged; late repetitions are absorbed.
    Confirmed,
    /// Over.
    Ended(Why),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// As it should.
    Done,
    /// The failure was never acknowledged.
    NoAck,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The INVITE again.
    Invite,
    /// An ACK that matches it.
    Ack,
    /// The call answers.
    Answer(Class),
    /// A timer.
    Fired(Timer),
}

/// The one thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Nothing,
    /// Send the answer and keep it.
    Send,
    /// Send the kept answer again.
    Resend,
    /// The call wants to know.
    PassUp,
}

impl State {
    /// The next state, and the one thing to do about it.
    #[must_use]
    pub(crate) fn step(self, input: Input) -> (Self, Effect) {
        use {Class::*, Effect::*, Input::*, State::*, Timer::*};
        match (self, input) {
            (Proceeding, Answer(Provisional)) => (Proceeding, Send),
            (Proceeding, Answer(Success)) => (Accepted, Send),
            (Proceeding, Answer(Failure)) => (Completed, Send),
            (Proceeding | Completed, Invite) => (self, Resend),
            (Completed, Fired(G)) => (Completed, Resend),
            (Completed, Ack) => (Confirmed, Nothing),
            (Completed, Fired(H)) => (Ended(Why::NoAck), Nothing),
            // The call repeats its own 2xx until the ACK reaches it (RFC 6026), so a repeated
            // INVITE is absorbed here and must not make the call ring twice.
            (Accepted, Invite) => (Accepted, Nothing),
            (Accepted, Answer(Success)) => (Accepted, Send),
            (Accepted, Ack) => (Accepted, PassUp),
            (Accepted, Fired(L)) | (Confirmed, Fired(I)) => (Ended(Why::Done), Nothing),
            (Proceeding, Ack | Fired(_))
            | (Accepted | Completed | Confirmed, Answer(_) | Fired(_))
            | (Confirmed, Invite | Ack)
            | (Ended(_), _) => (self, Nothing),
        }
    }

    /// The timers of a state: entering it starts them, leaving it stops them, so none is forgotten.
    #[must_use]
    pub(crate) fn timers(self, carrier: Carrier) -> &'static [(Timer, Duration)] {
        use {Carrier::*, State::*, Timer::*};
        match (self, carrier) {
            (Proceeding | Ended(_), _) => &[],
            (Accepted, _) => &[(L, SIXTY_FOUR_T1)],
            (Completed, Unreliable) => &[(G, T1), (H, SIXTY_FOUR_T1)],
            (Completed, Reliable) => &[(H, SIXTY_FOUR_T1)],
            (Confirmed, Unreliable) => &[(I, T4)],
            (Confirmed, Reliable) => &[(I, Duration::ZERO)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TIMERS;
    use super::{Class::*, Effect::*, Input::*, State::*, Timer::*, *};

    const STATES: [State; 6] =
        [Proceeding, Accepted, Completed, Confirmed, Ended(Why::Done), Ended(Why::NoAck)];

    /// Every transition of the figures in RFC 3261 (page 136) and RFC 6026 that moves or does
    /// something.
    const FIGURE: &[(State, Input, State, Effect)] = &[
        (Proceeding, Invite, Proceeding, Resend),
        (Proceeding, Answer(Provisional), Proceeding, Send),
        (Proceeding, Answer(Success), Accepted, Send),
        (Proceeding, Answer(Failure), Completed, Send),
        (Accepted, Answer(Success), Accepted, Send),
        (Accepted, Ack, Accepted, PassUp),
        (Accepted, Fired(L), Ended(Why::Done), Nothing),
        (Completed, Invite, Completed, Resend),
        (Completed, Fired(G), Completed, Resend),
        (Completed, Fired(H), Ended(Why::NoAck), Nothing),
        (Completed, Ack, Confirmed, Nothing),
        (Confirmed, Fired(I), Ended(Why::Done), Nothing),
    ];

    #[test]
    fn every_state_does_with_every_input_what_the_figure_says_and_nothing_else() {
        let answers = [Provisional, Success, Failure].map(Answer);
        let inputs: Vec<Input> =
            [Invite, Ack].into_iter().chain(answers).chain(TIMERS.map(Fired)).collect();
        for state in STATES {
            for &input in &inputs {
                let expected = FIGURE
                    .iter()
                    .find(|row| row.0 == state && row.1 == input)
                    .map_or((state, Nothing), |row| (row.2, row.3));
                assert_eq!(state.step(input), expected, "{state:?} × {input:?}");
            }
        }
    }

    #[test]
    fn every_timer_of_a_state_means_something_there() {
        for state in STATES {
            for carrier in [Carrier::Unreliable, Carrier::Reliable] {
                for &(timer, _) in state.timers(carrier) {
                    assert_ne!(state.step(Fired(timer)), (state, Nothing), "{state:?} {timer:?}");
                }
            }
        }
    }
}
