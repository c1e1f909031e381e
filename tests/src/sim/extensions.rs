//! What a seed decides of everything beyond the basics: who speaks which extension, who registers, who
//! asks for passwords.

use std::time::Duration;

use super::device::{Device, Routine};
use super::digest::Account;
use super::identity::{Telling, Told};
use super::keypad::Tones;
use super::machine::{ADDRESSES, SIP_PORT};
use super::manners::{Manners, Rel100, Wish};
use super::network::Way;
use super::phone::{Phone, Plan};
use super::registrar::Registrar;
use super::scenario::{CALM, Deed, Dice, OPENING, Scenario, Wanted, host};
use super::session::Timer;
use super::vendor::{Answers, Temper, Vendor};

/// A basic world on its way to more.
pub(super) struct Extensions {
    pub(super) dice: Dice,
    pub(super) world: Scenario,
}

/// What a user dials to pick up what rings somewhere else.
pub(super) const PICKUP_CODE: &str = "*8";

/// How long a call with session timers may last.
const LONG_TALK: (u64, u64) = (50_000, 220_000);

impl Extensions {
    /// The world with all that its seed adds.
    pub(super) fn add(mut self) -> Scenario {
        let timed = self.dice.one_in(5);
        if timed {
            let longest = self.dice.pick(&[90, 100, 130]);
            self.set("SS_SIP_SESSION_TIMER", &longest.to_string());
        }
        self.add_customer(timed);
        self.add_vendors(timed);
        if self.dice.one_in(3) {
            self.add_users();
        }
        for phone in std::mem::take(&mut self.world.phones) {
            let is_by_stream = self.dice.one_in(6);
            self.world.phones.push(if is_by_stream { phone.by_stream() } else { phone });
        }
        if self.dice.one_in(4) {
            self.add_troubles();
        }
        if self.dice.one_in(8) {
            let at = OPENING + self.dice.ms(0..40_000);
            self.world.script.push((at, Deed::Cut));
        }
        // Where nothing goes wrong, nothing may look as if.
        if self.dice.one_in(3) {
            self.world.script.retain(|(_, deed)| deed.is_harmless());
            self.world.weather.lost = 0;
        }
        self.world.script.sort_by_key(|(at, _)| *at);
        self.world
    }

    fn set(&mut self, parameter: &'static str, value: &str) {
        self.world.parameters.push((parameter, value.into()));
    }

    /// One in so many speaks over TCP.
    fn way(&mut self, chances: u32) -> Way {
        if self.dice.one_in(chances) { Way::Stream } else { Way::Datagram }
    }

    fn rel100(&mut self) -> Rel100 {
        match self.dice.below(8) {
            0..4 => Rel100::Supported,
            4 => Rel100::Required,
            _ => Rel100::Unknown,
        }
    }

    fn timer(&mut self) -> Timer {
        Timer {
            interval_s: self.dice.pick(&[60, 90, 95, 150]),
            min_se_s: self.dice.pick(&[90, 90, 120]),
            refresher: self.dice.pick(&[None, Some(true), Some(false)]),
            forgets: self.dice.one_in(6),
        }
    }

    /// What somebody can, and what he wants while he talks.
    fn manners(&mut self, timed: bool, wishes: Vec<(Duration, Wish)>) -> Manners {
        let mut manners = Manners {
            plain: false,
            rel100: self.rel100(),
            timer: (timed && self.dice.below(4) > 0).then(|| self.timer()),
            updates: self.dice.one_in(2),
            wishes,
            thinks: if self.dice.one_in(4) { self.dice.ms(20..3_000) } else { Duration::ZERO },
            asks: None,
            in_company: false,
            tones: None,
            pace_ms: 0,
        };
        // At whole seconds after the answer, so that both sides often want something at once.
        for _ in 0..self.dice.below(4) {
            let after = Duration::from_secs(u64::from(1 + self.dice.below(12)));
            let wish = self.dice.pick(&[
                Wish::Hold,
                Wish::Resume,
                Wish::Ask,
                Wish::Update,
                Wish::Update,
                Wish::Sign,
                Wish::Info,
                Wish::Message,
            ]);
            manners.wishes.push((after, wish));
        }
        manners.wishes.sort_by_key(|(after, _)| *after);
        manners
    }

