//! What a live call takes, all in: brain, flows, transactions, call table, office.
//!
//! Two processes are sized for few and for many calls and carry as many; the difference of their memory
//! by the difference of their calls is the price of one. All calls are set up within the 32 s that
//! transactions linger, so this is the most, not the least. Above the limit the bench fails.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

use benches::desk::Desk;
use benches::measure::grouped;
use benches::phones::{Exchange, Phones};
use benches::shared;
use link::record::CallKey;

const FEW: u32 = 1_000;
const MANY: u32 = 4_000;
/// The most that a live call may take, in bytes of resident memory.
const LIMIT: u64 = 20 * 1024;
const LIVE: &str = "--live";

/// When the phones begin.
const BEGIN: Duration = Duration::from_secs(1_000);

/// What grows, in the order in which it is made.
const PARTS: [&str; 4] = [
    "call table: record and checkpoint",
    "brain: call, legs, flows, transactions, kept messages",
    "touched only by calls",
    "office: what control holds of it",
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == LIVE) {
        return carry(arguments.get(at + 1).ok_or("how many calls?")?.parse()?);
    }
    let (few, many) = (child(FEW)?, child(MANY)?);
    let each = |(few, many): (&u64, &u64)| many.saturating_sub(*few) / u64::from(MANY - FEW);
    let bytes: Vec<u64> = few.iter().zip(&many).map(each).collect();
    println!("| of a live call | resident bytes |");
    println!("|---|---|");
    for (part, bytes) in PARTS.iter().zip(&bytes) {
        println!("| {part} | {} |", grouped(*bytes));
    }
    let all: u64 = bytes.iter().sum();
    println!("| all | {} |", grouped(all));
    if all > LIMIT {
        return Err(format!("a live call takes {all} bytes, more than {LIMIT}").into());
    }
    Ok(())
}

/// What each part took in a process of so many calls.
fn child(calls: u32) -> Result<Vec<u64>, Box<dyn Error>> {
    let done = Command::new(std::env::current_exe()?).args([LIVE, &calls.to_string()]).output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    Ok(said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// In a process of its own: so many live calls, and how its memory grew.
fn carry(calls: u32) -> Result<(), Box<dyn Error>> {
    let mut desk = Desk::open()?;
    let mut marks = vec![resident()?];
    let table = shared::in_process(calls)?;
    marks.push(resident()?);
    let exchange = Exchange::open(calls, table);
    marks.push(resident()?);
    let mut phones = Phones::new(exchange, BEGIN);
    for _ in 0..calls {
        phones.begin();
        phones.forget();
    }
    marks.push(resident()?);
    for slot in 0..calls {
        desk.begin(CallKey { slot, generation: 1 });
    }
    marks.push(resident()?);
    let live = phones.into_switch().calls_live();
    if live != calls {
        return Err(format!("{live} of {calls} calls live").into());
    }
    for (before, after) in marks.iter().zip(marks.iter().skip(1)) {
        println!("{}", after.saturating_sub(*before));
    }
    Ok(())
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("statm is short")?.parse()?;
    Ok(pages * 4_096)
}
