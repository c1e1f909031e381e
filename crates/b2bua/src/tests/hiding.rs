//! What belongs to one leg is in no byte that is sent on the other.
//!
//! Every script runs under this: the names, addresses, tags and numbers of every message of a leg,
//! ours and the peer's, are looked for in every message sent to the other side; and those of a vendor in
//! every INVITE by which another one is called.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::identity::{CUSTOMER, VENDOR};
use super::*;

/// The two networks, by who is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Customers,
    Vendors,
}

impl Network {
    fn of(address: SocketAddr) -> Self {
        match address.ip().to_string().starts_with("198.51.100.") {
            true => Self::Customers,
            false => Self::Vendors,
        }
    }
}

/// What both sides may know: the numbers, and our own name.
const COMMON: [&str; 5] = ["1234", "4420", "004420", "anonymous", "tollgate"];

/// The words of both networks.
#[derive(Default)]
pub(super) struct Hiding {
    words: [BTreeSet<String>; 2],
    /// The words of each address in the vendors' network.
    of_vendors: BTreeMap<IpAddr, BTreeSet<String>>,
    /// What is said are no words of anybody: nothing is looked for.
    pub(super) is_blind: bool,
    /// Media go from end to end: where they do is everybody's business.
    pub(super) shows_media: bool,
}

impl Hiding {
    /// Takes the words of a message that goes to a peer.
    pub(super) fn learn(&mut self, peer: SocketAddr, message: &str) {
        self.words[Network::of(peer) as usize].extend(words(message));
    }

    /// Takes the words of a message that comes from a peer: those that it has not from us are its own.
    pub(super) fn hear(&mut self, peer: SocketAddr, message: &str) {
        let (network, found) = (Network::of(peer), words(message));
        let known = &mut self.words[network as usize];
        if network == Network::Vendors {
            let own = found.iter().filter(|word| !known.contains(*word)).cloned();
            self.of_vendors.entry(peer.ip()).or_default().extend(own);
        }
        known.extend(found);
    }

    /// A message that goes to a peer has no word of the other network.
    pub(super) fn check(&self, peer: SocketAddr, message: &str) {
        if self.is_blind {
            return;
        }
        let own = Network::of(peer);
        let other = 1 - own as usize;
        let is_told = |line: &&str| !(self.shows_media && line.starts_with("c="));
        let message = &message.split_inclusive('\n').filter(is_told).collect::<String>();
        let leaked = self.words[other]
            .iter()
            .find(|word| !self.words[own as usize].contains(*word) && is_in(word, message));
        if let Some(word) = leaked {
            panic!("{word} is not the business of {own:?}:\n{message}");
        }
        if own == Network::Vendors && is_first(message) {
            self.check_first(peer.ip(), message);
        }
    }

    /// An INVITE that opens a dialog with a vendor has no word of another vendor, but for where it goes: to
    /// an address or a Request-URI to which a redirection or a route leads.
    fn check_first(&self, vendor: IpAddr, message: &str) {
        let is_free = |word: &str| word.len() < 5 || word.parse::<IpAddr>().is_ok();
        let none = BTreeSet::new();
        let (_, message) = message.split_once("\r\n").unwrap_or_default();
        let own = self.of_vendors.get(&vendor).unwrap_or(&none);
        let others = self.of_vendors.iter().filter(|(other, _)| **other != vendor);
        let leaked = others
            .flat_map(|(_, words)| words)
            .find(|word| !own.contains(*word) && !is_free(word) && is_in(word, message));
        if let Some(word) = leaked {
            panic!("{word} is another vendor's, and no business of {vendor}:\n{message}");
        }
    }
}

