//! From a configuration to running workers: everything that may allocate, fail or block, before the
//! first packet.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use b2bua::{Keys, Limits, Local, MediaLocal, Setup, StreamPorts, Switch};
use config::{Config, Interface, Nic as NicKind, XdpMode};
use link::endpoint::Transport;
use link::layout::{Link, Sizes};
use link::ring;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use shm::{Doorbell, Lock, Region};
use xdp_prog::media::Media;
use xdp_prog::{Greeter, Roster};

use crate::clock;
use crate::cores;
use crate::counters::Counters;
use crate::neighbors::{self, Reader};
use crate::nic::Nic;
use crate::nic::afxdp::{self, AfXdp};
use crate::nic::udp::Udp;
use crate::prompts;
use crate::recorder;
use crate::rim::{self, stream::Door};
use crate::worker::{Handoff, Parts, Worker};

/// Why the dataplane did not start; each says what to do.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs until SIGTERM or SIGINT. Pins and shared memory stay.
///
/// # Errors
/// When something it needs is not there.
pub fn run(config: &Config) -> Result<(), Error> {
    // Blocked before any thread exists, so that this thread alone hears them.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    signals.thread_block()?;
    raise_limits();
    let paths = &config.paths;
    std::fs::create_dir_all(&paths.run)
        .map_err(|error| format!("{}: {error}", paths.run.display()))?;
    std::fs::create_dir_all(&paths.state)
        .map_err(|error| format!("{}: {error}", paths.state.display()))?;
    let _lock = Lock::try_take(&paths.dataplane_lock())?;
    check_media_addresses(config)?;
    let link = open_link(config)?;
    link.begin_dataplane();
    let keys = keys(&paths.keys())?;
    let stop = Arc::new(AtomicBool::new(false));
    let workers = config.dataplane.workers as usize;
    let allowed = cores::allowed();
    let cores = cores::choose(&config.dataplane.cores, &allowed, config.control.core, workers);

    let handoffs = handoffs(config, &keys)?;
    let (recorder, recorders) = recorder::start(&config.recording, link)?;
    // Without a place for any nobody copies, and old files are swept all the same.
    let recorders = if config.recording.calls == 0 { Vec::new() } else { recorders };
    let prompts = prompts::load(&config.prompts);
    let mut crew = Crew {
        config,
        link,
        keys,
        recorders: recorders.into_iter(),
        cores: &cores,
        stop: Arc::clone(&stop),
        threads: Vec::new(),
        notices: prompts.notices(),
        prompts: prompts.prompts,
    };
    match config.dataplane.nic {
        NicKind::Udp => crew.start_on_kernel_sockets(handoffs)?,
        NicKind::AfXdp => crew.start_on_driver_queues(handoffs)?,
    }
    let Crew { threads, mut notices, .. } = crew;
    notices.push(("workers".into(), workers.to_string()));
    link.board().replace(notices.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    if cores.is_empty() {
        eprintln!("workers_not_pinned workers={workers} cores_allowed={}", allowed.len());
    }
    let pinned: Vec<String> = cores.iter().map(u32::to_string).collect();
    let pinned = if pinned.is_empty() { "any".to_owned() } else { pinned.join(",") };
    eprintln!("dataplane_started workers={workers} cores={pinned}");

    let _ = signals.wait();
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    recorder.finish();
    eprintln!("dataplane_stopped");
    Ok(())
}

/// Who else receives for a worker: the kernel's sockets, and the driver, which is told what it needs for that.
type Beside = (rim::WorkerSide, Option<Told>);

/// By which a worker tells the driver.
struct Told {
    greeter: Greeter,
    roster: Roster,
    media: Media,
}

/// The workers of this process, and what they are started with.
struct Crew<'a> {
    config: &'a Config,
    link: Link,
    keys: Keys,
    /// Of the workers that are not there yet, in order; none: no call is recorded.
    recorders: std::vec::IntoIter<recorder::WorkerSide>,
    /// Empty, or one for each worker.
    cores: &'a [u32],
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// What `status` shows of how they came up.
    notices: Vec<(String, String)>,
    /// What all of them may play.
    prompts: Arc<relay::Prompts>,
}

