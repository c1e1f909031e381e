//! What travels in the rings between threads: a payload, whence and whither it goes, and what it is.

use std::net::SocketAddr;

use b2bua::Path;
use link::Endpoint;
use link::endpoint::Transport;
use zerocopy::{FromBytes, IntoBytes};

/// Both ends and the number of a connection, in front of each payload.
pub(crate) const ENVELOPE_BYTES: usize = 2 * size_of::<Endpoint>() + size_of::<u32>();

/// What a payload is: it decides marking, and what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// RTP or RTCP.
    Media = 0,
    /// A SIP message.
    Sip = 1,
    /// A message of ours that came back, or its front.
    Undeliverable = 2,
    /// RTP or RTCP that another port of ours sent.
    MediaInside = 3,
    /// The name of the place that a path leads to.
    Name = 4,
    /// The connection of the path is no more, and a REGISTER had come by it.
    Lost = 5,
}

/// A label's number: the kind below, the marking above.
const KIND_BITS: u16 = 3;

/// What is said of a payload besides its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// What it is.
    pub kind: Kind,
    /// How it is marked.
    pub dscp: u8,
}

impl Label {
    /// Where marking means nothing.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self { kind, dscp: 0 }
    }

    pub(crate) fn number(self) -> u16 {
        u16::from(self.dscp) << KIND_BITS | self.kind as u16
    }

    pub(crate) fn of_number(number: u16) -> Self {
        let kind = match number & ((1 << KIND_BITS) - 1) {
            0 => Kind::Media,
            1 => Kind::Sip,
            2 => Kind::Undeliverable,
            4 => Kind::Name,
            5 => Kind::Lost,
            _ => Kind::MediaInside,
        };
        Self { kind, dscp: (number >> KIND_BITS & 63) as u8 }
    }
}

/// The path of a datagram.
pub(crate) fn by_udp(local: SocketAddr, remote: SocketAddr) -> Path {
    Path { transport: Transport::Udp, local, remote, connection: 0 }
}

/// What stands in front of a payload.
pub(crate) fn envelope(path: &Path) -> [u8; ENVELOPE_BYTES] {
    let ends = [Endpoint::from(path.local), Endpoint::from(path.remote).by(path.transport)];
    let mut envelope = [0; ENVELOPE_BYTES];
    let (head, connection) = envelope.split_at_mut(2 * size_of::<Endpoint>());
    head.copy_from_slice(ends.as_bytes());
    connection.copy_from_slice(&path.connection.to_ne_bytes());
    envelope
}

/// Writes envelope and payload; `None` when they do not fit.
pub(crate) fn seal(letter: &mut [u8], path: &Path, payload: &[u8]) -> Option<usize> {
    let length = ENVELOPE_BYTES + payload.len();
    let room = letter.get_mut(..length)?;
    let (head, body) = room.split_at_mut(ENVELOPE_BYTES);
    head.copy_from_slice(&envelope(path));
    body.copy_from_slice(payload);
    Some(length)
}

/// Reads what [`seal`] wrote.
pub(crate) fn unseal(letter: &[u8]) -> Option<(Path, &[u8])> {
    let ([local, remote], rest) = <[Endpoint; 2]>::read_from_prefix(letter).ok()?;
    let (connection, payload) = u32::read_from_prefix(rest).ok()?;
    let (transport, remote) = (remote.transport(), remote.socket_address()?);
    Some((Path { transport, local: local.socket_address()?, remote, connection }, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_arrives_as_it_was_sealed() {
        let mut letter = [0; 128];
        let (local, remote) =
            ("10.0.0.1:5060".parse().unwrap(), "[fd10:1::2]:5060".parse().unwrap());
        for (transport, connection) in [(Transport::Udp, 0), (Transport::Wss, u32::MAX)] {
            let path = Path { transport, local, remote, connection };
            let length = seal(&mut letter, &path, b"payload").unwrap();
            assert_eq!(unseal(&letter[..length]).unwrap(), (path, &b"payload"[..]));
            assert!(seal(&mut letter, &path, &[0; 128]).is_none());
        }
        assert!(unseal(&letter[..ENVELOPE_BYTES - 1]).is_none());
    }

    #[test]
    fn a_label_survives_its_number() {
        use Kind::{Lost, Media, MediaInside, Name, Sip, Undeliverable};
        for kind in [Media, Sip, Undeliverable, MediaInside, Name, Lost] {
            for dscp in [0, 46, 63] {
                let label = Label { kind, dscp };
                assert_eq!(Label::of_number(label.number()), label);
            }
        }
    }
}
