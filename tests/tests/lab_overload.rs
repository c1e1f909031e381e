//! More than can be carried, and who is sent away then: SIPp on both sides, over IPv4 and IPv6, UDP, TCP and
//! TLS. What new calls hear is a 503 with Retry-After, at once; calls that run are changed and end as ever.
//!
//! | shown | test |
//! |---|---|
//! | control is held up (SIGSTOP); then the box drains | `while_nobody_decides_new_calls_are_sent_away_and_those_that_run_go_on` |
//! | memory is short, and is kept for calls that run and for help | `what_is_left_of_memory_is_for_calls_that_run_and_for_help` |
//! | more asks than control takes | `asks_beyond_their_limit_are_refused_early_and_help_is_called_all_the_same` |
//!
//! The load itself, and what is carried at twice of it, is `scripts/bench overload`.

use std::time::Duration;

use serde_json::Value;
use tests::carrier::counted;
use tests::lab::{Error, Lab};
use tests::sipp::{
    Like, SDP, Script, agree, answer, inside, invite, leaves, left, submit, takes, talks,
};
use tests::stage::{
    Actor, CALLER, Scene, Spot, Stage, Vendor, Way, Ways, at_once, ended, outcome, spots,
};

const SOON: Duration = Duration::from_secs(10);
/// Workers believe for so long that control is there.
const BELIEF: Duration = Duration::from_millis(1_500);
/// Sent away early: an INVITE that waits for a decision waits longer (`TG_ADMIT_WAIT`).
const EARLY_MS: u32 = 1_500;
const AWAY: Like<'static> = Like { has: &["Retry-After: *[0-9]"], lacks: &[] };

/// Control, which is held up until this goes.
struct HeldUp<'l>(&'l Lab);

impl<'l> HeldUp<'l> {
    fn begin(lab: &'l Lab) -> Result<Self, Error> {
        lab.signal("control", "STOP")?;
        Ok(Self(lab))
    }
}

impl Drop for HeldUp<'_> {
    fn drop(&mut self) {
        let _ = self.0.signal("control", "CONT");
    }
}

/// A call that talks for so long, changes what it talks about and ends.
fn outlasts(ms: u32) -> Scene {
    let caller = talks()
        .pauses(ms)
        .asks(inside("INVITE", 2, "", SDP))
        .may_get("100")
        .gets("200")
        .says(inside("ACK", 2, "", ""));
    let vendor = takes().patient(60_000).gets("INVITE").says(agree("200 OK", "", SDP)).gets("ACK");
    Scene::new("a call that runs", leaves(caller, 3), Vendor::new(&[], left(vendor)))
}

fn short() -> Scene {
    Scene::new("a call", leaves(talks(), 2), Vendor::new(&[], left(takes())))
}

/// A caller who is sent away at once.
fn sent_away() -> Script {
    let asks = Script::new().asks(invite("", SDP)).patient(EARLY_MS).may_get("100");
    asks.gets_like("503", AWAY).says(submit())
}

fn words(error: Error) -> String {
    error.to_string()
}

/// The spot so many places further.
fn beyond(spot: Spot, places: usize) -> Spot {
    Spot(spot.0 + places as u8)
}

/// Calls by each of these ways that talk.
fn all_talk(stage: &Stage, ways: &[Way], scene: &Scene) -> Vec<[Actor; 2]> {
    let plays = scene.vendors[0].plays.as_ref().expect("the vendor plays");
    let begun = spots(ways.len()).zip(ways).map(|(spot, &way)| -> Result<_, String> {
        stage.furnish(spot, scene, Ways::both(way)).map_err(words)?;
        let vendor = stage.stands(spot, way, 0, plays)?;
        Ok([vendor, stage.asks(CALLER, spot, way, &scene.caller)?])
    });
    let talking: Vec<[Actor; 2]> = begun.collect::<Result<_, _>>().expect("they begin");
    let talks = || talking.iter().all(|[_, caller]| caller.seen("CSeq: 1 ACK") > 0);
    assert!(Lab::wait_until(SOON, talks), "not all talk");
    talking
}

