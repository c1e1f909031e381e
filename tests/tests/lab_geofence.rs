//! Fences in the lab: calls that are each wrong in one respect are each stopped by that check, over IPv4 and
//! IPv6, and fences change while calls go on.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::carrier::{callers, counted, number, raised, vendor};
use tests::lab::Lab;
use tests::sipp::{SDP, Script, answer, inside, invite, leaves, left, submit, takes, talks};
use tests::stage::{Family, Scene, Side, Stage, Vendor, Way, Ways, spots};

/// Addresses of the lab that no peer has.
const OUTSIDE: u8 = 200;

/// Where peers of both sides are, and where none is.
const SETS: [(&str, &[&str]); 3] = [
    ("here", &["10.10.1.1-10.10.1.99", "fd10:1::1-fd10:1::63"]),
    ("there", &["10.10.2.1-10.10.2.99", "fd10:2::1-fd10:2::63"]),
    ("elsewhere", &["10.10.1.200/29", "10.10.2.200/29", "fd10:1::c8/125", "fd10:2::c8/125"]),
];

fn make_sets(tollgate: impl Fn(&str) -> Value) {
    for (name, ranges) in SETS {
        tollgate(&format!("firewall geo create {name} --dated 2026-01-31"));
        for range in ranges {
            tollgate(&format!("firewall geo add {name} {range}"));
        }
    }
}

/// A description that wants its media where nobody may be.
fn moved(side: Side, family: Family) -> String {
    let address = side.address(family, OUTSIDE);
    let version = if address.is_ipv4() { 4 } else { 6 };
    SDP.replace("c=IN IP[media_ip_type] [media_ip]", &format!("c=IN IP{version} {address}"))
}

fn refused(offer: &str) -> Script {
    Script::new().asks(invite("", offer)).may_get("100").gets("403").says(submit())
}

fn scenes(family: Family) -> Vec<Scene> {
    let ours = moved(Side::Customers, family);
    let theirs = moved(Side::Vendors, family);
    let answers_outside = Script::new()
        .gets("INVITE")
        .says(answer("200 OK", "", &theirs))
        .gets("ACK")
        .gets("BYE")
        .says(answer("200 OK", "", "").replace(";tag=[pid]v[call_number]", ""));
    let moves = talks()
        .asks(inside("INVITE", 2, "", &ours))
        .may_get("100")
        .gets("488")
        .says(inside("ACK", 2, "", ""));
    let allowed = &["fence_mode=allow", "fence_sets=here"];
    vec![
        Scene::alone("a caller inside a forbidden set is refused", refused(SDP))
            .of(&["fence_mode=forbid", "fence_sets=elsewhere;here"]),
        // There is a vendor, and he never hears of it.
        Scene::alone("an offer from outside is refused", refused(&ours))
            .and(Vendor { fields: Some(&[]), plays: None })
            .of(allowed),
        Scene::new(
            "an answer from outside leads to the next vendor",
            leaves(talks(), 2),
            Vendor::new(&["fence_mode=allow", "fence_sets=there"], answers_outside),
        )
        .and(Vendor::new(&["fence_mode=forbid", "fence_sets=elsewhere"], left(takes())))
        .of(allowed)
        .ends("normal", &[200, 200]),
        Scene::new(
            "a change of the session to outside is refused and the call goes on",
            leaves(moves, 3),
            Vendor::new(&["fence_mode=ignore"], left(takes())),
        )
        .of(allowed),
        Scene::new(
            "who is inside calls as ever",
            leaves(talks(), 2),
            Vendor::new(&["fence_mode=allow", "fence_sets=there;elsewhere"], left(takes())),
        )
        .of(allowed),
    ]
}

