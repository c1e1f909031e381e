//! What becomes of connections, counted by the rim and read by the workers, who publish it.

use std::sync::atomic::{AtomicU64, Ordering};

use sip::StreamFault;

/// What happened to a connection, or to a message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamCounter {
    /// Connections that peers opened.
    Accepted,
    /// Connections that we opened.
    Opened,
    /// Connections of sources that the driver would have dropped, closed at once.
    Denied,
    /// Connections over the limit of all, of strangers, or of their source, closed at once; ours, not opened.
    OverLimit,
    /// Connections that could not be opened.
    Unopened,
    /// Connections closed because their handshake failed or took too long.
    HandshakeFailed,
    /// Connections closed because nothing came for too long, or not one message from a stranger.
    Idle,
    /// Connections closed because the rest of a message did not come, or the peer did not read, or
    /// acknowledged nothing.
    Stuck,
    /// Connections that broke.
    Broken,
    /// Connections that the peer closed.
    Closed,
    /// Connections closed by RST, as `SS_TCP_CLOSE_RESET` asks.
    Reset,
    /// Connections closed: no blank line within the longest message.
    HeadEndless,
    /// Connections closed: a message longer than the limit.
    MessageTooLong,
    /// Connections closed: a message without Content-Length (RFC 3261 §20.14).
    LengthMissing,
    /// Connections closed: a Content-Length that is no number, or stands there twice.
    LengthMalformed,
    /// Connections closed: line ends for ever and never a message.
    Barren,
    /// Connections closed: a frame that no WebSocket has (RFC 6455 §7.4.1, 1002).
    FrameMalformed,
    /// Connections closed: a WebSocket text that is none (RFC 6455 §7.4.1, 1007).
    TextMalformed,
    /// Messages that came in whole.
    MessagesIn,
    /// Messages written out.
    MessagesOut,
    /// Messages that the driver would have dropped: denied, or out of budget.
    Refused,
    /// Keep-alives answered (RFC 5626 §3.5.1).
    KeepAlive,
    /// Responses whose connection was gone, sent by another (RFC 3261 §18.2.2).
    Redirected,
    /// Messages given back to the worker: no connection, or it broke before they were written.
    Undeliverable,
    /// Messages not sent because their connection had too many waiting already.
    QueueFull,
    /// Times that certificates and authorities were read again because their files had changed.
    TlsRead,
    /// Times that they had changed and could not be used: the old ones stay in force.
    TlsRefused,
}

impl StreamCounter {
    /// Every counter, in the order of its number.
    pub const ALL: [Self; 27] = [
        Self::Accepted,
        Self::Opened,
        Self::Denied,
        Self::OverLimit,
        Self::Unopened,
        Self::HandshakeFailed,
        Self::Idle,
        Self::Stuck,
        Self::Broken,
        Self::Closed,
        Self::Reset,
        Self::HeadEndless,
        Self::MessageTooLong,
        Self::LengthMissing,
        Self::LengthMalformed,
        Self::Barren,
        Self::FrameMalformed,
        Self::TextMalformed,
        Self::MessagesIn,
        Self::MessagesOut,
        Self::Refused,
        Self::KeepAlive,
        Self::Redirected,
        Self::Undeliverable,
        Self::QueueFull,
        Self::TlsRead,
        Self::TlsRefused,
    ];

    /// The name in `status` and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "stream_accepted",
            Self::Opened => "stream_opened",
            Self::Denied => "stream_denied",
            Self::OverLimit => "stream_over_limit",
            Self::Unopened => "stream_unopened",
            Self::HandshakeFailed => "stream_handshake_failed",
            Self::Idle => "stream_idle",
            Self::Stuck => "stream_stuck",
            Self::Broken => "stream_broken",
            Self::Closed => "stream_closed",
            Self::Reset => "stream_reset",
            Self::HeadEndless => "stream_head_endless",
            Self::MessageTooLong => "stream_message_too_long",
            Self::LengthMissing => "stream_length_missing",
            Self::LengthMalformed => "stream_length_malformed",
            Self::Barren => "stream_barren",
            Self::FrameMalformed => "stream_frame_malformed",
            Self::TextMalformed => "stream_text_malformed",
            Self::MessagesIn => "stream_messages_in",
            Self::MessagesOut => "stream_messages_out",
            Self::Refused => "stream_refused",
            Self::KeepAlive => "stream_keep_alive",
            Self::Redirected => "stream_redirected",
            Self::Undeliverable => "stream_undeliverable",
            Self::QueueFull => "stream_queue_full",
            Self::TlsRead => "stream_tls_read",
            Self::TlsRefused => "stream_tls_refused",
        }
    }
}

impl From<StreamFault> for StreamCounter {
    fn from(fault: StreamFault) -> Self {
        match fault {
            StreamFault::HeadEndless => Self::HeadEndless,
            StreamFault::MessageTooLong => Self::MessageTooLong,
            StreamFault::LengthMissing => Self::LengthMissing,
            StreamFault::LengthMalformed => Self::LengthMalformed,
            StreamFault::Barren => Self::Barren,
        }
    }
}

/// What was counted since a worker last looked.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; StreamCounter::ALL.len()]);

impl Tally {
    pub(super) fn add(&self, counter: StreamCounter) {
        if let Some(count) = self.0.get(counter as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn take(&self, counter: StreamCounter) -> u64 {
        self.0.get(counter as usize).map_or(0, |count| count.swap(0, Ordering::Relaxed))
    }
}
