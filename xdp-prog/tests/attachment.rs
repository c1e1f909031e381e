//! The guard on real interfaces: modes, pins, links that outlive us, and everything in the way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use guard::{Guard, OWN4, SIP, Socket, in_own_world, plan, trust};
use xdp_prog::{Allowed, Arrival, Deny, Error, Maps, Mode, Plan, Reason, Target, attach, unload};

/// Runs `ip` with these words in the namespace of the test.
fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().expect("iproute2 is installed");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Two ends of a wire: `inside` is guarded, `outside` has 10.10.1.1 and knows the way to us.
fn wire(inside: &str, outside: &str) {
    ip(&format!("link add {inside} type veth peer name {outside}"));
    ip(&format!("link set {inside} up"));
    ip(&format!("link set {outside} up"));
}

fn plan_for(pins: &Path, interfaces: &[&str]) -> Plan {
    let interfaces = interfaces.iter().map(|&name| name.into()).collect();
    Plan { interfaces, ..plan(pins) }
}

fn deny(text: &str) -> Deny {
    Deny { prefix: text.parse().unwrap(), not_after: None }
}

fn packets(maps: &Maps, reason: Reason) -> u64 {
    maps.counters().unwrap()[reason as usize].packets
}

/// Identity of the link pinned for an interface, and of the program in it.
fn link(pins: &Path, interface: &str) -> (u32, u32) {
    let link = libbpf_rs::Link::open(pins.join(format!("link_{interface}"))).unwrap();
    let info = link.info().unwrap();
    (info.id, info.prog_id)
}

#[test]
fn real_frames_are_guarded_in_native_mode_through_restarts() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        ip("addr add 10.10.1.1/24 dev tgc0");
        ip("neigh add 10.10.1.2 lladdr 02:00:00:00:00:02 dev tgc0");
        let plan = plan_for(pins, &["tgb0"]);
        let guard = Guard::new(&plan);
        assert_eq!(guard.attached.mode(0), Mode::Native);
        assert_eq!(guard.maps.interfaces().unwrap(), guard.attached.interfaces());

        let customer = UdpSocket::bind("10.10.1.1:0").unwrap();
        let knock_with = |payload: &[u8], maps: &Maps, reason: Reason| {
            let before = packets(maps, reason);
            customer.send_to(payload, (OWN4, SIP)).unwrap();
            (0..100).any(|_| {
                sleep(Duration::from_millis(5));
                packets(maps, reason) == before + 1
            })
        };
        let knock = |maps: &Maps, reason| knock_with(b"INVITE sip:1 SIP/2.0\r\n", maps, reason);
        assert!(knock(&guard.maps, Reason::DropNoSocket), "no worker yet");
        let fragmented = [b"INVITE sip:1 SIP/2.0\r\n".as_slice(), &[b' '; 3_000]].concat();
        assert!(knock_with(&fragmented, &guard.maps, Reason::DropNoSocket), "no rim yet");

        // The process is gone; what it pinned goes on.
        let first = link(pins, "tgb0");
        drop(guard);
        let mut maps = Maps::open(pins).unwrap();
        maps.deny_add(&deny("10.10.1.1")).unwrap();
        maps.deny_add(&deny("10.20.0.0/16")).unwrap();
        maps.trust_add(&trust("10.30.0.0/16")).unwrap();
        assert!(knock(&maps, Reason::DropDenyAddress));

        // A new process: the same link with a new program, the same lists and limits.
        let guard = Guard::new(&plan);
        let second = link(pins, "tgb0");
        assert_eq!(second.0, first.0, "the link is the same");
        assert_ne!(second.1, first.1, "the program in it is new");
        assert!(maps.is_current());
        assert!(knock(&guard.maps, Reason::DropDenyAddress));
        let rules = [deny("10.20.0.0/16"), deny("10.10.1.1")];
        assert_eq!(guard.maps.deny_list().unwrap(), rules);
        assert_eq!(guard.maps.trust_list(), [trust("10.30.0.0/16")]);

        // More workers or calls want no new tables: what says which calls run is a process's own.
        let mut grown = plan.clone();
        grown.capacities.calls += 250;
        let guard = Guard::new(&grown);
        assert!(knock(&guard.maps, Reason::DropDenyAddress));

        unload(pins).unwrap();
        assert!(!pins.exists());
        assert!(!maps.is_current());
        assert!(matches!(Maps::open(pins), Err(Error::NotLoaded { .. })));
        unload(pins).unwrap();
    });
}

