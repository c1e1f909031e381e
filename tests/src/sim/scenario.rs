//! What a seed decides: who calls whom and how, what the network is like, who dies when.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::device::Device;
use super::digest::Account;
use super::extensions::Extensions;
use super::identity::Told;
use super::machine::{ADDRESSES, SIP_PORT};
use super::manners::{Manners, Wish};
use super::network::{Way, Weather};
use super::phone::{Phone, Plan};
use super::vendor::{Answers, Temper, Vendor};

/// Virtual time at which the first phone may call: the appliance is up and provisioned by then.
pub const OPENING: Duration = Duration::from_secs(1_000);
/// From then on the weather is fine, and nothing of the script happens any more.
pub(super) const CALM: Duration = OPENING.saturating_add(Duration::from_secs(60));
/// Seeds below it are worlds of plain peers: those kept from before the others spoke of extensions.
const PLAIN: u64 = 1 << 20;
/// Seeds below it are worlds where nobody transfers calls, or picks them up: those kept from before.
const STEADY: u64 = 1 << 32;
/// Seeds below it are worlds where callers say nothing of themselves but From, and devices publish nothing.
const QUIET: u64 = 1 << 48;

/// Something that happens to the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// Control dies; whether its write on the way reached the disk.
    KillDesk(bool),
    /// Control starts.
    StartDesk,
    /// The dataplane dies now.
    KillPlane,
    /// The dataplane dies when a worker is about to send its n-th frame from now.
    LightFuse(usize, u32),
    /// The dataplane starts.
    StartPlane,
    /// The machine loses power, and with it all memory; whether a write on the way reached the disk.
    CutPower(bool),
    /// The same, when a worker is about to send its n-th frame from now.
    LightFuseOfPower(usize, u32, bool),
    /// Control does nothing for so long.
    StallDesk(Duration),
    /// The dataplane does nothing for so long.
    FreezePlane(Duration),
    /// A write to disk takes so long from now on.
    Disk(Duration),
    /// The network is like this from now on.
    Weather(Weather),
    /// An operator hangs up one of the running calls.
    HangUp(usize),
    /// An operator starts or stops draining.
    Drain(bool),
    /// An operator locks or unlocks the customer.
    Lock(bool),
    /// An operator raises the customer's price: for new calls only.
    Reprice,
    /// The host of a vendor is down: what is sent there comes back as unreachable.
    Down(usize),
    /// It is up again, and knows what it knew.
    Up(usize),
    /// All connections break.
    Cut,
    /// An operator removes the gateway of a vendor.
    Retire(usize),
}

impl Deed {
    /// Whether it leaves everything as it should be: then nothing excuses anybody.
    pub(super) fn is_harmless(self) -> bool {
        let by_operator = matches!(
            self,
            Self::HangUp(_) | Self::Drain(_) | Self::Lock(_) | Self::Reprice | Self::Retire(_)
        );
        by_operator || matches!(self, Self::Weather(weather) if weather.lost == 0)
    }

    /// Whether messages get lost by it.
    pub(super) fn loses(self) -> bool {
        match self {
            Self::Weather(weather) => weather.lost > 0,
            Self::Down(_) | Self::Cut => true,
            _ => false,
        }
    }
}

/// What a gateway's document says besides where it is.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Reliable provisional responses: `off`, `supported` or `required`; empty: unsaid.
    pub rel100: &'static str,
    /// Session timers are offered.
    pub session_timer: bool,
    /// As whom we prove ourselves.
    pub login: Option<Account>,
    /// We register there.
    pub registration: bool,
    /// It is probed.
    pub options_check: bool,
    /// Its REFERs are obeyed.
    pub transfer: bool,
    /// How its ringing reaches callers; empty: unsaid.
    pub ringback: &'static str,
    /// How we speak with it.
    pub way: Way,
    /// What it is told of callers.
    pub told: Told,
    /// By which header its callers say their number; empty: unsaid.
    pub caller_from: &'static str,
    /// It is believed who forwarded a call.
    pub forward_heard: bool,
}

