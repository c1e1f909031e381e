//! One world: what is due happens, what was sent arrives, and the invariants are looked at.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use control::decide::Method;
use serde_json::{Value, json};

use super::archive::Archive;
use super::coverage;
use super::device::Device;
use super::hiding;
use super::invariants;
use super::machine::{Carried, Machine, Memory, SIP_PORT, time};
use super::network::{Letter, Network, Way};
use super::peer::status;
use super::phone::Phone;
use super::scenario::{Deed, OPENING, Scenario, Wanted};
use super::vendor::Vendor;
use super::witness::Witness;

/// A world that has not come to rest by then never will.
const END: Duration = OPENING.saturating_add(Duration::from_secs(900));
/// What a minute costs the customer, what it costs after [`Deed::Reprice`], what vendors take.
pub(super) const SOLD: &str = "0.60";
pub(super) const RAISED: &str = "0.90";
pub(super) const BOUGHT: &str = "0.30";
/// By the routes of which the customer's tariff says more, in worlds where it does.
pub(super) const DEAR: &str = "1.20";
/// What stands before the callee for those: every other vendor's.
const DEAR_PREFIX: &str = "8";
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
    pub(super) devices: Vec<Device>,
    network: Network,
    script: Vec<(Duration, Deed)>,
    /// The customer's money at the start, in billionths; `None`: no limit.
    pub(super) money: Option<i64>,
    /// The lines of each vendor; 0: no limit.
    pub(super) vendor_lines: u32,
    /// Whether no datagram is ever lost.
    pub(super) lossless: bool,
    /// Whether somebody joins two of his calls: then callers may hear each other.
    pub(super) joins: bool,
    /// Whether control is held up: then calls change their vendor without its word.
    pub(super) stalled: bool,
    /// Whether the dataplane stands still for a while, and hears of ends late.
    pub(super) frozen: bool,
    /// The customer, the vendors' account.
    pub(super) accounts: [u32; 2],
    /// Numbers of the vendors' gateways, in their order.
    pub(super) gateways: Vec<u32>,
    /// Numbers of users in our books, by name.
    pub(super) users: BTreeMap<String, u32>,
    /// Whether control and the devices were compared.
    compared: bool,
    /// Vendors who send callers on, and whither.
    kin: Vec<IpAddr>,
    /// Whether the customer pays by the route.
    pub(super) by_route: bool,
    /// Requests and responses of ours that told one side of another.
    pub(super) leaks: Vec<String>,
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
        let offers = Offers::of(&scenario);
        let Scenario { phones, vendors, devices, weather, script, money, .. } = scenario;
        let Scenario { vendor_lines, joins, .. } = scenario;
        let kin = vendors.iter().flat_map(Vendor::kin).map(|address| address.ip()).collect();
        let now = OPENING - Duration::from_secs(10);
        let mut machine = Machine::new(memory, seed, now);
        machine.start_desk(now);
        machine.start_plane(now);
        let mut world = Self {
            now,
            machine,
            phones,
            vendors,
            devices,
            network: Network::new(seed, weather),
            vendor_lines,
            joins,
            lossless: weather.lost == 0 && !script.iter().any(|(_, deed)| deed.loses()),
            stalled: script.iter().any(|(_, deed)| matches!(deed, Deed::StallDesk(_))),
            frozen: script.iter().any(|(_, deed)| matches!(deed, Deed::FreezePlane(_))),
            script,
            money: money.map(|whole| i64::from(whole) * 1_000_000_000 / 4),
            accounts: [0; 2],
            gateways: Vec::new(),
            by_route: seed % 5 == 2,
            users: BTreeMap::new(),
            leaks: Vec::new(),
            compared: false,
            kin,
            repriced: None,
            moved: now,
            story: DefaultHasher::new(),
            trace,
        };
        world.provision(&offers)?;
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

    /// Does what an operator enters; the number of what it made.
    fn enter(&mut self, method: Method, path: &str, body: Value) -> Result<u32, String> {
        let made = self.machine.command(self.now, method, path, body);
        let made = made.map_err(|fault| format!("{path}: {fault}"))?;
        Ok(made.get("id").and_then(Value::as_u64).unwrap_or(0) as u32)
    }

    /// Money, tariffs, gateways and users, as an operator would enter them.
    fn provision(&mut self, offers: &Offers) -> Result<(), String> {
        use Method::{Post, Put};
        // Silence is noticed in time for a peer that minds it to be patient.
        self.enter(Put, "param/TG_RTP_TIMEOUT", json!({"value": "20"}))?;
        // Half of its users know SHA-256 alone.
        self.enter(Put, "param/TG_DIGEST_SHA256", json!({"value": "1"}))?;
        for (name, value) in &offers.parameters {
            let value = json!({ "value": value });
            self.enter(Put, &format!("param/{name}"), value)?;
        }
        // Without a credit limit (`null`) an account is never short of money.
        let credit = if self.money.is_some() { json!("0") } else { Value::Null };
        let customer = json!({
            "name": "acme", "role": "customer", "credit": credit,
            "route_prefix_billing": self.by_route,
        });
        let vendor = json!({"name": "carrier", "role": "vendor", "credit": null});
        self.accounts =
            [self.enter(Post, "account", customer)?, self.enter(Post, "account", vendor)?];
        for tariff in ["sell", "buy"] {
            self.enter(Post, "tariff", json!({"name": tariff}))?;
        }
        self.put_rate("sell", "44", SOLD)?;
        self.put_rate("sell", &format!("{DEAR_PREFIX}44"), DEAR)?;
        self.put_rate("buy", "44", BOUGHT)?;
        if let Some(money) = self.money {
            let amount = format!("{}.{:09}", money / 1_000_000_000, money % 1_000_000_000);
            let payment = json!({"amount": amount, "request_id": "opening"});
            self.enter(Post, "account/acme/payment", payment)?;
        }
        for (path, document) in &offers.documents {
            let id = self.enter(Post, path, document.clone())?;
            match *path {
                "gateway/routing" => self.gateways.push(id),
                "phone" => {
                    let name = document["name"].as_str().unwrap_or_default();
                    self.users.insert(name.to_owned(), id);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn put_rate(&mut self, tariff: &str, prefix: &str, rate: &str) -> Result<(), String> {
        let row = json!({"prefix": prefix, "rate": rate, "increment_s": 1, "minimum_s": 1});
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
            seen: coverage::seen(&self),
            story: self.story.finish(),
        })
    }

    fn is_at_rest(&mut self) -> bool {
        let quiet = self.script.is_empty()
            && self.network.poll_timeout().is_none()
            && self.phones.iter().all(Phone::is_over)
            && self.callees().all(|vendor| vendor.calls_up() == 0)
            && self.devices.iter().all(Device::is_settled);
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
        let peers = peers.chain(self.vendors.iter().map(Vendor::poll_timeout));
        let peers = peers.chain(self.devices.iter().map(Device::poll_timeout)).flatten();
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
        let lives = self.machine.plane_deaths;
        self.machine.step(self.now, |letter| sent.push(letter));
        if self.machine.plane_deaths > lives {
            self.network.cut();
        }
        let kin = &self.kin;
        self.leaks.extend(sent.iter().filter_map(|letter| hiding::leak(letter, kin)));
        self.send(sent);
        if !self.compared && self.devices.iter().all(Device::is_settled) {
            self.compared = invariants::are_bound(self)?;
        }
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
        for device in &mut self.devices {
            sent.extend(device.handle_timeout(now));
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
        if letter.way == Way::Back {
            return self.machine.deliver(self.now, letter);
        }
        let host = letter.to.ip();
        if let Some(phone) = self.phones.iter_mut().find(|phone| phone.address.ip() == host) {
            let sent = phone.handle(self.now, letter);
            return self.send(sent);
        }
        if let Some(vendor) = self.vendors.iter_mut().find(|vendor| vendor.address.ip() == host) {
            if vendor.is_up {
                let sent = vendor.handle(self.now, letter);
                self.send(sent);
            } else if letter.way == Way::Datagram && letter.to.port() == SIP_PORT {
                // Its router says so.
                self.network.send(self.now, Letter { way: Way::Back, ..letter.clone() });
            }
            return;
        }
        let mut devices = self.devices.iter_mut();
        if let Some(device) = devices.find(|device| device.callee.address.ip() == host) {
            let sent = device.handle(self.now, letter);
            return self.send(sent);
        }
        self.machine.deliver(self.now, letter);
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
            Deed::KillPlane => {
                self.machine.kill_plane();
                self.network.cut();
            }
            Deed::Cut => {
                self.machine.cut_connections();
                self.network.cut();
            }
            Deed::LightFuse(worker, frames) => self.machine.light_fuse(worker, frames),
            Deed::StartPlane => self.machine.start_plane(now),
            Deed::CutPower(wrote) => {
                self.machine.cut_power(now, wrote);
                self.network.cut();
            }
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
                self.put_rate("sell", "44", RAISED)?;
            }
            Deed::Lock(locked) => say(Method::Patch, "account/acme", json!({ "locked": locked })),
            Deed::Down(place) | Deed::Up(place) => {
                let is_up = matches!(deed, Deed::Up(_));
                let Some(vendor) = self.vendors.get_mut(place) else { return Ok(()) };
                let host = vendor.address.ip();
                vendor.is_up = is_up;
                let _ = if is_up {
                    self.machine.away.remove(&host)
                } else {
                    self.machine.away.insert(host)
                };
            }
            Deed::Retire(place) => {
                say(Method::Delete, &format!("gateway/routing/v{place}"), Value::Null)
            }
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

    /// Everybody who takes calls.
    pub(super) fn callees(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.iter().chain(self.devices.iter().map(|device| &device.callee))
    }

    /// Everybody's evidence.
    pub(super) fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        let phones = self.phones.iter().map(Phone::witness);
        phones.chain(self.callees().map(|callee| &callee.witness))
    }

    /// Whether a phone is a customer's.
    pub(super) fn is_known(phone: &Phone) -> bool {
        let is_ours =
            matches!(phone.address.ip(), IpAddr::V4(ip) if (10..20).contains(&ip.octets()[3]));
        is_ours || phone.has_login()
    }
}

/// What an operator enters besides accounts and tariffs.
struct Offers {
    parameters: Vec<(&'static str, String)>,
    /// Documents, and where they belong.
    documents: Vec<(&'static str, Value)>,
}

impl Offers {
    fn of(scenario: &Scenario) -> Self {
        let Scenario { customer, lines, vendor_lines, .. } = scenario;
        let own: Vec<String> = (10..20).map(|last| format!("10.10.1.{last}")).collect();
        let mut documents = Vec::new();
        let pbx = json!({
            "name": "pbx", "account": "acme", "tariff": "sell", "addresses": own, "lines_max": lines,
            "announcements": scenario.announces,
        });
        documents.push(("gateway/mapping", with_sip(pbx, customer)));
        if let Some(account) = &scenario.roaming {
            let roaming = json!({
                "name": "roaming", "account": "acme", "tariff": "sell",
                "authentication": "password",
                "auth_username": account.user, "auth_password": account.password,
            });
            documents.push(("gateway/mapping", with_sip(roaming, customer)));
        }
        for (place, (vendor, wanted)) in scenario.vendors.iter().zip(&scenario.gateways).enumerate()
        {
            let mut gateway = json!({
                "name": format!("v{place}"), "account": "carrier", "tariff": "buy",
                "priority": place + 1, "target": target(vendor.address, wanted.way), "prefixes": ["44"],
                "lines_max": vendor_lines, "registration": wanted.registration,
                "options_check": wanted.options_check,
                "billing_prefix": if place % 2 == 1 { DEAR_PREFIX } else { "" },
            });
            if let Some(account) = &wanted.login {
                gateway["auth_username"] = json!(account.user);
                gateway["auth_password"] = json!(account.password);
            }
            documents.push(("gateway/routing", with_sip(gateway, wanted)));
        }
        for (number, account) in scenario.users.iter().enumerate() {
            let phone = json!({
                "name": account.user, "account": "acme", "tariff": "sell",
                "password": account.password, "numbers": [format!("4433000{number}")],
                "ring": if number == 0 { "all" } else { "newest" },
                "publish": scenario.publishes,
                "pickup_group": if scenario.picks_up { "office" } else { "" },
            });
            documents.push(("phone", phone));
        }
        Self { parameters: scenario.parameters.clone(), documents }
    }
}

/// An address as an operator writes it.
fn target(address: SocketAddr, way: Way) -> String {
    match way {
        Way::Stream => format!("sip:{address};transport=tcp"),
        _ => address.to_string(),
    }
}

/// A gateway's document with how it wants its SIP.
fn with_sip(mut gateway: Value, wanted: &Wanted) -> Value {
    if !wanted.rel100.is_empty() {
        gateway["rel100"] = json!(wanted.rel100);
        gateway["session_timer"] = json!(wanted.session_timer);
        gateway["message"] = json!(true);
        gateway["transfer"] = json!(wanted.transfer);
        gateway["ringback_mode"] = json!(match wanted.ringback {
            "" => "pass",
            mode => mode,
        });
        gateway["redirects_max"] = json!(2);
    }
    let Wanted { told, caller_from, forward_heard, .. } = wanted;
    gateway["forward_signal_heard"] = json!(forward_heard);
    for (field, value) in [
        ("identity_sent", told.identity),
        ("forward_signal_sent", told.forward),
        ("caller_from", *caller_from),
    ] {
        if !value.is_empty() {
            gateway[field] = json!(value);
        }
    }
    gateway
}
