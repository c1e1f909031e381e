//! The server transaction of every other method (RFC 3261 §17.2.2).

use core::time::Duration;

use super::{Carrier, Class, SIXTY_FOUR_T1, Timer};

/// Trying → Proceeding (1xx) → Completed (final) → Ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No response yet.
    Trying,
    /// A 1xx was sent.
    Proceeding,
    /// The final response was sent and is repeated for each repetition of the request.
    Completed,
    /// Over.
    Ended,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The request again.
    Request,
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
}

impl State {
    /// The next state, and the one thing to do about it.
    #[must_use]
    pub(crate) fn step(self, input: Input) -> (Self, Effect) {
        use {Class::*, Effect::*, Input::*, State::*, Timer::*};
        match (self, input) {
            (Trying | Proceeding, Answer(Provisional)) => (Proceeding, Send),
            (Trying | Proceeding, Answer(Success | Failure)) => (Completed, Send),
            (Proceeding | Completed, Request) => (self, Resend),
            (Completed, Fired(J)) => (Ended, Nothing),
            (Trying, Request)
            | (Completed, Answer(_))
            | (Trying | Proceeding | Completed, Fired(_))
            | (Ended, _) => (self, Nothing),
        }
    }

    /// The timers of a state: entering it starts them, leaving it stops them, so none is forgotten.
    #[must_use]
    pub(crate) fn timers(self, carrier: Carrier) -> &'static [(Timer, Duration)] {
        use {Carrier::*, State::*, Timer::*};
        match (self, carrier) {
            (Trying | Proceeding | Ended, _) => &[],
            (Completed, Unreliable) => &[(J, SIXTY_FOUR_T1)],
            (Completed, Reliable) => &[(J, Duration::ZERO)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TIMERS;
    use super::{Class::*, Effect::*, Input::*, State::*, Timer::*, *};

    const STATES: [State; 4] = [Trying, Proceeding, Completed, Ended];

    /// Every transition of the figure in RFC 3261 (page 140) that moves or does something.
    const FIGURE: &[(State, Input, State, Effect)] = &[
        (Trying, Answer(Provisional), Proceeding, Send),
        (Trying, Answer(Success), Completed, Send),
        (Trying, Answer(Failure), Completed, Send),
        (Proceeding, Request, Proceeding, Resend),
        (Proceeding, Answer(Provisional), Proceeding, Send),
        (Proceeding, Answer(Success), Completed, Send),
        (Proceeding, Answer(Failure), Completed, Send),
        (Completed, Request, Completed, Resend),
        (Completed, Fired(J), Ended, Nothing),
    ];

    #[test]
    fn every_state_does_with_every_input_what_the_figure_says_and_nothing_else() {
        let answers = [Provisional, Success, Failure].map(Answer);
        let inputs: Vec<Input> =
            [Request].into_iter().chain(answers).chain(TIMERS.map(Fired)).collect();
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
