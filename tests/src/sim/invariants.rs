//! What must hold in every world: after every step, and once it is at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use control::cdr::{BillingMode, Cdr, id_text};
use link::record::{EndReason, NEVER};

use super::machine::Carried;
use super::phone::Phone;
use super::world::{BOUGHT, RAISED, SOLD, World};

/// A loss of power costs no more of a call than a second, and what was on its way to the disk.
const HEARTBEAT: Duration = Duration::from_millis(1_300);

/// A call admitted so close to a change of price may have either, µs.
const EITHER_US: u64 = 5_000_000;

fn holds(rule: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if rule { Ok(()) } else { Err(otherwise()) }
}

/// Cheap enough to be looked at all the time.
pub(super) fn after_step(world: &World<'_>) -> Result<(), String> {
    for phone in &world.phones {
        // A fresh dataplane knows nothing of what its predecessor refused.
        holds(phone.finals.len() <= 1 + world.machine.plane_deaths as usize, || {
            format!("{} got two final responses: {:?}", phone.call_id, phone.finals)
        })?;
        holds(phone.audio_foreign == 0, || format!("{} heard another call", phone.call_id))?;
        holds(phone.numbers_reused == 0, || format!("{} got a CSeq twice", phone.call_id))?;
    }
    for vendor in &world.vendors {
        holds(vendor.numbers_reused == 0, || format!("{} got a CSeq twice", vendor.address))?;
    }
    let archive = world.archive();
    holds(archive.contradictions.is_empty(), || archive.contradictions.join("; "))?;
    if let Some(plane) = &world.machine.plane {
        holds(plane.allocations == 0, || {
            format!("the workers allocated {} times after boot", plane.allocations)
        })?;
    }
    let Some(office) = world.machine.office() else { return Ok(()) };
    let [customer, _] = world.accounts;
    let balance = office.state.balances.get(&customer).copied().unwrap_or_default();
    // Outages are granted talk time beyond what was held; there is none without a death.
    if world.money.is_some() && world.machine.plane_deaths + world.machine.desk_deaths == 0 {
        let left = balance.amount.billionths() - balance.reserved.billionths();
        holds(left >= 0, || format!("overdraft: {} less {}", balance.amount, balance.reserved))?;
    }
    holds(balance.calls as usize == office.calls_live(), || {
        format!("{} calls counted, {} live", balance.calls, office.calls_live())
    })
}

/// A control that has just started holds what every running call holds.
pub(super) fn after_start(world: &World<'_>) -> Result<(), String> {
    let unknown = world.machine.calls_unknown();
    holds(unknown == 0, || format!("a new control does not know {unknown} running calls"))
}

/// Everything came to an end, and the books are right.
pub(super) fn at_rest(world: &mut World<'_>) -> Result<(), String> {
    let restless = restless(world);
    holds(restless.is_empty(), || format!("no rest: {restless}"))?;
    books(world)?;
    let mut by_phone: BTreeMap<&str, Vec<&Cdr>> = BTreeMap::new();
    for cdr in world.archive().ends.values() {
        let source = cdr.record.facts.source.socket_address().map(|source| source.ip());
        let phone = source.and_then(|host| world.phone_at(host));
        let phone =
            phone.ok_or_else(|| format!("a record of nobody: {}", id_text(cdr.record.id)))?;
        by_phone.entry(&phone.call_id).or_default().push(cdr);
        charged(world, cdr)?;
        ended_in_the_dark(world, cdr)?;
    }
    lines_kept(world)?;
    for phone in &world.phones {
        let cdrs = by_phone.remove(phone.call_id.as_str()).unwrap_or_default();
        told(world, phone, &cdrs).map_err(|fault| format!("{}: {fault}", phone.call_id))?;
    }
    let orphans: Vec<String> = world
        .archive()
        .starts
        .iter()
        .filter(|id| !world.archive().ends.contains_key(*id))
        .map(|id| id_text(*id))
        .collect();
    holds(orphans.is_empty(), || format!("started and never ended: {}", orphans.join(", ")))
}

