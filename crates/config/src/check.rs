//! What a single value must be, and what must hold between values.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::{Config, Nic};
use crate::section::Findings;
use crate::streams;

/// Media ports of one call: RTP and RTCP of both legs.
const PORTS_PER_CALL: u32 = 4;

/// Longest path of a Unix socket that the kernel takes (`sun_path`, with its final zero).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How many interfaces and addresses the guard in the driver can tell apart.
const INTERFACES_MAX: usize = 16;
const ADDRESSES_MAX: usize = 32;

/// Whether the kernel could have an interface of this name.
pub(crate) fn interface_name(name: &str) -> Result<(), String> {
    let strange = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(strange) {
        return Err(format!("{name:?} is no interface name; `ip link` lists those there are"));
    }
    Ok(())
}

/// An own address with the length of its subnet: `10.10.1.2/24`.
pub(crate) fn service_address(text: &str) -> Result<(IpAddr, u8), String> {
    let why =
        || format!("\"{text}\" is no address with its subnet; write for instance 192.0.2.1/24");
    let (ip, bits) = text.split_once('/').ok_or_else(why)?;
    let ip: IpAddr = ip.parse().map_err(|_| why())?;
    let bits: u8 = bits.parse().map_err(|_| why())?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if bits > most {
        return Err(why());
    }
    unicast(ip)?;
    Ok((ip, bits))
}

/// An own address by itself: `10.10.1.3`.
pub(crate) fn plain_address(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse();
    let ip =
        parsed.map_err(|_| format!("\"{text}\" is no address; write for instance 192.0.2.2"))?;
    unicast(ip)?;
    Ok(ip)
}

/// What stands in for an own address towards others.
pub(crate) fn advertised_address(text: &str, own: Option<IpAddr>) -> Result<IpAddr, String> {
    let ip: IpAddr = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no address; write for instance 203.0.113.1"))?;
    unicast(ip)?;
    if own.is_some_and(|own| own.is_ipv4() != ip.is_ipv4()) {
        return Err(format!("{ip} is of another family than ip; advertise one of the same"));
    }
    Ok(ip)
}

fn unicast(ip: IpAddr) -> Result<(), String> {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(format!("{ip} belongs to no single machine; write the address of this one"));
    }
    if matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
        return Err(format!("{ip} is an IPv4 address in disguise; write it as IPv4"));
    }
    Ok(())
}

/// Notes everything that cannot stand beside something else.
pub(crate) fn check(config: &Config, findings: &mut Findings) {
    check_paths(config, findings);
    check_interfaces(config, findings);
    check_addresses(config, findings);
    check_media_addresses(config, findings);
    check_ports(config, findings);
    streams::check(config, findings);
    check_cores(config, findings);
}

fn check_paths(config: &Config, findings: &mut Findings) {
    let socket = config.paths.control_socket();
    if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        findings.invalid(
            "paths.run",
            format!(
                "{} is longer than a socket's path may be; choose a shorter directory",
                socket.display()
            ),
        );
    }
}

fn check_interfaces(config: &Config, findings: &mut Findings) {
    let count = config.interfaces.len();
    if count > INTERFACES_MAX {
        findings.invalid("interface", format!("{count} of them; {INTERFACES_MAX} can be had"));
    }
    let mut names = BTreeSet::new();
    for (index, interface) in config.interfaces.iter().enumerate() {
        if !interface.name.is_empty() && !names.insert(&interface.name) {
            let why = format!("\"{}\" stands here twice; remove one", interface.name);
            findings.invalid(format!("interface[{index}].name"), why);
        }
        let workers = config.dataplane.workers;
        if config.dataplane.nic == Nic::AfXdp && interface.queues != workers {
            let (queues, name) = (interface.queues, &interface.name);
            let lost = if queues < workers {
                "leaves some workers without packets"
            } else {
                "loses what comes in by the others"
            };
            findings.invalid(
                format!("interface[{index}].queues"),
                format!(
                    "{queues} for {workers} workers {lost}; give the interface one for each \
                     (ethtool -L {name} combined {workers}) or change dataplane.workers"
                ),
            );
        }
    }
}

