//! Where scripts for SIPp are played: a caller and vendors around the appliance, each scene with
//! addresses and gateways of its own, so that many play at once.
//!
//! After a scene three things are held against what was written: what each SIPp got, what the record
//! says, and that neither side ever saw an address of the other.

use std::fmt::{Debug, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::carrier::BUSINESS;
use crate::lab::{Lab, Running};
use crate::sipp::{Carrier, Script};
use crate::tunnel::{self, Authority};

/// The family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

/// How a peer is spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// By which addresses.
    pub family: Family,
    /// By which carrier.
    pub carrier: Carrier,
}

impl Way {
    /// UDP over IPv4.
    pub const PLAIN: Self = Self { family: Family::Four, carrier: Carrier::Udp };
    /// TCP over IPv6.
    pub const STREAM: Self = Self { family: Family::Six, carrier: Carrier::Tcp };
    /// TLS over IPv4.
    pub const SECURE: Self = Self { family: Family::Four, carrier: Carrier::Tls };
    /// Each carrier over each family.
    pub const ALL: [Self; 6] = [
        Self::PLAIN,
        Self { family: Family::Four, carrier: Carrier::Tcp },
        Self::SECURE,
        Self { family: Family::Six, carrier: Carrier::Udp },
        Self::STREAM,
        Self { family: Family::Six, carrier: Carrier::Tls },
    ];
}

/// How both sides of a call are spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// The caller.
    pub caller: Way,
    /// The vendors.
    pub vendor: Way,
}

impl Ways {
    /// Both sides the same way.
    #[must_use]
    pub fn both(way: Way) -> Self {
        Self { caller: way, vendor: way }
    }

    /// Both sides by each carrier over each family.
    #[must_use]
    pub fn six() -> [Self; 6] {
        Way::ALL.map(Self::both)
    }

    /// Each way of a caller with each way of a vendor.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let pair = |caller| Way::ALL.map(|vendor| Self { caller, vendor });
        Way::ALL.into_iter().flat_map(pair).collect()
    }

    fn tunnelled(self) -> bool {
        [self.caller, self.vendor].iter().any(|way| way.carrier == Carrier::Tls)
    }
}

/// A side of the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where callers are.
    Customers,
    /// Where vendors are.
    Vendors,
}

impl Side {
    fn place(self) -> &'static str {
        match self {
            Self::Customers => "cust",
            Self::Vendors => "vend",
        }
    }

    /// An address of this side.
    #[must_use]
    pub fn address(self, family: Family, host: u8) -> IpAddr {
        let subnet = if self == Self::Customers { 1 } else { 2 };
        match family {
            Family::Four => Ipv4Addr::new(10, 10, subnet, host).into(),
            Family::Six => Ipv6Addr::new(0xfd10, subnet.into(), 0, 0, 0, 0, 0, host.into()).into(),
        }
    }

    fn other(self) -> Self {
        if self == Self::Customers { Self::Vendors } else { Self::Customers }
    }

    /// What its addresses begin with.
    fn marks(self) -> [&'static str; 2] {
        if self == Self::Customers { ["10.10.1.", "fd10:1:"] } else { ["10.10.2.", "fd10:2:"] }
    }
}

/// A place where a vendor may be.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Fields of its gateway, like `rel100=required`. `None`: it has no gateway.
    pub fields: Option<&'static [&'static str]>,
    /// What it plays. `None`: nobody is there.
    pub plays: Option<Script>,
}

impl Vendor {
    /// Who plays this, with these fields.
    #[must_use]
    pub fn new(fields: &'static [&'static str], plays: Script) -> Self {
        Self { fields: Some(fields), plays: Some(plays) }
    }

    /// Who plays this where a call is led that has no gateway there.
    #[must_use]
    pub fn elsewhere(plays: Script) -> Self {
        Self { fields: None, plays: Some(plays) }
    }
}

/// What is played.
#[derive(Clone, Debug)]
pub struct Scene {
    /// A sentence that is true afterwards.
    pub name: &'static str,
    /// Fields of the caller's gateway.
    pub customer: &'static [&'static str],
    /// What the caller plays.
    pub caller: Script,
    /// The vendors in the order in which they are tried: the first at the carrier's port, the next ones
    /// ten further each.
    pub vendors: Vec<Vendor>,
    /// Why the call ended, as its record says; empty: no vendor was tried, and no record is looked for.
    pub reason: &'static str,
    /// The status of each vendor that was tried, as its record says.
    pub attempts: &'static [u64],
}

