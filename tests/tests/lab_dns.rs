//! Vendors that are given by name, and a DNS server of Debian's that knows them (dnsmasq). By SIPp over IPv4 and
//! IPv6, and over UDP, TCP or TLS, as NAPTR says.
//!
//! | shown | test |
//! |---|---|
//! | NAPTR chooses the transport; SRV leads to two places of which the first is dead; then the records change; then the server says nothing any more | `a_vendor_by_name_is_found_by_dns_follows_it_and_outlives_it` |
//! | weights of SRV share out calls, and the next priority has its turn when those before it are dead | `calls_are_shared_out_by_weight_and_go_on_to_the_next_priority` |

use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::lab::{Error, Lab, Running};
use tests::sipp::{Carrier, Script, leaves, left, takes, talks};
use tests::stage::{
    CALLER, Family, Scene, Spot, Stage, Vendor, Way, Ways, at_once, ended, outcome, spots,
    vendor_at,
};

/// Where the server is.
const SERVER: &str = "10.10.2.1";
/// What is said in DNS is believed for 30 s at least.
const BELIEVED: Duration = Duration::from_secs(120);
/// A call by SIPp, with its pauses.
const ONE_CALL: Duration = Duration::from_secs(10);

/// Whether the tool is here.
fn is_installed() -> bool {
    let here = Path::new("/usr/sbin/dnsmasq").exists();
    if !here {
        eprintln!("SKIPPED: needs dnsmasq; run scripts/install lab");
    }
    here
}

fn words(error: impl Debug) -> String {
    format!("{error:?}")
}

/// By what a vendor is known that is spoken with so.
fn name(way: Way) -> String {
    let family = if way.family == Family::Four { 4 } else { 6 };
    format!("{}{family}.example", way.carrier.name().to_lowercase())
}

/// One of a vendor's places, as SRV tells of it.
#[derive(Clone, Copy)]
struct Place {
    place: usize,
    priority: usize,
    weight: u16,
}

/// Places in the order of their priority.
fn in_turn(places: &[usize]) -> Vec<Place> {
    let turns = places.iter().enumerate();
    turns.map(|(priority, &place)| Place { place, priority, weight: 5 }).collect()
}

/// NAPTR's word for a carrier, and what SRV is asked for.
fn service(carrier: Carrier) -> (&'static str, &'static str) {
    match carrier {
        Carrier::Udp => ("SIP+D2U", "_sip._udp"),
        Carrier::Tcp => ("SIP+D2T", "_sip._tcp"),
        Carrier::Tls => ("SIPS+D2T", "_sips._tcp"),
    }
}

/// All that DNS knows of a vendor. By what it likes less than its way nobody is there.
fn records(spot: Spot, way: Way, places: &[Place]) -> Vec<String> {
    let name = name(way);
    let nobody = vendor_at(spot, way, 3).ip();
    let mut records = vec![format!("--host-record=nobody.{name},{nobody}")];
    for carrier in [Carrier::Udp, Carrier::Tcp, Carrier::Tls] {
        let (service, protocol) = service(carrier);
        let order = if carrier == way.carrier { 10 } else { 20 };
        records.extend([
            format!("--naptr-record={name},{order},10,s,{service},,{protocol}.{name}"),
            format!("--srv-host={protocol}.{name},nobody.{name},9,99,1"),
        ]);
    }
    let (_, protocol) = service(way.carrier);
    // It has the way that is liked for itself.
    records.retain(|record| !record.starts_with(&format!("--srv-host={protocol}.")));
    for &Place { place, priority, weight } in places {
        let at = vendor_at(spot, way, place);
        let (ip, port) = (at.ip(), at.port());
        records.extend([
            format!("--srv-host={protocol}.{name},place{place}.{name},{port},{priority},{weight}"),
            format!("--host-record=place{place}.{name},{ip}"),
        ]);
    }
    records
}

/// The server, which knows these records and of nothing else.
fn serve(lab: &Lab, records: &[String]) -> Result<Running, Error> {
    let listens = format!("--listen-address={SERVER}");
    let mut arguments = vec![
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        "--user=root",
        "--pid-file=",
        "--local=/example/",
        "--local-ttl=5",
        &listens,
    ];
    arguments.extend(records.iter().map(String::as_str));
    let server = lab.start("vend", "dnsmasq", &arguments)?;
    server.listens(format!("{SERVER}:53").parse().expect("an address"))?;
    Ok(server)
}

/// Has control ask that server, and no other.
fn ask_there(stage: &Stage) -> Result<(), Error> {
    std::fs::write("/run/tollgate/resolv.conf", format!("nameserver {SERVER}\n"))?;
    stage.lab.script(&["kill", "control"])?;
    stage.lab.script(&["start"])
}

/// Waits until a vendor's name leads to these places.
fn leads_to(stage: &Stage, spot: Spot, way: Way, places: &[usize]) -> Result<(), String> {
    let show = format!("gateway routing show {}", spot.vendor(0));
    let ports = places.iter().map(|&place| vendor_at(spot, way, place).to_string());
    let ports: Vec<String> = ports.collect();
    let mut found = Value::Null;
    let leads = Lab::wait_until(BELIEVED, || {
        let shown = stage.tollgate(&show).unwrap_or_default();
        found = shown.get("addresses").cloned().unwrap_or_default();
        let all: Vec<&str> =
            found.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        all.len() == ports.len() && ports.iter().all(|port| all.iter().any(|at| at.contains(port)))
    });
    if leads { Ok(()) } else { Err(format!("{} leads to {found}, not {ports:?}", name(way))) }
}

