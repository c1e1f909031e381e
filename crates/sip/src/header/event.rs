//! Subscriptions: Event and Subscription-State (RFC 6665 §8.2).

use super::Name;
use super::params::Params;
use super::seconds::seconds;
use crate::emit::{Part, Writer};
use crate::scan::{self, Cursor};

/// What somebody wants to hear of. Two are the same byte by byte (§8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Such as `refer`, `message-summary` or `presence.winfo`.
    pub package: &'a [u8],
    /// Which of several subscriptions of one dialog.
    pub id: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    /// Reads a value. `None` when it is no token with parameters.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (package, params) = read_token(value)?;
        Some(Self { package, id: params.value(b"id") })
    }

    /// Writes the header line.
    pub fn write(&self, writer: &mut Writer<'_>) {
        let id: &[Part<'_>] = match self.id {
            Some(id) => &[";id=".into(), id.into()],
            None => &[],
        };
        writer.header(Name::Event, &[self.package.into(), Part::Parts(id)]);
    }
}

/// How a subscription stands (§8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substate<'a> {
    /// It is accepted.
    Active,
    /// Nobody has decided yet.
    Pending,
    /// It is over.
    Terminated,
    /// Of an extension; it goes on (§4.1.3).
    Other(&'a [u8]),
}

impl<'a> Substate<'a> {
    const fn new(name: &'a [u8]) -> Self {
        if name.eq_ignore_ascii_case(b"active") {
            Self::Active
        } else if name.eq_ignore_ascii_case(b"pending") {
            Self::Pending
        } else if name.eq_ignore_ascii_case(b"terminated") {
            Self::Terminated
        } else {
            Self::Other(name)
        }
    }

    const fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Active => b"active",
            Self::Pending => b"pending",
            Self::Terminated => b"terminated",
            Self::Other(name) => name,
        }
    }
}

/// Subscription-State.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionState<'a> {
    /// How it stands.
    pub state: Substate<'a>,
    /// Why it is over, such as `noresource`.
    pub reason: Option<&'a [u8]>,
    /// How long it goes on.
    pub expires_s: Option<u32>,
    /// When another attempt is welcome.
    pub retry_after_s: Option<u32>,
}

impl<'a> SubscriptionState<'a> {
    /// Reads a value. `None` when it is no token with parameters.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (state, params) = read_token(value)?;
        Some(Self {
            state: Substate::new(state),
            reason: params.value(b"reason"),
            expires_s: params.value(b"expires").and_then(seconds),
            retry_after_s: params.value(b"retry-after").and_then(seconds),
        })
    }

    /// Writes the header line.
    pub fn write(&self, writer: &mut Writer<'_>) {
        let reason: &[Part<'_>] = match self.reason {
            Some(reason) => &[";reason=".into(), reason.into()],
            None => &[],
        };
        let expires: &[Part<'_>] = match self.expires_s {
            Some(expires_s) => &[";expires=".into(), expires_s.into()],
            None => &[],
        };
        let retry_after: &[Part<'_>] = match self.retry_after_s {
            Some(retry_after_s) => &[";retry-after=".into(), retry_after_s.into()],
            None => &[],
        };
        let state = [Part::Text(self.state.as_bytes())];
        let parts = [&state, reason, expires, retry_after].map(Part::Parts);
        writer.header(Name::SubscriptionState, &parts);
    }
}

/// A token and the parameters behind it.
fn read_token(value: &[u8]) -> Option<(&[u8], Params<'_>)> {
    let mut cursor = Cursor::new(scan::trim(value));
    let token = cursor.take_some(scan::TOKEN)?;
    Some((token, Params::read_last(cursor, |_| ())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::header_line;

    #[test]
    fn a_package_and_its_subscription_are_read_and_written() {
        for (value, package, id) in [
            ("refer", "refer", None),
            ("refer;id=93809824", "refer", Some(&b"93809824"[..])),
            ("presence.winfo", "presence.winfo", None),
        ] {
            let event = Event::parse(value.as_bytes()).unwrap();
            assert_eq!((event.package, event.id), (package.as_bytes(), id));
            assert_eq!(header_line(|w| event.write(w)).unwrap(), format!("Event: {value}"));
        }
        for value in ["", ";id=1", "a b", "a,b", "\"refer\""] {
            assert_eq!(Event::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_state_is_read_and_written() {
        let over = SubscriptionState::parse(b"Terminated ; reason=noresource").unwrap();
        assert_eq!((over.state, over.reason), (Substate::Terminated, Some(&b"noresource"[..])));
        for value in [
            "active;expires=60",
            "pending",
            "terminated;reason=probation;retry-after=30",
            "waiting;expires=5",
        ] {
            let state = SubscriptionState::parse(value.as_bytes()).unwrap();
            let line = header_line(|w| state.write(w)).unwrap();
            assert_eq!(line, format!("Subscription-State: {value}"));
        }
        assert_eq!(SubscriptionState::parse(b"active expires=60"), None);
    }
}