impl Scene {
    /// A call that a vendor took and that somebody ended.
    #[must_use]
    pub fn new(name: &'static str, caller: Script, vendor: Vendor) -> Self {
        let vendors = vec![vendor];
        Self { name, customer: &[], caller, vendors, reason: "normal", attempts: &[200] }
    }

    /// Who asks for something that leads to no vendor.
    #[must_use]
    pub fn alone(name: &'static str, caller: Script) -> Self {
        Self { name, customer: &[], caller, vendors: Vec::new(), reason: "", attempts: &[] }
    }

    /// The same for a customer with these fields.
    #[must_use]
    pub fn of(self, customer: &'static [&'static str]) -> Self {
        Self { customer, ..self }
    }

    /// The same with one more vendor.
    #[must_use]
    pub fn and(mut self, vendor: Vendor) -> Self {
        self.vendors.push(vendor);
        self
    }

    /// The same with another end.
    #[must_use]
    pub fn ends(self, reason: &'static str, attempts: &'static [u64]) -> Self {
        Self { reason, attempts, ..self }
    }
}

/// What peers and books said in a scene.
#[derive(Debug, Default)]
pub struct Played {
    /// The record.
    pub cdr: Value,
    /// All that the caller got.
    pub caller_got: String,
    /// All that each vendor got.
    pub vendors_got: Vec<String>,
}

/// One scene's place on the stage, by the last byte of its addresses.
#[derive(Clone, Copy, Debug)]
pub struct Spot(pub u8);

impl Spot {
    /// The caller's gateway.
    #[must_use]
    pub fn customer(self) -> String {
        format!("customer{}", self.0)
    }

    /// The gateway of a vendor.
    #[must_use]
    pub fn vendor(self, place: usize) -> String {
        format!("vendor{}-{place}", self.0)
    }

    /// What is dialled here.
    #[must_use]
    pub fn number(self) -> String {
        format!("44{:03}7946", self.0)
    }

    fn prefix(self) -> String {
        format!("44{:03}", self.0)
    }
}

/// A raised lab, and who vouches for its peers.
pub struct Stage {
    /// `None`: no TLS today.
    pub authority: Option<Authority>,
    folder: PathBuf,
    /// The lab: it goes last, for whoever waits for it uses the same folders.
    pub lab: Lab,
}

/// The addresses of a SIPp, and what hides them from it.
struct Face {
    /// Where it is in the lab.
    own: SocketAddr,
    /// What SIPp listens at itself.
    inner: SocketAddr,
    /// Whom SIPp speaks to.
    far: SocketAddr,
    _tunnel: Option<Running>,
}

type Error = crate::lab::Error;

/// In fields and scripts: the number of the spot.
pub const OWN: &str = "(own)";
/// In scripts: the number that is dialled.
pub const DIALLED: &str = "(the number)";
/// Places that a vendor can name.
const PLACES: usize = 4;
/// 1 and 2 are those of the lab itself.
const FIRST_SPOT: u8 = 10;
/// Scenes that play at once: with many more the appliance sends new calls away, as it should.
const AT_ONCE: usize = 32;
/// How long the others of a failed SIPp go on.
const GRACE: Duration = Duration::from_secs(1);
/// Where callers are.
pub const CALLER: Seat = Seat { side: Side::Customers, port: 5090, mouth: None };
/// Where a tunnel hides a peer on the loopback.
const INNER_PORT: u16 = 30_000;

