//! Vendors that are given by name, and a DNS server of Debian's that knows them (dnsmasq): NAPTR leads to SRV,
//! SRV to two places of which the first is dead, each to an address. Then the records change, and then the
//! server says nothing any more. By SIPp over IPv4 and IPv6, UDP and TCP.

use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::lab::{Error, Lab, Running};
use tests::sipp::{Carrier, Script, leaves, left, takes, talks};
use tests::stage::{
    Family, Scene, Spot, Stage, Vendor, Way, Ways, at_once, outcome, spots, vendor_at,
};

/// Where the server is.
const SERVER: &str = "10.10.2.1";
/// What is said in DNS is believed for 30 s at least.
const BELIEVED: Duration = Duration::from_secs(60);
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

/// All that DNS knows of a vendor: its places in the order of their priority.
fn records(spot: Spot, way: Way, places: &[usize]) -> Vec<String> {
    let name = name(way);
    let (service, protocol) = match way.carrier {
        Carrier::Udp => ("SIP+D2U", "_sip._udp"),
        Carrier::Tcp | Carrier::Tls => ("SIP+D2T", "_sip._tcp"),
    };
    let mut records = vec![format!("--naptr-record={name},10,10,s,{service},,{protocol}.{name}")];
    for (priority, &place) in places.iter().enumerate() {
        let at = vendor_at(spot, way, place);
        let (ip, port) = (at.ip(), at.port());
        records.extend([
            format!("--srv-host={protocol}.{name},place{place}.{name},{port},{priority},5"),
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

#[test]
fn a_vendor_by_name_is_found_by_dns_follows_it_and_outlives_it() {
    if !is_installed() {
        return;
    }
    let ways = [
        Way::PLAIN,
        Way { family: Family::Six, carrier: Carrier::Udp },
        Way { family: Family::Four, carrier: Carrier::Tcp },
        Way::STREAM,
    ];
    let stage = Stage::raised(spots(ways.len() + 1)).expect("the stage is raised");
    let Some(stage) = stage else { return };
    let all = |places: &[usize]| -> Vec<String> {
        spots(ways.len()).zip(ways).flat_map(|(spot, way)| records(spot, way, places)).collect()
    };
    // Nobody is at the first place.
    let mut server = serve(&stage.lab, &all(&[1, 0])).expect("dnsmasq starts");
    ask_there(&stage).expect("control starts again");
    at_once(&ways, |spot, way| {
        let scene = Scene::new("", talks(), Vendor { fields: Some(&[]), plays: None });
        stage.furnish(spot, &scene, Ways::both(way)).map_err(words)?;
        let set = format!("gateway routing set {} --field target={}", spot.vendor(0), name(way));
        stage.tollgate(&set).map_err(words)?;
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