    fn account(&mut self, user: &str) -> Account {
        let password = format!("Word-{}-of-us", user.len() + 41);
        Account { user: user.into(), password, modern: self.dice.one_in(2) }
    }

    fn wanted(&mut self, timed: bool) -> Wanted {
        Wanted {
            rel100: self.dice.pick(&["off", "supported", "supported", "required"]),
            session_timer: timed && self.dice.one_in(2),
            ..Wanted::default()
        }
    }

    /// Callers behind the customer's gateway, some of them by password.
    fn add_customer(&mut self, timed: bool) {
        let wanted = self.wanted(timed);
        // Who requires it speaks with nobody else.
        let rel100 = if self.dice.one_in(4) { wanted.rel100 } else { "supported" };
        self.world.customer = Wanted { rel100, ..wanted };
        let roaming = self.dice.one_in(4).then(|| self.account("roaming"));
        let phones = std::mem::take(&mut self.world.phones);
        for (number, phone) in phones.into_iter().enumerate() {
            let phone = self.extend(phone, timed);
            let phone = match &roaming {
                Some(account) if self.dice.one_in(2) => {
                    let address = host(&format!("10.10.1.{}", 30 + number), SIP_PORT);
                    phone.at(address).of(account.clone())
                }
                _ => phone,
            };
            self.world.phones.push(phone);
        }
        self.world.roaming = roaming;
    }

    fn extend(&mut self, mut phone: Phone, timed: bool) -> Phone {
        if self.dice.one_in(4) {
            return phone;
        }
        let (shortest, longest) = LONG_TALK;
        if timed {
            phone.plan.talk = self.dice.ms(shortest..longest);
        } else if self.dice.one_in(2) {
            // So that a BYE meets what the other side wants.
            phone.plan.talk = Duration::from_secs(u64::from(1 + self.dice.below(14)));
        }
        let wishes = phone.wishes();
        let manners = self.manners(timed, wishes);
        phone.with(manners)
    }

    fn add_vendors(&mut self, timed: bool) {
        for place in 0..self.world.vendors.len() {
            let mut wanted = self.wanted(timed);
            let wishes = self.world.vendors[place].manners.wishes.clone();
            let manners = self.manners(timed, wishes);
            if !self.dice.one_in(4) {
                self.world.vendors[place].manners = manners;
            }
            if timed && let Temper::Answers(answers) = &mut self.world.vendors[place].temper {
                answers.hangs_up = None;
            }
            if self.dice.one_in(4) {
                let account = self.account("us");
                wanted.login = Some(account.clone());
                let code = self.dice.pick(&[401, 407]);
                if self.dice.one_in(2) {
                    self.world.vendors[place].manners.asks = Some((code, account.clone()));
                }
                self.world.vendors[place].asks = Some((code, account));
            }
            if self.dice.one_in(6) {
                let least_s = self.dice.pick(&[1, 60, 90]);
                let registrar = Registrar::new(least_s, least_s.max(self.dice.pick(&[60, 100])));
                self.world.vendors[place].registrar = Some(registrar);
                wanted.registration = true;
                wanted.login = wanted.login.or_else(|| Some(self.account("us")));
                self.set("EXPIRE", "60");
            }
            wanted.options_check = self.dice.one_in(6);
            wanted.way = self.way(6);
            self.world.gateways[place] = wanted;
        }
        if self.dice.one_in(4) {
            self.add_redirect();
        }
        if self.dice.one_in(6) {
            self.world.vendors[0].temper = Temper::Refuses(503, self.dice.ms(5..800));
        }
    }

