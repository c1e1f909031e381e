//! Calls while floods come at the full rate of a generator: what strangers cost those who are known.
//!
//! Without arguments: raises the lab, looks for the knee of this machine, and plays each flood beside calls at
//! half of it; prints a table, and ends with 1 if a flood cost calls or audio. `siege flood …` is the generator,
//! which it starts inside.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::carrier::{BUSINESS, number};
use tests::lab::{BOX_CUSTOMER_SIDE, Error, Lab, Running, mac_of};
use tests::load::framed;
use tests::sim::digest::{Account, Login};
use wire::datagram::Headers;
use xdp_prog::{Bare, Flood, Floor};

/// Who else is a customer; floods come in his name.
const OTHER_TRUNK: &str = "10.10.1.9";
const STRANGER: &str = "10.10.1.66";
/// Where somebody is registered.
const PHONE: &str = "10.10.1.20:5060";
const SECRET: &str = "Not-in-any-list-7";
/// Calls with audio over the whole of a flood.
const TALKING: u64 = 10;
/// How long calls are offered.
const OFFERED: Duration = Duration::from_secs(5);
/// Every so often the phone registers again, so often.
const KNOCKS: u64 = 4;
/// Offered in a second while the knee is looked for.
const STEPS: [u64; 7] = [25, 50, 100, 150, 200, 300, 400];
const REGISTERED: &str = "200";
/// Slower, and the first repetitions of an INVITE would be under way.
const IN_TIME_MS: f64 = 500.0;
const SOURCES: u32 = 1_000_000;
/// Frames of one system call of the generator.
const BURST: u32 = 16_384;
/// What changes from message to message.
const DIGITS: &str = "########";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("flood") => flood().map(|()| true),
        _ => siege(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("siege: {error}");
            ExitCode::FAILURE
        }
    }
}

fn argument(name: &str) -> Result<String, Error> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).ok_or_else(|| format!("{name} is missing").into())
}

/// `siege flood --cable tgc0 --mac 02:… --method INVITE --from many|ADDRESS --seconds 6`: what goes into that
/// end of a cable comes out of the other, or with `--aside FAREND` is dropped there.
fn flood() -> Result<(), Error> {
    let (cable, method, from) = (argument("--cable")?, argument("--method")?, argument("--from")?);
    let seconds = Duration::from_secs(argument("--seconds")?.parse()?);
    let _bare =
        argument("--aside").ok().map(|far| Bare::attach(&far, Floor::Nothing)).transpose()?;
    let sources = match from.as_str() {
        "many" => many(),
        one => vec![one.parse()?],
    };
    let frame = frame(mac_of(&argument("--mac")?)?, &message(&method))?;
    let places: Vec<usize> = frame
        .windows(DIGITS.len())
        .enumerate()
        .filter_map(|(at, bytes)| (bytes == DIGITS.as_bytes()).then_some(at))
        .collect();
    let flood = Flood::open(&cable, &frame, &sources, &places)?;
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < seconds {
        flood.send(BURST)?;
        sent += u64::from(BURST);
    }
    println!("{{\"sent\":{sent},\"seconds\":{:.3}}}", begun.elapsed().as_secs_f64());
    Ok(())
}

/// A million addresses that somebody could have, none of them of the lab.
fn many() -> Vec<Ipv4Addr> {
    (0..SOURCES * 2)
        // An odd multiplier permutes the 2^32 addresses, so no two are the same.
        .map(|number| Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995))
        .filter(|source| matches!(source.octets()[0], 1..=9 | 11..=126 | 128..=223))
        .take(SOURCES as usize)
        .collect()
}

