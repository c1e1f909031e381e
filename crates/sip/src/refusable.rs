//! A broken request that can still be answered.
//!
//! Nothing of it is trusted: its header lines are shown as they stand, for copying. A response and an
//! ACK are never answered (RFC 3261 §17.1.1.3), and neither is what does not even look like a request.

use crate::fault::Fault;
use crate::head::Head;
use crate::header::Name;
use crate::header::list::split_first;
use crate::header::name_addr::NameAddr;
use crate::header::via::Via;
use crate::message::{is_sip_version, is_status_line};
use crate::method::Method;
use crate::scan;

/// As much of a broken request as a stateless refusal needs (§8.2.6, §8.2.7).
#[derive(Clone)]
pub struct Refusable<'a> {
    head: Head<'a>,
    method: Method<'a>,
    via: Option<Via<'a>>,
    to: Option<NameAddr<'a>>,
}

impl<'a> Refusable<'a> {
    /// Reads a datagram that [`crate::Message::parse`] refused with `fault`, and says with which status
    /// to answer it. `None`: it is dropped silently.
    #[must_use]
    pub fn read(datagram: &'a [u8], fault: Fault) -> Option<(Self, u16)> {
        let status = fault.status()?;
        let head = Head::scan(datagram);
        let line = head.start_line();
        let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let method = words.next().filter(|word| scan::all(word, scan::TOKEN))?;
        let version = words.next_back()?;
        let method = Method::new(method);
        if is_status_line(line) || !is_sip_version(version) || method == Method::Ack {
            return None;
        }
        let top = head.headers().find(|header| header.name == Name::Via)?;
        let via = Via::parse(split_first(top.value).0);
        let to = head.headers().find(|header| header.name == Name::To);
        let to = to.and_then(|header| NameAddr::parse(header.value));
        Some((Self { head, method, via, to }, status))
    }

    /// What was asked for.
    #[must_use]
    pub const fn method(&self) -> Method<'a> {
        self.method
    }

    /// The top Via, if it can be read.
    #[must_use]
    pub const fn via(&self) -> Option<&Via<'a>> {
        self.via.as_ref()
    }

    /// The value of the first header line of that name, as it stands.
    #[must_use]
    pub fn value(&self, name: Name) -> Option<&'a [u8]> {
        self.head.headers().find(|header| header.name == name).map(|header| header.value)
    }

    pub(crate) const fn head(&self) -> &Head<'a> {
        &self.head
    }

    pub(crate) const fn to(&self) -> Option<&NameAddr<'a>> {
        self.to.as_ref()
    }
}

/// The method only: the rest may name subscribers.
impl std::fmt::Debug for Refusable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refusable({:?})", self.method)
    }
}