/// What names somebody or something in a message.
fn words(message: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(": ").unwrap_or(("", line));
        match name {
            "Call-ID" | "User-Agent" | "Server" => found.push(value.to_owned()),
            "Warning" | "Reason" | "Retry-After" => found.extend(names(value)),
            _ if name.starts_with("X-") => found.extend(names(value)),
            "Replaces" => {
                found.extend(value.split(';').next().map(str::to_owned));
                found.extend(params(value));
            }
            "" | "Via" | "From" | "To" | "Contact" | "Record-Route" | "Route" | "Refer-To"
            | "Referred-By" => {
                // Header fields in a URI are escaped.
                let value = &value.replace("%40", "@").replace("%3B", ";").replace("%3D", "=");
                found.extend(params(value));
                found.extend(hosts(value));
                found.extend(users(value));
                found.extend(replaced(value));
            }
            _ => {}
        }
    }
    for line in body.split("\r\n") {
        match line.split_once('=') {
            Some(("o", value)) => {
                let words = value.split(' ').enumerate();
                let telling = words.filter(|(at, _)| [0, 1, 5].contains(at));
                found.extend(telling.map(|(_, word)| word.to_owned()));
            }
            Some(("c", value)) => found.extend(value.split(' ').nth(2).map(str::to_owned)),
            Some(("s" | "i" | "u" | "e" | "p", value)) => found.push(value.to_owned()),
            Some((_, value)) => found.extend(addresses(value)),
            None => {}
        }
    }
    found.retain(|word| is_telling(word));
    found
}

/// Whether a message is an INVITE that belongs to no dialog yet.
fn is_first(message: &str) -> bool {
    let to = message.split_once("\r\nTo: ").and_then(|(_, rest)| rest.split("\r\n").next());
    message.starts_with("INVITE ") && to.is_some_and(|to| !to.contains(";tag="))
}

/// Whether a word names something: short ones and zeros do not.
fn is_telling(word: &str) -> bool {
    let is_short = word.len() < 3 && !word.contains('=');
    let is_nothing = ["0.0.0.0", "::", "invalid", "anonymous.invalid"].contains(&word);
    !is_short && !is_nothing && !COMMON.contains(&word)
}

/// `tag=…`, `branch=…`, as they stand, and what they say where that is long.
fn params(value: &str) -> impl Iterator<Item = String> {
    let of_interest = |param: &&str| {
        ["tag=", "branch=", "to-tag=", "from-tag="].iter().any(|name| param.starts_with(name))
    };
    let found = value.split([';', ',', '>', '?', '&']).filter(of_interest).map(str::trim);
    found.flat_map(|param| {
        let said = param.split_once('=').map_or("", |(_, said)| said);
        let said = Some(said).filter(|said| said.len() >= 8);
        [Some(param), said].into_iter().flatten().map(str::to_owned)
    })
}

/// Who stands before an at sign.
fn users(value: &str) -> impl Iterator<Item = String> {
    let uris = value.split("<sip:").skip(1);
    let users = uris.filter_map(|uri| Some(uri.split(['>', '?']).next()?.split_once('@')?.0));
    users.filter_map(|user| user.split(';').next()).map(str::to_owned)
}

/// The call that a URI says will be replaced.
fn replaced(value: &str) -> Option<String> {
    let (_, dialog) = value.split_once("Replaces=")?;
    dialog.split([';', '>', '&']).next().map(str::to_owned)
}

/// Words of a text for people that name a host.
fn names(value: &str) -> impl Iterator<Item = String> {
    let words = value.split(|it: char| !it.is_ascii_alphanumeric() && it != '.' && it != '-');
    let names = words.map(|word| word.trim_matches('.')).filter(|word| word.len() > 5);
    names.filter(|word| word.contains('.')).map(str::to_owned)
}

/// Addresses, wherever they stand.
fn addresses(value: &str) -> impl Iterator<Item = String> {
    let words = value.split(|it: char| !it.is_ascii_hexdigit() && it != '.' && it != ':');
    let parts = words.flat_map(|word| [Some(word), word.split_once(':').map(|(_, rest)| rest)]);
    let ips = parts.flatten().filter(|word| word.parse::<IpAddr>().is_ok());
    ips.chain(value.split(':').filter(|word| word.parse::<IpAddr>().is_ok())).map(str::to_owned)
}