impl Crew<'_> {
    /// Each worker with sockets of its own in the kernel's stack; no driver's program, and of the rim only
    /// what serves connections.
    fn start_on_kernel_sockets(&mut self, handoffs: Vec<Handoff>) -> Result<(), Error> {
        let config = self.config;
        self.notices.push(("nic".into(), "udp: kernel sockets".into()));
        let addresses: Vec<_> = config.addresses.iter().map(|address| address.ip).collect();
        let beside: Vec<_> = config.media_addresses.iter().map(|address| address.ip).collect();
        // No guard is attached, but one that was may still be pinned, and its lists hold.
        let streams = match admission(&config.paths.pins) {
            Ok(admits) => start_streams(config, admits, &self.stop)?,
            Err(_) => start_streams(config, |_, _: &[u8]| true, &self.stop)?,
        };
        for (index, (handoff, streams)) in handoffs.into_iter().zip(streams).enumerate() {
            let ports = media_ports(config, index)?;
            let frames = config.dataplane.frames_per_worker;
            // What arrives here is reassembled already, so a frame holds the longest message.
            let longest = Udp::frame_bytes(config.sip.message_bytes_max);
            let bytes = config.dataplane.frame_bytes.max(longest);
            let nic = Udp::open((&addresses, &beside), config.sip.port, ports, frames, bytes)?;
            let rim = rim::WorkerSide::new(None, Some(streams));
            self.start_worker(index, nic, Reader::kernel(), (rim, None), handoff)?;
        }
        Ok(())
    }

    /// The driver's program attached, each worker with its queue of every interface, and the threads that
    /// only they need: next hops and the rim.
    fn start_on_driver_queues(&mut self, handoffs: Vec<Handoff>) -> Result<(), Error> {
        let config = self.config;
        let workers = config.dataplane.workers;
        let names: Vec<String> = config.interfaces.iter().map(|one| one.name.clone()).collect();
        afxdp::check_queues(&names, workers)?;
        let guard = xdp_prog::attach(&plan(config)?)?;
        guard.set_tags(&self.keys.tag, workers)?;
        for interface in guard.interfaces() {
            let name = format!("xdp {}", interface.name);
            self.notices.push((name, interface.mode.name().into()));
            let media = if xdp_prog::sends_for_drivers(interface.index) {
                "settled in the driver"
            } else {
                "by workers: this interface does not send for drivers (generic XDP, or a veth whose far end does not poll)"
            };
            self.notices.push((format!("media {}", interface.name), media.into()));
        }
        let mut nics = Vec::new();
        for queue in 0..workers {
            let nic = AfXdp::open(
                &names,
                queue,
                config.dataplane.frames_per_worker,
                config.dataplane.frame_bytes,
                config.dataplane.hugepages,
            )?;
            nics.push(nic);
        }
        let copies = nics.iter().any(|nic| !nic.zero_copy());
        let mode = if copies { "afxdp: copy" } else { "afxdp: zero-copy" };
        self.notices.push(("nic".into(), mode.into()));
        let hops = neighbors::start(&names, workers as usize, Arc::clone(&self.stop))?;
        let rims = start_rim(config, &self.stop)?;
        // Only now, because the driver lets fragments of SIP up to the rim once it finds a socket.
        for (queue, nic) in (0..).zip(&nics) {
            for (interface, socket) in nic.sockets().enumerate() {
                guard.set_socket(interface, queue, socket)?;
            }
        }
        let sides = nics.into_iter().zip(hops).zip(rims).zip(handoffs);
        for (index, (((nic, hops), rim), handoff)) in sides.enumerate() {
            let worker = index as u32;
            let told = Told {
                greeter: guard.greeter(worker)?,
                roster: guard.roster(worker, workers)?,
                media: guard.media()?,
            };
            self.start_worker(index, nic, hops, (rim, Some(told)), handoff)?;
        }
        Ok(())
    }

    fn start_worker<N: Nic + Send + 'static>(
        &mut self,
        index: usize,
        nic: N,
        hops: Reader,
        beside: Beside,
        handoff: Handoff,
    ) -> Result<(), Error> {
        let parts = self.parts(index, nic, hops, beside, handoff)?;
        let core = self.cores.get(index).copied();
        self.threads.push(spawn(index, core, parts, Arc::clone(&self.stop))?);
        Ok(())
    }

    fn parts<N: Nic>(
        &mut self,
        index: usize,
        nic: N,
        hops: Reader,
        (rim, told): Beside,
        handoff: Handoff,
    ) -> Result<Parts<N>, Error> {
        let config = self.config;
        let (greeter, roster, media) = match told {
            Some(told) => (Some(told.greeter), Some(told.roster), Some(told.media)),
            None => (None, None, None),
        };
        let workers = config.dataplane.workers;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let calls_max = config.limits.calls_per_worker(workers);
        let mut switch = Switch::new(Setup {
            worker: index as u8,
            workers: workers as u8,
            node: config.node.number,
            limits: Limits {
                calls_max,
                transactions_max: config.limits.transactions_per_worker(workers),
                kept_messages_max: config.limits.kept_messages_per_worker(workers),
                message_bytes_max: config.sip.message_bytes_max,
                gateways_max: link::profile::GATEWAYS_MAX,
                transcoded_max: config.media.transcoded_per_worker(workers),
            },
            locals: config
                .addresses
                .iter()
                .map(|address| Local {
                    address: address.ip,
                    sip_port: config.sip.port,
                    prefix_bits: address.prefix_bits,
                    advertise: address.advertise,
                    stream_ports: stream_ports(config),
                })
                .collect(),
            media_locals: media_locals(config),
            media_ports: media_ports(config, index)?,
            keys: self.keys,
            seed,
            user_agent: "Tollgate".into(),
        });
        switch.media().set_prompts(Arc::clone(&self.prompts));
        let mut side = self.link.worker_side(index as u32)?;
        // Answers to a process that is gone.
        side.down.clear();
        side.counters.name_all(Counters::names().iter().map(String::as_str))?;
        Ok(Parts {
            index,
            nic,
            switch,
            link: self.link,
            side,
            control: Doorbell::open(&config.paths.control_bell())?,
            bell: Doorbell::open(&config.paths.worker_bell(index as u32))?,
            hops,
            handoff,
            rim,
            greeter,
            knows: Box::new(acquaintances(&config.paths.pins)),
            roster,
            media,
            recorder: self.recorders.next(),
            calls_max: calls_max as usize,
            message_bytes_max: config.sip.message_bytes_max,
            spin: Duration::from_micros(config.dataplane.spin_us.into()),
            wall_offset: clock::wall_offset,
        })
    }
}

