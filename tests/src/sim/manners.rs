//! What a simulated peer can beyond the basics, and what it wants while it talks.

use std::time::Duration;

use super::digest::Account;
use super::keypad::Tones;
use super::session::Timer;

/// How a peer takes reliable provisional responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rel100 {
    /// Not at all.
    #[default]
    Unknown,
    /// Where the other side likes it.
    Supported,
    /// It insists.
    Required,
}

/// What a peer does in a dialog besides talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A re-INVITE that offers to send only.
    Hold,
    /// One that takes this back.
    Resume,
    /// A re-INVITE without an offer: the far end makes it.
    Ask,
    /// An UPDATE with an offer.
    Update,
    /// An UPDATE without.
    Sign,
    /// The session is refreshed.
    Refresh,
    /// INFO.
    Info,
    /// MESSAGE.
    Message,
    /// REFER: the far end is to talk to this number instead.
    Transfer(&'static str),
    /// REFER with Replaces: it is to talk to the far end of another call of this peer.
    Join,
    /// Keys are pressed.
    Press(&'static str),
    /// BYE.
    HangUp,
}

impl Wish {
    pub(super) fn is_offer(self) -> bool {
        matches!(self, Self::Hold | Self::Resume | Self::Ask | Self::Update)
    }

    pub(super) fn is_transfer(self) -> bool {
        matches!(self, Self::Transfer(_) | Self::Join)
    }

    /// What the coverage calls it when it was granted.
    pub(super) fn granted(self) -> &'static str {
        match self {
            Self::Hold | Self::Resume => "hold or resume accepted",
            Self::Ask => "re-INVITE without offer accepted",
            Self::Update => "UPDATE with offer accepted",
            Self::Sign => "UPDATE without offer accepted",
            Self::Refresh => "peer refreshed a session",
            Self::Info => "INFO answered",
            Self::Message => "MESSAGE answered",
            Self::Transfer(_) => "REFER accepted",
            Self::Join => "REFER to another call accepted",
            Self::Press(_) => "keys were pressed",
            Self::HangUp => "hung up in the middle of something",
        }
    }
}

/// What a peer can, beyond the basics.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// It speaks of nothing that is not in RFC 3261.
    pub plain: bool,
    /// Reliable provisional responses.
    pub rel100: Rel100,
    /// Session timers.
    pub timer: Option<Timer>,
    /// It takes UPDATE.
    pub updates: bool,
    /// What it does so long after the answer, in order.
    pub wishes: Vec<(Duration, Wish)>,
    /// It thinks so long about a re-INVITE.
    pub thinks: Duration,
    /// It asks for a password inside of calls, too.
    pub asks: Option<(u16, Account)>,
    /// Somebody in this world transfers calls: others than those who called may be at the far end.
    pub in_company: bool,
    /// How the keys travel that it presses.
    pub tones: Option<Tones>,
    /// By how much its patience after a 491 differs from that of others, ms.
    pub pace_ms: u64,
}

impl Manners {
    /// Header lines of an INVITE or 2xx that say so.
    pub(super) fn lines(&self) -> String {
        if self.plain {
            return String::new();
        }
        let update = if self.updates { ", UPDATE" } else { "" };
        let prack = if self.rel100 == Rel100::Unknown { "" } else { ", PRACK" };
        format!("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE{update}{prack}\r\n")
    }
}
