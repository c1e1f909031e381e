//! Who is at the other end of the API's socket. The kernel says so (`SO_PEERCRED`), not the client.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use nix::unistd::{Uid, User};
use tokio::net::UnixListener;

/// The name of the user whose process opened the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub String);

impl Peer {
    fn of(uid: u32) -> Self {
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => Self(user.name),
            // Users come and go; their numbers stay in history.
            Ok(None) | Err(_) => Self(format!("uid {uid}")),
        }
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        stream.io().peer_cred().map_or(Self("unknown".into()), |peer| Self::of(peer.uid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_and_a_deleted_one_still_a_number() {
        assert_eq!(Peer::of(0), Peer("root".into()));
        assert_eq!(Peer::of(3_999_999_999), Peer("uid 3999999999".into()));
    }
}
