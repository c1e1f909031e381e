//! What an operator writes: an address or a name, a port or none, a transport or none. One text, read
//! once; a text that no request could be sent to is refused.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use link::{Endpoint, Transport};

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// An address, or a name that leads to some.
    pub host: Host,
    /// Its port, if one was named.
    pub port: Option<u16>,
    /// How it is reached, if that was said.
    pub transport: Option<Transport>,
    /// `sips`: over TLS, and nothing else will do.
    pub secure: bool,
}

/// The host of a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Used as it is.
    Address(IpAddr),
    /// In small letters, without a dot at its end.
    Name(String),
}

/// Longest name (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// Longest part of a name.
const LABEL_BYTES_MAX: usize = 63;

/// The port that is meant when none is named.
fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
    }
}

impl Target {
    /// How it is reached without asking anybody.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let unsaid = if self.secure { Transport::Tls } else { Transport::Udp };
        self.transport.unwrap_or(unsaid)
    }

    /// Its port without asking anybody.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| default_port(self.transport()))
    }

    /// Where it is, if that needs no question.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self.host {
            Host::Address(address) => {
                let address = SocketAddr::new(address, self.port());
                Some(Endpoint::from(address).by(self.transport()))
            }
            Host::Name(_) => None,
        }
    }

    /// The host as a URI says it.
    #[must_use]
    pub fn domain(&self) -> String {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Name(name) => name.clone(),
        }
    }
}

/// The one spelling: what was left out stays out.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.secure, self.transport) {
            (true, _) => f.write_str("sips:")?,
            (false, Some(_)) => f.write_str("sip:")?,
            (false, None) => {}
        }
        f.write_str(&self.domain())?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.transport {
            Some(Transport::Udp) => f.write_str(";transport=udp"),
            Some(Transport::Tcp) => f.write_str(";transport=tcp"),
            Some(Transport::Tls) => f.write_str(";transport=tls"),
            Some(Transport::Ws | Transport::Wss) => f.write_str(";transport=ws"),
            None => Ok(()),
        }
    }
}

/// Why a text is no target; it reads on behind the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetFault(&'static str);

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TargetFault {}

const SHAPE: TargetFault = TargetFault(
    "is neither an address nor a name, with or without port, like 192.0.2.1:5060, \
     sip.example.com or sip:sip.example.com;transport=tcp",
);
const TRANSPORT: TargetFault = TargetFault("has no transport of udp, tcp and tls behind `;`");
const SECURE: TargetFault = TargetFault("is sips, which goes over TLS only");
const NOWHERE: TargetFault = TargetFault("is nothing that an INVITE can be sent to");

impl FromStr for Target {
    type Err = TargetFault;

    fn from_str(text: &str) -> Result<Self, TargetFault> {
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sip") => ("sip", rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sips") => ("sips", rest),
            _ => ("", text),
        };
        let secure = scheme == "sips";
        let (place, parameter) = rest.split_once(';').map_or((rest, None), |(a, b)| (a, Some(b)));
        let transport = parameter.map(transport).transpose()?;
        if secure && !matches!(transport, None | Some(Transport::Tls | Transport::Tcp)) {
            return Err(SECURE);
        }
        // `sips:…;transport=tcp` is TLS over TCP (RFC 3261 §19.1.1), which is the only TLS there is.
        let transport = if secure { transport.map(|_| Transport::Tls) } else { transport };
        let (host, port) = place_of(place)?;
        let target = Self { host, port, transport, secure };
        match target.host {
            Host::Address(address) if address.is_unspecified() || address.is_multicast() => {
                Err(NOWHERE)
            }
            _ if port == Some(0) => Err(NOWHERE),
            _ => Ok(target),
        }
    }
}

fn transport(parameter: &str) -> Result<Transport, TargetFault> {
    let (name, value) = parameter.split_once('=').ok_or(TRANSPORT)?;
    match value.to_ascii_lowercase().as_str() {
        _ if !name.eq_ignore_ascii_case("transport") => Err(TRANSPORT),
        "udp" => Ok(Transport::Udp),
        "tcp" => Ok(Transport::Tcp),
        "tls" => Ok(Transport::Tls),
        _ => Err(TRANSPORT),
    }
}

/// Host and port.
fn place_of(text: &str) -> Result<(Host, Option<u16>), TargetFault> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((Host::Address(address.ip()), Some(address.port())));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok((Host::Address(address), None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| SHAPE)?)),
        None => (text, None),
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    if is_name(name) { Ok((Host::Name(name.to_ascii_lowercase()), port)) } else { Err(SHAPE) }
}

/// Whether DNS can be asked for it. What ends in digits is a mistyped address.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= NAME_BYTES_MAX
        && name.split('.').all(fits)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Target {
        text.parse().unwrap_or_else(|fault| panic!("{text:?} {fault}"))
    }

    #[test]
    fn an_address_without_a_port_means_that_of_its_transport() {
        let at = |text: &str| {
            let endpoint = read(text).endpoint().unwrap();
            (endpoint.socket_address().unwrap().to_string(), endpoint.transport())
        };
        assert_eq!(at("192.0.2.1"), ("192.0.2.1:5060".into(), Transport::Udp));
        assert_eq!(at("2001:db8::1"), ("[2001:db8::1]:5060".into(), Transport::Udp));
        assert_eq!(at("[2001:db8::1]:5070"), ("[2001:db8::1]:5070".into(), Transport::Udp));
        assert_eq!(
            at("sip:192.0.2.1:5070;transport=tcp"),
            ("192.0.2.1:5070".into(), Transport::Tcp)
        );
        assert_eq!(at("sips:[2001:db8::1]"), ("[2001:db8::1]:5061".into(), Transport::Tls));
        assert_eq!(at("sip:192.0.2.1;transport=TLS"), ("192.0.2.1:5061".into(), Transport::Tls));
    }

    #[test]
    fn a_name_is_read_once_and_written_one_way() {
        for (text, written) in [
            ("sip.Example.com.", "sip.example.com"),
            ("SIP:sip.example.com", "sip.example.com"),
            ("carrier:5080", "carrier:5080"),
            ("sip:a_b.example;transport=UDP", "sip:a_b.example;transport=udp"),
            ("sips:example.com:5071", "sips:example.com:5071"),
        ] {
            assert_eq!(read(text).to_string(), written);
            assert_eq!(read(written), read(text));
            assert_eq!(read(text).endpoint(), None);
        }
    }

    #[test]
    fn what_nothing_can_be_sent_to_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            "0.0.0.0",
            "192.0.2.1:0",
            "224.0.0.1",
            "300.1.1.1",
            "10.0.0.1:x",
            "a b",
            "-a.com",
            "a..com",
            "host:99999",
            "host:5060:1",
            "sips:host;transport=udp",
            "sip:host;lr",
            "sip:host;transport=sctp",
            "sip:user@host",
            "192.0.2.1:5060/24",
            &long,
        ] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
    }
}
