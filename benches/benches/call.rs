//! One whole call, INVITE to BYE on both legs, among a thousand that talk: in the brain, and in the
//! decision loop.

use std::error::Error;
use std::time::Duration;

use benches::desk::Desk;
use benches::measure::{Step, price};
use benches::phones::{Exchange, Input, Phones};
use benches::shared;

/// Calls that talk all the time, and calls of one run.
const TALKING: u32 = 1_000;
const RUN: u32 = 50;
/// A new call each so often; what a call leaves behind goes after 32 s.
const PACE: Duration = Duration::from_millis(20);
const LINGERING: u32 = 1_700;
/// When the phones begin.
const BEGIN: Duration = Duration::from_secs(1_000);

fn main() -> Result<(), Box<dyn Error>> {
    price(&mut [Box::new(Brain::new()?), Box::new(Decision { desk: Desk::open()? })])
}

/// The switch, all its messages, and its images in the call table.
struct Brain {
    phones: Phones,
    twin: Exchange,
    tape: Vec<Input>,
}

impl Brain {
    fn new() -> Result<Self, Box<dyn Error>> {
        let exchange = || shared::in_process(2 * TALKING).map(|it| Exchange::open(2 * TALKING, it));
        let (mut phones, mut twin) = (Phones::new(exchange()?, BEGIN), exchange()?);
        for call in 0..TALKING + LINGERING {
            phones.begin();
            if call >= TALKING {
                phones.end();
            }
            phones.wait(PACE);
            phones.take_tape().iter().for_each(|input| twin.play(input));
        }
        Ok(Self { phones, twin, tape: Vec::new() })
    }
}

impl Step for Brain {
    fn name(&self) -> &str {
        "b2bua: one call, 14 messages"
    }

    fn operations(&self) -> u32 {
        RUN
    }

    fn prepare(&mut self) {
        for _ in 0..RUN {
            self.phones.begin();
            self.phones.end();
            self.phones.wait(PACE);
        }
        self.tape = self.phones.take_tape();
        assert_eq!(self.twin.switch.calls_live(), TALKING, "the twin has lost its place");
    }

    fn run(&mut self) {
        self.tape.iter().for_each(|input| self.twin.play(input));
    }
}

/// The office: admission, start record, both charges.
struct Decision {
    desk: Desk,
}

impl Step for Decision {
    fn name(&self) -> &str {
        "control: admit, commit, charge"
    }

    fn operations(&self) -> u32 {
        RUN
    }

    fn run(&mut self) {
        for _ in 0..RUN {
            self.desk.call();
        }
    }
}
