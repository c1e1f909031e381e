//! Control → dataplane: commands that no call asked for.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::record::CallKey;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End this call now.
    HangUp(HangUp),
    /// These parameters hold from now on, for new calls.
    Parameters(Parameters),
    /// Refuse new calls (`stop` = 0) or take them again.
    Drain(Drain),
}

/// End a call, with BYE, CANCEL or a refusal, as its state demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HangUp {
    /// Which.
    pub call: CallKey,
    /// [`EndReason`](crate::record::EndReason) as a number.
    pub reason: u32,
}

/// Draining is a routing state, not a shutdown path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Drain {
    /// 1: new calls and OPTIONS get 503; 0: all as usual.
    pub draining: u32,
}

/// Every system parameter that a worker acts on. Control derives it from the catalog and sends it
/// whole, at first contact and at each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Parameters {
    /// Grows with each change.
    pub version: u64,
    /// `SS_SIP_INVITE_TIMEOUT`: INVITE to 18x, ms.
    pub invite_timeout_ms: u32,
    /// INVITE to any 1xx, ms.
    pub first_response_timeout_ms: u32,
    /// All attempts to the first 18x, ms.
    pub search_budget_ms: u32,
    /// First 18x to answer, ms.
    pub ring_timeout_ms: u32,
    /// How long the caller's 200 waits for its start record, ms.
    pub commit_wait_ms: u32,
    /// How long an INVITE waits for control, ms.
    pub admit_wait_ms: u32,
    /// No RTP in either direction for so long ends a call, s; 0: never.
    pub rtp_timeout_s: u32,
    /// How long an SDP may wait for its first packet to learn the address from, s.
    pub latch_window_s: u32,
    /// `SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START`: no failover once media flowed.
    pub stop_after_rtp: u32,
    /// Retry-After of our own 503, s.
    pub retry_after_s: u32,
    /// DSCP of SIP (`SS_QOS_SIGNAL`).
    pub dscp_sip: u32,
    /// DSCP of RTP (`SS_QOS_RTP`).
    pub dscp_rtp: u32,
    /// Longest caller accepted, characters; 0: no limit (`SS_CALLERALLOWLENGTH`).
    pub caller_length_max: u32,
    /// 0: strangers' requests get no answer (`SS_REPLY_UNAUTHORIZED`).
    pub reply_unauthorized: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            version: 0,
            invite_timeout_ms: 30_000,
            first_response_timeout_ms: 4_000,
            search_budget_ms: 12_000,
            ring_timeout_ms: 90_000,
            commit_wait_ms: 200,
            admit_wait_ms: 2_000,
            rtp_timeout_s: 60,
            latch_window_s: 10,
            stop_after_rtp: 1,
            retry_after_s: 5,
            dscp_sip: 24,
            dscp_rtp: 46,
            caller_length_max: 0,
            reply_unauthorized: 1,
        }
    }
}
