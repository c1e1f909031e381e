//! The AF_XDP NIC and the next hops on real interfaces: veth pairs whose far ends are in a namespace of
//! their own, the guard in the driver, our sockets behind it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dataplane::boot::admission;
use dataplane::neighbors::{self, Hop, Reader};
use dataplane::nic::afxdp::AfXdp;
use dataplane::nic::{Batch, Nic};
use dataplane::rim;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use shm::Doorbell;
use wire::datagram::{self, Headers};
use xdp_prog::{Capacities, Deliver, Deny, Maps, Plan, Reason, attach};

const OWN: &str = "10.10.1.2";
const SIP: u16 = 5060;
/// Nobody is metered there.
const MEDIA: u16 = 20_000;
const PATIENCE: Duration = Duration::from_secs(3);

/// The other end of every wire: a thread in a network namespace of its own.
struct Peer {
    id: i32,
    jobs: Sender<Box<dyn FnOnce() + Send>>,
}

impl Peer {
    fn start() -> Self {
        let (jobs, work) = channel::<Box<dyn FnOnce() + Send>>();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace for the far end");
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            for job in work {
                job();
            }
        });
        Self { id: told.recv().unwrap(), jobs }
    }

    /// Runs `job` over there.
    fn does<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        self.jobs.send(Box::new(move || tell.send(job()).unwrap())).unwrap();
        told.recv().expect("the far end lives")
    }

    fn runs(&self, words: &'static str) {
        self.does(move || run(words));
    }
}

fn run(words: &str) {
    let mut words = words.split(' ');
    let done = Command::new(words.next().unwrap()).args(words.clone()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words:?}: {said}");
}

/// Runs `test` in own namespaces that are gone with their threads, or says that it did not.
fn in_own_world(test: impl FnOnce(&Path, &Peer) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: interfaces and AF_XDP sockets need root");
        return;
    }
    let world = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("own namespaces");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
        mount(Some("bpf"), "/mnt", Some("bpf"), MsFlags::empty(), None::<&str>).expect("a bpffs");
        test(Path::new("/mnt/tollgate"), &Peer::start());
    });
    if let Err(panic) = world.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A wire of two queues: `near` is ours, `far` is the peer's.
fn wire(peer: &Peer, near: &str, far: &'static str, far_address: &'static str) {
    let queues = "numrxqueues 2 numtxqueues 2";
    run(&format!("ip link add {near} {queues} type veth peer name {far} {queues}"));
    run(&format!("ip link set {far} netns {}", peer.id));
    run(&format!("ip link set {near} up"));
    peer.does(move || {
        run(&format!("ip addr add {far_address} dev {far}"));
        run(&format!("ip link set {far} up"));
        // veth hands XDP unfinished checksums otherwise.
        run(&format!("ethtool -K {far} tx off"));
    });
}

fn plan(pins: &Path, interfaces: &[String]) -> Plan {
    Plan {
        interfaces: interfaces.iter().map(|name| name.as_str().into()).collect(),
        addresses: vec![OWN.parse().unwrap(), "10.10.2.2".parse().unwrap()],
        sip_port: SIP,
        media_addresses: Vec::new(),
        media_ports: (MEDIA, 29_999),
        pins: pins.to_owned(),
        capacities: Capacities {
            deny_addresses: 1_000,
            deny_prefixes: 100,
            trusted_prefixes: 100,
            geo_prefixes: 100,
            regulars: 100,
            strangers: 1_024,
            calls: 64,
            queues_per_interface: 2,
        },
        deliver: Deliver::Sockets,
    }
}