fn message(method: &str) -> Vec<u8> {
    let peer = "192.0.2.77:5060";
    format!(
        "{method} sip:441130@10.10.1.2 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bK-{DIGITS};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:100@192.0.2.77>;tag=41\r\nTo: <sip:441130@10.10.1.2>\r\n\
         Call-ID: {DIGITS}@192.0.2.77\r\nCSeq: 1 {method}\r\nContact: <sip:100@{peer}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn frame(destination_mac: [u8; 6], payload: &[u8]) -> Result<Vec<u8>, Error> {
    /// Offset of the UDP checksum, which a flood leaves out.
    const UDP_CHECKSUM: usize = 40;
    let headers = Headers {
        destination_mac,
        source_mac: [4, 0, 0, 0, 0, 4],
        vlan: None,
        source: SocketAddr::from(([192, 0, 2, 77], 5060)),
        destination: SocketAddr::from(([10, 10, 1, 2], 5060)),
        dscp: 0,
        ttl: 64,
    };
    let mut frame = framed(&headers, payload)?;
    if let Some(checksum) = frame.get_mut(UDP_CHECKSUM..UDP_CHECKSUM + 2) {
        checksum.fill(0);
    }
    Ok(frame)
}

/// What comes while calls go on.
#[derive(Clone, Copy)]
struct Attack {
    method: &'static str,
    from: &'static str,
    name: &'static str,
    /// What the driver lets in of strangers.
    preset: &'static str,
}

const fn attack(method: &'static str, from: &'static str, name: &'static str) -> Attack {
    Attack { method, from, name, preset: "office" }
}

/// From invented sources while the operator lets known ones in alone.
const fn shut(method: &'static str, name: &'static str) -> Attack {
    Attack { method, from: "many", name, preset: "fortress" }
}

const ATTACKS: [Attack; 12] = [
    attack("OPTIONS", "many", "OPTIONS, a million sources"),
    attack("OPTIONS", STRANGER, "OPTIONS, one source"),
    attack("REGISTER", "many", "REGISTER, a million sources"),
    attack("REGISTER", STRANGER, "REGISTER, one source"),
    attack("INVITE", "many", "INVITE, a million sources"),
    attack("INVITE", STRANGER, "INVITE, one source"),
    attack("INVITE", OTHER_TRUNK, "INVITE, in another trunk's name"),
    attack("OPTIONS", OTHER_TRUNK, "OPTIONS, in another trunk's name"),
    attack("BYE", "many", "BYE, a million sources"),
    shut("OPTIONS", "OPTIONS, a million sources, `fortress`"),
    shut("REGISTER", "REGISTER, a million sources, `fortress`"),
    shut("INVITE", "INVITE, a million sources, `fortress`"),
];

/// What came of the calls beside one flood.
struct Outcome {
    /// Frames of the flood.
    sent: u64,
    seconds: f64,
    offered: u64,
    answered: u64,
    setup_ms: f64,
    /// Refusals of the others, by status.
    failed: String,
    /// RTP packets of the running calls, ...
    sent_rtp: u64,
    /// ... those that did not come back, ...
    lost_rtp: u64,
    /// ... and of them those that had come to the driver.
    lost_behind: u64,
    talked: u64,
    /// What the cable itself had no room for: of the flood, and of what came beside it.
    cable_full: u64,
    /// What the phone heard at each of its registrations.
    heard: Vec<String>,
    /// What became of frames in the driver, by reason.
    driver: BTreeMap<String, u64>,
}

struct Siege {
    lab: Lab,
    /// Of the appliance's interface.
    mac: String,
    login: Login,
    knocks: u64,
}

fn siege() -> Result<bool, Error> {
    let Some(lab) = Lab::up(2, true)? else { return Ok(true) };
    let mut siege = Siege::begin(lab)?;
    let knee = siege.knee()?;
    let offered = (knee / 2).max(1);
    println!(
        "\nThe knee: {knee} calls/s beside a flood that goes elsewhere; offered: {offered} calls/s.\n"
    );
    println!(
        "| flood | sent | per second | calls answered | refused | setup p99 | RTP lost before and behind the driver | cable full | the phone heard | driver |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let before = siege.beside(None, offered)?;
    before.print("none into the appliance, before");
    let mut outcomes = Vec::new();
    for attack in ATTACKS {
        let outcome = siege.beside(Some(attack), offered)?;
        outcome.print(attack.name);
        outcomes.push((attack.name, outcome));
    }
    let after = siege.beside(None, offered)?;
    after.print("none into the appliance, after");
    let baseline = before.answered.min(after.answered);
    let mut good = true;
    for (name, outcome) in &outcomes {
        if outcome.answered * 100 < baseline * 99 {
            println!("FAILED: {name}: {} of the baseline's {baseline} calls", outcome.answered);
            good = false;
        }
        if outcome.lost_behind > 0 || outcome.talked < TALKING {
            let (lost, talked) = (outcome.lost_behind, outcome.talked);
            println!(
                "FAILED: {name}: {lost} RTP packets lost behind the driver, {talked} calls talked"
            );
            good = false;
        }
        if outcome.heard.iter().any(|status| status != REGISTERED) {
            println!("FAILED: {name}: the phone was not always registered");
            good = false;
        }
    }
    Ok(good)
}

impl Siege {
    fn begin(lab: Lab) -> Result<Self, Error> {
        // Memory is not to be the knee: an ended call leaves transactions behind for half a minute.
        lab.configure("[limits]\ncalls = 2000\ntransactions = 120000\nkept_messages = 80000\n")?;
        lab.script(&["start"])?;
        let gateways = [
            "gateway mapping create pbx --account acme --tariff retail --address 10.10.1.1",
            "gateway mapping create other --account acme --tariff retail --address 10.10.1.9 --cps-max 20",
            "gateway routing create london --account carrier --tariff wholesale --target 10.10.2.1:5060 --prefix 44",
            "phone create 105 --account acme --tariff retail --password Not-in-any-list-7",
        ];
        for command in BUSINESS.into_iter().chain(gateways) {
            lab.tollgate(&command.split(' ').collect::<Vec<_>>())?;
        }
        lab.add_address("cust", "10.10.1.20")?;
        // Answers to strangers go somewhere, as they would.
        lab.run("box", "ip", &["route", "add", "default", "via", "10.10.1.1"])?;
        let aside = "ip link add tgu0 type veth peer name tgu1 && ip link set tgu0 up && ip link set tgu1 up";
        lab.run("cust", "sh", &["-c", aside])?;
        let mac = lab.mac("box", "tgb0")?.map(|byte| format!("{byte:02x}")).join(":");
        let account = Account { user: "105".into(), password: SECRET.into(), modern: false };
        let mut siege = Self { lab, mac, login: Login::new(account), knocks: 0 };
        let heard = siege.registers()?;
        if heard != REGISTERED {
            return Err(format!("the phone cannot register: {heard}").into());
        }
        Ok(siege)
    }

    fn vendor(&self) -> Result<Running, Error> {
        let arguments = ["answer", "--listen", "10.10.2.1:5060", "--seconds", "60"];
        let vendor = self.lab.start("vend", "phones", &arguments)?;
        vendor.listens(([10, 10, 2, 1], 5060).into())?;
        Ok(vendor)
    }

    fn calls(&self, words: &str) -> Result<Running, Error> {
        let all = format!("call --to {BOX_CUSTOMER_SIDE} {words}");
        self.lab.start("cust", "phones", &all.split(' ').collect::<Vec<_>>())
    }

    /// The flood, or the same one onto a cable that leads nowhere.
    fn flood(&self, attack: Option<Attack>, seconds: u64) -> Result<Running, Error> {
        let Attack { method, from, .. } = attack.unwrap_or(ATTACKS[0]);
        let cable = if attack.is_some() { "tgc0" } else { "tgu0 --aside tgu1" };
        let words = format!(
            "flood --cable {cable} --mac {} --method {method} --from {from} --seconds {seconds}",
            self.mac
        );
        self.lab.start("cust", "siege", &words.split(' ').collect::<Vec<_>>())
    }

    /// The most calls in a second that are all answered, and in time, while a generator takes its core.
    fn knee(&self) -> Result<u64, Error> {
        let _vendor = self.vendor()?;
        let flood = self.flood(None, 45)?;
        let mut knee = 0;
        for (place, per_second) in STEPS.into_iter().enumerate() {
            let (port, calls) = (5_200 + place, per_second * 3);
            let words = format!(
                "--brief --from 10.10.1.1:{port} --calls {calls} --per-second {per_second} --seconds 0"
            );
            let said = self.calls(&words)?.json()?;
            let setup = said.get("setup_ms_p99").and_then(Value::as_f64).unwrap_or(f64::MAX);
            println!(
                "looking for the knee: {per_second} calls/s: {} of {calls} answered, setup p99 {setup} ms",
                number(&said, "answered")
            );
            if number(&said, "answered") * 100 < calls * 99 || setup > IN_TIME_MS {
                break;
            }
            knee = per_second;
        }
        drop(flood);
        if knee == 0 { Err("this machine is too busy for any calls".into()) } else { Ok(knee) }
    }

    /// Calls with audio, calls at their pace, and a registered phone, beside a flood.
    fn beside(&mut self, attack: Option<Attack>, per_second: u64) -> Result<Outcome, Error> {
        let preset = attack.map_or("office", |attack| attack.preset);
        self.lab.tollgate(&["firewall", "preset", "apply", preset])?;
        let vendor = self.vendor()?;
        let offered = per_second * OFFERED.as_secs();
        let (before, full) = (self.counted()?, self.cable_full()?);
        let talking = self.calls(&format!(
            "--from 10.10.1.1:5070 --calls {TALKING} --per-second {TALKING} --seconds 8"
        ))?;
        std::thread::sleep(Duration::from_millis(1_500));
        let flood = self.flood(attack, OFFERED.as_secs() + 1)?;
        std::thread::sleep(Duration::from_millis(700));
        let calls = self.calls(&format!(
            "--brief --from 10.10.1.1:5080 --calls {offered} --per-second {per_second} --seconds 0"
        ))?;
        let mut heard = Vec::new();
        for _ in 0..KNOCKS {
            std::thread::sleep(OFFERED / (KNOCKS as u32 + 1));
            heard.push(self.registers()?);
        }
        let (calls, talking, flood) = (calls.json()?, talking.json()?, flood.json()?);
        let mut driver = self.counted()?;
        for (reason, packets) in &mut driver {
            *packets -= before.get(reason).copied().unwrap_or(0);
        }
        // Each packet comes to the driver twice: from the customer, and back from the vendor.
        let (sent, received) = (number(&talking, "sent"), number(&talking, "received"));
        let media = driver.remove("worker_media").unwrap_or(0);
        drop(vendor);
        Ok(Outcome {
            sent: number(&flood, "sent"),
            seconds: flood.get("seconds").and_then(Value::as_f64).unwrap_or(f64::NAN),
            offered,
            answered: number(&calls, "answered"),
            setup_ms: calls.get("setup_ms_p99").and_then(Value::as_f64).unwrap_or(f64::NAN),
            failed: calls.get("failed").map(Value::to_string).unwrap_or_default().replace('"', ""),
            sent_rtp: sent,
            lost_rtp: sent.saturating_sub(received),
            lost_behind: media.saturating_sub(received * 2),
            talked: number(&talking, "answered"),
            cable_full: self.cable_full()? - full,
            heard,
            driver,
        })
    }

    /// What the driver dropped, and what it gave to workers, by reason.
    fn counted(&self) -> Result<BTreeMap<String, u64>, Error> {
        let counters = self.lab.tollgate(&["firewall", "counters", "--all"])?;
        let items = counters.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut counts = BTreeMap::new();
        for item in &items {
            let reason = item.get("reason").and_then(Value::as_str).unwrap_or("");
            if reason.starts_with("drop_") || reason.starts_with("worker_") {
                *counts.entry(reason.to_owned()).or_default() += number(item, "packets");
            }
        }
        Ok(counts)
    }

    /// Frames for which the appliance's end of the customers' cable had no room.
    fn cable_full(&self) -> Result<u64, Error> {
        let said = self.lab.run("cust", "ip", &["-s", "-j", "link", "show", "tgc0"])?;
        let said: Value = serde_json::from_str(&said)?;
        let dropped = said.pointer("/0/stats64/tx/dropped").and_then(Value::as_u64);
        dropped.ok_or_else(|| "the cable counts nothing".into())
    }

    /// The last status that the phone gets to a REGISTER; each request is sent twice, half a second apart.
    fn registers(&mut self) -> Result<String, Error> {
        let socket = self.lab.socket("cust", PHONE)?;
        socket.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut line = String::new();
        for _ in 0..2 {
            self.knocks += 1;
            let count = self.knocks;
            let request = format!(
                "REGISTER sip:10.10.1.2 SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKsiege{count};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:105@10.10.1.2>;tag=siege\r\nTo: <sip:105@10.10.1.2>\r\n\
                 Call-ID: siege@10.10.1.20\r\nCSeq: {count} REGISTER\r\nContact: <sip:105@{PHONE}>\r\n\
                 {line}Expires: 300\r\nContent-Length: 0\r\n\r\n"
            );
            let mut buffer = [0; 4_096];
            let mut answer = None;
            for _ in 0..2 {
                socket.send_to(request.as_bytes(), BOX_CUSTOMER_SIDE)?;
                if let Ok(length) = socket.recv(&mut buffer) {
                    answer = Some(String::from_utf8_lossy(&buffer[..length]).into_owned());
                    break;
                }
            }
            let Some(answer) = answer else { return Ok("none".to_owned()) };
            let status = answer.split(' ').nth(1).unwrap_or("none").to_owned();
            if !line.is_empty() || !self.login.learn(&answer) {
                return Ok(status);
            }
            line = self.login.line("REGISTER", "sip:10.10.1.2");
        }
        Ok("none".to_owned())
    }
}

impl Outcome {
    fn print(&self, name: &str) {
        let mut driver: Vec<_> = self.driver.iter().filter(|&(_, &packets)| packets > 0).collect();
        driver.sort_by_key(|&(_, packets)| std::cmp::Reverse(packets));
        let driver: Vec<String> = driver
            .into_iter()
            .take(3)
            .map(|(reason, packets)| format!("{reason} {packets}"))
            .collect();
        println!(
            "| {name} | {} | {:.2} M | {} of {} | {} | {:.0} ms | {} and {} of {} | {} | {} | {} |",
            self.sent,
            self.sent as f64 / self.seconds / 1e6,
            self.answered,
            self.offered,
            self.failed,
            self.setup_ms,
            self.lost_rtp - self.lost_behind.min(self.lost_rtp),
            self.lost_behind,
            self.sent_rtp,
            self.cable_full,
            self.heard.join(" "),
            driver.join(", ")
        );
    }
}
