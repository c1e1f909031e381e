//! How a gateway wants its SIP: fields that stand beside the others of its document, and what the
//! workers are told of them.

use link::profile::{self, CODECS_MAX, MediaTerms, STATUS_CHANGES_MAX, Secret};
use link::{Endpoint, Profile, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sip::header::Circle;
use sip::sdp::Codec;

use super::word::{Recording, words};
use crate::Refusal;

/// Words that a field may have, in JSON as in the profile.
macro_rules! profile_words {
    ($($(#[$doc:meta])* $word:ident { $($variant:ident = $text:literal),* $(,)? })*) => {
        words! { $($(#[$doc])* $word { $($variant = $text),* })* }

        $(impl From<$word> for profile::$word {
            fn from(word: $word) -> Self {
                match word { $($word::$variant => Self::$variant),* }
            }
        })*
    };
}

profile_words! {
    /// Reliable provisional responses (RFC 3262).
    Rel100 { Off = "off", Supported = "supported", Required = "required" }
    /// Which header field tells a number besides From.
    Identity {
        None = "none", Asserted = "asserted", Preferred = "preferred", RemoteParty = "remote_party",
    }
    /// How a diverted call is told.
    Forwarding { None = "none", Diversion = "diversion", HistoryInfo = "history_info" }
    /// Whither responses go.
    ReplyAddress { Source = "source", Via = "via", Fixed = "fixed" }
    /// Whither requests inside a dialog go.
    RequestAddress { Contact = "contact", Source = "source", Fixed = "fixed" }
    /// How the far end's ringing reaches a caller.
    Ringback { Pass = "pass", Ringing = "180", Progress = "183" }
    /// What is said of silence suppression (RFC 4856).
    Annex { Pass = "pass", On = "on", Off = "off" }
    /// Whether media go through us.
    MediaProxy { On = "on", Off = "off", Auto = "auto", Must = "must" }
    /// Which address media are sent to: what fits, what is described, where packets come from.
    MediaAddress { Auto = "auto", Described = "sdp", Observed = "latch" }
    /// Whether its media are under keys from the descriptions (RFC 4568).
    Srtp { Off = "off", Optional = "optional", Required = "required" }
    /// How it knows keys: as described, RFC 4733, INFO, tones.
    Dtmf { Auto = "auto", Rfc4733 = "rfc4733", Info = "info", Inband = "inband" }
}

words! {
    /// Whose order of codecs an offer has.
    CodecsOrder { Own = "own", Theirs = "theirs" }
}

/// A failure that is told as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusChange {
    /// 300 to 699, as it came.
    pub from: u16,
    /// 400 to 699, as it is told.
    pub to: u16,
}

/// The fields that gateways of both kinds have. The catalog of parameters says what each means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SipFields {
    /// Session timers (RFC 4028) are offered.
    pub session_timer: bool,
    /// Reliable provisional responses (RFC 3262): `off`, `supported` or `required`.
    pub rel100: Rel100,
    /// Retry-After is sent and heeded.
    pub retry_after: bool,
    /// Reason (RFC 3326) is sent and passed on.
    pub reason: bool,
    /// `user=phone` in our URIs.
    pub user_phone: bool,
    /// PUBLISH is taken.
    pub publish: bool,
    /// MESSAGE is passed on inside calls.
    pub message: bool,
    /// REFER is obeyed.
    pub transfer: bool,
    /// Our domain instead of our address in From.
    pub local_domain: bool,
    /// How it is told of a diversion: `none`, `diversion` or `history_info`.
    pub forward_signal_sent: Forwarding,
    /// Its Diversion and History-Info are believed.
    pub forward_signal_heard: bool,
    /// Privacy (RFC 3323) is heeded and sent.
    pub privacy: bool,
    /// It may see withheld numbers (RFC 3324).
    pub trusted: bool,
    /// Which header tells it the caller's number besides From: `none`, `asserted`, `preferred` or
    /// `remote_party`.
    pub identity_sent: Identity,
    /// Header lines of ours for its INVITEs, like `X-Carrier: 7`.
    pub headers_added: Vec<String>,
    /// Every header that we do not know is passed on to it.
    pub headers_all_passed: bool,
    /// Header fields that are passed on to it, by name.
    pub headers_passed: Vec<String>,
    /// Whither our responses go: `source`, `via` or `fixed`.
    pub reply_address: ReplyAddress,
    /// Whither our requests inside a dialog go: `contact`, `source` or `fixed`.
    pub request_address: RequestAddress,
    /// How the far end's ringing reaches callers of it: `pass`, `180` or `183`.
    pub ringback_mode: Ringback,
    /// How many 3xx of it in a row are followed; 0: a 3xx is a failure.
    pub redirects_max: u8,
    /// How calls that come or go by it are written to disk: `off`, `wav`, `pcap` or `both`.
    pub recording: Recording,
    /// Failures that are told as others.
    pub failure_map: Vec<StatusChange>,
    /// Codecs that it is told of and may tell of, like `PCMA`, the first choice first; none: all.
    pub codecs: Vec<String>,
    /// Whose order an offer to it has: `own`, that of `codecs`, or `theirs`.
    pub codecs_order: CodecsOrder,
    /// What is said of silence suppression in G.729: `pass`, `on` or `off`.
    pub annexb: Annex,
    /// The same in G.723.1.
    pub annexa: Annex,
    /// How long a packet's audio is told to be, ms; 0: as described.
    pub ptime: u8,
    /// Fax in UDP (T.38) is relayed.
    pub t38: bool,
    /// Telephone events (RFC 4733) pass.
    pub telephone_event: bool,
    /// Keys are heard in the tones of its G.711, where it describes no telephone events.
    pub dtmf_inband: bool,
    /// How it knows keys: `auto`, `rfc4733`, `info` or `inband`.
    pub dtmf: Dtmf,
    /// Whether media go through us: `on`, `off`, `auto` or `must`.
    pub media_proxy: MediaProxy,
    /// Which address its media come from: `auto`, `sdp` or `latch`.
    pub nat_media: MediaAddress,
    /// Whether its media are under keys (SRTP): `off`, `optional` or `required`.
    pub srtp: Srtp,
    /// Speech is transcoded in calls from and to it whose other side shares no codec with it.
    pub transcode: bool,
}

impl Default for SipFields {
    fn default() -> Self {
        Self {
            session_timer: false,
            rel100: Rel100::Off,
            retry_after: true,
            reason: true,
            user_phone: false,
            publish: false,
            message: false,
            transfer: false,
            local_domain: false,
            forward_signal_sent: Forwarding::None,
            forward_signal_heard: false,
            privacy: true,
            trusted: false,
            identity_sent: Identity::None,
            headers_added: Vec::new(),
            headers_all_passed: false,
            headers_passed: Vec::new(),
            reply_address: ReplyAddress::Source,
            request_address: RequestAddress::Contact,
            ringback_mode: Ringback::Pass,
            redirects_max: 0,
            recording: Recording::Off,
            failure_map: Vec::new(),
            codecs: Vec::new(),
            codecs_order: CodecsOrder::Own,
            annexb: Annex::Pass,
            annexa: Annex::Pass,
            ptime: 0,
            t38: true,
            telephone_event: true,
            dtmf_inband: false,
            dtmf: Dtmf::Auto,
            media_proxy: MediaProxy::On,
            nat_media: MediaAddress::Auto,
            srtp: Srtp::Off,
            transcode: false,
        }
    }
}

/// Most 3xx in a row that anyone follows.
const REDIRECTS_MAX: u8 = 5;

/// Packets of less and of more audio are nobody's, ms.
const PTIME_MS: std::ops::RangeInclusive<u8> = 5..=200;

/// The codec of a name, unless it goes beside one or is none.
fn codec(name: &str) -> Result<Codec, Refusal> {
    let codec = Codec::of_name(name.as_bytes());
    match codec {
        Codec::TelephoneEvent => {
            Err(Refusal::invalid("codecs: telephone-event has a field of its own, telephone_event"))
        }
        Codec::Other => {
            let known = Codec::ALL.iter().filter(|codec| **codec != Codec::TelephoneEvent);
            let known: Vec<_> = known.map(|codec| codec.name()).collect();
            let known = known.join(", ");
            Err(Refusal::invalid(format!("codecs: {name:?} is none of {known}")))
        }
        codec => Ok(codec),
    }
}

/// The texts as the profile holds them: names joined by commas, lines ended by LF.
fn joined(names: &[String]) -> String {
    names.join(",")
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn header_name(field: &str, name: &str) -> Result<(), Refusal> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Refusal::invalid(format!("{field}: {name:?} is no name of a header field")));
    }
    if Circle::of(name.as_bytes()) == Circle::Never {
        return Err(Refusal::invalid(format!(
            "{field}: {name} is ours to write: it says how a message is to be read, or names a dialog, \
             a route, an identity or a host"
        )));
    }
    Ok(())
}

/// Takes out of a stored gateway the names that earlier releases took, and that no worker ever wrote.
pub(crate) fn forget_dead_names(body: &mut Value) {
    for field in ["headers_passed", "headers_added"] {
        let Some(lines) = body.get_mut(field).and_then(Value::as_array_mut) else { continue };
        lines.retain(|line| {
            let name = line.as_str().and_then(|line| line.split(':').next());
            name.is_none_or(|name| Circle::of(name.as_bytes()) != Circle::Never)
        });
    }
}

impl SipFields {
    /// Values that types cannot rule out.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        for name in &self.headers_passed {
            header_name("headers_passed", name)?;
        }
        for line in &self.headers_added {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                Refusal::invalid(format!("headers_added: {line:?} is no line like X-Carrier: 7"))
            })?;
            header_name("headers_added", name)?;
            if value.bytes().any(|byte| byte.is_ascii_control()) {
                return Err(Refusal::invalid(format!("headers_added: {name}: control characters")));
            }
        }
        if Text::<254>::new(joined(&self.headers_passed).as_bytes()).is_none() {
            return Err(Refusal::invalid("headers_passed: up to 254 characters in all"));
        }
        if Text::<510>::new(lines(&self.headers_added).as_bytes()).is_none() {
            return Err(Refusal::invalid("headers_added: up to 510 characters in all"));
        }
        if self.redirects_max > REDIRECTS_MAX {
            return Err(Refusal::invalid(format!("redirects_max: 0 to {REDIRECTS_MAX}")));
        }
        let fits = |change: &StatusChange| {
            (300..=699).contains(&change.from) && (400..=699).contains(&change.to)
        };
        if self.failure_map.len() > STATUS_CHANGES_MAX || !self.failure_map.iter().all(fits) {
            return Err(Refusal::invalid(format!(
                "failure_map: up to {STATUS_CHANGES_MAX} changes from 300-699 to 400-699"
            )));
        }
        for name in &self.codecs {
            codec(name)?;
        }
        if self.codecs.len() > CODECS_MAX {
            return Err(Refusal::invalid(format!("codecs: up to {CODECS_MAX}")));
        }
        if self.ptime != 0 && !PTIME_MS.contains(&self.ptime) {
            let (least, most) = (PTIME_MS.start(), PTIME_MS.end());
            return Err(Refusal::invalid(format!("ptime: 0, or {least} to {most} ms")));
        }
        Ok(())
    }

    /// What the workers are told of its media.
    fn media_terms(&self) -> MediaTerms {
        let mut codecs = [0; CODECS_MAX];
        for (place, name) in codecs.iter_mut().zip(&self.codecs) {
            *place = Codec::of_name(name.as_bytes()) as u8;
        }
        MediaTerms {
            codecs,
            codecs_unordered: u8::from(self.codecs_order == CodecsOrder::Theirs),
            annexb: profile::Annex::from(self.annexb) as u8,
            annexa: profile::Annex::from(self.annexa) as u8,
            ptime: self.ptime,
            t38_refused: u8::from(!self.t38),
            events_refused: u8::from(!self.telephone_event),
            inband: self.dtmf_inband.into(),
            proxy: profile::MediaProxy::from(self.media_proxy) as u8,
            address: profile::MediaAddress::from(self.nat_media) as u8,
            srtp: profile::Srtp::from(self.srtp) as u8,
            transcode: u8::from(self.transcode),
            dtmf: profile::Dtmf::from(self.dtmf) as u8,
        }
    }

    /// The field that leads to the gateway's own address, if one does.
    pub(super) fn fixed_field(&self) -> Option<&'static str> {
        match (self.reply_address, self.request_address) {
            (ReplyAddress::Fixed, _) => Some("reply_address"),
            (_, RequestAddress::Fixed) => Some("request_address"),
            _ => None,
        }
    }

    /// What the workers are told.
    pub(super) fn profile(
        &self,
        gateway: u32,
        address: Endpoint,
        username: &str,
        password: &str,
    ) -> Profile {
        let mut statuses = [[0; 2]; STATUS_CHANGES_MAX];
        for (place, change) in statuses.iter_mut().zip(&self.failure_map) {
            *place = [change.from, change.to];
        }
        let headers = match (self.headers_all_passed, self.headers_passed.is_empty()) {
            (true, _) => profile::HeadersPassed::All,
            (false, false) => profile::HeadersPassed::Listed,
            (false, true) => profile::HeadersPassed::None,
        };
        Profile {
            gateway,
            present: 1,
            session_timer: self.session_timer.into(),
            rel100: profile::Rel100::from(self.rel100) as u8,
            retry_after: self.retry_after.into(),
            reason: self.reason.into(),
            user_phone: self.user_phone.into(),
            publish: self.publish.into(),
            message: self.message.into(),
            transfer: self.transfer.into(),
            local_domain: self.local_domain.into(),
            forward_sent: profile::Forwarding::from(self.forward_signal_sent) as u8,
            forward_heard: self.forward_signal_heard.into(),
            privacy: self.privacy.into(),
            trusted: self.trusted.into(),
            identity: profile::Identity::from(self.identity_sent) as u8,
            headers: headers as u8,
            reply_address: profile::ReplyAddress::from(self.reply_address) as u8,
            request_address: profile::RequestAddress::from(self.request_address) as u8,
            ringback: profile::Ringback::from(self.ringback_mode) as u8,
            redirects_max: self.redirects_max,
            recorded: self.recording.bits(),
            spare: [0; 3],
            media: self.media_terms(),
            address,
            statuses,
            // All were checked to fit when the document was read.
            headers_passed: Text::cut(joined(&self.headers_passed).as_bytes()),
            headers_added: Text::cut(lines(&self.headers_added).as_bytes()),
            username: Text::cut(username.as_bytes()),
            password: Secret(Text::cut(password.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_no_worker_could_obey_are_refused_by_name() {
        let wrong = |fields: SipFields| fields.check().unwrap_err().detail;
        let plain = SipFields::default;
        assert!(plain().check().is_ok());
        let passed = |name: &str| SipFields { headers_passed: vec![name.into()], ..plain() };
        assert!(passed("X-Test").check().is_ok());
        assert!(wrong(passed("X Test")).contains("headers_passed"));
        for name in
            ["call-id", "Warning", "server", "User-Agent", "Reason", "Expires", "Join", "v", "e"]
        {
            assert!(wrong(passed(name)).contains("ours"), "{name}");
        }
        for name in ["Subject", "s", "Identity", "y", "P-Charging-Vector"] {
            assert!(passed(name).check().is_ok(), "{name}");
        }
        let added = |line: &str| SipFields { headers_added: vec![line.into()], ..plain() };
        assert!(added("X-Carrier: 7").check().is_ok());
        let broken =
            ["X-Carrier", "Via: x", "X-A: b\r\nX-B: c", ": x", "Content-Encoding: gzip", "e: gzip"];
        for line in broken {
            assert!(wrong(added(line)).contains("headers_added"), "{line}");
        }
        assert!(wrong(SipFields { redirects_max: 6, ..plain() }).contains("redirects_max"));
        let change =
            |from, to| SipFields { failure_map: vec![StatusChange { from, to }], ..plain() };
        assert!(change(404, 480).check().is_ok());
        let listed = |name: &str| SipFields { codecs: vec![name.into()], ..plain() };
        assert!(listed("pcma").check().is_ok() && listed("opus").check().is_ok());
        assert!(wrong(listed("G.711")).contains("PCMU, PCMA, G729"));
        assert!(wrong(listed("telephone-event")).contains("telephone_event"));
        assert!(wrong(SipFields { codecs: vec!["PCMU".into(); 17], ..plain() }).contains("16"));
        assert!(wrong(SipFields { ptime: 4, ..plain() }).contains("ptime"));
        assert!(wrong(SipFields { ptime: 201, ..plain() }).contains("ptime"));
        assert!(wrong(change(200, 480)).contains("failure_map"));
    }

    #[test]
    fn a_name_that_did_nothing_is_forgotten_where_it_is_stored() {
        let mut body = serde_json::json!({
            "name": "a",
            "headers_passed": ["X-A", "Warning", "s"],
            "headers_added": ["Content-Encoding: gzip", "X-B: c:d", "e: gzip"],
        });
        forget_dead_names(&mut body);
        let kept = serde_json::json!({
            "name": "a", "headers_passed": ["X-A", "s"], "headers_added": ["X-B: c:d"],
        });
        assert_eq!(body, kept);
    }

    #[test]
    fn a_profile_says_what_the_fields_say() {
        let fields = SipFields {
            rel100: Rel100::Required,
            headers_passed: vec!["X-A".into(), "X-B".into()],
            headers_added: vec!["X-C: 1".into()],
            failure_map: vec![StatusChange { from: 404, to: 480 }],
            codecs: vec!["G729".into(), "pcmu".into()],
            annexb: Annex::Off,
            t38: false,
            media_proxy: MediaProxy::Must,
            nat_media: MediaAddress::Described,
            srtp: Srtp::Required,
            transcode: true,
            ..SipFields::default()
        };
        let profile = fields.profile(7, Endpoint::NONE, "user", "word");
        assert_eq!((profile.gateway, profile.present, profile.rel100), (7, 1, 2));
        assert_eq!(profile.headers_passed.as_bytes(), b"X-A,X-B");
        assert_eq!(profile.headers_added.as_bytes(), b"X-C: 1\n");
        assert_eq!(profile.status_of(404), 480);
        let media = profile.media;
        assert_eq!(media.codecs().collect::<Vec<_>>(), [Codec::G729 as u8, Codec::Pcmu as u8]);
        assert_eq!((media.annexb, media.t38_refused, media.proxy, media.address), (2, 1, 3, 1));
        assert_eq!((media.srtp, media.transcode), (2, 1));
        let plain = SipFields::default().profile(7, Endpoint::NONE, "", "").media;
        assert_eq!(plain, MediaTerms::default());
        assert_eq!(format!("{:?}", profile.password), "Secret");
    }
}