/// What stands behind an at sign, `sip:` or a protocol, up to where a host ends.
fn hosts(value: &str) -> impl Iterator<Item = String> {
    let starts = ["@", "<sip:", "UDP "];
    let found = starts.into_iter().flat_map(|start| value.split(start).skip(1));
    let hosts = found.map(|rest| match rest.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => rest.split([':', ';', '>', ' ', ',', '?']).next().unwrap_or_default(),
    });
    hosts.filter(|host| !host.contains('@')).map(str::to_owned)
}

/// Whether a word stands in a text and is no part of a longer one.
fn is_in(word: &str, text: &str) -> bool {
    let is_part = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).map(|at| text.as_bytes()[at]);
        let after = text.as_bytes().get(at + word.len()).copied();
        !is_part(before) && !is_part(after)
    })
}

/// A description by somebody with a name, who stands behind other addresses as well.
fn named_sdp(name: &str, address: &str, session: u32) -> String {
    let inside = format!("10.{}.{}", session / 10_000, session % 100);
    let six = format!("fd00:{session:x}");
    format!(
        "v=0\r\no={name} {session} {session} IN IP4 {address}\r\ns={name}'s talk\r\n\
         i=about {name}\r\nu=http://{address}/\r\ne={name}@{address}\r\np=+49 {session}\r\n\
         c=IN IP4 {address}\r\nt=0 0\r\nk=uri:https://{inside}.1/key\r\na=tool:{name}\r\n\
         a=rtcp:4001 IN IP4 {inside}.2\r\na=ccap:1 IN IP4 {inside}.3\r\nm=audio 4000 RTP/AVP 0\r\n\
         a=rtcp:4001 IN IP4 {address}\r\na=ssrc:7 cname:{name}@{address}\r\n\
         a=candidate:1 1 UDP 1 {address} 4000 typ host\r\na=altc:1 IP4 {inside}.4 4000\r\n\
         a=altc:2 IP6 {six}::5 4000\r\na=X-nat:{inside}.6:{six}:1:2:3:4:5:6\r\n"
    )
}

fn caller_named(lines: &str) -> String {
    invite(1, &named_sdp("caroline", "198.51.100.7", 771_001))
        .replace("Contact: <sip:1234@198.51.100.7:5060>", "Contact: <sip:desk-7@198.51.100.7:5060>")
        .replace("CSeq: 1", &format!("{lines}CSeq: 1"))
}

impl World {
    /// Both sides take every field that may pass.
    fn passes_all(&mut self) {
        for gateway in [CUSTOMER, VENDOR] {
            self.wants(gateway, |peer| {
                peer.headers = link::profile::HeadersPassed::All as u8;
                peer.reason = 1;
                peer.retry_after = 1;
                peer.privacy = 1;
            });
        }
    }
}

const INSIDE: &str = "Record-Route: <sip:edge.customer.example;lr>, <sip:198.51.100.8;lr>\r\n\
    Warning: 399 core.customer.example \"from 198.51.100.9\"\r\nSubject: at 198.51.100.9\r\n\
    Organization: hello\r\nX-Trace: call1@alice\r\nX-Core: core.customer.example\r\n\
    X-Branch: edge.customer.example 7\r\n";

