//! A guard of its own for each test: own network namespace, own bpffs, both gone with the thread.
#![allow(unsafe_code, dead_code, reason = "AF_XDP sockets; each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::time::{ClockId, clock_gettime};
use xdp_prog::{
    Arrival, Attached, Capacities, Deliver, Limits, Maps, Meter, Plan, Rate, Reason, Tester, Trust,
    attach,
};

pub(crate) const OWN4: &str = "10.10.1.2";
/// For media alone.
pub(crate) const OWN4_MEDIA: &str = "10.10.1.29";
pub(crate) const OWN6: &str = "fd10:1::2";
pub(crate) const SIP: u16 = 5060;
pub(crate) const MEDIA: (u16, u16) = (20_000, 29_999);

/// Runs `test` in its own namespaces, or says that it did not.
pub(crate) fn in_own_world(test: impl FnOnce(&Path) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: verdicts are tested in the running kernel, which needs root");
        return;
    }
    let world = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("own namespaces");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
        mount(Some("bpf"), "/mnt", Some("bpf"), MsFlags::empty(), None::<&str>).expect("a bpffs");
        test(Path::new("/mnt/tollgate"));
    });
    if let Err(panic) = world.join() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn plan(pins: &Path) -> Plan {
    Plan {
        interfaces: vec!["lo".into()],
        addresses: vec![OWN4.parse().unwrap(), OWN6.parse().unwrap()],
        sip_port: SIP,
        media_addresses: vec![OWN4_MEDIA.parse().unwrap()],
        media_ports: MEDIA,
        pins: pins.to_owned(),
        capacities: Capacities {
            deny_addresses: 2_000,
            deny_prefixes: 100,
            geo_prefixes: 100,
            trusted_prefixes: 100,
            regulars: 100,
            strangers: 1_024,
            calls: 64,
            queues_per_interface: 2,
        },
        deliver: Deliver::Sockets,
    }
}

/// No limit of any kind.
pub(crate) fn free() -> Limits {
    let none = [Rate::NONE; Meter::ALL.len()];
    Limits {
        stranger: none,
        any: Rate::NONE,
        network: none,
        crowd: none,
        flows: 0,
        network_flows: 0,
        ..Limits::default()
    }
}

/// So many at once, and no more while a test lasts, however slow the machine is.
pub(crate) fn at_once(burst: u32) -> Rate {
    Rate { count: 1, per: Duration::from_secs(3_600), burst, silence: Duration::ZERO }
}

/// A trusted network without budgets of its own.
pub(crate) fn trust(text: &str) -> Trust {
    Trust { prefix: text.parse().unwrap(), trunk: 0, admin: false }
}

/// A loaded guard on the loopback interface of an own namespace.
pub(crate) struct Guard {
    pub(crate) attached: Attached,
    pub(crate) maps: Maps,
    pub(crate) tester: Tester,
    pub(crate) pins: PathBuf,
}

impl Guard {
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut guard = Self::as_loaded(plan);
        guard.maps.set_limits(&free()).expect("its limits are off");
        guard.maps.admit().expect("it lets in");
        guard
    }

    /// As it is before anybody wrote a rule.
    pub(crate) fn as_loaded(plan: &Plan) -> Self {
        let attached = attach(plan).expect("the guard loads");
        let maps = Maps::open(&plan.pins).expect("its tables open");
        Self {
            attached,
            maps,
            tester: Tester::open(&plan.pins).expect("its program opens"),
            pins: plan.pins.clone(),
        }
    }

    /// With a socket on queue 0, so that frames for workers have somewhere to go.
    pub(crate) fn with_socket(plan: &Plan) -> (Self, Socket) {
        let guard = Self::new(plan);
        let socket = Socket::new();
        guard.attached.set_socket(0, 0, socket.0.as_fd()).expect("the socket has a place");
        (guard, socket)
    }

    /// Of every stranger one limit, and no other.
    pub(crate) fn limit(&mut self, meter: Meter, per_second: u32, burst: u32) {
        let mut limits = free();
        limits.stranger[meter as usize] = Rate::per_second(per_second, burst);
        self.maps.set_limits(&limits).unwrap();
    }

    /// The reason a frame left for, by the one counter that moved; its verdict must be the reason's,
    /// and its bytes those of the frame.
    #[track_caller]
    pub(crate) fn judge(&self, frame: &[u8]) -> Reason {
        self.judge_from(frame, None)
    }

    /// The same for a frame that came in there.
    #[track_caller]
    pub(crate) fn judge_from(&self, frame: &[u8], arrival: Option<Arrival>) -> Reason {
        let before = self.maps.counters().unwrap();
        let run = self.tester.run(frame, arrival, 1).unwrap();
        let after = self.maps.counters().unwrap();
        let moved: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).collect();
        let &[(old, new)] = moved.as_slice() else { panic!("counters moved: {moved:?}") };
        assert_eq!(new.packets, old.packets + 1);
        assert_eq!(new.bytes, old.bytes + frame.len() as u64);
        let action = match new.reason.verdict() {
            xdp_prog::Verdict::Relay if new.reason == Reason::RelayOn => 4,
            xdp_prog::Verdict::Drop => 1,
            xdp_prog::Verdict::Pass => 2,
            xdp_prog::Verdict::Redirect => 4,
            xdp_prog::Verdict::Relay | xdp_prog::Verdict::Answer => 3,
        };
        assert_eq!(run.action, action, "{:?}", new.reason);
        if !matches!(new.reason.verdict(), xdp_prog::Verdict::Relay | xdp_prog::Verdict::Answer) {
            assert_eq!(run.frame, frame, "the guard must not write to frames that go on");
        }
        new.reason
    }
}

/// The clock of the driver.
pub(crate) fn now() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap())
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// An AF_XDP socket that is set up as far as the socket map asks; nothing is ever received.
pub(crate) struct Socket(pub(crate) OwnedFd);

impl Socket {
    pub(crate) fn new() -> Self {
        const FRAMES: usize = 16;
        const FRAME_BYTES: usize = 4096;
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0) };
        assert!(fd >= 0, "AF_XDP socket");
        // SAFETY: the descriptor is new and ours.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: a new anonymous mapping, left to the end of the test process.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                FRAMES * FRAME_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let umem = libc::xdp_umem_reg {
            addr: memory as u64,
            len: (FRAMES * FRAME_BYTES) as u64,
            chunk_size: FRAME_BYTES as u32,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        set_option(&socket, libc::XDP_UMEM_REG, &umem);
        for ring in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING] {
            set_option(&socket, ring, &(FRAMES as u32));
        }
        Self(socket)
    }
}

fn set_option<T>(socket: &OwnedFd, name: libc::c_int, value: &T) {
    // SAFETY: `value` is as large as we say and lives over the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "socket option {name}: {}", std::io::Error::last_os_error());
}
