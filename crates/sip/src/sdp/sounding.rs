//! An answer of our own: one stream of G.711, to be heard and not to be spoken to.

use std::net::IpAddr;

use super::{Change, Media, Sdp, push_address};
use crate::room::Room;

/// G.711, µ-law (0) and A-law (8): the payload types that every telephone knows (RFC 3551 §4.5.14).
const G711: [u8; 2] = [0, 8];

/// Where we sound from.
#[derive(Clone, Copy, Debug)]
pub struct Sounding<'a> {
    /// Our media address.
    pub address: IpAddr,
    /// Our port for the medium.
    pub port: u16,
    /// Our number of the session.
    pub session: u32,
    /// What is said besides of the medium: its keys.
    pub change: Option<&'a Change>,
}

impl Sdp<'_> {
    /// The first medium in which G.711 may be sent, and its payload type.
    #[must_use]
    pub fn sounding_in(&self) -> Option<(usize, u8)> {
        let wants = |media: &Media<'_>| {
            let hears = media.kind == b"audio" && media.is_rtp() && media.port != 0;
            let mut types = media.payload_types().filter(|_| hears && !media.is_held());
            types.find(|payload_type| G711.contains(payload_type))
        };
        let found = self.media().iter().enumerate();
        found.filter_map(|(index, media)| Some((index, wants(media)?))).next()
    }

    /// Writes the answer to this offer by which the medium `sounding` of [`Self::sounding_in`] is heard and
    /// every other refused. `None`: it does not fit.
    #[must_use]
    pub fn answer_sounding(
        &self,
        (index, payload_type): (usize, u8),
        sounding: &Sounding<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        let mut room = Room::new(out);
        room.push(b"v=0\r\no=- ");
        room.decimal(sounding.session.into());
        room.push(b" 1 IN ");
        push_address(&mut room, sounding.address);
        room.push(b"\r\ns=-\r\nc=IN ");
        push_address(&mut room, sounding.address);
        room.push(b"\r\nt=0 0\r\n");
        for (at, media) in self.media().iter().enumerate() {
            room.push(b"m=");
            room.push(media.kind);
            room.push(b" ");
            room.decimal(if at == index { sounding.port } else { 0 }.into());
            room.push(b" ");
            room.push(media.proto);
            room.push(b" ");
            if at == index {
                room.decimal(payload_type.into());
                room.push(b"\r\na=sendonly\r\n");
                room.push(sounding.change.map_or(Some(&b""[..]), Change::added)?);
            } else {
                room.push(media.formats().next().unwrap_or(b"0"));
                room.push(b"\r\n");
            }
        }
        room.written()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUNDING: Sounding<'_> = Sounding {
        address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        port: 10_000,
        session: 7,
        change: None,
    };

    fn answer(media: &str) -> Option<String> {
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n{media}"
        );
        let offer = Sdp::parse(offer.as_bytes()).unwrap();
        let mut out = [0; 400];
        let length = offer.answer_sounding(offer.sounding_in()?, &SOUNDING, &mut out)?;
        assert!(Sdp::parse(&out[..length]).is_ok());
        let text = String::from_utf8_lossy(&out[..length]).into_owned();
        Some(text.split_once("t=0 0\r\n").unwrap().1.to_owned())
    }

    #[test]
    fn the_first_telephone_hears_and_all_else_is_refused() {
        let asked = "m=video 4002 RTP/AVP 96 97\r\nm=audio 4000 RTP/AVP 18 8 0 101\r\nm=audio 4006 RTP/AVP 0\r\n";
        let expected = "m=video 0 RTP/AVP 96\r\nm=audio 10000 RTP/AVP 8\r\na=sendonly\r\nm=audio 0 RTP/AVP 0\r\n";
        assert_eq!(answer(asked).as_deref(), Some(expected));
    }

    #[test]
    fn whoever_listens_under_a_key_is_told_ours() {
        let text = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
                    m=audio 4000 RTP/SAVP 0\r\n";
        let offer = Sdp::parse(text.as_bytes()).unwrap();
        let mut change = Change::NONE;
        change.add_crypto(3, b"AES_CM_128_HMAC_SHA1_80", &[7; 30]);
        let sounding = Sounding { change: Some(&change), ..SOUNDING };
        let mut out = [0; 400];
        let length = offer.answer_sounding((0, 0), &sounding, &mut out).unwrap();
        let told = String::from_utf8_lossy(&out[..length]);
        let lines =
            "m=audio 10000 RTP/SAVP 0\r\na=sendonly\r\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:";
        assert!(told.contains(lines), "{told}");
    }

    #[test]
    fn nobody_is_sounded_to_who_does_not_know_g711_or_does_not_listen() {
        for media in [
            "",
            "m=audio 4000 RTP/AVP 18 101\r\n",
            "m=audio 0 RTP/AVP 0\r\n",
            "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n",
            "m=image 4000 udptl t38\r\n",
        ] {
            assert_eq!(answer(media), None, "{media}");
        }
        assert!(answer("m=audio 4000 RTP/AVP 0\r\n").is_some());
    }
}
