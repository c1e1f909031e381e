//! One leg of a call: what our side of a dialog must remember (RFC 3261 §12).
//!
//! Withstands: texts that do not fit (refused, never cut), a Contact that names a stranger's
//! private network or ourselves (the address the messages really came from is used instead).

use std::net::{IpAddr, SocketAddr};

use link::endpoint::Transport;
use sip::{Message, Method, Name, NameAddr, Scheme};

use crate::arena::{Arena, Field, TooLong};
use crate::call::Session;
use crate::compose::{Content, Extensions, HOPS, Outgoing, Party, Says, Told};
use crate::keys::{TOKEN_BYTES, Token};
use crate::limits::{Local, local_for};
use crate::media::{Described, LegMedia};
use crate::path::Path;

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Side {
    /// The customer's side: we answer there.
    Caller = 0,
    /// The vendor's side: we call there.
    Callee = 1,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Caller, Self::Callee];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// The longest route set we follow.
const ROUTES_MAX: usize = 12;

/// See the head of this file.
#[derive(Clone)]
pub(crate) struct Leg {
    pub(crate) arena: Arena,
    /// Whither our requests go: next hop, and the own address they leave from.
    pub(crate) path: Path,
    /// Which own address speaks here, as an index.
    pub(crate) local: u8,
    /// The random part of our tag; 0: no dialog.
    pub(crate) random: u64,
    /// The number of our last request.
    pub(crate) cseq_local: u32,
    /// The number of their last request, if there was one.
    pub(crate) cseq_remote: Option<u32>,
    /// Whether both sides know the dialog, so that only a BYE ends it.
    pub(crate) confirmed: bool,
    pub(crate) media: LegMedia,
    /// How long it lives without a sign of life.
    pub(crate) session: Session,
}

