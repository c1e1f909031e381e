//! What an INVITE says of its caller besides From, for control to believe or not.
//!
//! Numbers are told as they stand, still escaped. One longer than any number is left out.

use link::Text;
use link::ask::{Forward, Identities, PRIVACY_ID, PRIVACY_USER};
use sip::header::diversion::Why;
use sip::header::remote_party_id::{Hidden, Party};
use sip::header::{Diversion, HistoryInfo, Privacy, RemotePartyId};
use sip::{Message, Name, NameAddr};

/// Reads them all.
pub(super) fn identities(invite: &Message<'_>) -> Identities {
    let remote_party = remote_party(invite);
    let (diverter, forward) = diverter(invite);
    Identities {
        asserted: number(first(invite, Name::PAssertedIdentity)),
        preferred: number(first(invite, Name::PPreferredIdentity)),
        remote_party: number(remote_party.map(|party| party.address)),
        diverter: number(diverter),
        privacy: privacy(invite, remote_party),
        forward,
    }
}

fn number(address: Option<NameAddr<'_>>) -> Text<62> {
    let user = address.and_then(|address| address.uri().user());
    user.and_then(Text::new).unwrap_or_default()
}

/// The first address of a header that names a user.
fn first<'a>(invite: &Message<'a>, name: Name) -> Option<NameAddr<'a>> {
    invite.list(name).filter_map(NameAddr::parse).find(|address| address.uri().user().is_some())
}

/// The Remote-Party-ID that is about the caller.
fn remote_party<'a>(invite: &Message<'a>) -> Option<RemotePartyId<'a>> {
    let parties = invite.list(Name::RemotePartyId).filter_map(RemotePartyId::parse);
    let mut calling = parties.filter(|party| matches!(party.party, None | Some(Party::Calling)));
    calling.next()
}

/// Who sent the call on last, and how: the first of Diversion (RFC 5806 §5), or of History-Info the one
/// before the last, which is where the call goes now. It is withheld by its own wish, or by that of the
/// whole message (RFC 7044 §10.1).
fn diverter<'a>(invite: &Message<'a>) -> (Option<NameAddr<'a>>, Forward) {
    let wishes = Privacy::read(invite);
    let all_withheld = wishes.has(Privacy::HISTORY) || wishes.has(Privacy::HEADER);
    let forward = |why: Why<'_>, withheld: bool, count: u32| Forward {
        why: why.number(),
        withheld: u8::from(withheld || all_withheld),
        count: u16::try_from(count).unwrap_or(u16::MAX).max(1),
    };
    if let Some(diversion) = invite.list(Name::Diversion).find_map(Diversion::parse) {
        let withheld = diversion.hidden.hides_number();
        return (Some(diversion.address), forward(diversion.why, withheld, diversion.count));
    }
    let entries = invite.list(Name::HistoryInfo).filter_map(HistoryInfo::parse);
    let [before, last] = entries.fold([None; 2], |[_, last], entry| [last, Some(entry)]);
    let (Some(entry), Some(last)) = (before, last) else { return (None, Forward::default()) };
    // Why it went on stands with who forwarded, or with whom it went on to (RFC 4458).
    let cause = entry.reason(&mut [0; 128]).and_then(|reason| reason.cause);
    let said = || core::str::from_utf8(last.address.uri().param(b"cause")??).ok()?.parse().ok();
    let cause = cause.or_else(said);
    let why = cause.map_or(Why::Unknown, Why::from_status);
    let hides = |wish| entry.privacy().has(wish);
    let withheld =
        [Privacy::HISTORY, Privacy::HEADER, Privacy::USER, Privacy::ID].into_iter().any(hides);
    (Some(entry.address), forward(why, withheld, 1))
}