    /// The first vendor sends callers to a place that has no gateway of its own; it may send them on.
    fn add_redirect(&mut self) {
        let [first, second] = ["10.10.2.40", "10.10.2.50"].map(|address| host(address, SIP_PORT));
        let after = self.dice.ms(5..500);
        self.world.vendors[0].temper = Temper::Redirects(first, after);
        let (mut temper, wishes) = self.dice.temper();
        if self.dice.one_in(4) {
            temper = Temper::Redirects(second, after);
            let (temper, _) = self.dice.temper();
            self.world.vendors.push(Vendor::new(second, temper));
        }
        let manners = self.manners(false, wishes);
        self.world.vendors.push(Vendor::new(first, temper).with(manners));
    }

    /// Users with devices of ours; some callers call them, some are theirs.
    fn add_users(&mut self) {
        if self.dice.one_in(3) {
            self.set("TG_NONCE_AGE", "10");
        }
        let count = 1 + self.dice.below(2);
        for number in 0..count {
            let account = self.account(&format!("user{number}"));
            let devices = 1 + self.dice.below(3);
            for device in 0..devices {
                let last = 60 + number * 10 + device;
                let address = host(&format!("10.10.1.{last}"), SIP_PORT);
                let device = self.device(address, &account, devices == 1);
                self.world.devices.push(device);
            }
            self.world.users.push(account);
        }
        let phones = std::mem::take(&mut self.world.phones);
        for (number, phone) in phones.into_iter().enumerate() {
            let mut phone = phone;
            if self.dice.one_in(2) {
                phone = phone.calls(&format!("4433000{}", self.dice.below(count)));
            }
            if !phone.has_login() && self.dice.one_in(4) {
                let address = host(&format!("10.10.1.{}", 40 + number), SIP_PORT);
                let account = self.world.users[self.dice.below(count) as usize].clone();
                phone = phone.at(address).of(account);
            }
            self.world.phones.push(phone);
        }
    }

    fn device(&mut self, address: std::net::SocketAddr, account: &Account, alone: bool) -> Device {
        let (temper, wishes) = self.dice.temper();
        // A phone is answered or refused by somebody; it does not ring at two places.
        let temper = match temper {
            Temper::Answers(answers) => Temper::Answers(Answers { forks: false, ..answers }),
            temper => temper,
        };
        let manners = self.manners(false, wishes);
        let callee = Vendor::new(address, temper).with(manners);
        let leaves = self.dice.one_in(4).then(|| OPENING + self.dice.ms(0..70_000));
        let routine = Routine {
            start: OPENING - Duration::from_secs(4) + self.dice.ms(0..8_000),
            expires_s: self.dice.pick(&[30, 60, 90, 100]),
            leaves,
            takes_all: alone && self.dice.one_in(2),
            way: self.way(4),
            calm: CALM,
        };
        Device::new(callee, host(ADDRESSES[0], SIP_PORT), account.clone(), routine)
    }

    /// Everybody may want somebody else to go on with his call.
    pub(super) fn add_transfers(mut self) -> Scenario {
        if self.dice.one_in(2) {
            return self.world;
        }
        self.world.joins = self.dice.one_in(2);
        self.trust_all();
        self.for_all(Self::transferor);
        self.world
    }

    /// Nobody's transfers are refused.
    fn trust_all(&mut self) {
        self.world.customer.transfer = true;
        self.world.gateways.iter_mut().for_each(|gateway| gateway.transfer = true);
    }

    /// Everybody has other manners, by whether he takes calls.
    fn for_all(&mut self, mut change: impl FnMut(&mut Self, Manners, bool) -> Manners) {
        for mut phone in std::mem::take(&mut self.world.phones) {
            // Two callers that are joined hear each other, and nothing of an echo.
            phone.plan.mute = false;
            if self.world.joins {
                phone.plan.talk = phone.plan.talk.max(Duration::from_secs(15));
            }
            let manners = change(self, phone.manners(), false);
            self.world.phones.push(phone.with(manners));
        }
        for place in 0..self.world.vendors.len() {
            let manners = self.world.vendors[place].manners.clone();
            self.world.vendors[place].manners = change(self, manners, true);
        }
        for place in 0..self.world.devices.len() {
            let manners = self.world.devices[place].callee.manners.clone();
            self.world.devices[place].callee.manners = change(self, manners, true);
        }
    }