/// One call, which somebody at this place takes; the statuses of all that were tried.
fn call(
    stage: &Stage,
    spot: Spot,
    way: Way,
    place: usize,
    calls: usize,
) -> Result<Vec<u64>, String> {
    let takes = left(takes());
    let vendors: Vec<Option<&Script>> =
        (0..=place).map(|other| (other == place).then_some(&takes)).collect();
    stage.act(spot, Ways::both(way), &leaves(talks(), 2), &vendors)?;
    let cdr = stage.newest_record(spot, calls)?;
    let (reason, statuses) = outcome(&cdr);
    if reason == "normal" { Ok(statuses) } else { Err(format!("{reason}: {statuses:?}")) }
}

fn is(what: &str, found: impl Debug + PartialEq<Vec<u64>>, wanted: Vec<u64>) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}")) }
}

/// All that DNS knows of the vendors of these ways.
fn all_records(ways: &[Way], places: &[Place]) -> Vec<String> {
    let each = spots(ways.len()).zip(ways);
    each.flat_map(|(spot, &way)| records(spot, way, places)).collect()
}

/// A vendor of that name, and nobody there yet.
fn furnish(stage: &Stage, spot: Spot, way: Way) -> Result<(), String> {
    let scene = Scene::new("", talks(), Vendor { fields: Some(&[]), plays: None });
    stage.furnish(spot, &scene, Ways::both(way)).map_err(words)?;
    let set = format!("gateway routing set {} --field target={}", spot.vendor(0), name(way));
    stage.tollgate(&set).map_err(words)?;
    Ok(())
}

#[test]
fn a_vendor_by_name_is_found_by_dns_follows_it_and_outlives_it() {
    if !is_installed() {
        return;
    }
    let stage = Stage::raised(spots(Way::ALL.len() + 1)).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let ways = stage.ways();
    let all = |places: &[usize]| all_records(&ways, &in_turn(places));
    // Nobody is at the first place.
    let mut server = serve(&stage.lab, &all(&[1, 0])).expect("dnsmasq starts");
    ask_there(&stage).expect("control starts again");
    at_once(&ways, |spot, way| {
        furnish(&stage, spot, way)?;
        leads_to(&stage, spot, way, &[1, 0])?;
        is("who was tried", call(&stage, spot, way, 0, 1)?, vec![0, 200])
    });

    // The vendor moves.
    server.kill();
    drop(server);
    let server = serve(&stage.lab, &all(&[2])).expect("dnsmasq starts again");
    at_once(&ways, |spot, way| {
        leads_to(&stage, spot, way, &[2])?;
        is("who was tried after the move", call(&stage, spot, way, 2, 2)?, vec![200])
    });

    // Whoever answers at the server's port says nothing: a new name leads nowhere, and delays nobody.
    drop(server);
    let _silent = stage.lab.socket("vend", &format!("{SERVER}:53")).expect("nobody is there");
    let unknown = spots(ways.len() + 1).last().expect("one more");
    let scene = Scene::new("", talks(), Vendor { fields: Some(&[]), plays: None });
    stage.furnish(unknown, &scene, Ways::both(Way::PLAIN)).expect("it is made");
    let set = format!("gateway routing set {} --field target=nowhere.example", unknown.vendor(0));
    stage.tollgate(&set).expect("it is set");
    at_once(&ways, |spot, way| {
        let began = Instant::now();
        is("who was tried without DNS", call(&stage, spot, way, 2, 3)?, vec![200])?;
        let took = began.elapsed();
        if took < ONE_CALL { Ok(()) } else { Err(format!("a call without DNS took {took:?}")) }
    });
}

/// Four of five calls to the first place, one to the second; the third is for when both are gone.
const SHARED: [Place; 3] = [
    Place { place: 0, priority: 1, weight: 40 },
    Place { place: 1, priority: 1, weight: 10 },
    Place { place: 2, priority: 2, weight: 5 },
];
/// By chance 12 of them go to the second place; fewer than 1 or more than 27 in one of a hundred thousand runs.
const CALLS: usize = 60;

fn shares_out(stage: &Stage, spot: Spot, way: Way) -> Result<(), String> {
    furnish(stage, spot, way)?;
    leads_to(stage, spot, way, &[0, 1, 2])?;
    let takes = left(takes()).repeated(1_000);
    let vendors = [0, 1, 2].map(|place| stage.stands(spot, way, place, &takes));
    let vendors = vendors.into_iter().collect::<Result<Vec<_>, _>>()?;
    let caller = leaves(talks(), 2).repeated(CALLS as u32);
    ended(vec![stage.asks(CALLER, spot, way, &caller)?])?;
    let taken: Vec<usize> = vendors.iter().map(|vendor| vendor.seen("\nACK sip")).collect();
    let is_fair = taken.iter().sum::<usize>() == CALLS && (1..=27).contains(&taken[1]);
    if !is_fair || taken[2] > 0 {
        return Err(format!("the places took {taken:?}"));
    }
    // Now only the third is there.
    drop(vendors);
    is("who was tried", call(stage, spot, way, 2, CALLS + 1)?, vec![0, 0, 200])
}

#[test]
fn calls_are_shared_out_by_weight_and_go_on_to_the_next_priority() {
    if !is_installed() {
        return;
    }
    let stage = Stage::raised(spots(Way::ALL.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let ways = stage.ways();
    let _server = serve(&stage.lab, &all_records(&ways, &SHARED)).expect("dnsmasq starts");
    ask_there(&stage).expect("control starts again");
    at_once(&ways, |spot, way| shares_out(&stage, spot, way));
}