/// Why a dataplane of `workers` on tgb0 does not start.
#[track_caller]
fn refused(pins: &Path, workers: u32) -> String {
    let scratch = std::env::temp_dir().join(format!("tghard-{}", nix::unistd::gettid()));
    let text = format!(
        "[[interface]]\nname = \"tgb0\"\n\
         [[address]]\nip = \"{OWN}/24\"\ninterface = \"tgb0\"\n\
         [paths]\nstate = \"{0}\"\nrun = \"{0}\"\nshared_memory = \"{0}/shared\"\npins = \"{1}\"\n\
         [limits]\ncalls = 10\n[dataplane]\nworkers = {workers}\n",
        scratch.display(),
        pins.display()
    );
    let config = config::Config::parse(&text).unwrap();
    let error = dataplane::boot::run(&config).expect_err("it must not start").to_string();
    std::fs::remove_dir_all(scratch).unwrap();
    error
}

#[test]
fn an_interface_with_queues_that_no_worker_reads_is_refused_and_left_alone() {
    in_own_world(|pins, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        let error = refused(pins, 1);
        assert!(error.contains("ethtool -L tgb0 combined 1"), "{error}");
        assert!(!pins.exists());
        // And after what it says to do, one worker has its queue but two would not.
        run("ethtool -L tgb0 rx 1");
        let error = refused(pins, 2);
        assert!(error.contains("tgb0 has 1 receive queues"), "{error}");
        assert!(!pins.exists());
    });
}

/// Sends every frame in `batch` back to where it came from.
fn echo(nic: &mut AfXdp, batch: &mut Batch, interface: usize) {
    for mut frame in batch.drain() {
        let bytes = nic.bytes_mut(&mut frame);
        let datagram = datagram::parse(bytes).unwrap();
        let headers = Headers {
            destination_mac: bytes[6..12].try_into().unwrap(),
            source_mac: bytes[..6].try_into().unwrap(),
            vlan: None,
            source: datagram.destination,
            destination: datagram.source,
            dscp: 46,
            ttl: 64,
        };
        assert!(datagram::readdress(bytes, &datagram, &headers));
        nic.transmit(interface, frame);
    }
    nic.flush();
}

/// Looks again until `done`, or panics with `what`.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn datagrams_of_both_queues_are_echoed_and_every_frame_is_accounted_for() {
    in_own_world(|pins, peer| {
        const FRAMES: u32 = 4096;
        const SENDERS: usize = 24;
        const ROUNDS: usize = 200;
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        peer.runs("ip neigh add 10.10.1.2 lladdr 02:00:00:00:00:02 dev tgc0");
        let names = ["tgb0".to_owned()];
        let guard = attach(&plan(pins, &names)).unwrap();
        let mut nics: Vec<AfXdp> = (0..2)
            .map(|queue| {
                let nic = AfXdp::open(&names, queue, FRAMES, 2048, false).unwrap();
                guard.set_socket(0, queue, nic.sockets().next().unwrap()).unwrap();
                nic
            })
            .collect();
        assert!(nics.iter().all(|nic| !nic.zero_copy()), "veth copies");

        let callers: Vec<UdpSocket> = peer.does(|| {
            let bind = |_| UdpSocket::bind("10.10.1.1:0").unwrap();
            (0..SENDERS).map(bind).collect()
        });
        let mut batch = Batch::new();
        let mut came = [0; 2];
        // More datagrams in all than each ring has slots, so that every ring wraps.
        for round in 0..ROUNDS {
            for caller in &callers {
                caller.set_read_timeout(Some(PATIENCE)).unwrap();
                caller.send_to(&round.to_be_bytes(), (OWN, MEDIA)).unwrap();
            }
            let wanted = came.iter().sum::<usize>() + SENDERS;
            until("all datagrams come", || {
                let counted = allocation_counter::measure(|| {
                    for (nic, came) in nics.iter_mut().zip(&mut came) {
                        *came += nic.receive(&mut batch);
                        echo(nic, &mut batch, 0);
                    }
                });
                assert_eq!(counted.count_total, 0, "the packet path allocates nothing");
                came.iter().sum::<usize>() == wanted
            });
            for caller in &callers {
                let mut room = [0; 64];
                let (length, from) = caller.recv_from(&mut room).unwrap();
                assert_eq!(&room[..length], round.to_be_bytes());
                assert_eq!(from, SocketAddr::new(OWN.parse().unwrap(), MEDIA));
            }
        }
        for (nic, came) in nics.iter_mut().zip(came) {
            let statistics = nic.statistics();
            assert_eq!(statistics.received, came as u64);
            assert_eq!(statistics.sent, came as u64);
            assert_eq!((statistics.transmit_full, statistics.invalid), (0, 0));
            until("every frame is taken back", || {
                assert_eq!(nic.receive(&mut batch), 0);
                let accounts = nic.accounts();
                assert_eq!(accounts.pool + accounts.rings, FRAMES as usize);
                accounts.hands == 0 && accounts.rings <= FRAMES as usize / 4 * 3
            });
        }
        assert!(came.iter().all(|came| *came > 0), "one queue got all: {came:?}");
    });
}

