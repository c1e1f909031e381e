//! Emit of the 900-byte INVITE, header by header, by the writer that the brain uses.

use std::error::Error;
use std::hint::black_box;

use benches::invite;
use benches::measure::{Repeat, price};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = [0; 2_048];
    price(&mut [Box::new(Repeat::new("tollgate sip", 1_000, || {
        black_box(invite::write(black_box(&mut out)));
    }))])
}
