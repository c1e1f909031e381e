//! What strangers and broken peers send, from outside, while calls go on: it costs a counter.

use std::net::UdpSocket;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tests::carrier::{callers, expect_cdrs, number, raised, vendor};
use tests::lab::{BOX_CUSTOMER_SIDE, Lab, root};

/// A peer that says what it likes and hears what comes back.
struct Peer(UdpSocket);

impl Peer {
    fn new(lab: &Lab, address: &str) -> Self {
        let socket = lab.socket("cust", address).expect("an address of the customers' side");
        socket.set_read_timeout(Some(Duration::from_millis(700))).expect("a timeout");
        Self(socket)
    }

    fn send(&self, to: &str, bytes: &[u8]) {
        // A burst may meet a full send buffer; what is not sent need not be survived.
        let _ = self.0.send_to(bytes, to);
    }

    /// What is answered to one datagram at last, 1xx aside: status and all of it.
    fn response(&self, bytes: &[u8]) -> Option<(u16, String)> {
        self.send(BOX_CUSTOMER_SIDE, bytes);
        let mut buffer = [0; 65_536];
        let mut found = None;
        // To the end, so that no repetition is taken for the answer to the next datagram.
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let digits = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
            let status = digits.and_then(|digits| digits.parse::<u16>().ok()).unwrap_or(0);
            if status >= 200 && found.is_none() {
                found = Some((status, text));
            }
        }
        found
    }

    fn answer(&self, bytes: &[u8]) -> Option<u16> {
        self.response(bytes).map(|(status, _)| status)
    }
}

/// The value of a header of a response.
fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default()
}

