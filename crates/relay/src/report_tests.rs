//! RTCP of both sides of a call, as the relay sees it pass; and what both directions of a lossy call come to.

use core::time::Duration;
use std::net::SocketAddr;

use super::*;
use crate::{Ears, Latch, Opening, Owner, PayloadTypes, Sums, Verdict};

const CALLER: Port = Port::new(0, 10_000);
const CALLEE: Port = Port::new(0, 10_004);
const CALLER_FAR: &str = "192.0.2.1:4000";
const CALLEE_FAR: &str = "198.51.100.1:6000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(ms: u64) -> Instant {
    Duration::from_millis(ms)
}

fn call() -> Table {
    let mut table = Table::new(10_000, 20, &["10.0.0.1".parse().unwrap()]);
    for (port, peer, far) in [(CALLER, CALLEE, CALLER_FAR), (CALLEE, CALLER, CALLEE_FAR)] {
        let opening = Opening { peer, owner: Owner(7), towards_caller: port == CALLER };
        assert!(table.open(ms(0), port, &opening));
        let rtcp = SocketAddr::new(at(far).ip(), at(far).port() + 1);
        let latch = Latch::LearnPort { until: Duration::from_secs(9) };
        table.set_remote(port, Some(at(far)), Some(rtcp), latch, PayloadTypes::ANY);
        table.set_answered(ms(0), port);
    }
    table
}