/// What still moves, or holds on to something.
pub(super) fn restless(world: &mut World<'_>) -> String {
    let mut found = Vec::new();
    for phone in world.phones.iter().filter(|phone| !phone.is_over()) {
        found.push(format!("{} is {:?}", phone.call_id, phone.stage));
    }
    for vendor in &world.vendors {
        if vendor.calls_up() > 0 {
            found.push(format!("{} has {} calls up", vendor.address, vendor.calls_up()));
        }
    }
    let carried = world.machine.carried();
    if carried != Carried::default() {
        found.push(format!("workers: {carried:?}"));
    }
    if world.machine.slots_taken() > 0 {
        found.push(format!("{} slots of the call table", world.machine.slots_taken()));
    }
    if !world.machine.is_written() {
        found.push("something is not written".into());
    }
    if let Some(office) = world.machine.office() {
        if office.calls_live() > 0 {
            found.push(format!("control knows {} calls", office.calls_live()));
        }
        for (id, balance) in &office.state.balances {
            if balance.calls > 0 || balance.reserved != rating::Money::ZERO {
                found
                    .push(format!("account {id} holds {} for {}", balance.reserved, balance.calls));
            }
        }
        for (id, limiter) in &office.state.limiters {
            if limiter.lines() > 0 {
                found.push(format!("gateway {id} holds {} lines", limiter.lines()));
            }
        }
    }
    found.join("; ")
}

/// Money in = money out, by three books.
fn books(world: &World<'_>) -> Result<(), String> {
    let archive = world.archive();
    let [customer, vendor] = world.accounts;
    let fees = |fee: fn(&Cdr) -> i64| archive.ends.values().map(fee).sum::<i64>();
    let opening = world.money.unwrap_or(0);
    let sold = fees(|cdr| cdr.customer_charge.fee.billionths());
    let bought = fees(|cdr| cdr.vendor_charge.fee.billionths());
    for (account, expected) in [(customer, opening - sold), (vendor, -bought)] {
        let ledger = archive.balance(account);
        holds(ledger == expected, || {
            format!("account {account}: ledger {ledger}, records {expected}")
        })?;
        let office = world.machine.office();
        let held = office.and_then(|office| office.state.balances.get(&account));
        let held = held.map_or(0, |balance| balance.amount.billionths());
        holds(held == expected, || {
            format!("account {account}: memory {held}, records {expected}")
        })?;
    }
    Ok(())
}

/// Billionths per minute.
fn rate(text: &str) -> i128 {
    let hundredths: i128 = text.replace('.', "").parse().unwrap_or(0);
    hundredths * 10_000_000
}

/// What a minute of a call costs the customer: the price of when it was admitted.
fn sold_at(world: &World<'_>, started_us: u64) -> Vec<i128> {
    let Some(repriced) = world.repriced else { return vec![rate(SOLD)] };
    match started_us {
        early if early + EITHER_US < repriced => vec![rate(SOLD)],
        late if late > repriced => vec![rate(RAISED)],
        _ => vec![rate(SOLD), rate(RAISED)],
    }
}

/// Both charges, by an arithmetic apart from the product's own.
fn charged(world: &World<'_>, cdr: &Cdr) -> Result<(), String> {
    let hold_ms = match cdr.record.end_reason() {
        EndReason::DurationLimit => cdr.hold_ms() / 1000 * 1000,
        _ => cdr.hold_ms(),
    };
    let sides = [
        (sold_at(world, cdr.record.started_us), hold_ms, cdr.customer_charge.fee),
        (vec![rate(BOUGHT)], cdr.vendor_hold_ms(), cdr.vendor_charge.fee),
    ];
    for (rates, hold_ms, fee) in sides {
        let fits = |rate| crate::expected_fee(rate, hold_ms) == i128::from(fee.billionths());
        holds(rates.into_iter().any(fits), || {
            format!("{} was charged {fee} for {hold_ms} ms", id_text(cdr.record.id))
        })?;
    }
    Ok(())
}

/// No vendor ever had more calls than lines, from the INVITE to the end or to the next vendor.
fn lines_kept(world: &World<'_>) -> Result<(), String> {
    if world.vendor_lines == 0 || world.faults() > 0 || world.stalled {
        return Ok(());
    }
    let mut edges: BTreeMap<u32, Vec<(u64, i32)>> = BTreeMap::new();
    for cdr in world.archive().ends.values() {
        let attempts = cdr.record.attempts();
        let next = attempts.iter().skip(1).map(|next| next.sent_ms).chain([NEVER]);
        for (attempt, next_ms) in attempts.iter().zip(next) {
            let at = |ms: u32| cdr.record.started_us / 1000 + u64::from(ms);
            // A vendor that was given up may still have its last word; its line is the next call's.
            let ended_ms = attempt.ended_ms.min(next_ms);
            // At the same moment the one goes before the other comes.
            let edges = edges.entry(attempt.gateway).or_default();
            edges.extend([(at(attempt.sent_ms), 1), (at(ended_ms), -1)]);
        }
    }
    for (gateway, mut edges) in edges {
        edges.sort_unstable();
        let mut lines = 0;
        for (at, step) in edges {
            lines += step;
            holds(lines <= world.vendor_lines as i32, || {
                format!("gateway {gateway} had {lines} calls at {at} ms")
            })?;
        }
    }
    Ok(())
}