#[test]
fn nothing_of_either_network_is_seen_in_the_other() {
    use link::profile::HeadersPassed;
    let mut world = World::new();
    for gateway in [CUSTOMER, VENDOR] {
        world.wants(gateway, |peer| peer.headers = HeadersPassed::All as u8);
    }
    world.caller_sends(&caller_named(INSIDE));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0, 1]);
    let first = world.vendor_gets(0, "INVITE ");
    assert_eq!(header(&first, "Organization"), "hello");
    let vendors = |status, tag: &str, content: &str| {
        let lines = "Record-Route: <sip:sbc.vendor.example;lr>\r\nServer: Core 7\r\n\
            Warning: 301 switch7.vendor.example \"203.0.113.77 is full\"\r\n";
        response(&first, status, tag, "203.0.113.66", content)
            .replace("CSeq: ", &format!("{lines}CSeq: "))
    };
    let described = named_sdp("victor", "203.0.113.10", 881_002);
    for status in [180, 183] {
        world.vendor_sends(0, &vendors(status, "secret-tag", &described));
        world.caller_gets(&format!("SIP/2.0 {status} "));
    }
    // A redirection is the vendor's own affair.
    world.vendor_sends(0, &vendors(302, "secret-tag", ""));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    let answer = response(&second, 200, "other-tag", "203.0.113.20", &described);
    world.vendor_sends(1, &answer);
    world.vendor_gets(1, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    let again = named_sdp("caroline", "198.51.100.7", 771_001).replace(" 771001 IN", " 771002 IN");
    world.caller_sends(&caller_request("INVITE", 2, &answer, &again));
    world.caller_gets("SIP/2.0 100 ");
    let reinvite = world.vendor_gets(1, "INVITE ");
    let origin = |message: &str| {
        let line = body(message).split("\r\n").find(|line| line.starts_with("o=")).unwrap();
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        (words[1].clone(), words[2].parse::<u64>().unwrap())
    };
    let (before, after) = (origin(&second), origin(&reinvite));
    assert_eq!((before.0, before.1 + 1), (after.0, after.1), "one session, one version on");
    world.vendor_says(1, &reinvite, 488, "", "");
    world.caller_gets("SIP/2.0 488 ");
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.vendor_gets(1, "ACK ");
    world.vendor_gets(1, "BYE ");
    world.settles();
}

#[test]
fn a_failure_says_nothing_of_who_failed() {
    for status in [301, 302, 305, 380, 404, 486, 500, 503, 606] {
        let mut world = World::new();
        world.passes_all();
        let (_, first) = world.call_begins(&[0]);
        let lines = "Warning: 301 switch7.vendor.example \"203.0.113.77 is full\"\r\n\
            X-Switch: switch7.vendor.example\r\nX-Leg: secret-tag\r\nReason: SIP;cause=500;text=\"sbc 203.0.113.77\"\r\nRetry-After: 7 (vendor)\r\n";
        let failure = response(&first, status, "secret-tag", "203.0.113.66", "")
            .replace("CSeq: ", &format!("{lines}CSeq: "));
        world.vendor_sends(0, &failure);
        let told = world.caller_gets("SIP/2.0 ");
        for field in ["Warning", "Retry-After", "Contact"] {
            assert!(!told.contains(&format!("\r\n{field}: ")), "{told}");
        }
        world.settles();
    }
}

/// Why somebody hangs up, gives up or refuses, in the words of a switch.
#[test]
fn a_reason_keeps_its_cause_and_loses_the_names_in_its_text() {
    let telling = |protocol: &str| {
        format!(
            "Reason: {protocol};cause=19;text=\"core7.inside.example: no user at 10.66.0.7\", \
             X;text=\"sbc.inside.example\"\r\n"
        )
    };
    let open = || {
        let mut world = World::new();
        for gateway in [CUSTOMER, VENDOR] {
            world.wants(gateway, |peer| peer.reason = 1);
        }
        world
    };
    let is_told = |text: &str, protocol: &str| {
        assert_eq!(header(text, "Reason"), format!("{protocol};cause=19"));
        assert!(!text.contains("inside.example"), "{text}");
    };
    let mut world = open();
    let (_, _, answer) = world.talking();
    let bye = with_lines(&caller_request("BYE", 2, &answer, ""), &telling("Q.850"));
    world.caller_sends(&bye);
    is_told(&world.vendor_gets(0, "BYE "), "Q.850");
    world.settles();

    let mut world = open();
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    let cancel = beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>");
    world.caller_sends(&with_lines(&cancel, &telling("SIP")));
    is_told(&world.vendor_gets(0, "CANCEL "), "SIP");
    world.settles();

    let mut world = open();
    let (_, first) = world.call_begins(&[0]);
    let failure = response(&first, 480, "v", VENDORS[0], "");
    world.vendor_sends(0, &with_lines(&failure, &telling("Q.850")));
    is_told(&world.caller_gets("SIP/2.0 480 "), "Q.850");
    world.settles();
}