/// The rim's threads, and each worker's side of them.
fn start_rim(config: &Config, stop: &Arc<AtomicBool>) -> Result<Vec<rim::WorkerSide>, Error> {
    let (pins, port) = (&config.paths.pins, config.sip.port);
    let addresses = config.addresses.iter().map(|address| SocketAddr::new(address.ip, port));
    let addresses: Vec<SocketAddr> = addresses.collect();
    let (rings, admits) = (rings(config, "rim.bell"), admission(pins)?);
    let datagrams = rim::datagram::start(&addresses, &rings, admits, Arc::clone(stop))?;
    let streams = start_streams(config, admission(pins)?, stop)?;
    let sides = datagrams.into_iter().zip(streams);
    Ok(sides
        .map(|(datagrams, streams)| rim::WorkerSide::new(Some(datagrams), Some(streams)))
        .collect())
}

/// The rings between the workers and a thread of the rim.
fn rings(config: &Config, bell: &str) -> rim::Rings {
    let workers = 0..config.dataplane.workers;
    rim::Rings {
        worker_bells: workers.map(|worker| config.paths.worker_bell(worker)).collect(),
        bell: config.paths.run.join(bell),
        message_bytes_max: config.sip.message_bytes_max,
    }
}

/// Connections: a door on every address for every transport that is served.
fn start_streams(
    config: &Config,
    admits: impl FnMut(IpAddr, &[u8]) -> bool + Send + 'static,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<rim::stream::Streams>, Error> {
    let served = &config.streams;
    let ports = [
        (Transport::Tcp, Some(config.sip.port).filter(|_| served.tcp)),
        (Transport::Tls, served.tls_port),
        (Transport::Ws, served.ws_port),
        (Transport::Wss, served.wss_port),
    ];
    let doors: Vec<Door> = config
        .addresses
        .iter()
        .flat_map(|own| {
            ports.iter().filter_map(|&(transport, port)| {
                Some(Door { address: SocketAddr::new(own.ip, port?), transport })
            })
        })
        .collect();
    let identity = served.identity.as_ref();
    let tls = rim::Tls::open(rim::TlsFiles {
        identity: identity.map(|own| (own.certificate.clone(), own.key.clone())),
        more: served.identities_more.clone(),
        authorities: served.authorities.clone(),
        verify: served.verify,
        clients: served.clients,
    })?;
    let rings = rings(config, "streams.bell");
    Ok(rim::stream::start(&doors, &rings, tls, admits, Arc::clone(stop))?)
}