#[test]
fn each_interface_has_its_own_sockets() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        wire("tgb1", "tgv0");
        let guard = Guard::new(&plan_for(pins, &["tgb0", "tgb1"]));
        let socket = Socket::new();
        guard.attached.set_socket(1, 0, socket.0.as_fd()).unwrap();
        let mut packet = xdp_prog::Described {
            source: "203.0.113.9".parse().unwrap(),
            destination: OWN4.parse().unwrap(),
            protocol: xdp_prog::Protocol::Udp { source_port: 1, port: SIP },
            payload: vec![],
            vlans: vec![],
            interface: Some("tgb1".into()),
            queue: 0,
        };
        assert_eq!(guard.maps.explain(&packet).unwrap().reason, Reason::WorkerSip);
        packet.interface = Some("tgb0".into());
        assert_eq!(guard.maps.explain(&packet).unwrap().reason, Reason::DropNoSocket);

        let mut fragment = Vec::new();
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]);
        let builder = builder.ipv4([203, 0, 113, 9], [10, 10, 1, 2], 64).udp(5080, SIP);
        builder.write(&mut fragment, b"INVITE").unwrap();
        fragment[20] = 0x20;
        let reasons = [Reason::DropNoSocket, Reason::PassFragment];
        for (interface, reason) in guard.attached.interfaces().iter().zip(reasons) {
            let arrival = Arrival { interface_index: interface.index, queue: 0 };
            assert_eq!(guard.judge_from(&fragment, Some(arrival)), reason, "{}", interface.name);
        }
    });
}

#[test]
fn a_driver_without_xdp_is_guarded_in_generic_mode() {
    in_own_world(|pins| {
        let guard = Guard::new(&plan(pins));
        assert_eq!(guard.attached.mode(0), Mode::Generic);
        assert_eq!(guard.attached.mode(1), Mode::Unknown);
    });
}

#[test]
fn a_mode_that_is_asked_for_is_the_one_it_runs_in() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        let wanted = |allowed| Plan {
            interfaces: vec![Target { name: "tgb0".into(), allowed }],
            ..plan(pins)
        };
        let generic = attach(&wanted(Allowed::Generic)).unwrap();
        assert_eq!(generic.mode(0), Mode::Generic);
        assert_eq!(Maps::open(pins).unwrap().interfaces().unwrap()[0].mode, Mode::Generic);

        // The other mode is not there for the asking while this one stands.
        let first = link(pins, "tgb0");
        let Err(error) = attach(&wanted(Allowed::Native)) else { panic!("two modes") };
        assert!(matches!(error, Error::Mode { mode: Mode::Generic, .. }), "{error}");
        assert!(error.to_string().contains("--unload"), "{error}");
        assert_eq!(link(pins, "tgb0"), first, "the guard goes on as it was");
        unload(pins).unwrap();
        assert_eq!(attach(&wanted(Allowed::Native)).unwrap().mode(0), Mode::Native);
    });
}

#[test]
fn a_driver_that_refuses_native_mode_is_said_and_leaves_nothing_behind() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        // The loopback's driver has no XDP.
        let target = |name: &str, allowed| Target { name: name.into(), allowed };
        let both = Plan {
            interfaces: vec![
                target("tgb0", Allowed::NativeOrGeneric),
                target("lo", Allowed::Native),
            ],
            ..plan(pins)
        };
        let Err(error @ Error::Native { .. }) = attach(&both) else { panic!("lo runs XDP") };
        assert!(error.to_string().contains("\"native-or-generic\""), "{error}");
        assert!(!pins.exists());
        let alone = attach(&plan_for(&pins.with_file_name("alone"), &["tgb0"])).unwrap();
        assert_eq!(alone.mode(0), Mode::Native, "nobody else sits on it");

        // A guard that stood before goes on, with its lists.
        drop(attach(&plan_for(pins, &["lo"])).unwrap());
        let Err(error) = attach(&both) else { panic!("lo runs XDP") };
        assert!(matches!(error, Error::Mode { .. } | Error::Attach { .. }), "{error}");
        assert!(Maps::open(pins).is_ok());
    });
}

