//! One world: what is due happens, what was sent arrives, and the invariants are looked at.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use control::decide::Method;
use serde_json::{Value, json};

use super::archive::Archive;
use super::invariants;
use super::machine::{Carried, Machine, Memory, time};
use super::network::{Letter, Network};
use super::peer::status;
use super::phone::Phone;
use super::scenario::{Deed, OPENING, Scenario};
use super::vendor::Vendor;

/// A world that has not come to rest by then never will.
const END: Duration = OPENING.saturating_add(Duration::from_secs(900));
/// What a minute costs the customer, what it costs after [`Deed::Reprice`], what vendors take.
pub(super) const SOLD: &str = "0.60";
pub(super) const RAISED: &str = "0.90";
pub(super) const BOUGHT: &str = "0.30";
/// How long everything must have been still before a world is at rest.
const STILL: Duration = Duration::from_secs(16);

/// What became of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls tried.
    pub calls: u32,
    /// What happened in it, and how often: to see what the worlds of many seeds cover.
    pub seen: BTreeMap<&'static str, u32>,
    /// A hash over everything that was sent: the same seed gives the same story.
    pub story: u64,
}

/// A simulated world.
pub struct World<'m> {
    pub(super) now: Duration,
    pub(super) machine: Machine<'m>,
    pub(super) phones: Vec<Phone>,
    pub(super) vendors: Vec<Vendor>,
    network: Network,
    script: Vec<(Duration, Deed)>,
    /// The customer's money at the start, in billionths; `None`: no limit.
    pub(super) money: Option<i64>,
    /// The lines of each vendor; 0: no limit.
    pub(super) vendor_lines: u32,
    /// Whether no datagram is ever lost.
    pub(super) lossless: bool,
    /// Whether control is held up: then calls change their vendor without its word.
    pub(super) stalled: bool,
    /// The customer, the vendors' account.
    pub(super) accounts: [u32; 2],
    /// When the customer's price was raised, µs since 1970.
    pub(super) repriced: Option<u64>,
    /// When anything was sent or changed last.
    moved: Duration,
    story: DefaultHasher,
    trace: bool,
}

impl<'m> World<'m> {
    /// The world of a seed. `trace`: it tells its story on the way.
    ///
    /// # Errors
    /// When control does not take what the world needs.
    pub fn new(memory: &'m Memory, seed: u64, trace: bool) -> Result<Self, String> {
        let scenario = Scenario::new(seed);
        let Scenario { phones, vendors, weather, script, money, lines, vendor_lines } = scenario;
        let now = OPENING - Duration::from_secs(10);
        let mut machine = Machine::new(memory, seed, now);
        machine.start_desk(now);
        machine.start_plane(now);
        let mut world = Self {
            now,
            machine,
            phones,
            vendors,
            network: Network::new(seed, weather),
            vendor_lines,
            lossless: weather.lost == 0
                && script.iter().all(|(_, deed)| !matches!(deed, Deed::Weather(w) if w.lost > 0)),
            stalled: script.iter().any(|(_, deed)| matches!(deed, Deed::StallDesk(_))),
            script,
            money: money.map(|whole| i64::from(whole) * 1_000_000_000 / 4),
            accounts: [0; 2],
            repriced: None,
            moved: now,
            story: DefaultHasher::new(),
            trace,
        };
        world.provision(lines)?;
        while world.now < OPENING - Duration::from_secs(5) {
            world.step()?;
        }
        world.moved = world.now;
        Ok(world)
    }

    /// Processes that died or froze.
    pub(super) fn faults(&self) -> u32 {
        self.machine.plane_deaths + self.machine.desk_deaths + self.machine.freezes
    }