/// Sockets of the `udp` NIC and packet memory count against the process; what the system grants at most is
/// asked for, and whoever then has too little says so.
fn raise_limits() {
    for resource in [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK] {
        // Root may lift the upper limit too.
        if setrlimit(resource, RLIM_INFINITY, RLIM_INFINITY).is_err()
            && let Ok((_, most)) = getrlimit(resource)
        {
            let _ = setrlimit(resource, most, most);
        }
    }
}

fn open_link(config: &Config) -> Result<Link, Error> {
    let workers = config.dataplane.workers;
    let sizes = Sizes {
        workers,
        calls_per_worker: config.limits.calls_per_worker(workers),
        ring_slots: config.limits.ring_slots,
    };
    let region = Region::open(&config.paths.shared_memory, sizes.bytes_needed())?;
    Ok(Link::open_or_format(region.words(), &sizes, config.node.number)?)
}

/// The keys of shards and tags: made once, kept with the state, because calls outlive a restart.
fn keys(path: &Path) -> Result<Keys, Error> {
    use std::io::Write;
    let named = |error: std::io::Error| -> Error { format!("{}: {error}", path.display()).into() };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = vec![0; 32];
            getrandom::fill(&mut bytes)?;
            // Whole or not at all: a power cut must not leave half a key behind.
            let draft = path.with_extension("new");
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft);
            let mut file = file.map_err(named)?;
            file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(named)?;
            std::fs::rename(&draft, path).map_err(named)?;
            bytes
        }
        Err(error) => return Err(named(error)),
    };
    let (shard, tag) = bytes.split_at_checked(16).unwrap_or_default();
    match (<[u8; 16]>::try_from(shard), <[u8; 16]>::try_from(tag)) {
        (Ok(shard), Ok(tag)) => Ok(Keys { shard, tag }),
        _ => Err(format!("{}: not 32 bytes; remove it when no call is up", path.display()).into()),
    }
}

fn media_locals(config: &Config) -> Vec<MediaLocal> {
    let all = config.media_addresses.iter();
    all.map(|&config::MediaAddress { ip, beside, advertise, .. }| MediaLocal {
        address: ip,
        advertise,
        beside,
    })
    .collect()
}

/// Whether the machine has the addresses that carry media alone: of the others whoever listens there finds out. On
/// which interface is not seen here, and one of IPv6 is there once it is tentative no more (RFC 4862 §5.4).
fn check_media_addresses(config: &Config) -> Result<(), Error> {
    for address in &config.media_addresses {
        let ip = address.ip;
        let on = config.addresses.iter().find(|served| served.ip == address.beside);
        let interface = on.map_or("", |served| &config.interface_of(served).name);
        UdpSocket::bind(SocketAddr::new(ip, 0)).map_err(|error| {
            let way =
                format!("is it configured, and not tentative (ip address show dev {interface})?");
            format!("media_address {ip}: {error}; {way}")
        })?;
    }
    Ok(())
}

fn media_ports(config: &Config, worker: usize) -> Result<(u16, u16), Error> {
    let ports = config.media.ports_of(worker as u32, config.dataplane.workers);
    ports.ok_or_else(|| "media.first_port to media.last_port: fewer pairs than workers".into())
}

fn target(interface: &Interface) -> xdp_prog::Target {
    let allowed = match interface.mode {
        XdpMode::NativeOrGeneric => xdp_prog::Allowed::NativeOrGeneric,
        XdpMode::Native => xdp_prog::Allowed::Native,
        XdpMode::Generic => xdp_prog::Allowed::Generic,
    };
    xdp_prog::Target { name: interface.name.clone(), allowed }
}

