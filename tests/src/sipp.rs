//! Scripts for SIPp, the foreign client that says exactly what it is told and minds every answer.
//!
//! A [`Script`] is one side of one call, step by step; SIPp ends with 0 only if each step came as it was
//! written. Keywords in brackets are SIPp's own.

use std::fmt::Write;
use std::path::Path;

/// How messages are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carrier {
    /// One socket.
    Udp,
    /// One connection.
    Tcp,
    /// One TLS connection. Debian's SIPp has none: it speaks TCP to a tunnel (`tunnel.rs`).
    Tls,
}

impl Carrier {
    /// SIPp's name of what it does itself.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Udp => "u1",
            Self::Tcp | Self::Tls => "t1",
        }
    }

    /// The port of SIP over it.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// As a Via says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// One side of a call.
#[derive(Clone, Debug)]
pub struct Script {
    steps: String,
    /// How often it is played, and how often in a second.
    times: u32,
    rate: u32,
    /// How long it waits for what must come, if not 10 s.
    patience_ms: Option<u32>,
    labels: u32,
}

/// What must be in a message, and what must not: extended regular expressions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Like<'a> {
    /// Each of these.
    pub has: &'a [&'a str],
    /// None of these.
    pub lacks: &'a [&'a str],
}

/// A description of one stream of µ-law audio.
pub const SDP: &str = "v=0
o=user1 53655765 [cseq] IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
";

fn with_body(head: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    format!("{head}{kind}Content-Length: [len]\n\n{body}")
}

/// The caller's INVITE; `lines` are further header lines, each with its line end.
#[must_use]
pub fn invite(lines: &str, body: &str) -> String {
    request("INVITE", 1, "1", TARGET, "", lines, body)
}

/// Takes that INVITE back.
#[must_use]
pub fn cancel() -> String {
    request("CANCEL", 1, "1", TARGET, "", "", "")
}

/// Acknowledges its failure, which is part of its transaction (RFC 3261 §17.1.1.3).
#[must_use]
pub fn submit() -> String {
    request("ACK", 1, "1", TARGET, "[peer_tag_param]", "", "")
}

/// A REGISTER of this user; `lines` are its contacts and what else it says.
#[must_use]
pub fn register(user: &str, number: u32, lines: &str) -> String {
    let own = "<sip:39021234@[local_ip]:[local_port]>";
    let aor = format!("<sip:{user}@[remote_ip]:[remote_port]>");
    let contact = format!("Contact: {}", own.replace('>', ";transport=[transport]>"));
    request(
        "REGISTER",
        number,
        &format!("REGISTER{number}"),
        "sip:[remote_ip]:[remote_port]",
        "",
        lines,
        "",
    )
    .replace(&format!("{contact}\n"), "")
    .replace(own, &aor)
    .replace(&format!("<{TARGET}>"), &aor)
}

/// Tells the world about somebody (RFC 3903), outside of any dialog; `lines` name the event.
#[must_use]
pub fn publish(lines: &str, body: &str) -> String {
    let publish = request("PUBLISH", 1, "1", TARGET, "", lines, body);
    publish.replace("application/sdp", "application/pidf+xml")
}

/// A request inside the dialog. An ACK has the number of its INVITE.
#[must_use]
pub fn inside(method: &str, number: u32, lines: &str, body: &str) -> String {
    let branch = format!("{method}{number}");
    request(method, number, &branch, "[next_url]", "[peer_tag_param]", lines, body)
}

/// Between two messages that one says without having heard anything: on a machine with more to do than it can,
/// whoever moves to another core may overtake himself, as datagrams may anywhere.
const BREATH_MS: u32 = 40;
const TARGET: &str = "sip:[service]@[remote_ip]:[remote_port]";

fn request(
    method: &str,
    number: u32,
    branch: &str,
    target: &str,
    tag: &str,
    lines: &str,
    body: &str,
) -> String {
    with_body(
        &format!(
            "{method} {target} SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]-[call_number]-{branch}\n\
             From: <sip:39021234@[local_ip]:[local_port]>;tag=[pid]c[call_number]\nTo: <{TARGET}>{tag}\n\
             Call-ID: [call_id]\nCSeq: {number} {method}\nMax-Forwards: 70\n\
             Contact: <sip:39021234@[local_ip]:[local_port];transport=[transport]>\n[routes]\n{lines}"
        ),
        body,
    )
}

/// A request of the callee's inside the dialog that it remembered (`Script::gets_call`).
#[must_use]
pub fn from_callee(method: &str, number: u32, lines: &str, body: &str) -> String {
    with_body(
        &format!(
            "{method} [next_url] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]v[call_number]-{method}{number}\n\
             From:[$callee];tag=[pid]v[call_number]\nTo:[$caller]\n\
             Call-ID: [call_id]\nCSeq: {number} {method}\nMax-Forwards: 70\n\
             Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n[routes]\n{lines}"
        ),
        body,
    )
}

