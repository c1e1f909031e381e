//! A description as the other leg is told it: our addresses and ports, and what else is edited.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Change, Connection, Sdp, push_address, split_media, split_word};
use crate::lines::Lines;
use crate::room::Room;
use crate::scan;
use crate::telling::{holds_address, holds_name};

/// What we put in the place of the describer's.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite<'p> {
    /// Our address in `o=`: of a dialog always the same.
    pub origin: IpAddr,
    /// Our media address; its family decides between IP4 and IP6.
    pub address: IpAddr,
    /// Our number of the session, in the place of the describer's user and number: the same in all that
    /// one dialog hears (RFC 3264 §8).
    pub session: u32,
    /// Which description of the session it is: one more with each that differs from the one before.
    pub version: u32,
    /// What becomes of each medium in its order. A medium without an edit is refused.
    pub edits: &'p [Edit<'p>],
    /// Whether the media go from end to end: then addresses, ports and what belongs to them (ICE, DTLS,
    /// RTCP) stay the describer's, and only who it is is not told.
    pub bypassed: bool,
}

/// What becomes of one medium.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit<'c> {
    /// Our RTP port, RTCP is one above; 0 refuses the medium. One that was refused stays so.
    pub port: u16,
    /// What else is told otherwise; `None`: all as it was described.
    pub change: Option<&'c Change>,
}

impl<'c> Edit<'c> {
    /// Our port, and all else as it was described.
    #[must_use]
    pub const fn port(port: u16) -> Self {
        Self { port, change: None }
    }
}

impl Sdp<'_> {
    /// Writes the description with our addresses, ports and changes into `out`, and returns its length.
    /// `None`: it does not fit, or RTCP would be above the highest port.
    ///
    /// An address of all zeros stays one: it is a hold. Every other address of `o=`, `c=` and `a=rtcp`
    /// becomes ours, also where it was a host name or of the other family.
    #[must_use]
    pub fn rewrite(&self, rewrite: &Rewrite<'_>, out: &mut [u8]) -> Option<usize> {
        let mut room = Room::new(out);
        let mut medium = 0usize;
        let mut port = 0;
        let mut change: Option<&Change> = None;
        // What stands behind the lines of the medium that is being written.
        let mut added: &[u8] = b"";
        for line in Lines::of(self.bytes) {
            let end = line.end();
            match line.text {
                [b'o', b'=', ..] => {
                    room.push(b"o=- ");
                    room.decimal(rewrite.session.into());
                    room.push(b" ");
                    room.decimal(rewrite.version.into());
                    room.push(b" IN ");
                    push_address(&mut room, rewrite.origin);
                    room.push(end);
                }
                [b's', b'=', ..] => {
                    room.push(b"s=-");
                    room.push(end);
                }
                // Keys must be discarded (RFC 8866 §5.12); a link to one names a host.
                [b'i' | b'u' | b'e' | b'p' | b'k', b'=', ..] => (),
                [b'c', b'=', value @ ..] if !rewrite.bypassed => {
                    let held = Connection::parse(value)?.is_unspecified();
                    let ours = if held { unspecified(rewrite.address) } else { rewrite.address };
                    room.push(b"c=IN ");
                    push_address(&mut room, ours);
                    room.push(end);
                }
                [b'm', b'=', value @ ..] => {
                    room.push(core::mem::take(&mut added));
                    let parts = split_media(value)?;
                    let ours = rewrite.edits.get(medium).copied().unwrap_or_default();
                    let theirs = scan::port(parts.port).unwrap_or(0);
                    port = if theirs != 0 { ours.port } else { 0 };
                    change = ours.change.filter(|_| port != 0);
                    medium = medium.saturating_add(1);
                    room.push(b"m=");
                    room.push(parts.kind);
                    room.push(b" ");
                    room.decimal(if rewrite.bypassed && port != 0 { theirs } else { port }.into());
                    match change {
                        None => room.push(parts.behind_port),
                        Some(change) => {
                            push_changed(&mut room, parts.behind_port, change);
                            added = change.added()?;
                        }
                    }
                    room.push(end);
                }
                [b'a', b'=', attribute @ ..]
                    if (!rewrite.bypassed && is_dropped(attribute))
                        || change.is_some_and(|change| change.drops(attribute)) => {}
                [b'a', b'=', b't', b'o', b'o', b'l', b':', ..] => (),
                // A refused stream has no RTCP either, and a session has none (RFC 3605 §2.1).
                [b'a', b'=', b'r', b't', b'c', b'p', b':', ..] if port == 0 => (),
                [b'a', b'=', b'r', b't', b'c', b'p', b':', value @ ..] if !rewrite.bypassed => {
                    room.push(b"a=rtcp:");
                    room.decimal(port.checked_add(1)?.into());
                    if value.contains(&b' ') {
                        room.push(b" IN ");
                        push_address(&mut room, rewrite.address);
                    }
                    room.push(end);
                }
                // Blank lines stand at the end.
                [] => {
                    room.push(core::mem::take(&mut added));
                    room.push(line.whole());
                }
                text if !rewrite.bypassed && holds_address(text) => (),
                _ => {
                    room.push(line.whole());
                    if !line.is_ended() && !added.is_empty() {
                        room.push(b"\r\n");
                    }
                }
            }
        }
        room.push(added);
        room.written()
    }
}