#[test]
fn an_interface_made_anew_is_guarded_again() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        let plan = plan_for(pins, &["tgb0"]);
        drop(attach(&plan).unwrap());
        let first = link(pins, "tgb0");
        ip("link del tgb0");
        let lost = Maps::open(pins).unwrap().interfaces().unwrap();
        assert_eq!((lost[0].name.as_str(), lost[0].mode), ("tgb0", Mode::Unknown));
        wire("tgb0", "tgc0");
        let attached = attach(&plan).unwrap();
        assert_eq!(attached.mode(0), Mode::Native);
        assert_ne!(link(pins, "tgb0").0, first.0);
    });
}

#[test]
fn an_interface_that_left_the_plan_is_guarded_no_more() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        wire("eth0.100", "tgv0");
        let both = attach(&plan_for(pins, &["tgb0", "eth0.100"])).unwrap();
        let name = |maps: Maps| -> Vec<String> {
            maps.interfaces().unwrap().into_iter().map(|interface| interface.name).collect()
        };
        assert_eq!(name(Maps::open(pins).unwrap()), ["eth0.100", "tgb0"]);
        drop(both);
        drop(attach(&plan_for(pins, &["eth0.100"])).unwrap());
        assert_eq!(name(Maps::open(pins).unwrap()), ["eth0.100"]);
    });
}

#[test]
fn an_interface_that_takes_none_leaves_the_others_as_they_were() {
    in_own_world(|pins| {
        wire("tgb0", "tgc0");
        wire("tgb1", "tgv0");
        let _other = attach(&plan_for(&pins.with_file_name("other"), &["tgb1"])).unwrap();
        let refused = attach(&plan_for(pins, &["tgb0", "tgb1"]));
        let Err(error @ Error::Attach { .. }) = refused else { panic!("two guards on one wire") };
        assert!(error.to_string().contains("bpftool net"), "{error}");
        let alone = attach(&plan_for(&pins.with_file_name("alone"), &["tgb0"])).unwrap();
        assert_eq!(alone.mode(0), Mode::Native);

        let Err(error) = attach(&plan_for(pins, &["tgb0", "nowhere0"])) else { panic!("nowhere") };
        assert!(error.to_string().contains("nowhere0"), "{error}");
    });
}

#[test]
fn other_capacities_are_refused_with_what_to_do() {
    in_own_world(|pins| {
        let mut plan = plan(pins);
        drop(attach(&plan).unwrap());
        plan.capacities.deny_prefixes += 1;
        let Err(error @ Error::Layout { .. }) = attach(&plan) else { panic!("sizes changed") };
        assert!(error.to_string().contains("--unload"), "{error}");
        assert!(error.to_string().contains("deny_prefixes"), "{error}");
        assert!(Maps::open(pins).is_ok(), "the old guard goes on");
        unload(pins).unwrap();
        assert!(attach(&plan).is_ok());
    });
}

#[test]
fn pins_on_another_file_system_are_refused_with_what_to_do() {
    in_own_world(|_| {
        let Err(error) = attach(&plan(Path::new("/tmp/tollgate-no-bpffs"))) else { panic!("/tmp") };
        assert!(matches!(error, Error::NotBpffs { .. }));
        assert!(error.to_string().contains("mount -t bpf"), "{error}");
    });
}

#[test]
fn a_plan_that_cannot_be_is_refused() {
    in_own_world(|pins| {
        let broken: [fn(&mut Plan); 7] = [
            |plan| plan.interfaces.clear(),
            |plan| plan.addresses.clear(),
            |plan| plan.addresses = vec![OWN4.parse().unwrap(); 33],
            |plan| plan.sip_port = 0,
            |plan| plan.sip_port = plan.media_ports.0,
            |plan| plan.media_ports = (2, 1),
            |plan| plan.capacities.deny_addresses = 0,
        ];
        for breaks in broken {
            let mut plan = plan(pins);
            breaks(&mut plan);
            assert!(matches!(attach(&plan), Err(Error::Plan(_))), "{plan:?}");
        }
    });
}