/// One world to be.
pub struct Scenario {
    /// Callers, one call each.
    pub phones: Vec<Phone>,
    /// Vendors, by priority; those without a gateway are where others send callers.
    pub vendors: Vec<Vendor>,
    /// The gateways of vendors, in their order.
    pub gateways: Vec<Wanted>,
    /// The gateway of the customer.
    pub customer: Wanted,
    /// Whether somebody joins two of his calls, and leaves.
    pub joins: bool,
    /// Whether users pick up each other's calls.
    pub picks_up: bool,
    /// Users with a phone of ours.
    pub users: Vec<Account>,
    /// Their devices.
    pub devices: Vec<Device>,
    /// Whether they may publish.
    pub publishes: bool,
    /// Whether the customer's callers hear why their calls fail.
    pub announces: bool,
    /// A customer whose gateway is known by its password alone.
    pub roaming: Option<Account>,
    /// Parameters that are not as they are by themselves.
    pub parameters: Vec<(&'static str, String)>,
    /// The network at the start.
    pub weather: Weather,
    /// What happens when, in order.
    pub script: Vec<(Duration, Deed)>,
    /// The customer's money in whole units; `None`: no limit.
    pub money: Option<u32>,
    /// The customer's lines; 0: no limit.
    pub lines: u32,
    /// The lines of each vendor; 0: no limit.
    pub vendor_lines: u32,
}

/// The chances of a seed.
pub(super) struct Dice(StdRng);

impl Dice {
    pub(super) fn one_in(&mut self, chances: u32) -> bool {
        self.0.random_ratio(1, chances)
    }

    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end)
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    pub(super) fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.0.random_range(range))
    }

    fn weather(&mut self) -> Weather {
        match self.0.random_range(0..10) {
            0..5 => Weather { delay_ms: 1, ..Weather::default() },
            5..8 => Weather { lost: 30, doubled: 30, delay_ms: 10, jitter_ms: 40 },
            8 => Weather { lost: 200, doubled: 100, delay_ms: 30, jitter_ms: 300 },
            _ => Weather { lost: 50, doubled: 300, delay_ms: 1, jitter_ms: 900 },
        }
    }

    /// What somebody does with calls, and what he wants in them.
    pub(super) fn temper(&mut self) -> (Temper, Vec<(Duration, Wish)>) {
        let mut wishes = Vec::new();
        let temper = match self.0.random_range(0..12) {
            0..7 => {
                let rings = self.ms(10..1_500);
                let answers = rings + self.ms(0..6_000);
                let hangs_up = self.one_in(3).then(|| self.ms(500..25_000));
                let offers = self.one_in(3).then(|| self.ms(100..15_000));
                wishes.extend(offers.map(|after| (after, Wish::Resume)));
                let (early_media, forks) = (self.one_in(3), self.one_in(6));
                let both_answer = false;
                Temper::Answers(Answers {
                    rings,
                    answers,
                    hangs_up,
                    early_media,
                    forks,
                    both_answer,
                })
            }
            7..10 => {
                let codes = [302, 404, 486, 500, 503, 603];
                let code = self.pick(&codes);
                Temper::Refuses(code, self.ms(5..800))
            }
            10 => Temper::Rings,
            _ => Temper::Silent,
        };
        (temper, wishes)
    }

    /// What a caller does, and what he wants in his call.
    fn plan(&mut self) -> (Plan, Vec<(Duration, Wish)>) {
        let start = OPENING + self.ms(0..20_000);
        let cancel_after = self.one_in(6).then(|| self.ms(50..4_000));
        let talk = self.ms(200..40_000);
        let holds = self.one_in(4);
        let (forgets_ack, offerless) = (self.one_in(20), self.one_in(8));
        let plan = Plan { start, cancel_after, talk, forgets_ack, offerless, mute: false };
        let wishes = vec![(talk / 3, Wish::Hold), (talk * 2 / 3, Wish::Resume)];
        (plan, if holds { wishes } else { Vec::new() })
    }

    /// Crashes and other deeds, each with what undoes it.
    fn script(&mut self) -> Vec<(Duration, Deed)> {
        let mut script = Vec::new();
        let at = OPENING + self.ms(100..30_000);
        let mut then = |at: Duration, deed| script.push((at, deed));
        match self.0.random_range(0..12) {
            0..3 => {
                // With a slow disk there is something under way when it dies.
                let slow =
                    if self.one_in(2) { self.ms(20..1_500) } else { Duration::from_millis(1) };
                then(OPENING, Deed::Disk(slow));
                then(at, Deed::KillDesk(self.one_in(2)));
                then(at, Deed::Disk(Duration::from_millis(1)));
                then(at + self.ms(10..12_000), Deed::StartDesk);
            }
            3 => {
                then(at, Deed::KillPlane);
                then(at + self.ms(10..2_000), Deed::StartPlane);
            }
            4 | 5 => {
                // It dies when it happens to send; if it never does, it is killed at last.
                let worker = self.0.random_range(0..2);
                then(at, Deed::LightFuse(worker, self.0.random_range(0..12)));
                let killed = at + self.ms(500..8_000);
                then(killed, Deed::KillPlane);
                then(killed + self.ms(10..2_000), Deed::StartPlane);
            }
            6 => {
                // So long that control ends the calls; it may die meanwhile as well.
                then(at, Deed::KillPlane);
                if self.one_in(2) {
                    let both = at + self.ms(0..20_000);
                    then(both, Deed::KillDesk(self.one_in(2)));
                    then(both + self.ms(10..6_000), Deed::StartDesk);
                }
                then(at + self.ms(9_000..30_000), Deed::StartPlane);
            }
            7 => {
                let slow = self.ms(150..4_000);
                then(at, Deed::Disk(slow));
                then(at + self.ms(1_000..15_000), Deed::Disk(Duration::from_millis(1)));
                then(at + self.ms(1_000..15_000), Deed::StallDesk(self.ms(50..5_000)));
            }
            8 => {
                then(at, Deed::HangUp(self.0.random_range(0..4)));
                then(at + self.ms(0..9_000), Deed::HangUp(self.0.random_range(0..4)));
            }
            9 => {
                let on = self.one_in(2);
                then(at, if on { Deed::Drain(true) } else { Deed::Lock(true) });
                let off = if on { Deed::Drain(false) } else { Deed::Lock(false) };
                then(at + self.ms(500..15_000), off);
            }
            10 => then(at, Deed::Reprice),
            _ => {}
        }
        if self.one_in(4) {
            let at = OPENING + self.ms(0..20_000);
            script.push((at, Deed::Weather(self.weather())));
        }
        script
    }

    /// Control dies, and before it is back the dataplane: calls that ended meanwhile hold their slots
    /// over both.
    fn relay_of_deaths(&mut self) -> Vec<(Duration, Deed)> {
        let first = OPENING + self.ms(100..30_000);
        let second = first + self.ms(10..15_000);
        let back = second + self.ms(10..2_000);
        vec![
            (first, Deed::KillDesk(self.one_in(2))),
            (second, Deed::KillPlane),
            (back, Deed::StartPlane),
            (back + self.ms(10..6_000), Deed::StartDesk),
        ]
    }

    /// A cut of power, instead of everything else.
    fn blackout(&mut self) -> Vec<(Duration, Deed)> {
        let at = OPENING + self.ms(100..30_000);
        let (worker, frames) = (self.0.random_range(0..2), self.0.random_range(0..12));
        let dark = at + self.ms(0..8_000);
        vec![
            // Fast enough that no answer goes out before its start is on disk.
            (OPENING, Deed::Disk(self.ms(1..60))),
            (at, Deed::LightFuseOfPower(worker, frames, self.one_in(2))),
            // If nothing is sent meanwhile, then without a fuse.
            (dark, Deed::CutPower(self.one_in(2))),
            (dark + self.ms(10..5_000), Deed::StartDesk),
            (dark + self.ms(10..5_000), Deed::StartPlane),
        ]
    }
}