impl Leg {
    pub(crate) fn new() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let transport = Transport::Udp;
        Self {
            arena: Arena::new(),
            path: Path { transport, local: nowhere, remote: nowhere, connection: 0 },
            local: 0,
            random: 0,
            cseq_local: 0,
            cseq_remote: None,
            confirmed: false,
            media: LegMedia::NONE,
            session: Session::NONE,
        }
    }

    pub(crate) fn text(&self, field: Field) -> &[u8] {
        self.arena.text(field)
    }

    /// Takes the caller's side from its INVITE (§12.1.1).
    pub(crate) fn open_server(
        &mut self,
        path: Path,
        locals: &[Local],
        invite: &Message<'_>,
    ) -> Result<(), TooLong> {
        self.arena.clear();
        // Which of our tags the dialog gets is known at the answer; they are all of one length.
        self.arena.set(Field::LocalTag, &[b'0'; TOKEN_BYTES])?;
        self.path = path;
        self.cseq_local = 0;
        self.cseq_remote = Some(invite.cseq().number);
        self.confirmed = false;
        self.media.told = Described::default();
        self.arena.set(Field::CallId, invite.call_id())?;
        self.arena.set(Field::RemoteTag, invite.from().tag().unwrap_or_default())?;
        self.arena.set(Field::RemoteUri, invite.from().uri().as_bytes())?;
        self.arena.set(Field::LocalUri, invite.to().uri().as_bytes())?;
        self.set_routes(invite.list(Name::RecordRoute), Order::AsIs)?;
        // Peers of RFC 2543 may name no Contact: they are reached where From says.
        self.arena.set(Field::Target, invite.from().uri().as_bytes())?;
        self.refresh(locals, invite)
    }

    /// Turns to one of those that are called at once: the Request-URI of its INVITE, the route set and
    /// the way that lead there. Headers of the URI are left out (§19.1.5): a phone that registered them
    /// writes no lines into requests of ours. Gives the way, which follows the first route if that is a loose one.
    pub(crate) fn aim(
        &mut self,
        uri: &[u8],
        routes: &[u8],
        path: Path,
        locals: &[Local],
    ) -> Result<Path, TooLong> {
        let uri = sip::Uri::parse(uri).map_or(uri, |uri| uri.without_headers());
        self.arena.set(Field::Target, uri)?;
        self.arena.set(Field::Routes, routes)?;
        let first = first_route(routes).filter(|route| route.uri().param(b"lr").is_some());
        let hop = first.map_or(path, |route| way_of(route.uri(), path, locals));
        // A connection leads where it was made, and nowhere else.
        let connection = if hop.remote == path.remote { hop.connection } else { 0 };
        self.path = Path { connection, ..hop };
        Ok(self.path)
    }

    /// Takes what a 2xx to our INVITE adds (§12.1.2).
    pub(crate) fn accept(&mut self, locals: &[Local], answer: &Message<'_>) -> Result<(), TooLong> {
        self.open_early(locals, answer)?;
        self.confirmed = true;
        Ok(())
    }

    /// Takes what a reliable 1xx to our INVITE adds: the dialog is early (§12.1.2).
    pub(crate) fn open_early(
        &mut self,
        locals: &[Local],
        answer: &Message<'_>,
    ) -> Result<(), TooLong> {
        let tag = answer.to().tag().unwrap_or_default();
        if self.text(Field::RemoteTag) != tag {
            // Another fork counts its requests for itself.
            self.cseq_remote = None;
        }
        self.arena.set(Field::RemoteTag, tag)?;
        self.set_routes(answer.list(Name::RecordRoute), Order::Reversed)?;
        self.refresh(locals, answer)
    }

    /// A target refresh: the far end's Contact, and so the next hop (§12.2.1.2, §12.2.2).
    pub(crate) fn refresh(
        &mut self,
        locals: &[Local],
        message: &Message<'_>,
    ) -> Result<(), TooLong> {
        if let Some(contact) = message.contact() {
            self.arena.set(Field::Target, contact.uri().without_headers())?;
        }
        self.follow(locals);
        Ok(())
    }

    /// Turns to the next hop that route set and Contact name.
    pub(crate) fn follow(&mut self, locals: &[Local]) {
        if self.path.inside().is_some() {
            return;
        }
        self.path = next_hop(&self.arena, self.path, locals);
    }

    fn set_routes<'a>(
        &mut self,
        values: impl Iterator<Item = &'a [u8]>,
        order: Order,
    ) -> Result<(), TooLong> {
        let (joined, length) = join_routes(values, order)?;
        self.arena.set(Field::Routes, &joined[..length])
    }

    /// Whether a request of the far end belongs to this dialog (§12.2.2).
    pub(crate) fn owns(&self, request: &Message<'_>) -> bool {
        request.call_id() == self.text(Field::CallId)
            && request.from().tag().unwrap_or_default() == self.text(Field::RemoteTag)
    }

    /// A request inside the dialog. Nothing is counted up here: an ACK has its INVITE's number.
    pub(crate) fn request<'a>(
        &'a self,
        method: Method<'a>,
        cseq: u32,
        branch: Token,
        content: Content<'a>,
    ) -> Outgoing<'a> {
        let (uri, routes, beyond) = directions(self.text(Field::Routes), self.text(Field::Target));
        Outgoing {
            method,
            uri,
            branch,
            routes,
            beyond,
            from: Party {
                uri: self.text(Field::LocalUri),
                tag: self.text(Field::LocalTag),
                display: &[],
            },
            to: Party {
                uri: self.text(Field::RemoteUri),
                tag: self.text(Field::RemoteTag),
                display: &[],
            },
            call_id: self.text(Field::CallId),
            cseq,
            hops: HOPS,
            passed: None,
            told: Told::default(),
            says: Says::Nothing,
            extensions: Extensions::NONE,
            content,
        }
    }
}

/// How the route set is taken from Record-Route: by whom it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As a server (§12.1.1).
    AsIs,
    /// As a client (§12.1.2).
    Reversed,
}

const ROUTE_BYTES: usize = 800;

/// Record-Route values as the one Route value that follows them.
pub(crate) fn join_routes<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    order: Order,
) -> Result<([u8; ROUTE_BYTES], usize), TooLong> {
    let mut routes = [&[][..]; ROUTES_MAX];
    let mut count = 0;
    for value in values {
        *routes.get_mut(count).ok_or(TooLong)? = value;
        count += 1;
    }
    let routes = &mut routes[..count];
    if order == Order::Reversed {
        routes.reverse();
    }
    let (mut joined, mut length) = ([0; ROUTE_BYTES], 0);
    for (index, route) in routes.iter().enumerate() {
        let comma: &[u8] = if index == 0 { b"" } else { b"," };
        for text in [comma, route] {
            let place = joined.get_mut(length..length + text.len()).ok_or(TooLong)?;
            place.copy_from_slice(text);
            length += text.len();
        }
    }
    Ok((joined, length))
}

/// Request-URI, Route, and what is last in Route (§12.2.1.1). A strict router, of RFC 2543, finds itself in
/// the Request-URI and the target behind all routes.
fn directions<'a>(routes: &'a [u8], target: &'a [u8]) -> (&'a [u8], &'a [u8], &'a [u8]) {
    match first_route(routes).filter(|first| !first.uri().is_loose()) {
        Some(first) => (first.uri().without_headers(), behind_first(routes), target),
        None => (target, routes, b""),
    }
}