#[test]
fn each_interface_has_its_share_of_a_small_memory() {
    in_own_world(|pins, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        wire(peer, "tgb1", "tgc1", "10.10.2.1/24");
        peer.runs("ip neigh add 10.10.2.2 lladdr 02:00:00:00:00:02 dev tgc1");
        let names = ["tgb0".to_owned(), "tgb1".to_owned()];
        let guard = attach(&plan(pins, &names)).unwrap();
        let mut nics: Vec<AfXdp> = (0..2)
            .map(|queue| {
                let nic = AfXdp::open(&names, queue, 512, 2048, false).unwrap();
                for (interface, socket) in nic.sockets().enumerate() {
                    guard.set_socket(interface, queue, socket).unwrap();
                }
                nic
            })
            .collect();
        let caller = peer.does(|| UdpSocket::bind("10.10.2.1:0").unwrap());
        caller.send_to(b"hello", ("10.10.2.2", MEDIA)).unwrap();
        let mut batch = Batch::new();
        until("the datagram of the second interface comes", || {
            nics.iter_mut().any(|nic| {
                let came = nic.receive(&mut batch) > 0;
                batch.drain().for_each(|frame| nic.give_back(frame));
                came
            })
        });
    });
}

#[test]
fn a_frame_that_says_nothing_is_not_lost_in_the_kernel() {
    in_own_world(|_, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        let mut nic = AfXdp::open(&["tgb0".to_owned()], 0, 1024, 2048, false).unwrap();
        let mut batch = Batch::new();
        assert_eq!(nic.receive(&mut batch), 0);
        let before = nic.accounts();
        for _ in 0..16 {
            let empty = nic.take().unwrap();
            nic.transmit(0, empty);
            let mut huge = nic.take().unwrap();
            huge.set_length(4000);
            nic.transmit(0, huge);
            nic.flush();
        }
        until("the buffers are back", || {
            nic.receive(&mut batch);
            nic.accounts() == before
        });
    });
}