/// A call that ended with the power is charged to a moment before that, and not long before.
fn ended_in_the_dark(world: &World<'_>, cdr: &Cdr) -> Result<(), String> {
    if cdr.record.end_reason() != EndReason::MachineLost {
        return Ok(());
    }
    let dark = world.machine.dark_since.ok_or("machine_lost without a loss of power")?;
    let since = Duration::from_micros(cdr.record.started_monotonic_us);
    let ended = since + Duration::from_millis(cdr.record.ended_ms.into());
    holds(ended <= dark && ended + HEARTBEAT > dark, || {
        format!("{} ended {ended:?}, the power {dark:?}", id_text(cdr.record.id))
    })
}

/// What a phone saw, and what was written about it.
fn told(world: &World<'_>, phone: &Phone, cdrs: &[&Cdr]) -> Result<(), String> {
    let answered = cdrs.iter().filter(|cdr| cdr.record.answered_ms != NEVER).count();
    let reasons = || -> Vec<_> { cdrs.iter().map(|cdr| cdr.record.end_reason()).collect() };
    let got = phone.finals.first().map(|(code, _)| *code);
    let deaths = world.faults();
    // Whoever died between asking and telling may be asked once more by a repeated INVITE.
    if deaths == 0 {
        holds(cdrs.len() <= 1, || format!("{} records: {:?}", cdrs.len(), reasons()))?;
    }
    holds(answered <= 1, || format!("answered {answered} times: {:?}", reasons()))?;
    if deaths == 0 && world.lossless {
        holds(got.is_some(), || format!("no final response, {:?}", phone.stage))?;
    }
    match got {
        Some(200..300) => {
            holds(answered == 1, || format!("talked without a record: {:?}", reasons()))
        }
        // A 503 of a worker that cannot ask anybody is no attempt that reached admission.
        Some(503) => Ok(()),
        Some(code) if World::is_known(phone) && deaths == 0 => {
            holds(cdrs.len() == 1, || format!("refused by {code} without a record"))
        }
        _ => Ok(()),
    }?;
    if !World::is_known(phone) {
        let illegal = |cdr: &&Cdr| cdr.billing_mode == BillingMode::Illegal;
        holds(cdrs.iter().all(illegal), || "a stranger's record is not an illegal one".into())?;
    }
    Ok(())
}

fn repriced(world: &World<'_>, cdr: &Cdr) -> bool {
    world.repriced.is_some_and(|at| cdr.record.started_us > at)
}

/// What happened, for whoever wonders what many worlds cover.
pub(super) fn seen(world: &World<'_>) -> BTreeMap<&'static str, u32> {
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut note = |what, count| *seen.entry(what).or_default() += count;
    for phone in &world.phones {
        note("phone answered", u32::from(phone.finals.iter().any(|(code, _)| *code < 300)));
        note("phone gave up", u32::from(phone.gave_up));
        note("phone was hung up", u32::from(phone.was_hung_up));
        note("phone heard itself", u32::from(phone.audio_back > 0));
        note(
            "hold or resume accepted",
            phone.reinvite_finals.iter().filter(|code| **code < 300).count() as u32,
        );
    }
    for cdr in world.archive().ends.values() {
        note(cdr.record.end_reason().name(), 1);
        note("failed over", u32::from(cdr.record.attempts_used > 1));
        note("charged", u32::from(cdr.costs()));
        note("charged the raised price", u32::from(cdr.costs() && repriced(world, cdr)));
    }
    for vendor in &world.vendors {
        note("vendor was deserted", vendor.deserted);
        note("vendor's offer accepted", vendor.offers_accepted);
    }
    note("dataplane died", world.machine.plane_deaths);
    note("control died", world.machine.desk_deaths);
    seen
}