impl Stage {
    /// A lab in which `acme` calls 44 by vendors of `carrier`. `None`, said loudly: not here.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn raised(spots: impl IntoIterator<Item = Spot>) -> Result<Option<Self>, Error> {
        Self::raised_with(2, "", spots)
    }

    /// The same with so many workers, and this in its configuration.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn raised_with(
        workers: u32,
        section: &str,
        spots: impl IntoIterator<Item = Spot>,
    ) -> Result<Option<Self>, Error> {
        let Some(lab) = Lab::up(workers, true)? else { return Ok(None) };
        lab.configure(section)?;
        let mut vendors = Vec::new();
        for spot in spots {
            for family in [Family::Four, Family::Six] {
                for side in [Side::Customers, Side::Vendors] {
                    lab.add_address(side.place(), &side.address(family, spot.0).to_string())?;
                }
                vendors.push(Side::Vendors.address(family, spot.0));
            }
        }
        let authority = Authority::has_tunnels().then(|| Authority::new(&vendors)).transpose()?;
        if let Some(authority) = &authority {
            lab.configure(&authority.section())?;
        }
        lab.script(&["start"])?;
        let folder = std::env::temp_dir().join(format!("tollgate-stage-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let stage = Self { lab, authority, folder };
        for command in BUSINESS {
            stage.tollgate(command)?;
        }
        Ok(Some(stage))
    }

    /// The ways that can be gone here.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        let able = |way: &Way| way.carrier != Carrier::Tls || self.authority.is_some();
        Way::ALL.into_iter().filter(able).collect()
    }

    /// Runs `tollgate` with these words.
    ///
    /// # Errors
    /// What it said, when it refused.
    pub fn tollgate(&self, command: &str) -> Result<Value, Error> {
        self.lab.tollgate(&command.split(' ').collect::<Vec<_>>())
    }

    /// Makes the gateways of a scene.
    ///
    /// # Errors
    /// When they are refused.
    pub fn furnish(&self, spot: Spot, scene: &Scene, ways: Ways) -> Result<(), Error> {
        let customer = Side::Customers.address(ways.caller.family, spot.0);
        let mut command = format!(
            "gateway mapping create {} --account acme --tariff retail --address {customer}",
            spot.customer()
        );
        add_fields(&mut command, scene.customer, spot);
        self.tollgate(&command)?;
        for (place, vendor) in scene.vendors.iter().enumerate() {
            let Some(fields) = vendor.fields else { continue };
            let at = vendor_at(spot, ways.vendor, place);
            let target = match ways.vendor.carrier {
                Carrier::Udp => at.to_string(),
                Carrier::Tcp => format!("sip:{at};transport=tcp"),
                Carrier::Tls => format!("sips:{at}"),
            };
            let mut command = format!(
                "gateway routing create {} --account carrier --tariff wholesale --target {target} \
                 --prefix {} --priority {}",
                spot.vendor(place),
                spot.prefix(),
                place + 1
            );
            add_fields(&mut command, fields, spot);
            self.tollgate(&command)?;
        }
        Ok(())
    }

    /// Furnishes and plays a scene, and checks its record; what went otherwise than written.
    ///
    /// # Errors
    /// All that was wrong, with what SIPp said.
    pub fn play(&self, spot: Spot, scene: &Scene, ways: Ways) -> Result<Played, String> {
        let named = |why: String| format!("{} by {ways:?}:\n{why}", scene.name);
        self.furnish(spot, scene, ways).map_err(|error| named(error.to_string()))?;
        let vendors: Vec<Option<&Script>> =
            scene.vendors.iter().map(|vendor| vendor.plays.as_ref()).collect();
        let mut played = self.act(spot, ways, &scene.caller, &vendors).map_err(named)?;
        if scene.reason.is_empty() {
            return Ok(played);
        }
        played.cdr = self.record(spot).map_err(named)?;
        let found = outcome(&played.cdr);
        let wanted = (scene.reason, scene.attempts.to_vec());
        if found == wanted {
            return Ok(played);
        }
        Err(named(format!("the record says {found:?} and not {wanted:?}")))
    }

    /// Plays all sides of one call; what they got.
    ///
    /// # Errors
    /// What SIPp said that did not get what it should, and whose address was seen where.
    pub fn act(
        &self,
        spot: Spot,
        ways: Ways,
        caller: &Script,
        vendors: &[Option<&Script>],
    ) -> Result<Played, String> {
        let mut cast = Vec::new();
        for (place, script) in vendors.iter().enumerate() {
            let Some(script) = *script else { continue };
            cast.push(self.stands(spot, ways.vendor, place, script)?);
        }
        cast.push(self.asks(CALLER, spot, ways.caller, caller)?);
        let mut got = ended(cast)?;
        let caller_got = got.pop().unwrap_or_default();
        Ok(Played { cdr: Value::Null, caller_got, vendors_got: got })
    }

    /// Somebody at one of the vendors' places, who waits to be asked.
    ///
    /// # Errors
    /// When it does not start.
    pub fn stands(
        &self,
        spot: Spot,
        way: Way,
        place: usize,
        script: &Script,
    ) -> Result<Actor, String> {
        let words = |error: Error| error.to_string();
        let face = self.vendor_face(spot, way, place).map_err(words)?;
        let script = (0..PLACES).fold(script.clone(), |script, place| {
            script.with(&at_place(place), &escaped(vendor_at(spot, way, place)))
        });
        let name = format!("{}-vendor{place}", spot.0);
        let role = Role { side: Side::Vendors, name, asks: false };
        let actor = self.sipp(role, &script, face, way, spot).map_err(words)?;
        actor.running.listens(actor.face.inner).map_err(words)?;
        Ok(actor)
    }

    /// Somebody who speaks first.
    ///
    /// # Errors
    /// When it does not start.
    pub fn asks(&self, seat: Seat, spot: Spot, way: Way, script: &Script) -> Result<Actor, String> {
        let words = |error: Error| error.to_string();
        let face = self.client_face(seat, spot, way).map_err(words)?;
        let role = Role { side: seat.side, name: format!("{}-caller", spot.0), asks: true };
        self.sipp(role, script, face, way, spot).map_err(words)
    }

    fn sipp(
        &self,
        role: Role,
        script: &Script,
        face: Face,
        way: Way,
        spot: Spot,
    ) -> Result<Actor, Error> {
        let Role { side, name, asks } = role;
        let file = self.folder.join(format!("{name}.xml"));
        let log = self.folder.join(format!("{name}.log"));
        let script = face.dress(script, way).with(OWN, &spot.0.to_string());
        let script = script.with(DIALLED, &spot.number());
        script.save(&file)?;
        let (inner, media) = (face.inner.ip().to_string(), face.own.ip().to_string());
        let port = face.inner.port().to_string();
        let [file, messages] = [&file, &log].map(|path| path.to_string_lossy().into_owned());
        let (far, number) = (face.far.to_string(), spot.number());
        let mut arguments = vec!["-sf", &file, "-i", &inner, "-p", &port, "-mi", &media];
        let (calls, rate) = script.pace();
        let (calls, rate) = (calls.to_string(), rate.to_string());
        arguments.extend(["-t", way.carrier.option(), "-m", &calls, "-r", &rate, "-nostdin"]);
        arguments.extend(["-timeout", "100", "-timeout_error"]);
        arguments.extend(["-trace_err", "-error_file", "/dev/stderr"]);
        arguments.extend(["-trace_msg", "-message_file", &messages]);
        if asks {
            arguments.extend(["-s", &number, &far]);
        }
        // Its screen is nobody's.
        let mut command = self.lab.inside(side.place(), "sipp", &arguments);
        let running = Running::begin(command.stdout(Stdio::null()))?;
        Ok(Actor { side, name, running, log, face })
    }

    fn client_face(&self, seat: Seat, spot: Spot, way: Way) -> Result<Face, Error> {
        let Seat { side, port, mouth } = seat;
        let own = SocketAddr::new(side.address(way.family, spot.0), port);
        let appliance = side.address(way.family, 2);
        let far = SocketAddr::new(appliance, way.carrier.port());
        if let Some(mouth) = mouth {
            let port = INNER_PORT + u16::from(spot.0);
            let near = match way.family {
                Family::Four => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
                Family::Six => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
            };
            let mouth = SocketAddr::new(own.ip(), mouth);
            let detour = tunnel::detour(&self.lab, side.place(), near, mouth, far)?;
            return Ok(Face { own, inner: own, far: near, _tunnel: Some(detour) });
        }
        if way.carrier != Carrier::Tls {
            return Ok(Face { own, inner: own, far, _tunnel: None });
        }
        let authority = self.authority.as_ref().ok_or("no tunnels here")?;
        let near = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), INNER_PORT + u16::from(spot.0));
        let tunnel = authority.towards(&self.lab, side.place(), near, own.ip(), far)?;
        let inner = SocketAddr::new(near.ip(), INNER_PORT + 1_000 + u16::from(spot.0));
        Ok(Face { own, inner, far: near, _tunnel: Some(tunnel) })
    }

    fn vendor_face(&self, spot: Spot, way: Way, place: usize) -> Result<Face, Error> {
        let own = vendor_at(spot, way, place);
        if way.carrier != Carrier::Tls {
            return Ok(Face { own, inner: own, far: own, _tunnel: None });
        }
        let authority = self.authority.as_ref().ok_or("no tunnels here")?;
        let port = INNER_PORT + 10 * u16::from(spot.0) + place as u16;
        let inner = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let tunnel = authority.behind(&self.lab, "vend", own, "vendor", inner)?;
        Ok(Face { own, inner, far: own, _tunnel: Some(tunnel) })
    }

    /// The one complete record of a call here in which vendors were tried.
    ///
    /// # Errors
    /// When there is none, or more.
    pub fn record(&self, spot: Spot) -> Result<Value, String> {
        self.newest_record(spot, 1)
    }

    /// That of the call that began last, once there are so many.
    ///
    /// # Errors
    /// When there are not, or more.
    pub fn newest_record(&self, spot: Spot, calls: usize) -> Result<Value, String> {
        let list = format!("cdr list --gateway {}", spot.customer());
        let mut found = Vec::new();
        let complete = |cdr: &Value| cdr.get("complete") == Some(&Value::Bool(true));
        let all = Lab::wait_until(Duration::from_secs(10), || {
            let page = self.tollgate(&list).unwrap_or_default();
            found = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            found.retain(|cdr| cdr.pointer("/attempts/0").is_some());
            found.len() == calls && found.iter().all(complete)
        });
        // They are listed by their ends.
        let began = |cdr: &&Value| cdr.get("started").and_then(Value::as_str).map(str::to_owned);
        let newest = found.iter().max_by_key(began).filter(|_| all);
        let Some(cdr) = newest else { return Err(format!("not {calls} records: {found:?}")) };
        let id = cdr.get("id").and_then(Value::as_str).unwrap_or_default();
        self.tollgate(&format!("cdr show {id}")).map_err(|error| error.to_string())
    }
}

