//! What must hold in every world: after every step, and once it is at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use control::cdr::{BillingMode, Cdr, id_text};
use control::decide::Method;
use link::record::{EndReason, NEVER};
use serde_json::Value;

use super::extensions::PICKUP_CODE;
use super::machine::{ADDRESSES, Carried, time};
use super::phone::Phone;
use super::vendor::Vendor;
use super::world::{BOUGHT, DEAR, RAISED, SOLD, World};

/// A loss of power costs no more of a call than a second, and what was on its way to the disk.
const HEARTBEAT: Duration = Duration::from_millis(1_300);

/// What control was told is on disk after so long.
const WRITTEN: Duration = Duration::from_secs(10);

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
        holds(phone.audio_foreign == 0 || world.joins, || {
            format!("{} heard another call", phone.call_id)
        })?;
    }
    for witness in world.witnesses() {
        holds(witness.wrongs.is_empty(), || witness.wrongs.join("; "))?;
    }
    holds(world.leaks.is_empty(), || world.leaks.join("; "))?;
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
    if world.money.is_some() {
        holds(balance.amount >= rating::Money::ZERO, || format!("overdraft: {}", balance.amount))?;
        // Who takes over holds a slice more than it knows of, since that may be on its way to the call.
        let left = balance.amount.billionths() - balance.reserved.billionths();
        holds(left >= 0 || world.machine.desk_deaths > 0, || {
            format!("overdraft: {} less {}", balance.amount, balance.reserved)
        })?;
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
    undoubted(world)?;
    registered(world)?;
    let mut by_phone: BTreeMap<&str, Vec<&Cdr>> = BTreeMap::new();
    for cdr in world.archive().ends.values() {
        charged(world, cdr)?;
        ended_in_the_dark(world, cdr)?;
        let source = cdr.record.facts.source.socket_address().map(|source| source.ip());
        if is_of_transfer(cdr) {
            paid_by_transferor(world, cdr)?;
            continue;
        }
        let phone = source.and_then(|host| world.phone_at(host));
        let phone =
            phone.ok_or_else(|| format!("a record of nobody: {}", id_text(cdr.record.id)))?;
        by_phone.entry(&phone.call_id).or_default().push(cdr);
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

/// Whether a call is one of ours to the target of a transfer: it comes from ourselves.
pub(super) fn is_of_transfer(cdr: &Cdr) -> bool {
    let source = cdr.record.facts.source.socket_address().map(|source| source.ip().to_string());
    source.is_some_and(|source| ADDRESSES.contains(&source.as_str()))
}

/// Nobody but an account of ours has a target called: the one customer there is.
fn paid_by_transferor(world: &World<'_>, cdr: &Cdr) -> Result<(), String> {
    let [customer, _] = world.accounts;
    let is_answered = cdr.record.answered_ms != NEVER;
    holds(!is_answered || cdr.customer == customer, || {
        format!("{} was transferred at the cost of {}", id_text(cdr.record.id), cdr.customer)
    })
}

/// What still moves, or holds on to something.
pub(super) fn restless(world: &mut World<'_>) -> String {
    let mut found = Vec::new();
    for phone in world.phones.iter().filter(|phone| !phone.is_over()) {
        found.push(format!("{} is {:?}", phone.call_id, phone.stage));
    }
    for vendor in world.callees() {
        if vendor.calls_up() > 0 {
            found.push(format!("{} has {} calls up", vendor.address, vendor.calls_up()));
        }
    }
    for device in world.devices.iter().filter(|device| !device.is_settled()) {
        found.push(format!("{} does not know whether it is bound", device.callee.address));
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

/// What may only be where somebody died, froze or was out of reach, or where something was lost.
fn undoubted(world: &World<'_>) -> Result<(), String> {
    if world.faults() > 0 || world.stalled || !world.lossless {
        return Ok(());
    }
    let forgets = world.phones.iter().any(Phone::forgets_refresh)
        || world.callees().any(|it| it.manners.timer.is_some_and(|timer| timer.forgets));
    for cdr in world.archive().ends.values() {
        let is_sound = match cdr.record.end_reason() {
            // An answer of a dialog that is over may be there before its BYE, which is waited for.
            EndReason::DialogLost => false,
            EndReason::SessionExpired => forgets,
            EndReason::NoAck => world.phones.iter().any(|phone| phone.plan.forgets_ack),
            EndReason::MediaTimeout => {
                world.phones.iter().any(|phone| phone.plan.mute || phone.plan.forgets_ack)
            }
            _ => true,
        };
        holds(is_sound, || {
            let why = cdr.record.end_reason().name();
            format!("{} ended by {why} for no reason", id_text(cdr.record.id))
        })?;
    }
    let phones = world.phones.iter().filter(|phone| phone.was_forgotten());
    let phones = phones.map(|phone| phone.call_id.as_str());
    let mut forgotten = phones.chain(world.callees().flat_map(Vendor::calls_forgotten));
    holds(forgotten.next().is_none(), || {
        let call_ids: Vec<&str> = forgotten.collect();
        format!("left alone in a call that was over: {}", call_ids.join(", "))
    })?;
    let doubts: Vec<&str> =
        world.witnesses().flat_map(|it| &it.doubts).map(String::as_str).collect();
    holds(doubts.is_empty(), || doubts.join("; "))
}

/// What control believes of its registrations at vendors, the vendors know.
fn registered(world: &mut World<'_>) -> Result<(), String> {
    let is_calm = world.faults() == 0 && !world.stalled && world.lossless;
    for place in 0..world.gateways.len() {
        let path = format!("gateway/routing/v{place}");
        let shown = world.machine.command(world.now, Method::Get, &path, Value::Null);
        let Some(vendor) = world.vendors.get(place) else { continue };
        let Some(registrar) = &vendor.registrar else { continue };
        let knows = registrar.binding.as_ref().is_some_and(|(_, until)| *until > world.now);
        let believes =
            shown.as_ref().is_ok_and(|shown| shown["registration_state"] == "registered");
        holds(knows || !believes, || format!("{} does not know us any more", vendor.address))?;
        // A gateway that was removed is left.
        let wants = shown.is_ok();
        holds(!is_calm || (knows, believes) == (wants, wants), || {
            format!("{} knows us: {knows}, and we wish it: {wants}", vendor.address)
        })?;
    }
    Ok(())
}

/// Control and the devices, who have said their last word, believe the same of who is bound where. Whether
/// control could be asked.
pub(super) fn are_bound(world: &World<'_>) -> Result<bool, String> {
    let Some(office) = world.machine.office() else { return Ok(false) };
    let now_us = time(world.now).wall_us;
    for device in &world.devices {
        let Some(owner) = world.users.get(device.user()) else { continue };
        let contact = device.contact();
        let mut known = office.state.bindings.of(*owner, now_us);
        let is_known = known.any(|binding| binding.uri == contact);
        let believes = device.until.is_some_and(|until| until > world.now);
        // That it was taken back may be lost with the control that was just told, even while the answer is
        // on its way; then its time ends it.
        let [asked, told] = [device.asked, device.told].map(Option::unwrap_or_default);
        let is_lost = |died: &Duration| (asked..told + WRITTEN).contains(died);
        let is_excused = is_known && world.machine.desk_died.iter().any(is_lost);
        holds(is_known == believes || is_excused, || {
            format!("{contact} is bound: {is_known}, and believes so: {believes}")
        })?;
    }
    Ok(true)
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
        // Its end came while nobody was there to end it where its money did.
        reason
            if (world.frozen || reason == EndReason::MachineLost) && cdr.record.granted_s > 0 =>
        {
            cdr.hold_ms().min(u64::from(cdr.record.granted_s + cdr.record.grace_s) * 1000)
        }
        _ => cdr.hold_ms(),
    };
    let attempt = cdr.record.attempts().get(cdr.record.attempt_index as usize);
    let is_bought = attempt.is_none_or(|attempt| world.gateways.contains(&attempt.gateway));
    let mut answered = cdr.record.attempts().iter().filter(|it| it.answered_ms != NEVER);
    let by = answered.next_back();
    let by = by.and_then(|it| world.gateways.iter().position(|known| *known == it.gateway));
    let is_dear = world.by_route && by.is_some_and(|place| place % 2 == 1);
    // A call to a phone of ours is bought of nobody.
    let bought = if is_bought { rate(BOUGHT) } else { 0 };
    let sold = match cdr.record.facts.callee.as_bytes().starts_with(PICKUP_CODE.as_bytes()) {
        // Whoever called pays for what is picked up.
        true => vec![0],
        false if is_dear => vec![rate(DEAR)],
        false => sold_at(world, cdr.record.started_us),
    };
    let sides = [
        (sold, hold_ms, cdr.customer_charge.fee),
        (vec![bought], cdr.vendor_hold_ms(), cdr.vendor_charge.fee),
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
            if !world.gateways.contains(&attempt.gateway) {
                continue;
            }
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
        holds(cdrs.len() <= 1 + phone.too_short(), || {
            format!("{} records: {:?}", cdrs.len(), reasons())
        })?;
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
            let may = 1..=1 + phone.too_short();
            holds(may.contains(&cdrs.len()), || {
                format!("refused by {code}, {} records", cdrs.len())
            })
        }
        _ => Ok(()),
    }?;
    if !World::is_known(phone) {
        let illegal = |cdr: &&Cdr| cdr.billing_mode == BillingMode::Illegal;
        holds(cdrs.iter().all(illegal), || "a stranger's record is not an illegal one".into())?;
    }
    Ok(())
}