/// None of them has got to what it asks for later.
fn still_talk(talking: &[[Actor; 2]]) {
    let changed = talking.iter().any(|[_, caller]| caller.seen("CSeq: 2 INVITE") > 0);
    assert!(!changed, "a call was changed before anybody was busy");
}

/// They play on to their end; what each of them got.
fn all_end(cast: impl IntoIterator<Item = Actor>) -> Vec<String> {
    ended(cast.into_iter().collect()).unwrap_or_else(|why| panic!("{why}"))
}

/// The records of calls by each of these ways say that all was well.
fn have_ended(stage: &Stage, ways: &[Way]) {
    at_once(ways, |spot, _| {
        let cdr = stage.record(spot)?;
        let found = outcome(&cdr);
        if found == ("normal", vec![200]) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// What the workers counted, once it is so much.
fn reaches(stage: &Stage, name: &str, least: u64) {
    let count = || counted(&stage.tollgate("status").unwrap_or(Value::Null), name);
    assert!(Lab::wait_until(SOON, || count() >= least), "{name}: {} of {least}", count());
}

/// From there, by each of these ways, new calls are sent away.
fn all_are_sent_away(stage: &Stage, ways: &[Way], from: usize) {
    at_once(ways, |spot, way| {
        stage.act(beyond(spot, from), Ways::both(way), &sent_away(), &[]).map(|_| ())
    });
}

/// From there, by each of these ways, somebody is called.
fn all_call(stage: &Stage, ways: &[Way], from: usize) {
    at_once(ways, |spot, way| {
        stage.play(beyond(spot, from), &short(), Ways::both(way)).map(|_| ())
    });
}

/// What is dialled from there is an emergency.
fn all_are_urgent(stage: &Stage, ways: usize, from: usize) {
    let numbers: Vec<String> = spots(ways).map(|spot| beyond(spot, from).number()).collect();
    let set = format!("param set TG_EMERGENCY_NUMBERS {}", numbers.join(","));
    stage.tollgate(&set).expect("numbers of emergencies are set");
}

#[test]
fn while_nobody_decides_new_calls_are_sent_away_and_those_that_run_go_on() {
    let all = Way::ALL.len();
    let Some(stage) = Stage::raised(spots(4 * all)).expect("the stage is raised") else { return };
    let ways = stage.ways();
    all_are_urgent(&stage, all, 3 * all);
    let talking = all_talk(&stage, &ways, &outlasts(8_000));
    let held = HeldUp::begin(&stage.lab).expect("control stops");
    still_talk(&talking);
    std::thread::sleep(BELIEF);
    all_are_sent_away(&stage, &ways, all);
    all_end(talking.into_iter().flatten());
    drop(held);
    // It finds what ended meanwhile, and decides on whoever comes now.
    have_ended(&stage, &ways);
    reaches(&stage, "refused_control_away", ways.len() as u64);
    all_call(&stage, &ways, all);

    stage.tollgate("drain start").expect("it drains");
    all_are_sent_away(&stage, &ways, 2 * all);
    all_call(&stage, &ways, 3 * all);
    reaches(&stage, "refused_draining", ways.len() as u64);
    stage.tollgate("drain stop").expect("it does not drain any more");
    all_call(&stage, &ways, 2 * all);
}

/// What 24 calls leave is what they may need until they end.
const SHORT_OF_MEMORY: &str = "\n[limits]\ntransactions = 120\n";

#[test]
fn what_is_left_of_memory_is_for_calls_that_run_and_for_help() {
    let all = Way::ALL.len();
    let filler = spots(3 * all + 1).last().expect("one more");
    let stage = Stage::raised_with(1, SHORT_OF_MEMORY, spots(3 * all + 1));
    let Some(stage) = stage.expect("the stage is raised") else { return };
    let ways = stage.ways();
    all_are_urgent(&stage, all, 2 * all);
    let talking = all_talk(&stage, &ways, &outlasts(14_000));

    // One after the other comes until nobody is taken any more.
    let gets = Script::new().may_get("180").gets("200").says(inside("ACK", 1, "", ""));
    let stays = leaves(gets.pauses(12_000), 2);
    let asks = Script::new().asks(invite("", SDP)).may_get("100");
    let caller = asks.unless("503", AWAY, &Script::new().says(submit()), &stays).repeated(30);
    let vendor = left(
        Script::new().gets("INVITE").says(answer("200 OK", "", SDP)).gets("ACK").patient(60_000),
    );
    let scene = Scene::new("many calls", caller, Vendor::new(&[], vendor.repeated(1_000)));
    stage.furnish(filler, &scene, Ways::both(Way::STREAM)).expect("the gateways are made");
    let plays = scene.vendors[0].plays.as_ref().expect("the vendor plays");
    let many = stage.stands(filler, Way::STREAM, 0, plays).expect("the vendor stands");
    let filling = stage.asks(CALLER, filler, Way::STREAM, &scene.caller).expect("they call");
    reaches(&stage, "refused_transactions_full", 2);
    assert!(filling.seen("CSeq: 1 ACK") > 0, "nobody was taken");

    all_are_sent_away(&stage, &ways, all);
    all_call(&stage, &ways, 2 * all);
    still_talk(&talking);
    all_end(talking.into_iter().flatten());
    have_ended(&stage, &ways);
    all_end([filling]);
    drop(many);
    all_call(&stage, &ways, all);
}

/// New calls leave half of these to those that run.
const SHORT_RING: &str = "\n[limits]\nring_slots = 128\n";
/// Shorter than workers believe that control is there.
const BLINK: Duration = Duration::from_millis(600);

#[test]
fn asks_beyond_their_limit_are_refused_early_and_help_is_called_all_the_same() {
    let all = Way::ALL.len();
    let stage = Stage::raised_with(1, SHORT_RING, spots(2 * all));
    let Some(stage) = stage.expect("the stage is raised") else { return };
    let ways = stage.ways();
    all_are_urgent(&stage, all, all);
    // Control refuses what has no price; who is told so waited for a decision.
    let asks = Script::new().asks(invite("", SDP)).patient(20_000).may_get("100");
    let submits = Script::new().says(submit());
    let refused = Script::new().gets("403").says(submit());
    let many = asks.unless("503", AWAY, &submits, &refused).with("[service]", "390000");
    let many = many.repeated(120).at_rate(40);
    let urgent = Scene {
        caller: leaves(talks(), 2).repeated(6).at_rate(2),
        vendors: vec![Vendor::new(&[], left(takes()).repeated(6))],
        ..short()
    };
    let mut cast = Vec::new();
    for (spot, &way) in spots(ways.len()).zip(&ways) {
        stage.furnish(spot, &short(), Ways::both(way)).expect("the gateways are made");
        let help = beyond(spot, all);
        stage.furnish(help, &urgent, Ways::both(way)).expect("the gateways are made");
        let plays = urgent.vendors[0].plays.as_ref().expect("the vendor plays");
        cast.push(stage.stands(help, way, 0, plays).expect("the vendor stands"));
    }
    for (spot, &way) in spots(ways.len()).zip(&ways) {
        cast.push(stage.asks(CALLER, beyond(spot, all), way, &urgent.caller).expect("they call"));
        cast.push(stage.asks(CALLER, spot, way, &many).expect("they call"));
    }
    for _ in 0..3 {
        let held = HeldUp::begin(&stage.lab).expect("control stops");
        std::thread::sleep(BLINK);
        drop(held);
        std::thread::sleep(BLINK);
    }
    let got = all_end(cast);
    reaches(&stage, "refused_control_busy", 1);
    let refused = got.iter().filter(|got| got.contains("SIP/2.0 503 ")).count();
    let decided = got.iter().filter(|got| got.contains("SIP/2.0 403 ")).count();
    assert_eq!((refused, decided), (ways.len(), ways.len()), "each way meets both");
    at_once(&ways, |spot, _| stage.newest_record(beyond(spot, all), 6).map(|_| ()));
}