/// Why a call ended, and the status of each that was tried, as its record says.
#[must_use]
pub fn outcome(cdr: &Value) -> (&str, Vec<u64>) {
    let attempts = cdr.get("attempts").and_then(Value::as_array).into_iter().flatten();
    let statuses = attempts.filter_map(|attempt| attempt.get("status").and_then(Value::as_u64));
    (cdr.get("end_reason").and_then(Value::as_str).unwrap_or_default(), statuses.collect())
}

/// So many spots.
pub fn spots(count: usize) -> impl Iterator<Item = Spot> + Clone {
    (FIRST_SPOT..).map(Spot).take(count)
}

/// Plays something for each of these at once, at a spot of its own.
///
/// # Panics
/// With all that went otherwise than written.
pub fn at_once<T: Copy + Send + Debug>(
    all: &[T],
    play: impl Fn(Spot, T) -> Result<(), String> + Sync,
) {
    let play = &play;
    let faults: Vec<String> = std::thread::scope(|scope| {
        let playing: Vec<_> = spots(all.len())
            .zip(all)
            .map(|(spot, &one)| {
                scope.spawn(move || play(spot, one).err().map(|why| format!("{one:?}: {why}")))
            })
            .collect();
        playing.into_iter().filter_map(|thread| thread.join().expect("it ends")).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// Plays all scenes in all ways on one stage, many at once: those that take long had better come first.
///
/// # Panics
/// With all that went otherwise than written.
pub fn all_play(scenes: &[Scene], ways: &[Ways]) {
    all_play_with(&[], scenes, ways);
}

/// The same with these parameters, like `TG_SIP_DOMAIN sip.example.net`.
///
/// # Panics
/// With all that went otherwise than written.
pub fn all_play_with(parameters: &[&str], scenes: &[Scene], ways: &[Ways]) {
    let plays: Vec<(Spot, &Scene, Ways)> = ways
        .iter()
        .flat_map(|&ways| scenes.iter().map(move |scene| (scene, ways)))
        .zip(FIRST_SPOT..)
        .map(|((scene, ways), host)| (Spot(host), scene, ways))
        .collect();
    let stage = Stage::raised(plays.iter().map(|&(spot, ..)| spot)).expect("the stage is raised");
    let Some(stage) = stage else { return };
    for parameter in parameters {
        stage.tollgate(&format!("param set {parameter}")).expect("a parameter is set");
    }
    let tunnels = stage.authority.is_some();
    let able = plays.iter().filter(|(.., ways)| tunnels || !ways.tunnelled());
    let waiting = Mutex::new(able);
    let next = || waiting.lock().expect("nobody dies with it").next();
    let play_on = || {
        let played =
            std::iter::from_fn(&next).map(|&(spot, scene, ways)| stage.play(spot, scene, ways));
        played.filter_map(Result::err).collect::<Vec<String>>()
    };
    let faults: Vec<String> = std::thread::scope(|scope| {
        let playing: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(play_on)).collect();
        playing.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    });
    assert!(faults.is_empty(), "{}\n\n{}", stage.lab.books(), faults.join("\n\n"));
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn add_fields(command: &mut String, fields: &[&str], spot: Spot) {
    for field in fields {
        let _ = write!(command, " --field {}", field.replace(OWN, &spot.0.to_string()));
    }
}

/// In what a vendor plays: address and port of a place.
#[must_use]
pub fn at_place(place: usize) -> String {
    format!("(place {place})")
}

/// Where a vendor is.
#[must_use]
pub fn vendor_at(spot: Spot, way: Way, place: usize) -> SocketAddr {
    let port = way.carrier.port() + 10 * place as u16;
    SocketAddr::new(Side::Vendors.address(way.family, spot.0), port)
}

/// SIPp takes what stands in brackets for one of its keywords.
fn escaped(at: SocketAddr) -> String {
    at.to_string().replace('[', "\\x5B").replace(']', "\\x5D")
}

impl Face {
    /// A script behind a tunnel says what the tunnel's other end is.
    fn dress(&self, script: &Script, way: Way) -> Script {
        if way.carrier != Carrier::Tls {
            return script.clone();
        }
        script
            .clone()
            .with("[local_ip]:[local_port]", &escaped(self.own))
            .with("[remote_ip]:[remote_port]", &self.far.to_string())
            .with("[transport]", way.carrier.name())
    }
}

/// Whence somebody speaks.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// On this side.
    pub side: Side,
    /// From this port.
    pub port: u16,
    /// Its datagrams leave by this port instead, where nobody hears what comes back.
    pub mouth: Option<u16>,
}

impl Seat {
    /// An ordinary one.
    #[must_use]
    pub fn new(side: Side, port: u16) -> Self {
        Self { side, port, mouth: None }
    }
}

/// What a SIPp is in a scene.
struct Role {
    side: Side,
    name: String,
    /// Whether it speaks first.
    asks: bool,
}

/// A SIPp that plays.
pub struct Actor {
    side: Side,
    name: String,
    running: Running,
    log: PathBuf,
    face: Face,
}

/// Waits until all have played; what each of them got. Once one has failed the others are not waited
/// for: what they miss will not come.
///
/// # Errors
/// What SIPp said that did not get what it should, and whose address was seen where.
pub fn ended(mut cast: Vec<Actor>) -> Result<Vec<String>, String> {
    let mut failed = false;
    while !failed && cast.iter_mut().any(|actor| actor.running.goes_on()) {
        std::thread::sleep(Duration::from_millis(10));
        failed = cast.iter_mut().any(|actor| actor.running.has_failed());
    }
    if failed {
        // What is on its way may still arrive and be read.
        Lab::wait_until(GRACE, || !cast.iter_mut().any(|actor| actor.running.goes_on()));
        cast.iter_mut().for_each(|actor| actor.running.kill());
    }
    let (mut faults, mut got) = (String::new(), Vec::new());
    for actor in cast {
        let (text, fault) = actor.report();
        faults.push_str(&fault);
        got.push(text);
    }
    if faults.is_empty() { Ok(got) } else { Err(faults) }
}

impl Actor {
    /// How often this stands in what it said or got until now.
    #[must_use]
    pub fn seen(&self, words: &str) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).matches(words).count()
    }

    /// All that it got, and what was wrong.
    fn report(self) -> (String, String) {
        let Self { side, name, running, log, face: _face } = self;
        let mut fault = String::new();
        match running.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let _ = write!(fault, "{name}: {:?}\n{said}", output.status.code());
            }
            Err(error) => {
                let _ = write!(fault, "{name}: {error}");
            }
        }
        let log = std::fs::read(log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let got = received(&log);
        for line in got.lines() {
            if side.other().marks().iter().any(|mark| line.contains(mark)) {
                let _ = writeln!(fault, "{name} saw an address of the other side: {line}");
            }
        }
        if !fault.is_empty() {
            fault.push_str(&log);
        }
        (got, fault)
    }
}

/// What SIPp's log of messages says that came in.
fn received(log: &str) -> String {
    let parts = log.split("-----------------------------------------------");
    parts.filter(|part| part.contains(" message received ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_told_from_what_was_said() {
        let bar = "-----------------------------------------------";
        let log = format!(
            "{bar} 2026\nUDP message sent (9 bytes):\n\nINVITE\n{bar} 2026\nUDP message received [7] bytes :\n\nSIP/2.0\n"
        );
        let got = received(&log);
        assert!(got.contains("SIP/2.0") && !got.contains("INVITE"), "{got}");
    }

    #[test]
    fn each_spot_has_addresses_of_its_own() {
        let at = |family, host| Side::Vendors.address(family, host).to_string();
        assert_eq!(at(Family::Four, 17), "10.10.2.17");
        assert_eq!(at(Family::Six, 17), "fd10:2::11");
    }
}