/// The first of values that were joined from a parsed list: so its address ends at the first `>`.
fn first_route(routes: &[u8]) -> Option<NameAddr<'_>> {
    NameAddr::parse(routes.split_inclusive(|&byte| byte == b'>').next()?)
}

/// What follows the first of them, and the comma behind it.
fn behind_first(routes: &[u8]) -> &[u8] {
    let mut is_quoted = false;
    let bracket = routes.iter().position(|&byte| byte == b'>').unwrap_or(routes.len());
    let comma = routes.iter().skip(bracket).position(|&byte| {
        is_quoted ^= byte == b'"';
        byte == b',' && !is_quoted
    });
    comma.and_then(|comma| routes.get(bracket + comma + 1..)).unwrap_or_default()
}

fn next_hop(arena: &Arena, learned: Path, locals: &[Local]) -> Path {
    // Loose or strict: either way the first route is the next hop.
    match first_route(arena.text(Field::Routes)) {
        Some(route) => way_of(route.uri(), learned, locals),
        None => sip::Uri::parse(arena.text(Field::Target))
            .map_or(learned, |target| way_of(&target, learned, locals)),
    }
}

/// The way that a URI names (§8.1.2), or `learned`, by which the dialog's messages come, if it names
/// no address that can be meant: a host name (we ask no DNS), a private address behind a public one
/// (NAT), an address of our own, one of a family that we do not speak.
pub(crate) fn way_of(uri: &sip::Uri<'_>, learned: Path, locals: &[Local]) -> Path {
    let Some(mut remote) = hop_in(uri, learned.remote, locals) else { return learned };
    let transport = transport_of(uri, learned.transport);
    if transport == Transport::Tls {
        remote.set_port(uri.port().unwrap_or(5061));
    }
    let connection = if transport == learned.transport { learned.connection } else { 0 };
    Path { transport, remote, connection, ..learned }
}

/// How a URI wants to be reached (RFC 3263 §4.1), by someone who is reached so now. Without a word of it
/// all stays as it is. Nobody is connected to by WebSocket, and who comes by it has no other way; who is
/// spoken to over TLS is never spoken to in clear.
fn transport_of(uri: &sip::Uri<'_>, now: Transport) -> Transport {
    match (now, uri.scheme(), uri.transport()) {
        (Transport::Tls | Transport::Ws | Transport::Wss, ..) => now,
        (_, Scheme::Sips, _) | (_, _, Some(sip::Transport::Tls)) => Transport::Tls,
        (_, _, Some(sip::Transport::Tcp)) => Transport::Tcp,
        (_, _, Some(sip::Transport::Udp)) => Transport::Udp,
        _ => now,
    }
}

/// The address that a URI names, from someone at `learned`. `None`: it cannot be meant.
pub(crate) fn hop_in(
    uri: &sip::Uri<'_>,
    learned: SocketAddr,
    locals: &[Local],
) -> Option<SocketAddr> {
    let hop = SocketAddr::new(uri.host().ip()?, uri.port().unwrap_or(5060));
    can_be_meant(hop, learned, locals).then_some(hop)
}

/// Whether someone at `learned` can mean an address: it is not ours, not inside a network that we cannot
/// see, and of the family that we speak with him.
pub(crate) fn can_be_meant(hop: SocketAddr, learned: SocketAddr, locals: &[Local]) -> bool {
    let ip = hop.ip();
    let is_ours = |local: &Local| local.address == ip || local.advertise == Some(ip);
    let is_hidden = is_private(ip) && !is_private(learned.ip());
    let unusable = is_hidden
        || ip.is_unspecified()
        || ip.is_multicast()
        || hop.port() == 0
        || ip.is_ipv4() != learned.is_ipv4()
        || locals.iter().any(is_ours)
        || local_for(locals, ip).is_none();
    !unusable
}

