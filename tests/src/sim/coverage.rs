//! What happened in a world: a simulator that meets no trouble proves nothing.

use std::collections::BTreeMap;

use control::cdr::Cdr;

use super::invariants::is_of_transfer;
use super::phone::Phone;
use super::scenario::SLICE_S;
use super::vendor::Vendor;
use super::world::World;

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
    }
    for cdr in world.archive().ends.values() {
        note(cdr.record.end_reason().name(), 1);
        note("failed over", u32::from(cdr.record.attempts_used > 1));
        note("charged", u32::from(cdr.costs()));
        note("was granted more talk", u32::from(cdr.record.granted_s > SLICE_S));
        let is_paid = is_of_transfer(cdr) && cdr.costs();
        note("a transferor paid", u32::from(is_paid));
        note("charged the raised price", u32::from(cdr.costs() && repriced(world, cdr)));
    }
    for (what, count) in world.witnesses().flat_map(|witness| &witness.seen) {
        note(what, *count);
    }
    let called = world.devices.iter().map(|device| device.callee.calls_taken() as u32);
    note("device was called", called.sum());
    let offers = |vendor: &Vendor| vendor.witness.seen.get("hold or resume accepted").copied();
    note("vendor's offer accepted", world.vendors.iter().filter_map(offers).sum());
    let by_stream =
        |phone: &&Phone| phone.is_by_stream() && phone.finals.iter().any(|(code, _)| *code < 300);
    note("caller over TCP answered", world.phones.iter().filter(by_stream).count() as u32);
    let by_stream = world.callees().map(Vendor::calls_by_stream);
    note("callee over TCP was called", by_stream.sum::<usize>() as u32);
    note("a message of ours came back", world.machine.given_back());
    for name in [
        "announcements_cut",
        "announcements_finished",
        "transfers_done",
        "transfers_taken_back",
        "pickups",
        "pickups_refused",
    ] {
        note(name, world.machine.counted(name) as u32);
    }
    note("dataplane died", world.machine.plane_deaths);
    note("control died", world.machine.desk_deaths);
    seen
}