pub(super) fn host(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

fn plain() -> Manners {
    Manners { plain: true, ..Manners::default() }
}

/// What a call holds at a time where money is short, s.
pub(super) const SLICE_S: u32 = 30;

impl Scenario {
    /// The world of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let basics = Self::basic(seed);
        // Another generator, so that kept seeds stay the worlds they were.
        let dice = Dice(StdRng::seed_from_u64(seed ^ 0x6578_7465_6e64));
        if seed < PLAIN {
            return basics;
        }
        let world = Extensions { dice, world: basics }.add();
        if seed < STEADY {
            return world;
        }
        let dice = Dice(StdRng::seed_from_u64(seed ^ 0x7472_616e_7366));
        let world = Extensions { dice, world }.add_transfers();
        let dice = Dice(StdRng::seed_from_u64(seed ^ 0x6b65_7973));
        let world = Extensions { dice, world }.add_keys();
        let dice = Dice(StdRng::seed_from_u64(seed ^ 0x7069_636b));
        let world = Extensions { dice, world }.add_pickups();
        let dice = Dice(StdRng::seed_from_u64(seed ^ 0x6669_6e65));
        let world = Extensions { dice, world }.refine();
        if seed < QUIET {
            return world;
        }
        let dice = Dice(StdRng::seed_from_u64(seed ^ 0x7465_6c6c));
        let world = Extensions { dice, world }.tell();
        // None of the kept seeds is such a one.
        Self { announces: seed.is_multiple_of(8), ..world }
    }

    /// Peers that speak of nothing but RFC 3261.
    fn basic(seed: u64) -> Self {
        let mut dice = Dice(StdRng::seed_from_u64(seed));
        let callers = dice.0.random_range(1..=6);
        let target = host(ADDRESSES[0], SIP_PORT);
        let phones = (0..callers)
            .map(|number| {
                // The tenth phone is nobody's.
                let last = if dice.one_in(15) { 200 } else { 10 };
                let address = host(&format!("10.10.1.{}", last + number), SIP_PORT);
                let callee = if dice.one_in(20) { "999123" } else { "44207946" };
                let mute = dice.one_in(15);
                let talk = Duration::from_secs(100);
                let (plan, wishes) = dice.plan();
                let plan = if mute { Plan { mute, talk, ..plan } } else { plan };
                let phone = Phone::new(number, address, target, callee, plan);
                phone.with(Manners { wishes, ..plain() })
            })
            .collect();
        let vendors = (1..=dice.0.random_range(1..=3))
            .map(|number| {
                let (temper, wishes) = dice.temper();
                let address = host(&format!("10.10.2.{}", number * 10), SIP_PORT);
                let manners = Manners { wishes, ..plain() };
                Vendor::new(address, temper).with(manners)
            })
            .collect();
        let weather = dice.weather();
        let mut script = dice.script();
        let money = dice.one_in(3).then(|| dice.0.random_range(1..3));
        let lines = if dice.one_in(4) { dice.0.random_range(1..4) } else { 0 };
        // What is new comes last, so that kept seeds stay the worlds they were.
        if dice.one_in(12) {
            script = dice.blackout();
        } else if dice.one_in(12) {
            script = dice.relay_of_deaths();
        } else if dice.one_in(12) {
            let at = OPENING + dice.ms(100..30_000);
            script = vec![(at, Deed::FreezePlane(dice.ms(50..20_000)))];
        }
        let vendor_lines = if dice.one_in(3) { dice.0.random_range(1..3) } else { 0 };
        // Good weather at the end: what got lost is repeated, and everything comes to rest.
        let calm = Weather { delay_ms: 1, ..Weather::default() };
        script.push((CALM, Deed::Weather(calm)));
        script.sort_by_key(|(at, _)| *at);
        let mut world = Self {
            phones,
            vendors,
            gateways: Vec::new(),
            customer: Wanted::default(),
            joins: false,
            picks_up: false,
            users: Vec::new(),
            devices: Vec::new(),
            publishes: false,
            announces: false,
            roaming: None,
            // The shortest: money for half a minute is soon asked for again.
            parameters: vec![("TG_CREDIT_SLICE", SLICE_S.to_string())],
            weather,
            script,
            money,
            lines,
            vendor_lines,
        };
        world.gateways = vec![Wanted::default(); world.vendors.len()];
        world
    }
}