/// Transport and formats of an `m=` line with their change, from the space behind the port on.
fn push_changed(room: &mut Room<'_>, behind_port: &[u8], change: &Change) {
    let behind = behind_port.trim_ascii();
    let (proto, formats) = split_word(behind).unwrap_or((behind, b""));
    room.push(b" ");
    room.push(change.proto.unwrap_or(proto));
    match change.payloads() {
        None => {
            room.push(b" ");
            room.push(formats);
        }
        Some(payloads) => {
            for &payload in payloads {
                room.push(b" ");
                room.decimal(payload.into());
            }
        }
    }
}

/// Whether a relay that ends ICE, DTLS and multiplexing, and hides one side from the other, must not let
/// the attribute pass, whatever addresses stand in it.
fn is_dropped(attribute: &[u8]) -> bool {
    let (name, value) = scan::split_once(attribute, b':').unwrap_or((attribute, b""));
    match name {
        b"candidate" | b"remote-candidates" | b"end-of-candidates" => true,
        b"rtcp-mux" | b"rtcp-mux-only" | b"bundle-only" => true,
        // Keys are of one leg.
        b"crypto" | b"key-mgmt" | b"zrtp-hash" => true,
        b"fingerprint" | b"setup" | b"tls-id" | b"connection" => true,
        // What names hosts, programs or people of the other side; hosts may stand there by name.
        b"alt" | b"altc" | b"ccap" | b"icap" | b"identity" | b"path" | b"source-filter" => true,
        b"ssrc" | b"ssrc-group" | b"tool" => true,
        b"group" => value.starts_with(b"BUNDLE"),
        // An attribute that may be, and its number before it (RFC 5939 §3.4.1).
        b"acap" => split_word(value).is_some_and(|(_, attribute)| is_dropped(attribute)),
        // The URI of an extension is its name, and leads to nobody.
        b"extmap" => false,
        // The words of a codec, and the classes of traffic, which are written as hosts are.
        b"rtpmap" | b"fmtp" | b"trafficclass" => names_authority(value),
        _ => name.starts_with(b"ice-") || names_authority(value) || holds_name(value),
    }
}

/// Whether the words of a codec tell of hosts.
pub(super) fn leaks(value: &[u8]) -> bool {
    names_authority(value) || holds_address(value)
}

/// Whether a value holds a URI that leads to a host.
fn names_authority(value: &[u8]) -> bool {
    value.windows(3).any(|three| three == b"://")
}

/// All zeros, of the family of our address.
const fn unspecified(ours: IpAddr) -> IpAddr {
    match ours {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