    /// The manners of somebody who may transfer; who takes calls has several, and may join two of them.
    fn transferor(&mut self, mut manners: Manners, takes_calls: bool) -> Manners {
        manners.in_company = true;
        for _ in 0..self.dice.below(3) {
            let after = Duration::from_secs(u64::from(1 + self.dice.below(12)));
            let number =
                self.dice.pick(&["44207946", "44207946", "44207946", "44330000", "999123"]);
            let joins = self.world.joins && takes_calls && !self.dice.one_in(3);
            let wish = if joins { Wish::Join } else { Wish::Transfer(number) };
            manners.wishes.push((after, wish));
        }
        manners.wishes.sort_by_key(|(after, _)| *after);
        manners
    }

    /// Everybody may transfer by keys.
    pub(super) fn add_keys(mut self) -> Scenario {
        if !self.dice.one_in(3) {
            return self.world;
        }
        self.set("TG_TRANSFER_BLIND_KEY", "*1");
        self.set("TG_TRANSFER_ATTENDED_KEY", "*2");
        let (rings, wait_s) = (self.dice.pick(&["0", "1"]), self.dice.pick(&["2", "10"]));
        self.set("TG_TRANSFER_RINGBACK", rings);
        self.set("TG_TRANSFER_WAIT", wait_s);
        self.trust_all();
        self.for_all(|world, manners, _| world.presser(manners));
        self.world
    }

    /// The manners of somebody who presses keys: to transfer, and then, or in the middle of it, to take that
    /// back, or to leave the others alone.
    fn presser(&mut self, mut manners: Manners) -> Manners {
        manners.in_company = true;
        manners.tones = Some(self.dice.pick(&[Tones::Events, Tones::Info]));
        let mut at = Duration::from_secs(u64::from(self.dice.below(8)));
        for _ in 0..self.dice.below(3) {
            at += self.dice.ms(500..5_000);
            let keys = self.dice.pick(&[
                "*144207946#",
                "*244207946#",
                "*244207946#",
                "*244207946",
                "*144330000#",
                "*244330000#",
                "*2999123#",
                "*1",
                "*2442",
                "12*3#",
            ]);
            manners.wishes.push((at, Wish::Press(keys)));
            at += self.dice.ms(300..12_000);
            let then = self.dice.pick(&[
                None,
                Some(Wish::Press("**")),
                Some(Wish::Press("*#")),
                Some(Wish::HangUp),
            ]);
            manners.wishes.extend(then.map(|wish| (at, wish)));
        }
        manners.wishes.sort_by_key(|(after, _)| *after);
        manners
    }

    /// Users pick up what rings at each other's phones.
    pub(super) fn add_pickups(mut self) -> Scenario {
        if self.world.users.len() < 2 || self.dice.one_in(3) {
            return self.world;
        }
        self.set("TG_PICKUP_CODE", PICKUP_CODE);
        (self.world.picks_up, self.world.joins) = (true, true);
        self.for_all(|_, manners, _| Manners { in_company: true, ..manners });
        let count = self.world.users.len() as u32;
        for phone in std::mem::take(&mut self.world.phones) {
            let is_caller = !phone.has_login() && !phone.is_by_stream();
            let calls_user = is_caller && !self.dice.one_in(4);
            let callee = self.dice.pick(&["44330000", "44330001"]);
            self.world.phones.push(if calls_user { phone.calls(callee) } else { phone });
        }
        for place in 0..self.world.devices.len() {
            let patience = self.dice.ms(2_000..15_000);
            if let Temper::Answers(answers) = &mut self.world.devices[place].callee.temper {
                answers.answers += patience;
            }
        }
        let called: Vec<Duration> =
            self.world.phones.iter().map(|phone| phone.plan.start).collect();
        for number in 0..=self.dice.below(3) {
            let address = host(&format!("10.10.1.{}", 90 + number), SIP_PORT);
            let target = host(ADDRESSES[0], SIP_PORT);
            let callee = self.dice.pick(&["*8", "*8", "*844330000", "*844330001"]);
            let plan = Plan {
                start: self.dice.pick(&called) + self.dice.ms(20..5_000),
                cancel_after: self.dice.one_in(6).then(|| self.dice.ms(50..3_000)),
                talk: self.dice.ms(200..30_000),
                forgets_ack: false,
                offerless: self.dice.one_in(8),
                mute: false,
            };
            let manners = Manners { in_company: true, ..self.manners(false, Vec::new()) };
            let account = self.world.users[self.dice.below(count) as usize].clone();
            let phone = Phone::new(50 + number, address, target, callee, plan);
            self.world.phones.push(phone.with(manners).of(account));
        }
        self.world
    }