/// Whatever fails inside a call: the text of the far side's failure, and where it sends us.
#[test]
fn a_failure_inside_a_call_says_nothing_of_who_failed() {
    let lines = "Warning: 301 switch7.vendor.example \"203.0.113.77 is full\"\r\n\
        Contact: <sip:elsewhere@203.0.113.78>\r\nError-Info: <sip:help@203.0.113.79>\r\n\
        Retry-After: 7 (until 203.0.113.77 is there)\r\n";
    for (method, status, told) in
        [("INVITE", 302, 488), ("INVITE", 488, 488), ("UPDATE", 503, 503), ("INFO", 415, 415)]
    {
        let mut world = World::new();
        world.passes_all();
        let (_, _, answer) = world.talking_to(UPDATES);
        let content = if method == "INFO" { String::new() } else { caller_sdp() };
        world.caller_sends(&caller_request(method, 2, &answer, &content));
        let passed = world.vendor_gets(0, &format!("{method} "));
        let failure = response(&passed, status, "", VENDORS[0], "");
        world.vendor_sends(0, &with_lines(&failure, lines));
        world.inbox.retain(|(_, text)| !text.starts_with(TRYING));
        let told = world.caller_gets(&format!("SIP/2.0 {told} "));
        for field in ["Warning", "Retry-After", "Contact", "Error-Info"] {
            assert!(!told.contains(&format!("\r\n{field}: ")), "{told}");
        }
        world.settles();
    }
}

