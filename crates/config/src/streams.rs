//! `[streams]`: SIP over TCP, TLS and WebSocket, on every address.

use std::path::PathBuf;

use crate::config::Config;
use crate::section::{Findings, Section};

/// SIP over connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Streams {
    /// Whether TCP is served, on the port of `[sip]`.
    pub tcp: bool,
    /// The port of TLS; `None`: it is not served.
    pub tls_port: Option<u16>,
    /// The port of WebSocket (RFC 7118); `None`: it is not served.
    pub ws_port: Option<u16>,
    /// The port of WebSocket over TLS; `None`: it is not served.
    pub wss_port: Option<u16>,
    /// Who we are.
    pub identity: Option<Identity>,
    /// PEM files of a certificate, those that vouch for it, and its key: who we are to peers that ask for
    /// one of its names.
    pub identities_more: Vec<PathBuf>,
    /// Whether a peer that we connect to by TLS must prove who it is.
    pub verify: Verify,
    /// Whether a peer that connects to us by TLS is to prove who it is.
    pub clients: Clients,
    /// Whom to believe about all that: a PEM file of certificates.
    pub authorities: PathBuf,
}

/// What we show to whoever connects by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// A PEM file: our certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// A PEM file: its private key.
    pub key: PathBuf,
}

/// Whether a peer that we connect to by TLS must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Or it gets nothing.
    #[default]
    Yes,
    /// Encrypted, but to anybody.
    No,
}

/// Whether a peer that connects to us by TLS is to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// Nothing is asked of it.
    #[default]
    Unasked,
    /// It may stay without a certificate, but not show one that nobody vouches for.
    Asked,
    /// Without a certificate that somebody vouches for it is not let in.
    Proven,
}

const CLIENTS: [(&str, Clients); 3] =
    [("unasked", Clients::Unasked), ("asked", Clients::Asked), ("proven", Clients::Proven)];

pub(crate) fn read(section: &mut Section<'_>) -> Streams {
    let certificate = read_path(section, "tls_certificate");
    let key = read_path(section, "tls_key");
    match (&certificate, &key) {
        (None, Some(_)) => {
            section.missing("tls_certificate", "tls_certificate = \"/etc/tollgate/tls/chain.pem\"");
        }
        (Some(_), None) => section.missing("tls_key", "tls_key = \"/etc/tollgate/tls/key.pem\""),
        (None, None) | (Some(_), Some(_)) => {}
    }
    let identity = certificate.zip(key).map(|(certificate, key)| Identity { certificate, key });
    let more = section.texts("tls_more").unwrap_or_default();
    if !more.is_empty() && identity.is_none() {
        section
            .invalid("tls_more", "there is no first certificate; set tls_certificate and tls_key");
    }
    let mut identities_more = Vec::new();
    for path in more {
        identities_more.push(absolute(section, "tls_more", path));
    }
    let mut port = |key| section.number(key, 1..=65_535);
    let (tls_port, ws_port, wss_port) = (port("tls_port"), port("ws_port"), port("wss_port"));
    for (key, port) in [("tls_port", tls_port), ("wss_port", wss_port)] {
        if port.is_some() && identity.is_none() {
            section.invalid(key, "there is no certificate; set tls_certificate and tls_key");
        }
    }
    Streams {
        tcp: section.truth("tcp").unwrap_or(true),
        // Whoever has a certificate wants it to be used.
        tls_port: tls_port.or(identity.as_ref().map(|_| 5061)),
        ws_port,
        wss_port,
        identity,
        identities_more,
        verify: section
            .choice("tls_verify", &[("yes", Verify::Yes), ("no", Verify::No)])
            .unwrap_or(Verify::Yes),
        clients: section.choice("tls_clients", &CLIENTS).unwrap_or_default(),
        authorities: read_path(section, "tls_authorities")
            .unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into()),
    }
}

fn read_path(section: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    let path = section.text(key)?;
    Some(absolute(section, key, path))
}

fn absolute(section: &mut Section<'_>, key: &'static str, path: String) -> PathBuf {
    let path = PathBuf::from(path);
    if !path.is_absolute() {
        section.invalid(key, format!("{path:?} is no absolute path; begin it with /"));
    }
    path
}

/// Every port serves one transport.
pub(crate) fn check(config: &Config, findings: &mut Findings) {
    let streams = &config.streams;
    let ports = [
        ("sip.port", Some(config.sip.port).filter(|_| streams.tcp)),
        ("streams.tls_port", streams.tls_port),
        ("streams.ws_port", streams.ws_port),
        ("streams.wss_port", streams.wss_port),
    ];
    for (index, (key, port)) in ports.iter().enumerate() {
        let taken = ports[..index].iter().find(|(_, other)| port.is_some() && other == port);
        if let (Some((other, _)), Some(port)) = (taken, port) {
            findings.invalid(*key, format!("{port} is that of {other}; give each its own"));
        }
    }
}
