//! Those who drop: each behind a cable and in a namespace of its own, so that none pays for another.

use std::fmt::Write;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use benches::phones;
use benches::world::{Failure, Far, plan, run};
use xdp_prog::{Attached, Bare, Deny, Floor, Maps, Prefix, attach};

use benches::receiver::Receiver;

/// How long any command may take; a million elements are work for some.
const COMMAND_SECONDS: &str = "120";
/// Elements of one command of `nft`, which needs memory for each.
const ELEMENTS: usize = 50_000;

/// What drops the frames.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Our program, with all of its tables.
    Guard,
    /// A program that does no more than that.
    Bare(Floor),
    NftRaw,
    NftIngress,
    Ipset,
    XdpFilter,
}

/// One line of the table.
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) denied: usize,
    pub(crate) receiver: Receiver,
    far: Far,
    _stay: Option<Stay>,
}

/// What must live as long as the rival.
enum Stay {
    Bare { _bare: Bare },
    Guard { _guard: Attached },
}

impl Rival {
    /// Sets it up behind cable `number`, with these addresses denied.
    pub(crate) fn set_up(
        name: &'static str,
        kind: Kind,
        number: u32,
        pins: &Path,
        denied: &[Ipv4Addr],
    ) -> Result<Self, Failure> {
        let far = Far::make()?;
        let receiver = Receiver::at_the_end_of(&far, number)?;
        let device = receiver.device().to_owned();
        let pins = pins.with_file_name(format!("tgdrops{number}"));
        let stay = far.inside(|| match kind {
            Kind::Guard => guard(&device, &pins, denied).map(Some),
            Kind::Bare(floor) => Ok(Some(Stay::Bare { _bare: Bare::attach(&device, floor)? })),
            Kind::NftRaw => {
                let hook = "type filter hook prerouting priority raw".to_owned();
                nft("inet", &hook, denied).map(|()| None)
            }
            Kind::NftIngress => {
                let hook = format!("type filter hook ingress device {device} priority 0");
                nft("netdev", &hook, denied).map(|()| None)
            }
            Kind::Ipset => ipset(denied).map(|()| None),
            Kind::XdpFilter => xdp_filter(&device, denied).map(|()| None),
        })?;
        Ok(Self { name, kind, denied: denied.len(), receiver, far, _stay: stay })
    }

    /// Frames that came past it so far.
    pub(crate) fn survived(&self) -> Result<u64, Failure> {
        self.far.inside(|| match self.kind {
            Kind::Guard | Kind::Bare(_) | Kind::XdpFilter => {
                let taken = self.receiver.count("rx_queue_0_xdp_packets")?;
                Ok(taken - self.receiver.count("rx_queue_0_xdp_drops")?)
            }
            // `nft` reads all elements before it says a count, for half a minute. Nobody has an address
            // here, so what netfilter does not drop is an error of routing, or delivered.
            Kind::NftRaw | Kind::NftIngress | Kind::Ipset => {
                let ends = ["InHdrErrors", "InAddrErrors", "InDiscards", "InDelivers"];
                let ends = ends.iter().map(|name| ip_count("snmp", "Ip", name));
                let more = ["InNoRoutes"].iter().map(|name| ip_count("netstat", "IpExt", name));
                ends.chain(more).sum()
            }
        })
    }

    /// Frames that its core has taken so far.
    pub(crate) fn taken(&self) -> Result<u64, Failure> {
        self.far.inside(|| self.receiver.count("rx_queue_0_xdp_packets"))
    }
}

/// One of the namespace's counters of IP.
fn ip_count(table: &str, group: &str, name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{table}"))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let place = names.split_whitespace().position(|found| found == name);
    let value = place.and_then(|place| values.split_whitespace().nth(place));
    Ok(value.ok_or_else(|| format!("{group} does not count {name}"))?.parse()?)
}

/// Runs a command of words with that input; what it printed.
fn said(command: &str, input: &str) -> Result<String, Failure> {
    let mut child = Command::new("timeout")
        .arg(COMMAND_SECONDS)
        .args(command.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("no input")?.write_all(input.as_bytes())?;
    let done = child.wait_with_output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = [done.stdout, done.stderr].concat();
    Err(format!("{command}: {}: {}", done.status, String::from_utf8_lossy(&said)).into())
}

fn guard(device: &str, pins: &Path, denied: &[Ipv4Addr]) -> Result<Stay, Failure> {
    let plan = plan(pins, &[device.to_owned()], &[phones::socket(phones::NEAR)]);
    let guard = attach(&plan)?;
    let rule =
        |&source: &Ipv4Addr| Deny { prefix: Prefix::host(IpAddr::V4(source)), not_after: None };
    Maps::open(pins)?.deny_replace_all(denied.iter().map(rule))?;
    Ok(Stay::Guard { _guard: guard })
}

/// A set that says its size gets the quickest of its tables.
fn nft(family: &str, hook: &str, denied: &[Ipv4Addr]) -> Result<(), Failure> {
    let begin = format!(
        "table {family} tollgate {{\n set denied {{ type ipv4_addr; size {}; }}\n \
         chain flood {{\n {hook}; policy accept;\n ip saddr @denied counter drop\n }}\n}}\n",
        denied.len()
    );
    said("nft -f -", &begin)?;
    for some in denied.chunks(ELEMENTS) {
        let mut text = format!("add element {family} tollgate denied {{");
        some.iter().try_for_each(|source| write!(text, "{source},"))?;
        text.push_str("}\n");
        said("nft -f -", &text)?;
    }
    Ok(())
}

/// As large from the start as it will be.
fn ipset(denied: &[Ipv4Addr]) -> Result<(), Failure> {
    let (sets, most) = (denied.len().next_power_of_two(), denied.len());
    let mut text = format!("create denied hash:ip hashsize {sets} maxelem {most}\n");
    denied.iter().try_for_each(|source| writeln!(text, "add denied {source}"))?;
    said("ipset restore", &text)?;
    let rule = "--append PREROUTING --match set --match-set denied src --jump DROP";
    run(&format!("iptables-legacy --table raw {rule}"))
}

/// Its own command adds one address at a time: the first, whose entry is copied for the others.
fn xdp_filter(device: &str, denied: &[Ipv4Addr]) -> Result<(), Failure> {
    const TABLE: &str = "map pinned /sys/fs/bpf/xdp-filter/filter_ipv4";
    let table = TABLE.trim_start_matches("map ");
    let first = denied.first().ok_or("nobody is denied")?;
    said(&format!("xdp-filter load --mode native --features ipv4 --policy allow {device}"), "")?;
    said(&format!("xdp-filter ip --mode src {first}"), "")?;
    let entry = said(&format!("bpftool --json map dump {table}"), "")?;
    let entry: serde_json::Value = serde_json::from_str(&entry)?;
    let value = entry.pointer("/0/values/0/value").and_then(serde_json::Value::as_array);
    let value = value.ok_or_else(|| format!("xdp-filter's table has another form: {entry}"))?;
    let value: Vec<&str> = value.iter().filter_map(serde_json::Value::as_str).collect();
    let value = value.join(" ");
    let mut text = String::new();
    for source in denied {
        let [a, b, c, d] = source.octets();
        writeln!(text, "map update {table} key {a} {b} {c} {d} value {value}")?;
    }
    said("bpftool batch file -", &text).map(drop)
}