/// A transfer has three networks: whoever hands over, whoever stays, and the target.
#[test]
fn nothing_of_a_transfer_is_seen_where_it_is_not_from() {
    // A customer hands over: its words are looked for in whatever the vendors get, and theirs in what it
    // gets, above all in the NOTIFYs.
    let mut world = World::new();
    for gateway in [CUSTOMER, VENDOR, VENDOR + 1] {
        world.wants(gateway, |peer| {
            peer.transfer = 1;
            peer.headers = link::profile::HeadersPassed::All as u8;
        });
    }
    let telling = "Refer-To: <sip:7777@core.customer.example;x=198.51.100.77?Subject=198.51.100.78>\r\n\
        Referred-By: <sip:the-boss@pbx.customer.example>;cid=\"1@198.51.100.79\"\r\n\
        Organization: pbx\r\n";
    let (_, _, answer) = world.talking();
    world.caller_sends(&with_lines(&caller_request("REFER", 2, &answer, ""), telling));
    world.caller_gets("SIP/2.0 202 ");
    let trying = world.caller_gets("NOTIFY ");
    world.caller_sends(&response(&trying, 200, "", CALLER, ""));
    let admit = world.admit();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    for word in ["Referred-By", "Refer-To", "Replaces", "the-boss", "198.51.100"] {
        assert!(!to_target.contains(word), "{to_target}");
    }
    let lines = "Warning: 399 switch7.vendor.example \"203.0.113.77 is full\"\r\n";
    for (status, told) in [(183, "183 Session Progress"), (302, "503 Service Unavailable")] {
        let said = response(&to_target, status, "the-target", "203.0.113.99", "");
        let said = said.replace("Whatever", "sbc.vendor.example says");
        world.vendor_sends(1, &with_lines(&said, lines));
        let notify = world.caller_gets("NOTIFY ");
        assert_eq!(body(&notify), format!("SIP/2.0 {told}\r\n"));
        world.caller_sends(&response(&notify, 200, "", CALLER, ""));
    }
    world.vendor_gets(1, "ACK ");
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();

    // A vendor hands over to another one, which learns nothing of it.
    let mut world = World::new();
    for gateway in [CUSTOMER, VENDOR, VENDOR + 1] {
        world.wants(gateway, |peer| peer.transfer = 1);
    }
    let (_, second, _) = world.talking();
    let refer = vendor_request(0, "REFER", 1, &second, "v", "");
    let telling = "Refer-To: <sip:7777@core.vendor.example?Subject=203.0.113.78>\r\n\
        Referred-By: <sip:the-boss@203.0.113.79>\r\n";
    world.vendor_sends(0, &with_lines(&refer, telling));
    let admit = world.admit();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "the-target", &vendor_sdp());
    world.commit();
    let again = world.caller_gets("INVITE ");
    world.caller_sends(&response(&again, 200, "", CALLER, &caller_sdp()));
    let ack = world.vendor_gets(1, "ACK ");
    let call_id = header(&second, "Call-ID").to_owned();
    let tag = header(&second, "From").split_once("tag=").unwrap().1.to_owned();
    for text in [&to_target, &ack, &again] {
        let of_the_first =
            ["the-boss", "core.vendor.example", "203.0.113.78", "203.0.113.79", "203.0.113.10"];
        for word in of_the_first.into_iter().chain([call_id.as_str(), &tag]) {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    world.settles();
}

#[test]
fn a_box_behind_nat_says_its_public_address_alone() {
    let mut setup = setup(limits());
    for (local, private) in setup.locals.iter_mut().zip(["10.7.0.1", "10.8.0.1"]) {
        local.advertise = Some(local.address);
        local.address = private.parse().unwrap();
    }
    // The way to the vendor.
    setup.locals[1].prefix_bits = 0;
    let mut world = World::new();
    world.switch = Switch::new(setup);
    world.switch.set_control_alive(true);
    world.wants(VENDOR, |vendor| vendor.identity = 1);
    world.receive(CALLER, "10.7.0.1:5060", &invite(1, &caller_sdp()));
    let call = world.admit().call;
    world.route_with(call, &[0], |route| route.diverter = Text::new(b"555").unwrap());
    let first = world.vendor_gets(0, "INVITE ");
    world.receive(
        VENDORS[0],
        "10.8.0.1:5060",
        &response(&first, 200, "v", VENDORS[0], &vendor_sdp()),
    );
    world.commit();
    for (to, text) in world.inbox.iter().chain([&(VENDORS[0].parse().unwrap(), first)]) {
        assert!(!text.contains("10.7.0.") && !text.contains("10.8.0."), "{text}");
        let ours = if *to == CALLER.parse().unwrap() { "192.0.2.1" } else { "203.0.113.1" };
        assert!(text.contains(ours), "{text}");
    }
    world.settles();
}

#[test]
fn the_watch_sees_what_it_is_to_see() {
    let mut hiding = Hiding::default();
    let caller: SocketAddr = CALLER.parse().unwrap();
    let vendor: SocketAddr = VENDORS[0].parse().unwrap();
    hiding.learn(caller, &caller_named(INSIDE));
    hiding.learn(
        caller,
        "REFER sip:192.0.2.1 SIP/2.0\r\n\
         Refer-To: <sip:7777@192.0.2.1?Replaces=9c1d%40pbx%3Bto-tag%3Dleaves-no-trace>\r\n\
         Referred-By: <sip:the-boss@pbx.customer.example>\r\n\
         Reason: SIP;cause=1;text=\"of why.customer.example\"\r\n\r\n",
    );
    hiding.check(vendor, "INVITE sip:004420@203.0.113.10 SIP/2.0\r\nX: abc771001\r\n\r\n");
    for word in [
        "198.51.100.7",
        "192.0.2.1",
        "call1@alice",
        "tag=a1",
        "branch=z9hG4bKinvite1",
        "desk-7",
        "edge.customer.example",
        "core.customer.example",
        "198.51.100.8",
        "771001",
        "caroline",
        "9c1d@pbx",
        "leaves-no-trace",
        "the-boss",
        "pbx.customer.example",
        "why.customer.example",
    ] {
        let leaks = format!("INVITE sip:b@c SIP/2.0\r\nX: {word};y\r\n\r\n");
        let caught = std::panic::catch_unwind(|| hiding.check(vendor, &leaks));
        assert!(caught.is_err(), "{word} was not seen");
        hiding.check(caller, &leaks);
    }
}
