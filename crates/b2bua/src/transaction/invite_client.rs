//! The INVITE client transaction: one INVITE of ours until its final response and beyond
//! (RFC 3261 §17.1.1, with the Accepted state of RFC 6026 §7.2 and the patience of §9.1).

use core::time::Duration;

use super::{Carrier, Class, SIXTY_FOUR_T1, T1, THIRTY_TWO_SECONDS, Timer};

/// Calling → Proceeding (1xx) → Accepted (2xx) or Completed (3xx–6xx) → Ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Sent, nothing heard.
    Calling,
    /// A 1xx came: they have it.
    Proceeding,
    /// A CANCEL went out: a final response comes, or never will (§9.1).
    Cancelling,
    /// A 2xx came; its repetitions and those of other forks follow it.
    Accepted,
    /// A failure came and was acknowledged; its repetitions are acknowledged again.
    Completed,
    /// Over.
    Ended(Why),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// As it should.
    Done,
    /// No final response came.
    NoAnswer,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A response with our branch.
    Response(Class),
    /// The call sends CANCEL.
    Cancelled,
    /// A timer.
    Fired(Timer),
}

/// The one thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Nothing,
    /// Send the INVITE again.
    Resend,
    /// The call wants to know.
    PassUp,
    /// Send ACK; the call wants to know.
    AckAndPassUp,
    /// Send ACK.
    Ack,
}

impl State {
    /// The next state, and the one thing to do about it.
    #[must_use]
    pub(crate) fn step(self, input: Input) -> (Self, Effect) {
        use {Class::*, Effect::*, Input::*, State::*, Timer::*};
        match (self, input) {
            (Calling, Fired(A)) => (Calling, Resend),
            (Calling, Fired(B)) | (Cancelling, Fired(C)) => (Ended(Why::NoAnswer), PassUp),
            (Calling | Proceeding, Response(Provisional)) => (Proceeding, PassUp),
            (Cancelling, Response(Provisional)) => (Cancelling, PassUp),
            (Calling | Proceeding | Cancelling, Response(Success)) => (Accepted, PassUp),
            (Calling | Proceeding | Cancelling, Response(Failure)) => (Completed, AckAndPassUp),
            (Proceeding, Cancelled) => (Cancelling, Nothing),
            (Accepted, Response(Success)) => (Accepted, PassUp),
            (Completed, Response(Failure)) => (Completed, Ack),
            (Accepted, Fired(M)) | (Completed, Fired(D)) => (Ended(Why::Done), Nothing),
            // A CANCEL must wait for a 1xx (§9.1), and has no meaning after the final response.
            (Calling | Cancelling | Accepted | Completed, Cancelled)
            | (Accepted, Response(Provisional | Failure))
            | (Completed, Response(Provisional | Success))
            | (Calling | Proceeding | Cancelling | Accepted | Completed, Fired(_))
            | (Ended(_), _) => (self, Nothing),
        }
    }

    /// The timers of a state: entering it starts them, leaving it stops them, so none is forgotten.
    ///
    /// Proceeding has none of its own: the call's timers end it with a CANCEL.
    #[must_use]
    pub(crate) fn timers(self, carrier: Carrier) -> &'static [(Timer, Duration)] {
        use {Carrier::*, State::*, Timer::*};
        match (self, carrier) {
            (Calling, Unreliable) => &[(A, T1), (B, SIXTY_FOUR_T1)],
            (Calling, Reliable) => &[(B, SIXTY_FOUR_T1)],
            (Cancelling, _) => &[(C, SIXTY_FOUR_T1)],
            (Accepted, _) => &[(M, SIXTY_FOUR_T1)],
            (Completed, Unreliable) => &[(D, THIRTY_TWO_SECONDS)],
            (Completed, Reliable) => &[(D, Duration::ZERO)],
            (Proceeding | Ended(_), _) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TIMERS;
    use super::{Class::*, Effect::*, Input::*, State::*, Timer::*, *};

    const STATES: [State; 7] = [
        Calling,
        Proceeding,
        Cancelling,
        Accepted,
        Completed,
        Ended(Why::Done),
        Ended(Why::NoAnswer),
    ];

    /// Every transition of the figures in RFC 3261 (page 128) and RFC 6026 that moves or does
    /// something; "C" is the wait of §9.1 after a CANCEL.
    const FIGURE: &[(State, Input, State, Effect)] = &[
        (Calling, Fired(A), Calling, Resend),
        (Calling, Fired(B), Ended(Why::NoAnswer), PassUp),
        (Calling, Response(Provisional), Proceeding, PassUp),
        (Calling, Response(Success), Accepted, PassUp),
        (Calling, Response(Failure), Completed, AckAndPassUp),
        (Proceeding, Response(Provisional), Proceeding, PassUp),
        (Proceeding, Response(Success), Accepted, PassUp),
        (Proceeding, Response(Failure), Completed, AckAndPassUp),
        (Proceeding, Cancelled, Cancelling, Nothing),
        (Cancelling, Response(Provisional), Cancelling, PassUp),
        (Cancelling, Response(Success), Accepted, PassUp),
        (Cancelling, Response(Failure), Completed, AckAndPassUp),
        (Cancelling, Fired(C), Ended(Why::NoAnswer), PassUp),
        (Accepted, Response(Success), Accepted, PassUp),
        (Accepted, Fired(M), Ended(Why::Done), Nothing),
        (Completed, Response(Failure), Completed, Ack),
        (Completed, Fired(D), Ended(Why::Done), Nothing),
    ];

    #[test]
    fn every_state_does_with_every_input_what_the_figure_says_and_nothing_else() {
        let responses = [Provisional, Success, Failure].map(Response);
        let inputs: Vec<Input> =
            [Cancelled].into_iter().chain(responses).chain(TIMERS.map(Fired)).collect();
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