fn check_addresses(config: &Config, findings: &mut Findings) {
    let count = config.addresses.len() + config.media_addresses.len();
    if count > ADDRESSES_MAX {
        findings.invalid("address", format!("{count} of them; {ADDRESSES_MAX} can be had"));
    }
    let mut own = BTreeSet::new();
    for (index, address) in config.addresses.iter().enumerate() {
        if !own.insert(address.ip) {
            let why = format!("{} stands here twice; remove one", address.ip);
            findings.invalid(format!("address[{index}].ip"), why);
        }
    }
}

/// Each must be told apart from all others, by us and by whoever is told of it.
fn check_media_addresses(config: &Config, findings: &mut Findings) {
    let mut own: BTreeSet<IpAddr> = config.addresses.iter().map(|address| address.ip).collect();
    let told = |ip: IpAddr, advertise: Option<IpAddr>| advertise.unwrap_or(ip);
    let served = config.addresses.iter();
    let mut all: BTreeSet<(IpAddr, IpAddr)> =
        served.map(|address| (address.ip, told(address.ip, address.advertise))).collect();
    for (index, address) in config.media_addresses.iter().enumerate() {
        let (ip, beside) = (address.ip, address.beside);
        if !own.insert(ip) {
            let why = format!("{ip} stands here twice, or is an [[address]]; remove one");
            findings.invalid(format!("media_address[{index}].ip"), why);
        } else if !all.insert((beside, told(ip, address.advertise))) {
            let why = format!(
                "{} is told of another address beside {beside} too; advertise another",
                told(ip, address.advertise)
            );
            findings.invalid(format!("media_address[{index}].advertise"), why);
        }
        let key = format!("media_address[{index}].beside");
        if !config.addresses.iter().any(|address| address.ip == beside) {
            let why = format!("no [[address]] has {beside}; name one of those, without its subnet");
            findings.invalid(key, why);
        } else if ip.is_ipv4() != beside.is_ipv4() {
            findings.invalid(key, format!("{beside} is of another family than {ip}"));
        }
    }
}

fn check_ports(config: &Config, findings: &mut Findings) {
    let (media, sip, workers) = (config.media, config.sip, config.dataplane.workers);
    if !media.first_port.is_multiple_of(2) {
        findings.invalid(
            "media.first_port",
            format!("{} is odd and RTP ports are even (RFC 3550 §11)", media.first_port),
        );
    }
    if media.first_port >= media.last_port {
        findings.invalid("media.last_port", "lies before media.first_port; raise it");
        return;
    }
    if (media.first_port..=media.last_port).contains(&sip.port) {
        findings.invalid(
            "sip.port",
            format!(
                "{} lies among the media ports {}-{}; move one of them",
                sip.port, media.first_port, media.last_port
            ),
        );
    }
    let calls = config.limits.calls;
    // At best: which calls go between which addresses nobody knows here.
    let addresses = (config.addresses.len() + config.media_addresses.len()).max(1) as u32;
    let room = media.pairs_per_worker(workers) * workers * 2 / PORTS_PER_CALL * addresses;
    if room < calls {
        findings.invalid(
            "limits.calls",
            format!(
                "{calls} calls need {} media ports even where all addresses carry alike, and {} are \
                 there; lower it to {room}, raise media.last_port, or add a [[media_address]]",
                u64::from(calls) * u64::from(PORTS_PER_CALL),
                (u32::from(media.last_port) - u32::from(media.first_port) + 1) * addresses
            ),
        );
    }
}

fn check_cores(config: &Config, findings: &mut Findings) {
    let (cores, workers) = (&config.dataplane.cores, config.dataplane.workers);
    if !cores.is_empty() && cores.len() != workers as usize {
        findings.invalid(
            "dataplane.cores",
            format!("{} cores for {workers} workers; name one for each, or none", cores.len()),
        );
    }
    let mut taken = BTreeSet::new();
    for core in cores.iter().chain(&config.control.core) {
        if !taken.insert(core) {
            findings.invalid(
                "dataplane.cores",
                format!("core {core} is given twice (workers and control.core); give each its own"),
            );
        }
    }
}
