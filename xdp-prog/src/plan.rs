//! What an attachment needs to know: all of it from the configuration file.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::Error;
use crate::abi;

/// Which interfaces are guarded, what on them is ours, and how large the tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The interfaces, 1 to [`abi::INTERFACES_MAX`]. Their order numbers them for
    /// [`crate::Attached::set_socket`].
    pub interfaces: Vec<Target>,
    /// Our service addresses, at least 1; frames to others pass unjudged.
    pub addresses: Vec<IpAddr>,
    /// Those that carry media alone; all together at most [`abi::OWN_ADDRESSES_MAX`].
    pub media_addresses: Vec<IpAddr>,
    /// The UDP port of SIP on every address.
    pub sip_port: u16,
    /// First and last UDP port of media on every address, both included.
    pub media_ports: (u16, u16),
    /// A directory on a bpffs, one per instance (`/sys/fs/bpf/tollgate`).
    pub pins: PathBuf,
    /// Sizes of the tables, fixed while the pins stand.
    pub capacities: Capacities,
    /// Where our SIP and media go.
    pub deliver: Deliver,
}

/// An interface to be guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the kernel calls it.
    pub name: String,
    /// In which modes the program may run on it.
    pub allowed: Allowed,
}

/// In which modes the program may run on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// In the driver where it can, else behind it.
    NativeOrGeneric,
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), allowed: Allowed::NativeOrGeneric }
    }
}

/// Sizes of the kernel's tables. They change only when the pins are removed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacities {
    /// Single denied addresses, 1 to 4,000,000; 72 to 144 bytes each.
    pub deny_addresses: u32,
    /// Denied networks, IPv4 and IPv6 together.
    pub deny_prefixes: u32,
    /// Networks of regions.
    pub geo_prefixes: u32,
    /// Trusted networks and addresses together.
    pub trusted_prefixes: u32,
    /// Addresses from which somebody registered or called lately; 72 to 144 bytes each.
    pub regulars: u32,
    /// Strangers that are metered at a time: 64 bytes of budgets, 8 of flows, 64 of what they did, for each.
    pub strangers: u32,
    /// Call slots of all workers together, 1 to 16,777,216; 16 bytes each.
    pub calls: u32,
    /// NIC queues of each interface.
    pub queues_per_interface: u32,
}

impl Default for Capacities {
    fn default() -> Self {
        Self {
            deny_addresses: 1_000_000,
            deny_prefixes: 131_072,
            geo_prefixes: 131_072,
            trusted_prefixes: 16_384,
            regulars: 131_072,
            strangers: 131_072,
            calls: 65_536,
            queues_per_interface: 64,
        }
    }
}

/// Where the frames of our SIP and media ports go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// To the AF_XDP socket of the queue; without one they are dropped.
    Sockets,
    /// Up to the kernel's sockets, for machines without AF_XDP.
    Kernel,
}

impl Plan {
    /// All our addresses, in the order of their numbers.
    pub(crate) fn own(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().chain(&self.media_addresses).copied()
    }

    /// How many ports media may come to, of all addresses together.
    pub(crate) fn media_places(&self) -> u32 {
        let (first, last) = self.media_ports;
        self.own().count() as u32 * (u32::from(last) - u32::from(first) + 1)
    }

    /// Refuses what the program could not hold.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Plan(why));
        let (first, last) = self.media_ports;
        if self.interfaces.is_empty() || self.interfaces.len() > abi::INTERFACES_MAX {
            return refuse(format!("name 1 to {} interfaces", abi::INTERFACES_MAX));
        }
        if self.addresses.is_empty() || self.own().count() > abi::OWN_ADDRESSES_MAX {
            return refuse(format!("name 1 to {} own addresses", abi::OWN_ADDRESSES_MAX));
        }
        if self.sip_port == 0 || first == 0 || first > last {
            return refuse(format!("SIP port {} or media ports {first}-{last}", self.sip_port));
        }
        if (first..=last).contains(&self.sip_port) {
            return refuse(format!("the SIP port {} lies among the media ports", self.sip_port));
        }
        let sizes = &self.capacities;
        let in_range = (1..=4_000_000).contains(&sizes.deny_addresses)
            && (1..=1_000_000).contains(&sizes.deny_prefixes)
            && (1..=1_000_000).contains(&sizes.geo_prefixes)
            && (1..=1_000_000).contains(&sizes.trusted_prefixes)
            && (1..=1_000_000).contains(&sizes.regulars)
            && (1..=4_000_000).contains(&sizes.strangers)
            && (1..=1 << 24).contains(&sizes.calls)
            && (1..=1_024).contains(&sizes.queues_per_interface);
        if !in_range {
            return refuse(format!("table sizes out of range: {sizes:?}"));
        }
        Ok(())
    }
}

impl Capacities {
    /// Buckets of a table of so many addresses: at most four for the seven slots of each, so that few run
    /// over.
    pub(crate) fn buckets(addresses: u32) -> u32 {
        addresses.div_ceil(abi::ADDRESSES_PER_BUCKET).next_power_of_two()
    }

    /// Buckets of a cache of budgets: a source asks for up to four kinds of things.
    pub(crate) fn budget_buckets(sources: u32) -> u32 {
        (sources * KINDS).div_ceil(abi::BUDGET_SLOTS as u32).next_power_of_two()
    }

    /// Sets of flows, and places of talkers.
    pub(crate) fn places(&self) -> u32 {
        self.strangers.next_power_of_two()
    }
}

const KINDS: u32 = 4;
