//! Who is at the other end of the API's socket. The kernel says so (`SO_PEERCRED`), not the client.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use nix::unistd::{Uid, User};
use tokio::net::UnixListener;

/// The user whose process opened the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// It is root, or the user that control runs as: nobody can keep it from anything.
    pub is_owner: bool,
}

impl Peer {
    fn of(uid: u32) -> Self {
        let uid = Uid::from_raw(uid);
        let name = match User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            // Users come and go; their numbers stay in history.
            Ok(None) | Err(_) => format!("uid {uid}"),
        };
        Self { name, is_owner: uid.is_root() || uid == Uid::effective() }
    }

    /// Somebody whom the kernel does not name.
    fn unknown() -> Self {
        Self { name: "unknown".into(), is_owner: false }
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        stream.io().peer_cred().map_or(Self::unknown(), |peer| Self::of(peer.uid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_and_a_deleted_one_still_a_number() {
        assert_eq!(Peer::of(0), Peer { name: "root".into(), is_owner: true });
        assert!(Peer::of(Uid::effective().as_raw()).is_owner);
        let gone = Peer { name: "uid 3999999999".into(), is_owner: false };
        assert_eq!(Peer::of(3_999_999_999), gone);
    }
}