#[test]
fn a_burst_that_the_kernel_did_not_take_at_once_does_not_wait_for_the_next_frame() {
    in_own_world(|_, peer| {
        const BURST: usize = 1500;
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        let mut nic = AfXdp::open(&["tgb0".to_owned()], 0, 8192, 2048, false).unwrap();
        let scratch = std::env::temp_dir().join(format!("tghard-{}", nix::unistd::gettid()));
        let bell = Doorbell::open(&scratch).unwrap();
        std::fs::remove_file(scratch).unwrap();
        let mut batch = Batch::new();
        assert_eq!(nic.receive(&mut batch), 0);
        let before = nic.accounts();
        for _ in 0..BURST {
            let mut frame = nic.take().unwrap();
            frame.set_length(60);
            nic.transmit(0, frame);
        }
        nic.flush();
        let begun = Instant::now();
        // As a worker without anything else to do.
        until("all of it is sent", || {
            nic.wait(bell.as_fd(), Duration::from_secs(1));
            nic.flush();
            nic.receive(&mut batch);
            batch.drain().for_each(|frame| nic.give_back(frame));
            nic.accounts() == before
        });
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_queue_is_bound_again_at_once_after_its_owner_is_gone() {
    in_own_world(|_, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        wire(peer, "tgb1", "tgc1", "10.10.2.1/24");
        let names = ["tgb0".to_owned(), "tgb1".to_owned()];
        for round in 0..20 {
            let nic = AfXdp::open(&names, 1, 512, 2048, false);
            assert!(nic.is_ok(), "round {round}: {}", nic.err().unwrap());
        }
    });
}

#[test]
fn who_the_driver_would_drop_does_not_come_in_by_fragments_or_another_interface() {
    in_own_world(|pins, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        wire(peer, "tgb1", "tgc1", "10.10.2.1/24");
        run("ip addr add 10.10.1.2/24 dev tgb0");
        run("ip addr add 10.10.2.2/24 dev tgb1");
        let guarded = ["tgb0".to_owned()];
        let guard = attach(&plan(pins, &guarded)).unwrap();
        let mut maps = Maps::open(pins).unwrap();
        let mut limits = xdp_prog::Limits::default();
        limits.stranger[0] = xdp_prog::Rate {
            count: 1,
            per: Duration::from_secs(3_600),
            burst: 1,
            silence: Duration::ZERO,
        };
        maps.set_limits(&limits).unwrap();
        maps.admit().unwrap();
        let bell = |end: &str| {
            std::env::temp_dir().join(format!("tghard-{}-{end}", nix::unistd::gettid()))
        };
        let addresses =
            [OWN, "10.10.2.2"].map(|address| SocketAddr::new(address.parse().unwrap(), SIP));
        let rings = rim::Rings {
            worker_bells: vec![bell("worker")],
            bell: bell("rim"),
            message_bytes_max: 8192,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let admits = admission(pins).unwrap();
        let datagrams =
            rim::datagram::start(&addresses, &rings, admits, Arc::clone(&stop)).unwrap();
        let mut sides: Vec<rim::WorkerSide> =
            datagrams.into_iter().map(|one| rim::WorkerSide::new(Some(one), None)).collect();
        for end in ["worker", "rim"] {
            std::fs::remove_file(bell(end)).unwrap();
        }
        let mut comes_in = || {
            let (mut room, mut outcome) = ([0; 16_384], None);
            until("a datagram is let in or refused", || {
                let came = sides[0].take(&mut room).is_some();
                outcome = (came || sides[0].refused() > 0).then_some(came);
                outcome.is_some()
            });
            outcome == Some(true)
        };

        let fragmented = |line: &str| [line.as_bytes(), &[b' '; 4000]].concat();
        let caller = peer.does(|| UdpSocket::bind("10.10.1.1:0").unwrap());
        // Fragments go up to the rim as soon as workers are there, and not before.
        caller.send_to(&fragmented("INVITE"), (OWN, SIP)).unwrap();
        until("the fragments are dropped in the driver", || {
            maps.counters().unwrap()[Reason::DropNoSocket as usize].packets == 1
        });
        let nics = [0, 1].map(|queue| AfXdp::open(&guarded, queue, 512, 2048, false).unwrap());
        for (queue, nic) in (0..).zip(&nics) {
            for (interface, socket) in nic.sockets().enumerate() {
                guard.set_socket(interface, queue, socket).unwrap();
            }
        }
        for (line, wanted) in [("OPTIONS sip:a", true), ("OPTIONS sip:a", false), ("INVITE", true)]
        {
            caller.send_to(&fragmented(line), (OWN, SIP)).unwrap();
            assert_eq!(comes_in(), wanted, "{line}");
        }

        let caller = peer.does(|| UdpSocket::bind("10.10.2.1:0").unwrap());
        let mut knock = || {
            caller.send_to(b"INVITE sip:a SIP/2.0", ("10.10.2.2", SIP)).unwrap();
            comes_in()
        };
        assert!(knock());
        let deny = |text: &str| Deny { prefix: text.parse().unwrap(), not_after: None };
        for rule in ["10.10.2.1", "10.10.2.0/24"] {
            maps.deny_add(&deny(rule)).unwrap();
            assert!(!knock(), "{rule}");
            let prefix = "10.10.0.0/16".parse().unwrap();
            maps.trust_add(&xdp_prog::Trust { prefix, trunk: 0, admin: false }).unwrap();
            assert!(knock(), "trust beats {rule}");
            maps.trust_remove("10.10.0.0/16".parse().unwrap()).unwrap();
            maps.deny_remove(rule.parse().unwrap()).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Asks again until the way to `destination` is `wanted`.
#[track_caller]
fn until_hop(hops: &mut Reader, destination: &str, wanted: impl Fn(Option<Hop>) -> bool) {
    let destination: IpAddr = destination.parse().unwrap();
    until(&format!("the way to {destination}"), || {
        hops.refresh(dataplane::clock::now());
        wanted(hops.lookup(destination))
    });
}

#[test]
fn next_hops_are_learned_follow_their_changes_and_are_forgotten_with_the_link() {
    in_own_world(|_, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        peer.runs("ip link set tgc0 address 02:00:00:00:00:01");
        run("ip addr add 10.10.1.2/24 dev tgb0");
        run("ip route add 10.20.0.0/16 via 10.10.1.1");
        let stop = Arc::new(AtomicBool::new(false));
        let mut readers = neighbors::start(&["tgb0".to_owned()], 1, stop).unwrap();
        let hops = &mut readers[0];
        until_hop(hops, "10.10.1.1", |hop| {
            hop.is_some_and(|hop| hop.destination_mac == [2, 0, 0, 0, 0, 1])
        });
        // Behind a gateway, the same next hop.
        until_hop(hops, "10.20.3.4", |hop| {
            hop.is_some_and(|hop| hop.destination_mac == [2, 0, 0, 0, 0, 1])
        });
        // Nowhere.
        let nowhere = hops.lookup("203.0.113.1".parse().unwrap());
        assert_eq!(nowhere, None);

        run("ip neigh replace 10.10.1.1 lladdr 02:00:00:00:00:09 nud reachable dev tgb0");
        until_hop(hops, "10.20.3.4", |hop| {
            hop.is_some_and(|hop| hop.destination_mac == [2, 0, 0, 0, 0, 9])
        });

        run("ip link set tgb0 down");
        until_hop(hops, "10.20.3.4", |hop| hop.is_none());
        until_hop(hops, "10.10.1.1", |hop| hop.is_none());
    });
}

#[test]
fn a_neighbor_that_the_operator_wrote_down_stays_as_it_is() {
    in_own_world(|_, peer| {
        wire(peer, "tgb0", "tgc0", "10.10.1.1/24");
        run("ip addr add 10.10.1.2/24 dev tgb0");
        // Nobody answers ARP for this one.
        run("ip neigh add 10.10.1.77 lladdr 02:00:00:00:00:77 nud permanent dev tgb0");
        let stop = Arc::new(AtomicBool::new(false));
        let mut readers = neighbors::start(&["tgb0".to_owned()], 1, stop).unwrap();
        let hops = &mut readers[0];
        let is_known =
            |hop: Option<Hop>| hop.is_some_and(|hop| hop.destination_mac == [2, 0, 0, 0, 0, 0x77]);
        until_hop(hops, "10.10.1.77", is_known);
        for _ in 0..25 {
            sleep(Duration::from_millis(100));
            hops.refresh(dataplane::clock::now());
            let hop = hops.lookup("10.10.1.77".parse().unwrap());
            let shown = Command::new("ip").args(["neigh", "show"]).output().unwrap();
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            assert!(is_known(hop) && shown.contains("PERMANENT"), "{hop:?} {shown}");
        }
    });
}
