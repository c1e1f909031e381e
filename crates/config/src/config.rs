//! Every key of the file: its type, its range, its default and the reason for it.
//!
//! The structs can only be made here, so whoever holds one holds a valid one.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::Error;
use crate::check;
use crate::mail::{self, Mail};
use crate::section::{Findings, Section};
use crate::streams::{self, Streams};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[paths]`
    pub paths: Paths,
    /// `[[interface]]`, at least one.
    pub interfaces: Vec<Interface>,
    /// `[[address]]`, at least one.
    pub addresses: Vec<Address>,
    /// `[[media_address]]`
    pub media_addresses: Vec<MediaAddress>,
    /// `[sip]`
    pub sip: Sip,
    /// `[streams]`
    pub streams: Streams,
    /// `[media]`
    pub media: Media,
    /// `[recording]`
    pub recording: Recording,
    /// `[prompts]`
    pub prompts: Prompts,
    /// `[dataplane]`
    pub dataplane: Dataplane,
    /// `[limits]`
    pub limits: Limits,
    /// `[control]`
    pub control: Control,
    /// `[mail]`; `None`: mail goes nowhere.
    pub mail: Option<Mail>,
    /// `[log]`
    pub log: Log,
}

/// Who this machine is among others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// 0 to 1023; part of every record's id, so no two machines that ever share records share it.
    pub number: u16,
    /// How people call it.
    pub name: String,
}

/// Where files are. All absolute, so that they do not depend on where a daemon was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paths {
    /// What must survive a reboot: the database, the keys.
    pub state: PathBuf,
    /// What must not: sockets, doorbells, locks.
    pub run: PathBuf,
    /// The words that dataplane and control share.
    pub shared_memory: PathBuf,
    /// The pinned XDP program, on a bpffs.
    pub pins: PathBuf,
    /// Where sshd writes down logins that failed.
    pub failed_logins: PathBuf,
}

impl Paths {
    /// The SQLite database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("tollgate.db")
    }

    /// What waits for the database.
    #[must_use]
    pub fn spill(&self) -> PathBuf {
        self.state.join("tollgate.spill")
    }

    /// Days of records that are in the database no more.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.state.join("archive")
    }

    /// Hours of records as text.
    #[must_use]
    pub fn hours(&self) -> PathBuf {
        self.state.join("text")
    }

    /// Copies of the database.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.state.join("backup")
    }

    /// The secret keys of shards and tags, which outlive a restart because calls do.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.state.join("dataplane.keys")
    }

    /// The API's Unix socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// What wakes control.
    #[must_use]
    pub fn control_bell(&self) -> PathBuf {
        self.run.join("control.bell")
    }

    /// What wakes a worker.
    #[must_use]
    pub fn worker_bell(&self, worker: u32) -> PathBuf {
        self.run.join(format!("worker-{worker}.bell"))
    }

    /// Held by the one dataplane that runs.
    #[must_use]
    pub fn dataplane_lock(&self) -> PathBuf {
        self.run.join("dataplane.lock")
    }

    /// Held by the one control that runs.
    #[must_use]
    pub fn control_lock(&self) -> PathBuf {
        self.run.join("control.lock")
    }
}

/// A network interface that the driver's guard sits on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// As the kernel calls it.
    pub name: String,
    /// How XDP is attached.
    pub mode: XdpMode,
    /// Receive queues, one per worker.
    pub queues: u32,
}

/// How XDP is attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver where it can, else behind it; `status` says which.
    NativeOrGeneric,
    /// In the driver, or not at all.
    Native,
    /// Behind the driver, for a driver that says it can and cannot.
    Generic,
}

/// An own service address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// How many of its bits name the subnet.
    pub prefix_bits: u8,
    /// Index into [`Config::interfaces`].
    pub interface: usize,
    /// What SIP and SDP say instead of it, for a machine behind 1:1 NAT. Of the same family.
    pub advertise: Option<IpAddr>,
}

/// An own address that carries media beside a service address, and hears no SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaAddress {
    /// The address itself.
    pub ip: IpAddr,
    /// The service address whose calls it helps to carry.
    pub beside: IpAddr,
    /// What SDP says instead of it, for a machine behind 1:1 NAT. Of the same family.
    pub advertise: Option<IpAddr>,
}

/// Signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sip {
    /// The port on every address: UDP, and TCP where it is served.
    pub port: u16,
    /// Longest message taken or sent.
    pub message_bytes_max: usize,
}

/// Media. Every own address has all of these ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Media {
    /// First port; even.
    pub first_port: u16,
    /// Last port, included.
    pub last_port: u16,
    /// Calls whose speech is transcoded at a time, by all workers together.
    pub transcoded_max: u32,
}

impl Media {
    /// The ports of one worker on every own address: first (even) and last (odd), both included. Workers' parts follow
    /// each other and are of one size, so a port names its worker. `None`: no such worker, or more
    /// workers than pairs of ports.
    #[must_use]
    pub fn ports_of(&self, worker: u32, workers: u32) -> Option<(u16, u16)> {
        let pairs = self.pairs_per_worker(workers);
        if worker >= workers || pairs == 0 {
            return None;
        }
        let first = u32::from(self.first_port) + 2 * pairs * worker;
        let last = first + 2 * pairs - 1;
        Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?))
    }

    /// Calls that each worker transcodes at a time.
    #[must_use]
    pub fn transcoded_per_worker(&self, workers: u32) -> u16 {
        u16::try_from(self.transcoded_max.div_ceil(workers.max(1))).unwrap_or(u16::MAX)
    }

    /// Pairs of RTP and RTCP ports that each worker has of each own address.
    #[must_use]
    pub fn pairs_per_worker(&self, workers: u32) -> u32 {
        let ports = (u32::from(self.last_port) + 1).saturating_sub(u32::from(self.first_port));
        (ports / 2).checked_div(workers).unwrap_or(0)
    }
}

/// Calls that are written to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// Where their files are.
    pub directory: PathBuf,
    /// How many at a time; 0: none.
    pub calls: u32,
    /// With less room than so many bytes on that disk nothing is recorded.
    pub free_min_bytes: u64,
    /// Files of calls older than so many days are deleted; 0: none is.
    pub keep_days: u32,
}

/// What callers hear of us where their calls fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompts {
    /// Where their files are; `None`: there are none.
    pub directory: Option<PathBuf>,
    /// How many bytes of memory all of them may take.
    pub bytes_max: u64,
}

/// The packet side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dataplane {
    /// How packets come in.
    pub nic: Nic,
    /// Worker threads, 1 to 64.
    pub workers: u32,
    /// The core of each worker; empty: the dataplane chooses.
    pub cores: Vec<u32>,
    /// How long an idle worker spins before it sleeps, µs.
    pub spin_us: u32,
    /// Frames of packet memory per worker, a power of two.
    pub frames_per_worker: u32,
    /// Bytes of a frame: 2048 or 4096.
    pub frame_bytes: u32,
    /// Whether packet memory is taken from huge pages.
    pub hugepages: bool,
}

impl Dataplane {
    /// Packet memory of all workers in bytes.
    #[must_use]
    pub fn frames_bytes(&self) -> u64 {
        u64::from(self.workers) * u64::from(self.frames_per_worker) * u64::from(self.frame_bytes)
    }
}

/// How packets come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nic {
    /// From the driver, past the kernel's stack.
    AfXdp,
    /// Through kernel sockets, where AF_XDP is not to be had.
    Udp,
}

/// Sizes fixed at start. What is full is refused by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Calls at a time, all workers together.
    pub calls: u32,
    /// SIP transactions at a time, all workers together.
    pub transactions: u32,
    /// SIP messages kept for repetition, all workers together.
    pub kept_messages: u32,
    /// Slots of each ring between a worker and control, a power of two.
    pub ring_slots: u32,
    /// Slots of each hand-over ring between workers, a power of two.
    pub handover_slots: u32,
    /// Single addresses that can be denied.
    pub deny_addresses: u32,
    /// Networks that can be denied.
    pub deny_prefixes: u32,
    /// Networks and addresses that can be trusted.
    pub trusted_prefixes: u32,
    /// Networks of regions.
    pub geo_prefixes: u32,
    /// Addresses of registered phones that are known to the driver.
    pub regulars: u32,
    /// Unknown sources that are metered at a time.
    pub strangers: u32,
}

impl Limits {
    /// Call slots of each worker. Calls do not spread evenly, so each has a little more than its
    /// share.
    #[must_use]
    pub fn calls_per_worker(&self, workers: u32) -> u32 {
        share(self.calls, workers)
    }

    /// Transactions of each worker.
    #[must_use]
    pub fn transactions_per_worker(&self, workers: u32) -> u32 {
        share(self.transactions, workers)
    }

    /// Kept messages of each worker.
    #[must_use]
    pub fn kept_messages_per_worker(&self, workers: u32) -> u32 {
        share(self.kept_messages, workers)
    }
}

/// One worker's part, an eighth more than even if there are several.
fn share(total: u32, workers: u32) -> u32 {
    let even = total.div_ceil(workers.max(1));
    if workers > 1 { even + even / 8 } else { even }
}

/// The deciding side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Control {
    /// The core of the decision loop; `None`: wherever the kernel likes.
    pub core: Option<u32>,
    /// The group whose members may open the API's socket; `None`: nobody but root and the daemon's user.
    pub socket_group: Option<String>,
    /// Room for changes that the database cannot take yet; 0: they wait in memory.
    pub spill_bytes: u64,
}

/// What control says on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Log {
    /// From which weight on.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// The weight of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// A human must act.
    Error,
    /// Degraded, mending itself.
    Warn,
    /// Someone asked for this.
    Info,
    /// For developers.
    Debug,
}

impl LogLevel {
    /// The word in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people and journald.
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// Reads the text of a configuration file, or says everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Error>> {
        let (config, findings) = parse(text)?;
        if findings.errors.is_empty() { Ok(config) } else { Err(findings.errors) }
    }

    /// The interface that an address is on.
    ///
    /// # Panics
    /// If the address is another configuration's.
    #[must_use]
    pub fn interface_of(&self, address: &Address) -> &Interface {
        &self.interfaces[address.interface]
    }
}

/// Every key that the file can have, as `section.key`: what the example must show.
#[must_use]
pub fn keys() -> Vec<String> {
    let example = "[[interface]]\n[[address]]\n[[media_address]]\n";
    parse(example).map(|(_, findings)| findings.keys).unwrap_or_default()
}

fn parse(text: &str) -> Result<(Config, Findings), Vec<Error>> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| vec![Error::Syntax { message: error.to_string() }])?;
    let mut findings = Findings::default();
    let mut file = Section::new(String::new(), table, &mut findings);
    let config = read(&mut file);
    file.finish();
    check::check(&config, &mut findings);
    Ok((config, findings))
}

fn read(file: &mut Section<'_>) -> Config {
    let node = file.section("node", read_node);
    let paths = file.section("paths", read_paths);
    let recording = file.section("recording", |section| read_recording(section, &paths));
    let dataplane = file.section("dataplane", read_dataplane);
    let interfaces =
        file.sections("interface", |section| read_interface(section, dataplane.workers));
    let addresses = file.sections("address", |section| read_address(section, &interfaces));
    let media_addresses = file.sections("media_address", read_media_address);
    if interfaces.is_empty() {
        file.missing("interface", "[[interface]] with name = \"eth0\"");
    }
    if addresses.is_empty() {
        file.missing("address", "[[address]] with ip = \"192.0.2.1/24\" and interface = \"eth0\"");
    }
    Config {
        node,
        paths,
        interfaces,
        // What could not be read is an error already.
        addresses: addresses.into_iter().flatten().collect(),
        media_addresses: media_addresses.into_iter().flatten().collect(),
        sip: file.section("sip", read_sip),
        streams: file.section("streams", streams::read),
        media: file.section("media", read_media),
        recording,
        prompts: file.section("prompts", |section| Prompts {
            directory: section.path("directory"),
            // A quarter of an hour: a second is 8 KB in each of the two laws.
            bytes_max: MEGABYTE * section.number("max_mb", 1..=1_024).unwrap_or(16),
        }),
        dataplane,
        limits: file.section("limits", read_limits),
        control: file.section("control", |section| Control {
            core: section.number("core", 0..=CORE_MAX),
            socket_group: section.text("socket_group"),
            // Changes of some twenty thousand calls.
            spill_bytes: MEGABYTE * section.number("spill_mb", 0..=65_536).unwrap_or(64),
        }),
        mail: file.section("mail", mail::read),
        log: file.section("log", read_log),
    }
}

const CORE_MAX: i64 = 1023;
const MEGABYTE: u64 = 1 << 20;

fn read_node(section: &mut Section<'_>) -> Node {
    Node {
        number: section.number("number", 0..=1023).unwrap_or(0),
        name: section.text("name").unwrap_or_else(|| "tollgate".into()),
    }
}

fn read_paths(section: &mut Section<'_>) -> Paths {
    let mut path = |key, default: &str| section.path(key).unwrap_or_else(|| default.into());
    Paths {
        state: path("state", "/var/lib/tollgate"),
        run: path("run", "/run/tollgate"),
        shared_memory: path("shared_memory", "/dev/shm/tollgate-main"),
        pins: path("pins", "/sys/fs/bpf/tollgate"),
        failed_logins: path("failed_logins", "/var/log/btmp"),
    }
}

fn read_interface(section: &mut Section<'_>, workers: u32) -> Interface {
    let modes = [
        ("native-or-generic", XdpMode::NativeOrGeneric),
        ("native", XdpMode::Native),
        ("generic", XdpMode::Generic),
    ];
    let name = section.text("name");
    match &name {
        None => section.missing("name", "name = \"eth0\""),
        Some(name) => {
            if let Err(why) = check::interface_name(name) {
                section.invalid("name", why);
            }
        }
    }
    Interface {
        name: name.unwrap_or_default(),
        mode: section.choice("mode", &modes).unwrap_or(XdpMode::NativeOrGeneric),
        // One queue is what a worker polls; what comes in by a queue without a worker is lost.
        queues: section.number("queues", 1..=256).unwrap_or(workers),
    }
}

fn read_address(section: &mut Section<'_>, interfaces: &[Interface]) -> Option<Address> {
    let ip = section.text("ip");
    let interface = section.text("interface");
    let advertise = section.text("advertise");
    if ip.is_none() {
        section.missing("ip", "ip = \"192.0.2.1/24\"");
    }
    if interface.is_none() {
        section.missing("interface", "interface = \"eth0\"");
    }
    let ip = ip.map(|text| check::service_address(&text));
    let ip = ip.and_then(|ip| ip.map_err(|why| section.invalid("ip", why)).ok());
    let interface = interface.and_then(|name| {
        let index = interfaces.iter().position(|interface| interface.name == name);
        if index.is_none() {
            section.invalid(
                "interface",
                format!("no [[interface]] is named \"{name}\"; add one, or name one of those"),
            );
        }
        index
    });
    let advertise = advertise.and_then(|text| {
        let checked = check::advertised_address(&text, ip.map(|(ip, _)| ip));
        checked.map_err(|why| section.invalid("advertise", why)).ok()
    });
    let (ip, prefix_bits) = ip?;
    Some(Address { ip, prefix_bits, interface: interface?, advertise })
}

fn read_media_address(section: &mut Section<'_>) -> Option<MediaAddress> {
    let ip = section.text("ip");
    let beside = section.text("beside");
    let advertise = section.text("advertise");
    if ip.is_none() {
        section.missing("ip", "ip = \"192.0.2.2\"");
    }
    if beside.is_none() {
        section.missing("beside", "beside = \"192.0.2.1\"");
    }
    let mut read = |key, text: Option<String>| {
        let checked = text.map(|text| check::plain_address(&text))?;
        checked.map_err(|why| section.invalid(key, why)).ok()
    };
    let (ip, beside) = (read("ip", ip), read("beside", beside));
    let advertise = advertise.and_then(|text| {
        let checked = check::advertised_address(&text, ip);
        checked.map_err(|why| section.invalid("advertise", why)).ok()
    });
    Some(MediaAddress { ip: ip?, beside: beside?, advertise })
}

fn read_sip(section: &mut Section<'_>) -> Sip {
    Sip {
        port: section.number("port", 1..=65_535).unwrap_or(5060),
        // Every SIP message fits a hand-over slot of 16 KiB with its addresses; 8 KiB is more than
        // any call needs and what reassembly is worth.
        message_bytes_max: section.number("message_bytes_max", 2_048..=16_000).unwrap_or(8_192),
    }
}

fn read_media(section: &mut Section<'_>) -> Media {
    Media {
        first_port: section.number("first_port", 1_024..=65_534).unwrap_or(10_000),
        last_port: section.number("last_port", 1_025..=65_535).unwrap_or(20_000),
        transcoded_max: section.number("transcoded_max", 0..=20_000).unwrap_or(0),
    }
}

fn read_recording(section: &mut Section<'_>, paths: &Paths) -> Recording {
    Recording {
        directory: section.path("directory").unwrap_or_else(|| paths.state.join("recordings")),
        // Each holds two seconds of both sides in memory, 64 KB.
        calls: section.number("calls", 0..=100_000).unwrap_or(200),
        // What the database needs to go on for days.
        free_min_bytes: MEGABYTE * section.number("free_min_mb", 0..=10_000_000).unwrap_or(2_048),
        keep_days: section.number("keep_days", 0..=36_500).unwrap_or(0),
    }
}

fn read_dataplane(section: &mut Section<'_>) -> Dataplane {
    Dataplane {
        nic: section
            .choice("nic", &[("afxdp", Nic::AfXdp), ("udp", Nic::Udp)])
            .unwrap_or(Nic::AfXdp),
        workers: section.number("workers", 1..=64).unwrap_or(1),
        cores: section.numbers("cores", 0..=CORE_MAX).unwrap_or_default(),
        // Spinning burns what another thread on the same core needs: only for cores of one's own.
        spin_us: section.number("spin_us", 0..=10_000).unwrap_or(0),
        // 16,384 frames hold what a million packets a second bring in 16 ms.
        frames_per_worker: section.power_of_two("frames_per_worker", 512..=1 << 20, 16_384),
        // The smaller that the kernel takes; holds a full Ethernet frame and room for headers.
        frame_bytes: section.power_of_two("frame_bytes", 2_048..=4_096, 2_048),
        // Huge pages must have been reserved by the administrator.
        hugepages: section.truth("hugepages").unwrap_or(false),
    }
}

fn read_limits(section: &mut Section<'_>) -> Limits {
    // Half a gigabyte of memory and 8,000 of the media ports: what a small server has.
    let calls: u32 = section.number("calls", 1..=1_000_000).unwrap_or(2_000);
    // Two of a call that was just set up, and four of another that ended: INVITE and BYE of both legs
    // linger for 32 s. So a full house of calls of 32 s fits; of their messages most are short or let
    // go of before. A call that is set up keeps some 4 KiB, one that talks 512 bytes of its ACK: three
    // quarters of all calls may be set up at a time.
    let (six_per_call, three_per_call) = (calls.saturating_mul(6), calls.saturating_mul(3));
    Limits {
        calls,
        transactions: section.number("transactions", 16..=16_000_000).unwrap_or(six_per_call),
        kept_messages: section.number("kept_messages", 16..=16_000_000).unwrap_or(three_per_call),
        // A burst of a thousand questions waits at most some ten milliseconds.
        ring_slots: section.power_of_two("ring_slots", 16..=1 << 16, 1_024),
        handover_slots: section.power_of_two("handover_slots", 16..=1 << 14, 512),
        // 72 bytes each in the kernel: room for a botnet in 72 MB.
        deny_addresses: section.number("deny_addresses", 1..=4_000_000).unwrap_or(1_000_000),
        deny_prefixes: section.number("deny_prefixes", 1..=1_000_000).unwrap_or(131_072),
        trusted_prefixes: section.number("trusted_prefixes", 1..=1_000_000).unwrap_or(16_384),
        geo_prefixes: section.number("geo_prefixes", 1..=1_000_000).unwrap_or(131_072),
        regulars: section.number("regulars", 16..=1_000_000).unwrap_or(131_072),
        // 264 bytes each; a flood from more sources than this shares places.
        strangers: section.number("strangers", 16..=4_000_000).unwrap_or(131_072),
    }
}

fn read_log(section: &mut Section<'_>) -> Log {
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];
    let levels = levels.map(|level| (level.name(), level));
    Log {
        level: section.choice("level", &levels).unwrap_or(LogLevel::Info),
        format: section
            .choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            .unwrap_or(LogFormat::Text),
    }
}

#[cfg(test)]
mod tests;