#[test]
fn calls_that_are_wrong_in_one_respect_are_each_stopped_by_that_check() {
    let ways = [Way::PLAIN, Way { family: Family::Six, ..Way::PLAIN }];
    let plays: Vec<(Scene, Ways)> = ways
        .iter()
        .flat_map(|&way| scenes(way.family).into_iter().map(move |it| (it, Ways::both(way))))
        .collect();
    let stage = Stage::raised(spots(plays.len())).expect("the stage is raised");
    let Some(stage) = stage else { return };
    make_sets(|command| stage.tollgate(command).expect("a set is made"));
    let mut faults = Vec::new();
    for (spot, (scene, ways)) in spots(plays.len()).zip(&plays) {
        faults.extend(stage.play(spot, scene, *ways).err());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    let status = stage.tollgate("status").expect("both daemons answer");
    let fences = status.get("fences").cloned().unwrap_or_default();
    assert_eq!(number(&fences, "signalling"), 2, "{fences}");
    assert_eq!(number(&fences, "description"), 6, "{fences}");
    let events = events(&stage.lab);
    for (name, count) in [("geofence_refused", 2), ("geofence_sdp", 6)] {
        let found = events.iter().filter(|event| event.as_str() == name).count();
        assert_eq!(found, count, "{name} in {events:?}");
    }
}

/// The names of all recent events.
fn events(lab: &Lab) -> Vec<String> {
    let page = lab.tollgate(&["alarm", "events", "--limit", "1000"]).expect("events are listed");
    let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let names = items.iter().filter_map(|event| event.get("name").and_then(Value::as_str));
    names.map(str::to_owned).collect()
}

/// A caller of plain sockets, who says where his media is and sends it from where he likes.
struct Caller<'a> {
    lab: &'a Lab,
    own: IpAddr,
    signalling: UdpSocket,
}

fn host(address: IpAddr) -> String {
    SocketAddr::new(address, 5090).to_string().rsplit_once(':').expect("a port").0.to_owned()
}

impl<'a> Caller<'a> {
    fn new(lab: &'a Lab, family: Family) -> Self {
        let own = Side::Customers.address(family, 1);
        let socket = lab.socket("cust", &SocketAddr::new(own, 5090).to_string());
        let signalling = socket.expect("an address of the customers' side");
        signalling.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        Self { lab, own, signalling }
    }

    fn media(&self, address: IpAddr, port: u16) -> UdpSocket {
        let socket = self.lab.socket("cust", &SocketAddr::new(address, port).to_string());
        let socket = socket.expect("a socket for media");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        socket
    }