/// ACK or BYE of the call that this 200 opened.
fn inside(method: &str, cseq: u32, answer: &str) -> Vec<u8> {
    let [from, to, call_id] = ["From", "To", "Call-ID"].map(|name| header(answer, name));
    format!(
        "{method} sip:10.10.1.2:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.10.1.1:5090;branch=z9hG4bKinside{method};rport\r\n\
         Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// An INVITE of the customer's, with lines of one's own and any body.
fn invite(number: u32, lines: &str, length: usize, body: &str) -> Vec<u8> {
    format!(
        "INVITE sip:441130{number:04}@10.10.1.2 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.10.1.1:5090;branch=z9hG4bKhostile{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:39061234@10.10.1.1>;tag=h{number}\r\n\
         To: <sip:441130{number:04}@10.10.1.2>\r\nCall-ID: hostile-{number}@10.10.1.1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:39061234@10.10.1.1:5090>\r\n{lines}\
         Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn sdp(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.10.1.1\r\ns=-\r\nc=IN IP4 10.10.1.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\n"
    )
}

/// Messages that nobody here wrote.
fn foreign_messages() -> Vec<Vec<u8>> {
    let folder = root().join("../shared/corpus/rfc4475");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no messages of RFC 4475 at {}", folder.display());
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "dat"))
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

/// Everything at once, from a customer and from a stranger.
fn attack(peer: &Peer, dice: &mut StdRng) {
    let body = sdp(40_000);
    let good = invite(1, "", body.len(), &body);
    for end in 0..good.len() {
        // Cut off anywhere but inside the request line, where it could still be whole to the eye.
        peer.send(BOX_CUSTOMER_SIDE, &good[..end]);
    }
    for message in foreign_messages() {
        peer.send(BOX_CUSTOMER_SIDE, &message);
    }
    let nested = format!("Contact: {}\r\n", "<".repeat(900));
    let comments = format!("Subject: {}\r\n", "(\"\\".repeat(400));
    let endless = format!("X: {}\r\n", "a,".repeat(3_000));
    let many = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n".repeat(60);
    for lines in [nested, comments, endless, many] {
        peer.send(BOX_CUSTOMER_SIDE, &invite(2, &lines, body.len(), &body));
    }
    for _ in 0..2_000 {
        let mut bytes = vec![0; dice.random_range(0..1_400)];
        dice.fill(&mut bytes[..]);
        peer.send(BOX_CUSTOMER_SIDE, &bytes);
        // One byte of a good message changed.
        let mut bent = good.clone();
        let place = dice.random_range(0..bent.len());
        bent[place] = dice.random();
        peer.send(BOX_CUSTOMER_SIDE, &bent);
        // Audio into calls of others, and noise into their ports.
        let port = dice.random_range(10_000..10_400_u16);
        let mut audio = vec![0x80; dice.random_range(0..300)];
        dice.fill(&mut audio[..]);
        peer.send(&format!("10.10.1.2:{port}"), &audio);
        peer.send(&format!("10.10.1.2:{}", port | 1), &audio);
    }
}

/// The sum of these counters over all workers.
fn counted(status: &Value, names: &[&str]) -> u64 {
    let workers = status.get("workers").and_then(Value::as_array).cloned().unwrap_or_default();
    let counters = workers.iter().filter_map(|worker| worker.get("counters"));
    counters.flat_map(|all| names.iter().map(|name| number(all, name))).sum()
}

#[test]
fn bad_input_costs_counters_while_calls_go_on() {
    let Some(lab) = raised(2, true) else { return };
    lab.add_address("cust", "10.10.1.66").expect("a stranger's address");
    let vendor = vendor(&lab, 40);
    let running = callers(&lab, 5070, 20, 8);
    std::thread::sleep(Duration::from_secs(2));
    let mut dice = StdRng::seed_from_u64(4475);
    for address in ["10.10.1.1:5090", "10.10.1.66:5090"] {
        attack(&Peer::new(&lab, address), &mut dice);
    }
    let result = running.json().expect("the callers report");
    assert_eq!((number(&result, "answered"), number(&result, "ended")), (20, 20), "{result}");
    assert_eq!(number(&result, "changed"), 0, "{result}");
    let (sent, received) = (number(&result, "sent"), number(&result, "received"));
    assert!(received * 1000 >= sent * 999, "RTP loss over 0.1 %: {result}");
    let status = lab.tollgate(&["status"]).expect("both daemons answer");
    assert_eq!(status.get("ready"), Some(&json!(true)), "{status}");
    let faults = ["faults_answered", "faults_dropped"];
    // What has no start line of SIP, and what is too much of one sender, does not get past the driver.
    let stopped = ["drop_sip_start_line", "drop_invite_budget", "drop_other_budget"];
    let stopped = lab.driver_packets(&stopped).expect("counters are read");
    assert!(counted(&status, &faults) + stopped > 3_000 && stopped > 500, "{stopped} {status}");
    let strays = ["media_no_flow", "media_not_rtp", "media_not_rtcp", "media_stranger"];
    // To ports of no call, and to live ones by others than their far ends, they end in the driver.
    let closed = ["drop_media_closed", "drop_media_stranger"];
    let closed = lab.driver_packets(&closed).expect("counters are read");
    assert!(counted(&status, &strays) + closed > 3_000, "{closed} {status}");
    let recorded = || {
        let page = lab.tollgate(&["cdr", "list", "--gateway", "pbx", "--answered"]).expect("CDRs");
        page.get("items").and_then(Value::as_array).is_some_and(|items| items.len() >= 20)
    };
    assert!(Lab::wait_until(Duration::from_secs(10), recorded), "each call has its CDR");
    drop(vendor);
}

#[test]
fn what_cannot_be_used_is_answered_as_rfc_3261_says() {
    let Some(lab) = raised(1, true) else { return };
    let vendor = vendor(&lab, 60);
    let peer = Peer::new(&lab, "10.10.1.1:5090");
    let body = sdp(40_000);
    let length = body.len();
    let bodies = [
        ("a body shorter than its Content-Length", invite(10, "", length + 50, &body), 400),
        (
            "a Content-Length that is no number",
            {
                let text = String::from_utf8(invite(11, "", length, &body)).expect("text");
                text.replace(&format!("Content-Length: {length}"), "Content-Length: many")
                    .into_bytes()
            },
            400,
        ),
        ("a body that is no description", invite(12, "", 4, "v=x\n"), 488),
        ("an extension nobody knows", invite(13, "Require: teleport\r\n", length, &body), 420),
        (
            "no hops left",
            {
                let text = String::from_utf8(invite(14, "", length, &body)).expect("text");
                text.replace("Max-Forwards: 70", "Max-Forwards: 0").into_bytes()
            },
            483,
        ),
    ];
    for (what, bytes, status) in bodies {
        assert_eq!(peer.answer(&bytes), Some(status), "{what}");
    }
    // A stream with port 0 is one that its own side refuses (RFC 3264 §6): a call without audio, if the
    // vendor takes it.
    let silent = sdp(0);
    assert_eq!(peer.answer(&invite(15, "", silent.len(), &silent)), Some(200));
    drop(vendor);
}

#[test]
fn without_control_a_caller_is_told_when_to_come_back() {
    let Some(lab) = raised(1, true) else { return };
    let peer = Peer::new(&lab, "10.10.1.1:5090");
    lab.script(&["kill", "control"]).expect("control is killed");
    std::thread::sleep(Duration::from_millis(2_500));
    let body = sdp(40_000);
    let (status, answer) = peer.response(&invite(30, "", body.len(), &body)).expect("an answer");
    assert_eq!(status, 503, "{answer}");
    let seconds: u32 = header(&answer, "Retry-After").parse().expect("seconds");
    assert!((1..=300).contains(&seconds), "{answer}");
}

#[test]
fn an_invite_in_fragments_opens_a_call_by_the_rim() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = vendor(&lab, 30);
    let peer = Peer::new(&lab, "10.10.1.1:5090");
    let body = sdp(40_000);
    let padding = format!("X-Padding: {}\r\n", "p".repeat(2_200));
    let (status, answer) =
        peer.response(&invite(20, &padding, body.len(), &body)).expect("an answer");
    assert_eq!(status, 200, "{answer}");
    let calls = || {
        let page = lab.tollgate(&["call", "list"]).expect("calls are listed");
        page.get("items").and_then(Value::as_array).map_or(0, Vec::len)
    };
    assert!(Lab::wait_until(Duration::from_secs(5), || calls() == 1), "{} calls", calls());
    peer.send(BOX_CUSTOMER_SIDE, &inside("ACK", 1, &answer));
    assert_eq!(peer.answer(&inside("BYE", 2, &answer)), Some(200));
    for cdr in expect_cdrs(&lab, 1) {
        assert_eq!(cdr.get("end_reason"), Some(&json!("normal")), "{cdr}");
        assert_ne!(cdr.get("charge"), Some(&json!("0.00")), "{cdr}");
    }
    drop(vendor);
}

#[test]
fn calls_that_nobody_answered_yet_end_with_a_record_when_the_dataplane_dies() {
    let Some(lab) = raised(2, true) else { return };
    let vendor = lab.start(
        "vend",
        "phones",
        &["answer", "--listen", "10.10.2.1:5060", "--seconds", "30", "--rings"],
    );
    let vendor = vendor.expect("the vendor rings");
    std::thread::sleep(Duration::from_millis(300));
    let running = callers(&lab, 5070, 5, 4);
    std::thread::sleep(Duration::from_secs(2));
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let ended = || {
        let page = lab.tollgate(&["cdr", "list", "--end-reason", "dataplane_restart"]);
        let page = page.expect("CDRs are listed");
        page.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    assert!(Lab::wait_until(Duration::from_secs(5), || ended().len() == 5), "{:?}", ended());
    for cdr in ended() {
        assert_eq!(
            (number(&cdr, "hold_ms"), cdr.get("charge")),
            (0, Some(&json!("0.00"))),
            "{cdr}"
        );
    }
    assert!(expect_cdrs(&lab, 0).is_empty());
    drop((running, vendor));
}