/// A report: of a sender where it names itself, with what it says of a stream.
fn report(name: Option<u32>, block: Option<(u32, u32, u32, u32)>) -> Vec<u8> {
    let mut words = vec![9];
    if let Some(name) = name {
        words.extend([name >> 16, name << 16, 160, 1, 172]);
    }
    if let Some((losses, jitter, last_report, delay)) = block {
        words.extend([7, losses, 1, jitter, last_report, delay]);
    }
    let kind = if name.is_some() { 200 } else { 201 };
    let mut bytes = vec![0x80 | u8::from(block.is_some()), kind];
    bytes.extend((words.len() as u16).to_be_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes
}

fn pass(table: &mut Table, now: Instant, port: Port, packet: &[u8]) -> Verdict {
    let far = at(if port == CALLER { CALLER_FAR } else { CALLEE_FAR });
    let source = SocketAddr::new(far.ip(), far.port() + 1);
    table.forward(now, port.rtcp(), source, packet)
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

#[test]
fn the_way_to_a_far_end_is_what_is_left_of_the_time_that_its_answer_took() {
    let mut table = call();
    // The caller's report reaches us at 1,000 ms, the callee 30 ms later; it answers after 500 ms, 30 ms away.
    pass(&mut table, ms(1_000), CALLER, &report(Some(0x1234_5678), None));
    let delay = 65_536 / 2;
    let answer = report(Some(0xaaaa_bbbb), Some((0x0800_0003, 80, 0x1234_5678, delay)));
    assert!(matches!(pass(&mut table, ms(1_560), CALLEE, &answer), Verdict::Send { .. }));
    assert_eq!(table.figures(CALLEE).round_trip_us, 60_000);
    // What the callee hears is what the caller sent.
    let said = Reported { fraction_lost: 8, lost: 3, jitter: 80 };
    assert_eq!(table.figures(CALLER).reported, Some(said));
    assert_eq!((table.figures(CALLER).round_trip_us, table.figures(CALLEE).reported), (0, None));
    // The caller has only heard, and says so: 10 ms away.
    let heard = report(None, Some((0x00ff_ffff, 0, 0xaaaa_bbbb, delay)));
    pass(&mut table, ms(2_080), CALLER, &heard);
    assert_eq!(table.figures(CALLER).round_trip_us, 20_000);
    assert_eq!(table.figures(CALLEE).reported, Some(Reported::default()), "one came twice");
}

#[test]
fn what_is_no_answer_to_a_report_tells_no_way() {
    let mut table = call();
    let answer = |name, delay| report(None, Some((0, 0, name, delay)));
    pass(&mut table, ms(1_000), CALLEE, &answer(5, 0));
    assert_eq!(table.figures(CALLEE).round_trip_us, 0, "the caller has reported nothing");
    pass(&mut table, ms(2_000), CALLER, &report(Some(5), None));
    for (now, name, delay) in [
        (2_100, 6, 0),
        (2_100, 0, 0),
        // It says that it waited for longer than there was.
        (2_100, 5, 65_536),
        (2_100, 5, u32::MAX),
        (15_000, 5, 0),
    ] {
        pass(&mut table, ms(now), CALLEE, &answer(name, delay));
        assert_eq!(table.figures(CALLEE).round_trip_us, 0, "{name} {delay}");
    }
    pass(&mut table, ms(2_100), CALLEE, &answer(5, 0));
    assert_eq!(table.figures(CALLEE).round_trip_us, 100_000);
    // One that took longer is no more than a part of the figure.
    pass(&mut table, ms(2_900), CALLEE, &answer(5, 0));
    assert_eq!(table.figures(CALLEE).round_trip_us, 200_000);
}

#[test]
fn a_report_of_a_stranger_changes_no_figure_and_one_cut_off_is_relayed_unread() {
    let mut table = call();
    pass(&mut table, ms(1_000), CALLER, &report(Some(5), None));
    let block = report(None, Some((0xff00_ffff, 9, 5, 0)));
    pass(&mut table, ms(1_010), CALLEE, &report(None, None));
    let verdict = table.forward(ms(1_020), CALLEE.rtcp(), at("203.0.113.9:1"), &block);
    assert!(matches!(verdict, Verdict::Drop(_)));
    let mut cut = report(None, Some((0xff00_ffff, 9, 5, 0)));
    cut.truncate(20);
    cut[3] = 4;
    assert!(matches!(pass(&mut table, ms(1_030), CALLEE, &cut), Verdict::Send { .. }));
    assert_eq!(table.figures(CALLER).reported, None);
    assert_eq!(table.figures(CALLEE).round_trip_us, 0);
}

#[test]
fn a_new_call_on_the_same_ports_knows_nothing_of_the_last_one() {
    let mut table = call();
    pass(&mut table, ms(1_000), CALLER, &report(Some(5), None));
    pass(&mut table, ms(1_010), CALLEE, &report(None, Some((0x0100_0001, 0, 5, 0))));
    assert!(table.close(CALLER).reported.is_some());
    table.close(CALLEE);
    for (port, peer) in [(CALLER, CALLEE), (CALLEE, CALLER)] {
        let opening = Opening { peer, owner: Owner(8), towards_caller: false };
        assert!(table.open(ms(2_000), port, &opening));
        assert_eq!(table.figures(port), Figures::default());
    }
}

/// Every packet but about three of a hundred, chosen by a number of no pattern; how many were sent and lost.
fn lossy(seed: u32, mut send: impl FnMut(u64, u16)) -> (u32, u32) {
    let (mut state, mut lost) = (seed, 0);
    let sent = 30_000;
    for index in 0..sent {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let is_end = index == 0 || index == sent - 1;
        if !is_end && (state >> 16) % 100 < 3 {
            lost += 1;
        } else {
            send(u64::from(index) * 20, index as u16);
        }
    }
    (sent, lost)
}

/// Loss in percent as a record says it.
fn percent(figures: Figures) -> f64 {
    f64::from(figures.lost) * 100.0 / (figures.packets as f64 + f64::from(figures.lost))
}

#[test]
fn three_of_a_hundred_lost_are_counted_so_for_each_direction() {
    let mut table = call();
    let mut injected = Vec::new();
    for (port, far, seed) in [(CALLER, CALLER_FAR, 1), (CALLEE, CALLEE_FAR, 2)] {
        injected.push(lossy(seed, |now, sequence| {
            let verdict = table.forward(ms(now), port, at(far), &rtp(sequence, seed));
            assert!(matches!(verdict, Verdict::Send { .. }));
        }));
    }
    for (port, (sent, lost)) in [CALLER, CALLEE].into_iter().zip(injected) {
        let figures = table.figures(port);
        assert_eq!((figures.lost, figures.packets), (lost, u64::from(sent - lost)));
        assert!((percent(figures) - 3.0).abs() <= 0.2, "{figures:?}");
        assert_eq!(u64::from(figures.judged), figures.packets);
    }
}

/// A driver that has counted so far.
struct Counts(Sums);

impl Ears for Counts {
    fn sums(&self, _: Port) -> Sums {
        self.0
    }

    fn settled(&self, _: Port, _: Owner) -> Option<SocketAddr> {
        None
    }
}

#[test]
fn figures_say_how_many_packets_were_the_drivers() {
    let mut table = call();
    for sequence in 0..10 {
        let now = ms(20 * u64::from(sequence));
        let verdict = table.forward(now, CALLER, at(CALLER_FAR), &rtp(sequence, 1));
        assert!(matches!(verdict, Verdict::Send { .. }));
    }
    let sums = Sums { packets: 110, received: 110, highest: 0x1_0000 + 119, ..table.sums(CALLER) };
    table.set_ears(Box::new(Counts(sums)));
    table.set_settled(CALLER, true);
    let figures = table.figures(CALLER);
    assert_eq!((figures.packets, figures.judged, figures.lost), (110, 10, 10));
    assert!(figures.settled);
    // One that came here all the same, as keys do.
    assert!(matches!(
        table.forward(ms(300), CALLER, at(CALLER_FAR), &rtp(111, 1)),
        Verdict::Send { .. }
    ));
    table.set_settled(CALLER, false);
    let figures = table.figures(CALLER);
    assert_eq!((figures.packets, figures.judged, figures.settled), (111, 11, false));
}

#[test]
fn what_a_far_end_reported_goes_with_it_and_not_with_a_hold() {
    let mut table = call();
    pass(&mut table, ms(1_000), CALLER, &report(Some(0x1234_5678), None));
    let answer = report(None, Some((0x0800_0003, 80, 0x1234_5678, 65_536 / 2)));
    pass(&mut table, ms(1_560), CALLEE, &answer);
    let told = |table: &mut Table, rtp: Option<&str>| {
        let rtp = rtp.map(at);
        let rtcp = rtp.map(|rtp| SocketAddr::new(rtp.ip(), rtp.port() + 1));
        table.set_remote(CALLEE, rtp, rtcp, Latch::Fixed, PayloadTypes::ANY);
    };
    for rtp in [Some(CALLEE_FAR), None] {
        told(&mut table, rtp);
        assert_eq!(table.figures(CALLEE).round_trip_us, 60_000);
        assert_eq!(table.figures(CALLER).reported.map(|it| it.lost), Some(3));
    }
    told(&mut table, Some("198.51.100.2:6000"));
    assert_eq!(table.figures(CALLEE).round_trip_us, 0);
    assert_eq!(table.figures(CALLER).reported, None);
}
