//! A vendor's registrar: where it may call us (RFC 3261 §10.3).

use std::time::Duration;

use super::peer::{header, uri};
use super::witness::Witness;

/// What it knows of us.
#[derive(Debug)]
pub struct Registrar {
    /// Shorter lives are refused with 423, s.
    pub expires_min_s: u32,
    /// Longer ones are cut, s.
    pub expires_max_s: u32,
    /// Our contact, and until when.
    pub binding: Option<(String, Duration)>,
    last_cseq: Option<(String, u32)>,
}

impl Registrar {
    /// Nobody is registered.
    #[must_use]
    pub fn new(expires_min_s: u32, expires_max_s: u32) -> Self {
        Self { expires_min_s, expires_max_s, binding: None, last_cseq: None }
    }

    pub(super) fn register(
        &mut self,
        now: Duration,
        request: &str,
        witness: &mut Witness,
    ) -> (u16, String) {
        let (number, _) = super::peer::cseq(request);
        let call_id = header(request, "Call-ID").unwrap_or_default().to_owned();
        let is_old = |(known, last): &(String, u32)| *known == call_id && number < *last;
        if self.last_cseq.as_ref().is_some_and(is_old) {
            return (500, String::new());
        }
        let contact = header(request, "Contact").unwrap_or_default();
        let parameter = contact.split("expires=").nth(1);
        let expires = parameter.or(header(request, "Expires"));
        let expires_s: u32 = expires.and_then(|text| text.parse().ok()).unwrap_or(3_600);
        if (1..self.expires_min_s).contains(&expires_s) {
            witness.note("vendor said 423");
            return (423, format!("Min-Expires: {}\r\n", self.expires_min_s));
        }
        self.last_cseq = Some((call_id, number));
        if expires_s == 0 {
            witness.note("we un-registered");
            self.binding = None;
            return (200, String::new());
        }
        witness.note("we registered");
        let granted_s = expires_s.min(self.expires_max_s);
        self.binding = Some((uri(contact).to_owned(), now + Duration::from_secs(granted_s.into())));
        (200, format!("Contact: <{}>;expires={granted_s}\r\n", uri(contact)))
    }
}
