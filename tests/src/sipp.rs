//! Scripts for SIPp, the foreign client that says exactly what it is told and minds every answer.
//!
//! A [`Script`] is one side of one call, step by step; SIPp ends with 0 only if each step came as it was
//! written. Keywords in brackets are SIPp's own.

use std::fmt::Write;
use std::path::PathBuf;

/// How SIPp carries its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// One socket.
    Udp,
    /// One connection.
    Tcp,
    /// One TLS connection.
    Tls,
}

impl Carrier {
    /// SIPp's name of it.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Udp => "u1",
            Self::Tcp => "t1",
            Self::Tls => "l1",
        }
    }
}

/// One side of a call.
#[derive(Clone, Debug, Default)]
pub struct Script {
    steps: String,
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

/// A request inside the dialog. An ACK has the number of its INVITE.
#[must_use]
pub fn inside(method: &str, number: u32, lines: &str, body: &str) -> String {
    let branch = format!("{method}{number}");
    request(method, number, &branch, "[next_url]", "[peer_tag_param]", lines, body)
}

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

impl Script {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
        let _ = write!(self.steps, "<send{attributes}><![CDATA[\n{text}\n]]></send>\n");
        self
    }

    /// Waits for a request, or a response by its status.
    #[must_use]
    pub fn gets(self, what: &str) -> Self {
        self.receive(what, "")
    }

    /// The same, if it comes.
    #[must_use]
    pub fn may_get(self, what: &str) -> Self {
        self.receive(what, " optional=\"true\"")
    }

    /// Waits for it, and for this in it.
    #[must_use]
    pub fn gets_with(mut self, what: &str, pattern: &str) -> Self {
        let kind = kind_of(what);
        let _ = write!(
            self.steps,
            "<recv {kind}=\"{what}\" rrs=\"true\" timeout=\"10000\"><action><ereg regexp=\"{pattern}\" search_in=\"msg\" \
             check_it=\"true\" assign_to=\"1\"/></action></recv>\n<Reference variables=\"1\"/>\n"
        );
        self
    }

    fn receive(mut self, what: &str, attributes: &str) -> Self {
        let kind = kind_of(what);
        // A step that may be skipped must not have a limit of its own.
        let limit = if attributes.is_empty() { " timeout=\"10000\"" } else { "" };
        let _ =
            writeln!(self.steps, "<recv {kind}=\"{what}\" rrs=\"true\"{limit}{attributes}></recv>");
        self
    }

    /// Waits.
    #[must_use]
    pub fn pauses(mut self, ms: u32) -> Self {
        let _ = writeln!(self.steps, "<pause milliseconds=\"{ms}\"/>");
        self
    }

    /// Puts the script where SIPp can read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = std::env::temp_dir().join(format!("tollgate-{}-{name}.xml", std::process::id()));
        let steps = &self.steps;
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\
             <scenario name=\"{name}\">\n{steps}</scenario>\n"
        );
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

fn kind_of(what: &str) -> &'static str {
    if what.bytes().all(|byte| byte.is_ascii_digit()) { "response" } else { "request" }
}
