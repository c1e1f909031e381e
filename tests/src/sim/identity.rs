//! What callers say of themselves besides From, and of who sent their call on: P-Asserted-Identity (RFC 3325),
//! Remote-Party-ID and Diversion (RFC 5806), and what vendors are told of that.

use std::net::IpAddr;

use super::hiding::secret;
use super::peer::{header, uri};
use super::witness::Witness;

/// How the numbers of those begin who send calls on and do not mind to be known.
const DIVERTER: &str = "39065550";

/// By which header a number goes besides From, in the words of a gateway's fields, and how it is called.
const IDENTITIES: [(&str, &str, &str); 3] = [
    ("asserted", "P-Asserted-Identity", "vendor was told who calls (P-Asserted-Identity)"),
    ("preferred", "P-Preferred-Identity", "vendor was told who calls (P-Preferred-Identity)"),
    ("remote_party", "Remote-Party-ID", "vendor was told who calls (Remote-Party-ID)"),
];

/// What an INVITE says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telling {
    /// By which header the caller's number goes, as `caller_from` calls it; empty: by From alone.
    pub number: &'static str,
    /// Whether somebody sent the call on, and whether he wants to be known to nobody.
    pub forwarded: Option<bool>,
}

impl Telling {
    /// The lines of a caller at `host`, who wants to be known or not.
    pub(super) fn lines(self, host: IpAddr, is_shy: bool) -> String {
        let last = host.to_string();
        let last = last.rsplit('.').next().unwrap_or_default();
        let number = if is_shy { secret(host) } else { format!("3906660{last}") };
        let identity = match self.number {
            "asserted" => format!("P-Asserted-Identity: <sip:{number}@{host}>\r\n"),
            "remote_party" if is_shy => {
                format!("Remote-Party-ID: <sip:{number}@{host}>;party=calling;privacy=full\r\n")
            }
            "remote_party" => {
                format!("Remote-Party-ID: <sip:{number}@{host}>;party=calling;privacy=off\r\n")
            }
            _ => String::new(),
        };
        let forwarded = self.forwarded.map_or(String::new(), |is_shy| {
            let (number, privacy) = match is_shy {
                true => (secret(host), "full"),
                false => (format!("{DIVERTER}{last}"), "off"),
            };
            format!(
                "Diversion: <sip:{number}@{host}>;reason=no-answer;counter=1;privacy={privacy}\r\n"
            )
        });
        identity + &forwarded
    }
}

/// What a vendor's gateway says it is to be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// `identity_sent`; empty: unsaid.
    pub identity: &'static str,
    /// `forward_signal_sent`; empty: unsaid.
    pub forward: &'static str,
}

impl Told {
    /// Looks at the first INVITE of a call: it says what the gateway wants told, and no more.
    pub(super) fn judge(self, invite: &str, witness: &mut Witness) {
        let user = |value: &str| uri(value).split([':', '@']).nth(1).unwrap_or_default().to_owned();
        let from = user(header(invite, "From").unwrap_or_default());
        for (field, name, noted) in IDENTITIES {
            let told = header(invite, name).map(user);
            let is_wanted = self.identity == field && from != "anonymous";
            match told {
                Some(number) if is_wanted && number == from => witness.note(noted),
                None if !is_wanted => {}
                told => witness.wrong(format!("{name} says {told:?} of {from}: {self:?}")),
            }
        }
        let diversion = header(invite, "Diversion").map(user);
        match diversion {
            Some(number) if self.forward == "diversion" && number.starts_with(DIVERTER) => {
                witness.note("vendor was told who forwarded (Diversion)");
            }
            Some(number) if self.forward == "diversion" && number == "anonymous" => {
                witness.note("vendor was told that somebody forwarded (Diversion)");
            }
            None => {}
            told => witness.wrong(format!("Diversion says {told:?}: {self:?}")),
        }
    }
}