    /// Forks that both answer, callers who are known to nobody, ringing that is told or heard otherwise.
    pub(super) fn refine(mut self) -> Scenario {
        for place in 0..self.world.vendors.len() {
            let both_answer = self.dice.one_in(2);
            if let Temper::Answers(answers) = &mut self.world.vendors[place].temper {
                answers.both_answer = answers.forks && both_answer;
            }
        }
        for phone in std::mem::take(&mut self.world.phones) {
            let is_shy = self.dice.one_in(4);
            self.world.phones.push(if is_shy { phone.shy() } else { phone });
        }
        if self.dice.one_in(4) {
            let delay_ms = self.dice.below(1_500);
            self.set("SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY", &delay_ms.to_string());
        }
        for place in 0..self.world.gateways.len() {
            self.world.gateways[place].ringback = self.dice.pick(&["pass", "pass", "180", "183"]);
        }
        self.world
    }

    /// Callers who say more of themselves, vendors that are to hear it, devices that publish, and an operator
    /// who drains while calls change hands.
    pub(super) fn tell(mut self) -> Scenario {
        // Two callers that are joined would wait alike, and meet for ever.
        for phone in std::mem::take(&mut self.world.phones) {
            let pace_ms = self.dice.below(1_900).into();
            let manners = Manners { pace_ms, ..phone.manners() };
            self.world.phones.push(phone.with(manners));
        }
        if self.dice.one_in(3) {
            self.add_drain();
        }
        if self.dice.one_in(2) {
            return self.world;
        }
        self.world.customer.caller_from = self.dice.pick(&["from", "asserted", "remote_party"]);
        self.world.customer.forward_heard = !self.dice.one_in(4);
        for phone in std::mem::take(&mut self.world.phones) {
            let number = self.dice.pick(&["", "asserted", "remote_party"]);
            let forwarded = self.dice.one_in(3).then(|| self.dice.one_in(3));
            self.world.phones.push(phone.telling(Telling { number, forwarded }));
        }
        for place in 0..self.world.gateways.len() {
            let told = Told {
                identity: self.dice.pick(&["none", "asserted", "preferred", "remote_party"]),
                forward: self.dice.pick(&["none", "diversion"]),
            };
            self.world.gateways[place].told = told;
            self.world.vendors[place].told = Some(told);
        }
        self.world.publishes = true;
        for device in std::mem::take(&mut self.world.devices) {
            let start = OPENING + self.dice.ms(0..20_000);
            let until = start + self.dice.ms(1_000..90_000);
            let publishes = self.dice.one_in(2);
            let device = if publishes { device.publishes((start, until)) } else { device };
            self.world.devices.push(device);
        }
        self.world
    }

    fn add_drain(&mut self) {
        let at = OPENING + self.dice.ms(3_000..30_000);
        let off = at + self.dice.ms(200..8_000);
        self.world.script.extend([(at, Deed::Drain(true)), (off, Deed::Drain(false))]);
        self.world.script.sort_by_key(|(at, _)| *at);
    }

    /// Vendors whose host goes away for a while, or whose gateway goes for good.
    fn add_troubles(&mut self) {
        let place = self.dice.below(self.world.vendors.len() as u32) as usize;
        let at = OPENING + self.dice.ms(0..25_000);
        if self.dice.one_in(3) {
            return self.world.script.push((at, Deed::Retire(place)));
        }
        let back = (at + self.dice.ms(500..30_000)).min(CALM);
        self.world.script.extend([(at, Deed::Down(place)), (back, Deed::Up(place))]);
    }
}