/// An answer to the INVITE that was remembered (`Script::gets_call`), whatever came since.
#[must_use]
pub fn answer_call(status: &str, lines: &str, body: &str) -> String {
    answer(status, lines, body)
        .replace("[last_Via:]", "Via:[$via]")
        .replace("[last_From:]", "From:[$caller]")
        .replace("[last_To:]", "To:[$callee]")
        .replace("[last_CSeq:]", "CSeq:[$cseq]")
}

/// The same inside the dialog.
#[must_use]
pub fn agree_call(status: &str, lines: &str, body: &str) -> String {
    answer_call(status, lines, body).replace(";tag=[pid]v[call_number]", "")
}

/// A caller who gets an answer and acknowledges it.
#[must_use]
pub fn talks() -> Script {
    Script::new()
        .asks(invite("", SDP))
        .may_get("100")
        .may_get("180")
        .may_get("183")
        .gets("200")
        .says(inside("ACK", 1, "", ""))
}

/// A vendor that rings and answers.
#[must_use]
pub fn takes() -> Script {
    Script::new()
        .gets("INVITE")
        .says(answer("180 Ringing", "", ""))
        .pauses(200)
        .says(answer("200 OK", "", SDP))
        .gets("ACK")
}

/// The caller hangs up; `number` is that of its BYE.
#[must_use]
pub fn leaves(caller: Script, number: u32) -> Script {
    caller.asks(inside("BYE", number, "", "")).gets("200")
}

/// The vendor is hung up on.
#[must_use]
pub fn left(vendor: Script) -> Script {
    vendor.gets("BYE").says(agree("200 OK", "", ""))
}

/// The header line by which somebody proves himself to who challenged him last.
#[must_use]
pub fn credentials(username: &str, password: &str) -> String {
    // SIPp eats the end of its own words.
    format!("[authentication username={username} password={password}],opaque=\"\"\n")
}

/// An answer to what came last.
#[must_use]
pub fn answer(status: &str, lines: &str, body: &str) -> String {
    let tag = if status.starts_with("100") { "" } else { ";tag=[pid]v[call_number]" };
    with_body(
        &format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n[last_Record-Route:]\n{lines}"
        ),
        body,
    )
}

/// An answer inside the dialog, where To has its tag already.
#[must_use]
pub fn agree(status: &str, lines: &str, body: &str) -> String {
    answer(status, lines, body).replace(";tag=[pid]v[call_number]", "")
}

impl Default for Script {
    fn default() -> Self {
        Self { steps: String::new(), times: 1, rate: 10, patience_ms: None, labels: 0 }
    }
}