/// Whether an address is not of the public Internet, so that a peer behind NAT may name it.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::StreamPorts;

    fn way(uri: &str, transport: Transport, learned: &str) -> Path {
        let locals = ["192.0.2.1", "10.1.1.1"].map(|address| Local {
            address: address.parse().unwrap(),
            sip_port: 5060,
            prefix_bits: 24,
            advertise: None,
            stream_ports: StreamPorts::default(),
        });
        let (local, remote) = (locals[0].sip(), learned.parse().unwrap());
        let connection = if transport == Transport::Udp { 0 } else { 7 };
        let uri = sip::Uri::parse(uri.as_bytes()).unwrap();
        way_of(&uri, Path { transport, local, remote, connection }, &locals)
    }

    fn hop(uri: &str, learned: &str) -> String {
        way(uri, Transport::Udp, learned).remote.to_string()
    }

    #[test]
    fn a_contact_is_followed_unless_it_cannot_be_meant() {
        assert_eq!(hop("sip:a@198.51.100.9:5070", "198.51.100.1:5060"), "198.51.100.9:5070");
        assert_eq!(hop("sip:198.51.100.9", "198.51.100.1:5080"), "198.51.100.9:5060");
        assert_eq!(hop("sip:a@10.9.9.9", "10.1.1.7:5060"), "10.9.9.9:5060");
        for useless in [
            "sip:a@phone.example.com",
            "sip:a@10.9.9.9",
            "sip:a@192.0.2.1",
            "sip:a@0.0.0.0",
            "sip:a@224.0.0.1",
            "sip:a@[2001:db8::1]",
        ] {
            assert_eq!(hop(useless, "198.51.100.1:4444"), "198.51.100.1:4444", "{useless}");
        }
    }

    #[test]
    fn a_uri_says_by_what_its_address_is_reached() {
        use Transport::{Tcp, Tls, Udp, Ws, Wss};
        for (uri, now, expected) in [
            ("sip:a@198.51.100.9:5070;transport=tcp", Udp, (Tcp, 5070, 0)),
            ("sip:a@198.51.100.9;transport=TLS", Udp, (Tls, 5061, 0)),
            ("sip:a@198.51.100.9:5071;transport=tls", Tcp, (Tls, 5071, 0)),
            ("sips:a@198.51.100.9", Udp, (Tls, 5061, 0)),
            ("sips:a@198.51.100.9;transport=tcp", Tcp, (Tls, 5061, 0)),
            ("sip:a@198.51.100.9;transport=udp", Tcp, (Udp, 5060, 0)),
            // By the connection that is there.
            ("sip:a@198.51.100.9;transport=tcp", Tcp, (Tcp, 5060, 7)),
            ("sip:a@198.51.100.9", Tcp, (Tcp, 5060, 7)),
            ("sip:a@198.51.100.9", Tls, (Tls, 5061, 7)),
            // Not in clear, nor by what cannot be opened.
            ("sip:a@198.51.100.9;transport=tcp", Tls, (Tls, 5061, 7)),
            ("sip:a@198.51.100.9;transport=udp", Wss, (Wss, 5060, 7)),
            ("sip:a@198.51.100.9;transport=ws", Ws, (Ws, 5060, 7)),
            ("sip:a@198.51.100.9;transport=ws", Udp, (Udp, 5060, 0)),
            ("sip:a@198.51.100.9;transport=sctp", Udp, (Udp, 5060, 0)),
            // The way of an address that cannot be meant is not meant either.
            ("sip:a@10.9.9.9;transport=tcp", Udp, (Udp, 4444, 0)),
            ("sips:a@phone.example.com", Tcp, (Tcp, 4444, 7)),
        ] {
            let way = way(uri, now, "198.51.100.1:4444");
            let found = (way.transport, way.remote.port(), way.connection);
            assert_eq!(found, expected, "{uri} by {now:?}");
        }
    }

    #[test]
    fn a_strict_router_finds_itself_in_the_request_uri_and_the_target_last() {
        for (routes, expected) in [
            ("", ("sip:t", "", "")),
            ("<sip:a;lr>,<sip:b>", ("sip:t", "<sip:a;lr>,<sip:b>", "")),
            ("<sip:a>", ("sip:a", "", "sip:t")),
            ("<sip:a?x=y>,<sip:b;lr>", ("sip:a", "<sip:b;lr>", "sip:t")),
            ("<sip:a>;x=\"1,2\",<sip:b>,<sip:c>", ("sip:a", "<sip:b>,<sip:c>", "sip:t")),
        ] {
            let (uri, rest, beyond) = directions(routes.as_bytes(), b"sip:t");
            let found = [uri, rest, beyond].map(|text| core::str::from_utf8(text).unwrap());
            assert_eq!((found[0], found[1], found[2]), expected, "{routes}");
        }
    }

    #[test]
    fn a_client_reverses_the_route_set_and_an_endless_one_is_refused() {
        let routes = [&b"<sip:a;lr>"[..], b"<sip:b;lr>"];
        let (joined, length) = join_routes(routes.into_iter(), Order::Reversed).unwrap();
        assert_eq!(joined[..length], *b"<sip:b;lr>,<sip:a;lr>");
        assert!(join_routes([&b"<sip:a;lr>"[..]; 13].into_iter(), Order::AsIs).is_err());
        assert!(join_routes([&[b'a'; 900][..]].into_iter(), Order::AsIs).is_err());
    }
}