fn plan(config: &Config) -> Result<xdp_prog::Plan, Error> {
    // Ports at the end of the range that no worker owns, for want of a pair for each, are none of ours:
    // what came in by them would pass for SIP that nobody meters.
    let last_worker = config.dataplane.workers.saturating_sub(1) as usize;
    let (first, last) = (media_ports(config, 0)?.0, media_ports(config, last_worker)?.1);
    let workers = config.dataplane.workers;
    let queues = config.interfaces.iter().map(|one| one.queues).max().unwrap_or(1);
    Ok(xdp_prog::Plan {
        interfaces: config.interfaces.iter().map(target).collect(),
        addresses: config.addresses.iter().map(|address| address.ip).collect(),
        media_addresses: config.media_addresses.iter().map(|address| address.ip).collect(),
        sip_port: config.sip.port,
        media_ports: (first, last),
        pins: config.paths.pins.clone(),
        capacities: xdp_prog::Capacities {
            deny_addresses: config.limits.deny_addresses,
            deny_prefixes: config.limits.deny_prefixes,
            geo_prefixes: config.limits.geo_prefixes,
            trusted_prefixes: config.limits.trusted_prefixes,
            regulars: config.limits.regulars,
            strangers: config.limits.strangers,
            calls: config.limits.calls_per_worker(workers) * workers,
            queues_per_interface: queues,
        },
        deliver: xdp_prog::Deliver::Sockets,
    })
}

/// The driver's rules for what reaches the rim past the driver.
///
/// # Errors
/// When no guard is pinned.
pub fn admission(
    pins: &Path,
) -> Result<impl FnMut(IpAddr, &[u8]) -> bool + Send + use<>, xdp_prog::Error> {
    let twin = xdp_prog::Twin::open(pins)?;
    // Tables that cannot be read let nobody in.
    Ok(move |source: IpAddr, payload: &[u8]| {
        let judged = match payload {
            // A connection that has said nothing yet.
            [] => twin.judge_source(clock::now(), source),
            payload => twin.judge(clock::now(), source, payload),
        };
        judged.is_ok_and(|reason| !reason.drops())
    })
}

/// Whether an address is anybody's that control knows; where no guard is pinned, everybody's is.
fn acquaintances(pins: &Path) -> impl Fn(IpAddr) -> bool + Send + use<> {
    let twin = xdp_prog::Twin::open(pins).ok();
    move |source| match &twin {
        Some(twin) => twin.knows(clock::now(), source).unwrap_or(true),
        None => true,
    }
}

/// Rings between every ordered pair of workers.
fn handoffs(config: &Config, keys: &Keys) -> Result<Vec<Handoff>, Error> {
    let workers = config.dataplane.workers as usize;
    let letter_bytes = config.sip.message_bytes_max + crate::worker::ENVELOPE_BYTES;
    let slots = config.limits.handover_slots as usize;
    let mut out: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
    let mut inward: Vec<Vec<_>> =
        (0..workers).map(|_| (0..workers).map(|_| None).collect()).collect();
    for (from, row) in out.iter_mut().enumerate() {
        for to in 0..workers {
            if from == to {
                row.push(None);
                continue;
            }
            let (give, take) = ring::in_process(slots, letter_bytes)?;
            row.push(Some((give, Doorbell::open(&config.paths.worker_bell(to as u32))?)));
            if let Some(place) = inward.get_mut(to).and_then(|row| row.get_mut(from)) {
                *place = Some(take);
            }
        }
    }
    let (first, last) = media_ports(config, 0)?;
    let media = (first, last - first + 1);
    let rows = out.into_iter().zip(inward).enumerate();
    Ok(rows
        .map(|(own, (out, inward))| Handoff::new(own, *keys, media, out, inward, letter_bytes))
        .collect())
}

/// What a Via of a stream names: the port that is served, else the usual one.
fn stream_ports(config: &Config) -> StreamPorts {
    let (served, usual) = (&config.streams, StreamPorts::default());
    StreamPorts {
        tls: served.tls_port.unwrap_or(usual.tls),
        ws: served.ws_port.unwrap_or(usual.ws),
        wss: served.wss_port.unwrap_or(usual.wss),
    }
}

fn spawn<N: Nic + Send + 'static>(
    index: usize,
    core: Option<u32>,
    parts: Parts<N>,
    stop: Arc<AtomicBool>,
) -> Result<std::thread::JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name(format!("worker-{index}"));
    Ok(thread.spawn(move || {
        if let Some(core) = core {
            cores::pin(index, core);
        }
        last_words(&format!("worker-{index}"), || {
            Worker::open(parts, clock::now()).run(|| stop.load(Ordering::Relaxed));
        });
    })?)
}

/// Runs the body of a thread. The one place that catches a panic: the process ends at once, and a fresh
/// one takes over its calls from the call table.
pub(crate) fn last_words(thread: &str, body: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err() {
        eprintln!("thread_died thread={thread}");
        std::process::abort();
    }
}
