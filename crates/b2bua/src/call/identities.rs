//! What an INVITE says of its caller besides From, for control to believe or not.
//!
//! Numbers are told as they stand, still escaped. One longer than any number is left out.

use link::Text;
use link::ask::{Identities, PRIVACY_ID, PRIVACY_USER};
use sip::header::remote_party_id::{Hidden, Party};
use sip::header::{Diversion, HistoryInfo, Privacy, RemotePartyId};
use sip::{Message, Name, NameAddr};

/// Reads them all.
pub(super) fn identities(invite: &Message<'_>) -> Identities {
    let remote_party = remote_party(invite);
    Identities {
        asserted: number(first(invite, Name::PAssertedIdentity)),
        preferred: number(first(invite, Name::PPreferredIdentity)),
        remote_party: number(remote_party.map(|party| party.address)),
        diverter: number(diverter(invite)),
        privacy: privacy(invite, remote_party),
        spare: 0,
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

/// Who sent the call on last: the first of Diversion (RFC 5806 §5), or of History-Info the one before
/// the last, which is where the call goes now.
fn diverter<'a>(invite: &Message<'a>) -> Option<NameAddr<'a>> {
    let diversion = invite.list(Name::Diversion).find_map(Diversion::parse);
    diversion.map(|diversion| diversion.address).or_else(|| {
        let entries = invite.list(Name::HistoryInfo).filter_map(HistoryInfo::parse);
        let last_two = entries.fold([None; 2], |[_, last], entry| [last, Some(entry.address)]);
        last_two[0]
    })
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