/// What the caller wants to be kept from the callee, in the words of either time.
fn privacy(invite: &Message<'_>, remote_party: Option<RemotePartyId<'_>>) -> u32 {
    let wishes = Privacy::read(invite);
    if wishes.has(Privacy::NONE) {
        return 0;
    }
    let hides_number =
        remote_party.is_some_and(|party| matches!(party.hidden, Hidden::Uri | Hidden::All));
    let bit = |wished: bool, bit: u32| if wished { bit } else { 0 };
    bit(wishes.has(Privacy::ID) || hides_number, PRIVACY_ID)
        | bit(wishes.has(Privacy::USER) || wishes.has(Privacy::HEADER), PRIVACY_USER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Identities {
        let invite = format!(
            "INVITE sip:4420@a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:1@a>;tag=1\r\n\
             To: <sip:4420@a>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        identities(&Message::parse(invite.as_bytes()).unwrap())
    }

    #[test]
    fn each_header_tells_its_first_number() {
        let all = read(
            "P-Asserted-Identity: \"C\" <sip:+1408@x;user=phone>, <tel:+99>\r\n\
             P-Preferred-Identity: <tel:+1-201>\r\n\
             Remote-Party-ID: <sip:called@x>;party=called, <sip:77%2a@x>;party=calling\r\n\
             Diversion: <sip:555@x>;reason=no-answer, <sip:444@x>\r\n\
             History-Info: <sip:1@x>;index=1\r\n",
        );
        let said = [all.asserted, all.preferred, all.remote_party, all.diverter];
        let said: Vec<_> = said.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(said, [&b"+1408"[..], b"+1-201", b"77%2a", b"555"]);
        assert_eq!(all.privacy, 0);
        assert_eq!(read(""), Identities::default());
        let long = format!("P-Asserted-Identity: <sip:{}@x>\r\n", "1".repeat(63));
        assert_eq!(read(&long), Identities::default());
    }

    #[test]
    fn the_entry_before_the_last_of_the_history_diverted() {
        for (history, diverter) in [
            ("<sip:a@x>;index=1", &b""[..]),
            ("<sip:a@x>;index=1, <sip:b@x>;index=1.1;mp=1", b"a"),
            ("<sip:a@x>;index=1, <sip:b@x>;index=1.1, <sip:c@x>;index=1.1.1", b"b"),
        ] {
            let read = read(&format!("History-Info: {history}\r\n"));
            assert_eq!(read.diverter.as_bytes(), diverter);
        }
    }

    #[test]
    fn how_a_call_was_forwarded_is_read_from_either_header() {
        let history =
            |entry: &str| format!("History-Info: {entry};index=1, <sip:b@x>;index=1.1\r\n");
        for (lines, why, withheld, count) in [
            (String::new(), Why::Unknown, 0, 0),
            ("Diversion: <sip:5@x>\r\n".into(), Why::Unknown, 0, 1),
            (
                "Diversion: <sip:5@x>;reason=no-answer;counter=3;privacy=off, <sip:6@x>;counter=9\r\n".into(),
                Why::NoAnswer,
                0,
                3,
            ),
            ("Diversion: <sip:5@x>;privacy=full;counter=70000\r\n".into(), Why::Unknown, 1, u16::MAX),
            ("Diversion: <sip:5@x>;privacy=name\r\n".into(), Why::Unknown, 0, 1),
            ("Diversion: <sip:5@x>\r\nPrivacy: history\r\n".into(), Why::Unknown, 1, 1),
            (history("<sip:5@x?Reason=SIP%3Bcause%3D486>"), Why::UserBusy, 0, 1),
            (history("<sip:5@x?Reason=SIP%3Bcause%3D302&Privacy=history>"), Why::Unconditional, 1, 1),
            (history("<sip:5@x>") + "Privacy: header\r\n", Why::Unknown, 1, 1),
            (
                "History-Info: <sip:5@x>;index=1, <sip:b@x;cause=408>;index=1.1;mp=1\r\n".into(),
                Why::NoAnswer,
                0,
                1,
            ),
        ] {
            let expected = Forward { why: why.number(), withheld, count };
            assert_eq!(read(&lines).forward, expected, "{lines}");
        }
    }

    #[test]
    fn a_wish_for_privacy_is_heard_in_every_dialect() {
        let party = |privacy| format!("Remote-Party-ID: <sip:1@x>;privacy={privacy}\r\n");
        for (lines, bits) in [
            ("Privacy: id\r\n".to_owned(), PRIVACY_ID),
            ("Privacy: user;header\r\n".to_owned(), PRIVACY_USER),
            ("Privacy: header\r\nPrivacy: id;critical\r\n".to_owned(), PRIVACY_ID | PRIVACY_USER),
            ("Privacy: none\r\n".to_owned() + &party("full"), 0),
            (party("full"), PRIVACY_ID),
            (party("name"), 0),
        ] {
            assert_eq!(read(&lines).privacy, bits, "{lines}");
        }
    }
}