    /// Money, tariffs and gateways, as an operator would enter them.
    fn provision(&mut self, lines: u32) -> Result<(), String> {
        // Silence is noticed in time for a peer that minds it to be patient.
        let silence = json!({"value": "20"});
        self.machine.command(self.now, Method::Put, "param/TG_RTP_TIMEOUT", silence)?;
        let mut post = |path: &str, body: Value| {
            self.machine
                .command(self.now, Method::Post, path, body)
                .map(|made| made.get("id").and_then(Value::as_u64).unwrap_or(0) as u32)
        };
        // Without a credit limit (`null`) an account is never short of money.
        let credit = if self.money.is_some() { json!("0") } else { Value::Null };
        let customer = json!({"name": "acme", "role": "customer", "credit": credit});
        let vendor = json!({"name": "carrier", "role": "vendor", "credit": null});
        self.accounts = [post("account", customer)?, post("account", vendor)?];
        for tariff in ["sell", "buy"] {
            post("tariff", json!({"name": tariff}))?;
        }
        self.put_rate("sell", SOLD)?;
        self.put_rate("buy", BOUGHT)?;
        let mut post =
            |path: &str, body: Value| self.machine.command(self.now, Method::Post, path, body);
        if let Some(money) = self.money {
            let amount = format!("{}.{:09}", money / 1_000_000_000, money % 1_000_000_000);
            let payment = json!({"amount": amount, "request_id": "opening"});
            post("account/acme/payment", payment)?;
        }
        let own: Vec<String> = (10..20).map(|last| format!("10.10.1.{last}")).collect();
        let gateway = json!({
            "name": "pbx", "account": "acme", "tariff": "sell", "addresses": own, "lines_max": lines,
        });
        post("gateway/mapping", gateway)?;
        for (place, vendor) in self.vendors.iter().enumerate() {
            let gateway = json!({
                "name": format!("v{place}"), "account": "carrier", "tariff": "buy",
                "priority": place + 1, "target": vendor.address.to_string(), "prefixes": ["44"],
                "lines_max": self.vendor_lines,
            });
            post("gateway/routing", gateway)?;
        }
        Ok(())
    }

    fn put_rate(&mut self, tariff: &str, rate: &str) -> Result<(), String> {
        let row = json!({"prefix": "44", "rate": rate, "increment_s": 1, "minimum_s": 1});
        let path = format!("tariff/{tariff}/rate");
        self.machine.command(self.now, Method::Post, &path, row).map(drop)
    }

