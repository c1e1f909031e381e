//! The client transaction of every other method (RFC 3261 §17.1.2).

use core::time::Duration;

use super::{Carrier, Class, SIXTY_FOUR_T1, T1, T4, Timer};

/// Trying → Proceeding (1xx) → Completed (final) → Ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Sent, nothing heard.
    Trying,
    /// A 1xx came.
    Proceeding,
    /// The final response came; its repetitions are absorbed.
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
    /// A timer.
    Fired(Timer),
}

/// The one thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Nothing,
    /// Send the request again.
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
            (Trying | Proceeding, Fired(E)) => (self, Resend),
            (Trying | Proceeding, Fired(F)) => (Ended(Why::NoAnswer), PassUp),
            (Trying | Proceeding, Response(Provisional)) => (Proceeding, PassUp),
            (Trying | Proceeding, Response(Success | Failure)) => (Completed, PassUp),
            (Completed, Fired(K)) => (Ended(Why::Done), Nothing),
            (Completed, Response(_))
            | (Trying | Proceeding | Completed, Fired(_))
            | (Ended(_), _) => (self, Nothing),
        }
    }

    /// The timers of a state: entering it starts them, leaving it stops them, so none is forgotten.
    /// One that the next state names too runs on.
    #[must_use]
    pub(crate) fn timers(self, carrier: Carrier) -> &'static [(Timer, Duration)] {
        use {Carrier::*, State::*, Timer::*};
        match (self, carrier) {
            (Trying | Proceeding, Unreliable) => &[(E, T1), (F, SIXTY_FOUR_T1)],
            (Trying | Proceeding, Reliable) => &[(F, SIXTY_FOUR_T1)],
            (Completed, Unreliable) => &[(K, T4)],
            (Completed, Reliable) => &[(K, Duration::ZERO)],
            (Ended(_), _) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TIMERS;
    use super::{Class::*, Effect::*, Input::*, State::*, Timer::*, *};

    const STATES: [State; 5] =
        [Trying, Proceeding, Completed, Ended(Why::Done), Ended(Why::NoAnswer)];

    /// Every transition of the figure in RFC 3261 (page 133) that moves or does something.
    const FIGURE: &[(State, Input, State, Effect)] = &[
        (Trying, Fired(E), Trying, Resend),
        (Trying, Fired(F), Ended(Why::NoAnswer), PassUp),
        (Trying, Response(Provisional), Proceeding, PassUp),
        (Trying, Response(Success), Completed, PassUp),
        (Trying, Response(Failure), Completed, PassUp),
        (Proceeding, Fired(E), Proceeding, Resend),
        (Proceeding, Fired(F), Ended(Why::NoAnswer), PassUp),
        (Proceeding, Response(Provisional), Proceeding, PassUp),
        (Proceeding, Response(Success), Completed, PassUp),
        (Proceeding, Response(Failure), Completed, PassUp),
        (Completed, Fired(K), Ended(Why::Done), Nothing),
    ];

    #[test]
    fn every_state_does_with_every_input_what_the_figure_says_and_nothing_else() {
        let responses = [Provisional, Success, Failure].map(Response);
        let inputs: Vec<Input> = responses.into_iter().chain(TIMERS.map(Fired)).collect();
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
}