    fn says(&self, method: &str, to_tag: &str, lines: &str, body: &str) {
        let appliance = match self.own {
            IpAddr::V4(_) => Side::Customers.address(Family::Four, 2),
            IpAddr::V6(_) => Side::Customers.address(Family::Six, 2),
        };
        let (own, far) = (host(self.own), host(appliance));
        let text = format!(
            "{method} sip:442079460000@{far} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own}:5090;branch=z9hG4bKfence{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:39061234@{own}>;tag=f\r\n\
             To: <sip:442079460000@{far}>{to_tag}\r\nCall-ID: fence@{own}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:39061234@{own}:5090>\r\n{lines}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let to = SocketAddr::new(appliance, 5060);
        self.signalling.send_to(text.as_bytes(), to).expect("it is sent");
    }

    /// Calls, with media at this port; where ours is, once it is answered.
    fn calls(&self, port: u16) -> SocketAddr {
        let version = if self.own.is_ipv4() { 4 } else { 6 };
        let place = format!("IN IP{version} {}", self.own);
        let body = format!(
            "v=0\r\no=- 1 1 {place}\r\ns=-\r\nc={place}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
        );
        self.says("INVITE", "", "Content-Type: application/sdp\r\n", &body);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut buffer = [0; 8_192];
        while Instant::now() < deadline {
            let Ok(length) = self.signalling.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !text.starts_with("SIP/2.0 200 ") {
                assert!(text.starts_with("SIP/2.0 1"), "{text}");
                continue;
            }
            let line = |start: &str| {
                text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default()
            };
            let tag = line("To: ").split_once(";tag=").map_or("", |(_, tag)| tag).to_owned();
            self.says("ACK", &format!(";tag={tag}"), "", "");
            let address = line("c=IN IP").split(' ').nth(1).unwrap_or_default().to_owned();
            let port = line("m=audio ").split(' ').next().unwrap_or_default().to_owned();
            let address: IpAddr = address.parse().expect("our address");
            return SocketAddr::new(address, port.parse().expect("our port"));
        }
        panic!("nobody answers");
    }
}

/// One packet of A-law.
fn rtp(sequence: u8) -> Vec<u8> {
    let head = [0x80, 8, 0, sequence, 0, 0, 0, sequence, 7, 7, 7, 7];
    [&head[..], &[0xd5; 160]].concat()
}

#[test]
fn media_from_outside_is_not_learned_and_an_event_tells_of_it() {
    let Some(lab) = raised(2, true) else { return };
    let _vendor = vendor(&lab, 60);
    let tollgate = |command: &str| {
        lab.tollgate(&command.split(' ').collect::<Vec<_>>()).expect("it is obeyed")
    };
    make_sets(tollgate);
    tollgate("gateway mapping set pbx --address 10.10.1.1 --address fd10:1::1");
    tollgate("gateway mapping set pbx --fence-mode allow --fence-set here");
    let mut dropped = 0;
    for family in [Family::Four, Family::Six] {
        let outside = Side::Customers.address(family, OUTSIDE);
        lab.add_address("cust", &outside.to_string()).expect("an address outside");
        let caller = Caller::new(&lab, family);
        let port = 40_000;
        let ours = caller.calls(port);
        let wrong = caller.media(outside, port);
        for sequence in 0..5 {
            wrong.send_to(&rtp(sequence), ours).expect("it is sent");
        }
        dropped += 5;
        let status = || lab.tollgate(&["status"]).expect("both daemons answer");
        let counts = || counted(&status(), "media_fenced") == dropped;
        assert!(Lab::wait_until(Duration::from_secs(5), counts), "{family:?}: {}", status());
        assert!(wrong.recv(&mut [0; 2_000]).is_err(), "nothing comes back");
        let right = caller.media(caller.own, port);
        let comes_back = || {
            right.send_to(&rtp(9), ours).expect("it is sent");
            right.recv(&mut [0; 2_000]).is_ok()
        };
        assert!(Lab::wait_until(Duration::from_secs(5), comes_back), "{family:?}: he is heard");
        assert_eq!(counted(&status(), "media_fenced"), dropped);
    }
    let told = events(&lab).iter().filter(|name| name.as_str() == "geofence_media").count();
    assert_eq!(told, 2, "one for each address");
}

#[test]
fn sets_and_fences_change_while_calls_go_on() {
    let Some(lab) = raised(2, true) else { return };
    let _vendor = vendor(&lab, 60);
    let tollgate = |command: &str| {
        lab.tollgate(&command.split(' ').collect::<Vec<_>>()).expect("it is obeyed")
    };
    make_sets(tollgate);
    let list = std::env::temp_dir().join(format!("tollgate-geo-{}.zone", std::process::id()));
    // A hundred thousand networks that do not touch, none of them of the lab.
    let prefixes: String = (0..100_000_u32)
        .map(|n| format!("{}/28\n", IpAddr::from((0x2000_0000 + n * 64).to_be_bytes())))
        .collect();
    std::fs::write(&list, prefixes).expect("a list is written");
    let running = callers(&lab, 5070, 20, 10);
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    tollgate(&format!("firewall geo import large {} --dated 2026-01-31", list.display()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    tollgate("param set TG_FENCE_SETS large,elsewhere");
    tollgate("param set TG_FENCE_MODE 1");
    let shown = tollgate("firewall geo show large");
    assert_eq!((number(&shown, "ranges"), number(&shown, "fences")), (100_000, 1), "{shown}");
    tollgate("gateway mapping set pbx --fence-mode forbid --fence-set here");
    let refused = callers(&lab, 5072, 1, 1).json().expect("the caller reports");
    assert_eq!(number(&refused, "answered"), 0, "{refused}");
    tollgate("firewall geo remove here 10.10.1.1");
    let taken = callers(&lab, 5074, 1, 1).json().expect("the caller reports");
    assert_eq!(number(&taken, "answered"), 1, "{taken}");
    let result = running.json().expect("the callers report");
    assert_eq!((number(&result, "answered"), number(&result, "ended")), (20, 20), "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert!(received * 1000 >= sent * 999, "RTP loss over 0.1 %: {result}");
    let status = lab.tollgate(&["status"]).expect("both daemons answer");
    assert_eq!(status.get("ready"), Some(&json!(true)), "{status}");
    let _ = std::fs::remove_file(list);
}