    /// Runs to its rest.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn run(mut self) -> Result<Report, String> {
        while !self.is_at_rest() {
            self.step()?;
            if self.now > END {
                return Err(format!("no rest: {}", invariants::restless(&mut self)));
            }
        }
        invariants::at_rest(&mut self)?;
        Ok(Report {
            calls: self.phones.len() as u32,
            seen: invariants::seen(&self),
            story: self.story.finish(),
        })
    }

    fn is_at_rest(&mut self) -> bool {
        let quiet = self.script.is_empty()
            && self.network.poll_timeout().is_none()
            && self.phones.iter().all(Phone::is_over)
            && self.vendors.iter().all(|vendor| vendor.calls_up() == 0);
        if !quiet || self.machine.plane.is_none() || self.machine.desk.is_none() {
            return false;
        }
        let idle = self.machine.slots_taken() == 0
            && self.machine.is_written()
            && self.machine.carried() == Carried::default()
            && self.machine.office().is_some_and(|office| office.calls_live() == 0);
        idle || self.now > self.moved + STILL + Duration::from_secs(300)
    }

    fn step(&mut self) -> Result<(), String> {
        let peers = self.phones.iter().map(Phone::poll_timeout);
        let peers = peers.chain(self.vendors.iter().map(Vendor::poll_timeout)).flatten();
        let script = self.script.first().map(|(at, _)| *at);
        let due = peers.chain(script).chain(self.network.poll_timeout()).min();
        let due = due.unwrap_or(Duration::MAX).min(self.machine.poll_timeout());
        self.now = self.now.max(due.min(self.now + Duration::from_secs(1)));
        while self.script.first().is_some_and(|(at, _)| *at <= self.now) {
            let (_, deed) = self.script.remove(0);
            self.act(deed)?;
        }
        self.step_peers();
        while let Some(letter) = self.network.receive(self.now) {
            self.deliver(&letter);
        }
        let mut sent = Vec::new();
        self.machine.step(self.now, |from, to, bytes| {
            sent.push(Letter { from, to, bytes: bytes.to_vec() });
        });
        self.send(sent);
        invariants::after_step(self)
    }

    fn step_peers(&mut self) {
        let now = self.now;
        let mut sent = Vec::new();
        for phone in &mut self.phones {
            sent.extend(phone.handle_timeout(now));
        }
        for vendor in &mut self.vendors {
            sent.extend(vendor.handle_timeout(now));
        }
        self.send(sent);
    }

    fn send(&mut self, letters: Vec<Letter>) {
        for letter in letters {
            letter.hash(&mut self.story);
            self.now.hash(&mut self.story);
            self.moved = self.now;
            if self.trace {
                self.tell(&letter);
            }
            self.network.send(self.now, letter);
        }
    }

    fn deliver(&mut self, letter: &Letter) {
        let host = letter.to.ip();
        if let Some(phone) = self.phones.iter_mut().find(|phone| phone.address.ip() == host) {
            let sent = phone.handle(self.now, letter);
            return self.send(sent);
        }
        if let Some(vendor) = self.vendors.iter_mut().find(|vendor| vendor.address.ip() == host) {
            let sent = vendor.handle(self.now, letter);
            return self.send(sent);
        }
        self.machine.deliver(self.now, letter.from, letter.to, &letter.bytes);
    }

    fn act(&mut self, deed: Deed) -> Result<(), String> {
        let now = self.now;
        if self.trace {
            println!("{} ---- {deed:?}", self.stamp());
        }
        self.moved = now;
        // What an operator wants while control is away, or of a call that is gone, is refused.
        let mut say = |method, path: &str, body| {
            let _ = self.machine.command(now, method, path, body);
        };
        match deed {
            Deed::KillDesk(wrote) => self.machine.kill_desk(wrote),
            Deed::StartDesk => {
                self.machine.start_desk(now);
                return invariants::after_start(self);
            }
            Deed::KillPlane => self.machine.kill_plane(),
            Deed::LightFuse(worker, frames) => self.machine.light_fuse(worker, frames),
            Deed::StartPlane => self.machine.start_plane(now),
            Deed::CutPower(wrote) => self.machine.cut_power(now, wrote),
            Deed::LightFuseOfPower(worker, frames, wrote) => {
                self.machine.fuse_of_power = Some(wrote);
                self.machine.light_fuse(worker, frames);
            }
            Deed::FreezePlane(time) => self.machine.freeze_plane(now + time),
            Deed::StallDesk(time) => self.machine.stall_desk(now + time),
            Deed::Disk(time) => self.machine.disk = time,
            Deed::Weather(weather) => self.network.set_weather(weather),
            Deed::Drain(draining) => say(Method::Post, "drain", json!({ "draining": draining })),
            Deed::Reprice => {
                self.repriced = Some(time(now).wall_us);
                self.put_rate("sell", RAISED)?;
            }
            Deed::Lock(locked) => say(Method::Patch, "account/acme", json!({ "locked": locked })),
            Deed::HangUp(place) => {
                if let Some(id) = self.machine.calls().get(place) {
                    let path = format!("call/{}", control::cdr::id_text(*id));
                    let _ = self.machine.command(now, Method::Delete, &path, Value::Null);
                }
            }
        }
        Ok(())
    }

    fn stamp(&self) -> String {
        format!("{:>12.6}", (self.now.saturating_sub(OPENING)).as_secs_f64())
    }

    fn tell(&self, letter: &Letter) {
        let text = String::from_utf8_lossy(&letter.bytes);
        let line = text.lines().next().unwrap_or_default();
        let head = |name| super::peer::header(&text, name).unwrap_or_default();
        let (Letter { from, to, .. }, cseq, call) = (letter, head("CSeq"), head("Call-ID"));
        let branch = head("Via").split(";branch=").nth(1).unwrap_or_default();
        let what = match status(&text) {
            None if cseq.is_empty() => format!("{} bytes", letter.bytes.len()),
            _ => format!("{line} [{cseq}]"),
        };
        println!("{} {from} > {to} {what} {call} {branch}", self.stamp());
    }

    /// What is on disk.
    pub(super) fn archive(&self) -> &Archive {
        &self.machine.archive
    }

    /// The phone at an address.
    pub(super) fn phone_at(&self, host: IpAddr) -> Option<&Phone> {
        self.phones.iter().find(|phone| phone.address.ip() == host)
    }

    /// Whether a phone is a customer's.
    pub(super) fn is_known(phone: &Phone) -> bool {
        matches!(phone.address.ip(), IpAddr::V4(ip) if (10..20).contains(&ip.octets()[3]))
    }
}