impl Script {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So often, ten times a second.
    #[must_use]
    pub fn repeated(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// So often in a second instead.
    #[must_use]
    pub fn at_rate(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// How often, and how often in a second.
    pub(crate) fn pace(&self) -> (u32, u32) {
        (self.times, self.rate)
    }

    /// Who is told this status now plays `refused`, everybody else the rest.
    #[must_use]
    pub fn unless(self, status: &str, like: Like<'_>, refused: &Self, rest: &Self) -> Self {
        let told = self.receive(status, " optional=\"true\" next=\"refused\"", &like.actions());
        let steps = format!(
            "{}{}<nop next=\"end\"/>\n<label id=\"refused\"/>\n{}<label id=\"end\"/>\n",
            told.steps, rest.steps, refused.steps
        );
        Self { steps, ..told }
    }

    /// Whoever is asked for OPTIONS says so, and plays the rest for whoever asks for anything else.
    #[must_use]
    pub fn or_options(self) -> Self {
        let steps = format!(
            "<recv request=\"OPTIONS\" optional=\"true\" next=\"options\"/>\n{}<nop next=\"end\"/>\n\
             <label id=\"options\"/>\n{}<label id=\"end\"/>\n",
            self.steps,
            Self::new().says(answer("200 OK", "", "")).steps
        );
        Self { steps, ..self }
    }

    /// Waits so long from here on for what must come.
    #[must_use]
    pub fn patient(self, ms: u32) -> Self {
        Self { patience_ms: Some(ms), ..self }
    }

    /// Says this.
    #[must_use]
    pub fn says(self, message: impl AsRef<str>) -> Self {
        self.send("", message.as_ref())
    }

    /// Says this, and again until it is answered.
    #[must_use]
    pub fn asks(self, message: impl AsRef<str>) -> Self {
        self.send(" retrans=\"500\"", message.as_ref())
    }

    fn send(mut self, attributes: &str, message: &str) -> Self {
        // Lines left out by SIPp must not leave an empty one, which would end the head.
        let text = message
            .replace("[routes]\n", "[routes]")
            .replace("[last_Record-Route:]\n", "[last_Record-Route:]");
        if self.steps.ends_with("</send>\n") {
            let _ = writeln!(self.steps, "<pause milliseconds=\"{BREATH_MS}\"/>");
        }
        let _ = write!(self.steps, "<send{attributes}><![CDATA[\n{text}\n]]></send>\n");
        self
    }

    /// Waits for a request, or a response by its status.
    #[must_use]
    pub fn gets(self, what: &str) -> Self {
        self.receive(what, "", "")
    }

    /// The same, if it comes.
    #[must_use]
    pub fn may_get(self, what: &str) -> Self {
        self.receive(what, " optional=\"true\"", "")
    }

    /// Waits for it, and for this in it.
    #[must_use]
    pub fn gets_with(self, what: &str, pattern: &str) -> Self {
        self.gets_like(what, Like { has: &[pattern], lacks: &[] })
    }

    /// Waits for a message like that.
    #[must_use]
    pub fn gets_like(self, what: &str, like: Like<'_>) -> Self {
        self.receive(what, "", &like.actions())
    }

    /// Waits for the INVITE of a call in which the callee will ask for something, too.
    #[must_use]
    pub fn gets_call(self, like: Like<'_>) -> Self {
        let mut actions = like.actions();
        let headers = [("Via:", "via"), ("From:", "caller"), ("To:", "callee"), ("CSeq:", "cseq")];
        for (header, name) in headers {
            let _ = write!(
                actions,
                "<ereg regexp=\".*\" search_in=\"hdr\" header=\"{header}\" assign_to=\"{name}\"/>"
            );
        }
        let mut script = self.receive("INVITE", "", &actions);
        script.steps.push_str("<Reference variables=\"via,caller,callee,cseq\"/>\n");
        script
    }

    /// Waits for a provisional response that wants a PRACK; `[$rseq]` is its number from then on.
    #[must_use]
    pub fn gets_reliable(self, status: &str) -> Self {
        let like = Like { has: &["Require:.*100rel"], lacks: &[] };
        let number = "<ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/>";
        self.receive(status, "", &format!("{}{number}", like.actions()))
    }

    /// Waits for a challenge, which [`credentials`] then answer.
    #[must_use]
    pub fn gets_challenge(self, status: &str) -> Self {
        self.receive(status, " auth=\"true\"", "")
    }

    /// Waits for a request with these credentials, by SIPp's own arithmetic.
    #[must_use]
    pub fn gets_proof(self, method: &str, username: &str, password: &str) -> Self {
        let label = self.labels + 1;
        let check = format!(
            "<verifyauth assign_to=\"proved\" username=\"{username}\" password=\"{password}\"/>"
        );
        let mut script = self.receive(method, "", &check);
        let _ = write!(
            script.steps,
            "<nop test=\"proved\" next=\"{label}\"/>\n\
             <nop><action><error message=\"wrong credentials\"/></action></nop>\n<label id=\"{label}\"/>\n"
        );
        Self { labels: label, ..script }
    }

    fn receive(mut self, what: &str, attributes: &str, actions: &str) -> Self {
        let kind = kind_of(what);
        // A step that may be skipped must not have a limit of its own.
        let limit = if attributes.contains("optional") {
            String::new()
        } else {
            format!(" timeout=\"{}\"", self.patience_ms.unwrap_or(10_000))
        };
        let actions =
            if actions.is_empty() { String::new() } else { format!("<action>{actions}</action>") };
        let _ = writeln!(
            self.steps,
            "<recv {kind}=\"{what}\" rrs=\"true\"{limit}{attributes}>{actions}</recv>"
        );
        if actions.contains("\"seen\"") {
            self.steps.push_str("<Reference variables=\"seen\"/>\n");
        }
        self
    }

    /// From here on as that script.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.steps.push_str(&other.steps);
        self
    }

    /// Waits.
    #[must_use]
    pub fn pauses(mut self, ms: u32) -> Self {
        let _ = writeln!(self.steps, "<pause milliseconds=\"{ms}\"/>");
        self
    }

    /// The same lines in every message instead of those.
    #[must_use]
    pub fn with(self, from: &str, to: &str) -> Self {
        Self { steps: self.steps.replace(from, to), ..self }
    }

    /// Puts the script into a file that SIPp can read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let steps = &self.steps;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\
             <scenario name=\"{name}\">\n{steps}</scenario>\n"
        );
        std::fs::write(path, text)
    }
}

impl Like<'_> {
    fn actions(self) -> String {
        let mut actions = String::new();
        let has = self.has.iter().map(|pattern| (pattern, "check_it"));
        let lacks = self.lacks.iter().map(|pattern| (pattern, "check_it_inverse"));
        for (pattern, check) in has.chain(lacks) {
            let pattern = pattern.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let _ = write!(
                actions,
                "<ereg regexp=\"{pattern}\" search_in=\"msg\" {check}=\"true\" assign_to=\"seen\"/>"
            );
        }
        actions
    }
}

fn kind_of(what: &str) -> &'static str {
    if what.bytes().all(|byte| byte.is_ascii_digit()) { "response" } else { "request" }
}
