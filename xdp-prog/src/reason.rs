//! Why frames leave, mirrored from `enum reason` of `bpf/abi.h`: the list of the driver's counters.

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The kernel's own stack gets it.
    Pass,
    /// A worker's AF_XDP socket gets it.
    Redirect,
    /// It goes on to the far end of its call.
    Relay,
    /// It goes back as the answer.
    Answer,
    /// Nobody gets it.
    Drop,
}

impl Verdict {
    /// One lower-case word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Redirect => "redirect",
            Self::Relay => "relay",
            Self::Answer => "answer",
            Self::Drop => "drop",
        }
    }
}

// One table, so that a reason without a name or a sentence cannot be written.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal)+) => {
        /// Why a frame left the driver as it did. One counter each; the numbers are the kernel's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The enumerator of `bpf/abi.h` in lower case; stable.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One or two sentences for the operator.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// Neither IPv4 nor IPv6: ARP, LLDP, or more than two VLAN tags.
    PassNotIp "pass_not_ip"
    /// Sent to an address that is not one of our service addresses; deny rules do not apply to it.
    PassForeign "pass_foreign"
    /// IPv6 neighbour discovery from the same link, which is never denied.
    PassNeighbor "pass_neighbor"
    /// An IP fragment; the kernel puts it together and the rim reads the datagram.
    PassFragment "pass_fragment"
    /// TCP to a port that is open.
    PassTcp "pass_tcp"
    /// ICMP or ICMPv6 to one of our addresses.
    PassIcmp "pass_icmp"
    /// Another protocol over IP.
    PassProtocol "pass_protocol"
    /// UDP to another port that is open.
    PassPort "pass_port"
    /// SIP for the kernel's sockets, on a machine that works without AF_XDP.
    PassSip "pass_sip"
    /// Media for the kernel's sockets, on a machine that works without AF_XDP.
    PassMedia "pass_media"
    /// SIP to a worker.
    WorkerSip "worker_sip"
    /// RTP or RTCP to a worker.
    WorkerMedia "worker_media"
    /// SIP of a running call to a worker, though the budget of the gateway in whose name it came is spent.
    WorkerCall "worker_call"
    /// RTP of a settled call that goes on by another interface, in the driver.
    RelayOn "relay_on"
    /// RTP of a settled call that goes on by the interface it came in by, in the driver.
    RelayBack "relay_back"
    /// OPTIONS of a gateway or of a registered phone, answered in the driver.
    AnswerOptions "answer_options"
    /// A datagram to a closed port, or of a stranger with too many flows, whose sender is told so by ICMP; `spared`
    /// of `drop_port`, `drop_flows` and `drop_network_flows` says for which.
    AnswerUnreachable "answer_unreachable"
    /// Ends inside its Ethernet header or a VLAN tag.
    DropEthernetShort "drop_ethernet_short"
    /// Ends inside its IP header.
    DropIpShort "drop_ip_short"
    /// The IP header has another version than the frame says, or is shorter than its minimum.
    DropIpHeader "drop_ip_header"
    /// The IP header promises more bytes than the frame has, or fewer than the header itself.
    DropIpLength "drop_ip_length"
    /// An IPv6 extension header overruns the packet, or there are more than five.
    DropIpExtensions "drop_ip_extensions"
    /// A source that nobody can have: ourselves, loopback, a multicast group, unspecified.
    DropIpSource "drop_ip_source"
    /// Ends inside its UDP header.
    DropUdpShort "drop_udp_short"
    /// The UDP header promises more bytes than the packet has, or fewer than the header itself.
    DropUdpLength "drop_udp_length"
    /// Ends inside its TCP header.
    DropTcpShort "drop_tcp_short"
    /// The TCP header promises more bytes than the packet has, or fewer than its minimum.
    DropTcpLength "drop_tcp_length"
    /// SIP before control has written its rules since the tables are new.
    DropBeforeRules "drop_before_rules"
    /// The source address is on the deny list.
    DropDenyAddress "drop_deny_address"
    /// The source lies in a network on the deny list.
    DropDenyPrefix "drop_deny_prefix"
    /// The source lies in a region that is forbidden, or in none of those that are allowed.
    DropGeo "drop_geo"
    /// To a port, or over a protocol, that we do not serve.
    DropPort "drop_port"
    /// To a port of administrators, by somebody who is none.
    DropAdminPort "drop_admin_port"
    /// A fragment to a media port; media is never fragmented.
    DropMediaFragment "drop_media_fragment"
    /// To a media port that is of no call.
    DropMediaClosed "drop_media_closed"
    /// To a media port by somebody else than the far end, who was heard within the last two seconds.
    DropMediaStranger "drop_media_stranger"
    /// Media of a call that has talked for as long as was granted, while nobody was there to end it.
    DropMediaOver "drop_media_over"
    /// Settled media whose frame ended before its new headers; it cannot.
    DropMediaFrame "drop_media_frame"
    /// To the SIP port, but with no start line of SIP.
    DropSipStartLine "drop_sip_start_line"
    /// A scanner that names itself in User-Agent or Server.
    DropSignature "drop_signature"
    /// OPTIONS beyond the budget of its source.
    DropOptionsBudget "drop_options_budget"
    /// REGISTER beyond the budget of its source.
    DropRegisterBudget "drop_register_budget"
    /// INVITE beyond the budget of its source.
    DropInviteBudget "drop_invite_budget"
    /// Any other SIP beyond the budget of its source.
    DropOtherBudget "drop_other_budget"
    /// New TCP connections beyond the budget of their source.
    DropSynBudget "drop_syn_budget"
    /// IP fragments beyond the budget of their source.
    DropFragmentBudget "drop_fragment_budget"
    /// SIP of any kind beyond what a stranger may send in all.
    DropAnyBudget "drop_any_budget"
    /// Beyond the budget of its /24 or /64.
    DropNetworkBudget "drop_network_budget"
    /// Beyond the budget of all strangers together.
    DropCrowdBudget "drop_crowd_budget"
    /// A stranger who talks from too many ports at a time.
    DropFlows "drop_flows"
    /// Strangers of one /24 or /64 with too many flows at a time.
    DropNetworkFlows "drop_network_flows"
    /// For a worker whose socket is not there, such as while the dataplane restarts; SIP in fragments too.
    DropNoSocket "drop_no_socket"
    /// For a worker, but it came in by an interface without workers.
    DropInterface "drop_interface"
}

impl Reason {
    /// The reason of that number, `None` past the last.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What happens to the frame.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        if self as u32 >= Self::DropEthernetShort as u32 {
            Verdict::Drop
        } else if self as u32 >= Self::AnswerOptions as u32 {
            Verdict::Answer
        } else if self as u32 >= Self::RelayOn as u32 {
            Verdict::Relay
        } else if self as u32 >= Self::WorkerSip as u32 {
            Verdict::Redirect
        } else {
            Verdict::Pass
        }
    }

    /// Whether the frame is lost.
    #[must_use]
    pub fn drops(self) -> bool {
        self.verdict() == Verdict::Drop
    }
}

// The same for what is known of who sent a frame.
macro_rules! named {
    ($(#[doc = $head:literal])+ $kind:ident { $($(#[doc = $doc:literal])+ $variant:ident $name:literal)+ }) => {
        $(#[doc = $head])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum $kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $kind {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// One lower-case word; stable.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The one of that number, `None` past the last.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.get(usize::try_from(number).ok()?).copied()
            }
        }
    };
}

named! {
    /// What the driver knows of who sent a frame.
    Standing {
        /// It made no difference and was not looked up.
        Unasked "unasked"
        /// Nobody known.
        Stranger "stranger"
        /// Somebody registered or called from there lately.
        Regular "regular"
        /// A gateway, an administrator, or on the operator's list.
        Trusted "trusted"
    }
}

named! {
    /// What a sender has budgets for.
    Meter {
        /// OPTIONS.
        Options "options"
        /// REGISTER.
        Register "register"
        /// INVITE.
        Invite "invite"
        /// All other methods, other spellings, answers and keep-alives.
        Other "other"
        /// New TCP connections.
        Syn "syn"
        /// IP fragments.
        Fragment "fragment"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_with_its_verdict() {
        for &reason in Reason::ALL {
            let verdict = match reason.verdict() {
                Verdict::Pass => "pass_",
                Verdict::Redirect => "worker_",
                Verdict::Relay => "relay_",
                Verdict::Answer => "answer_",
                Verdict::Drop => "drop_",
            };
            assert!(reason.name().starts_with(verdict), "{reason:?}");
            assert!(reason.doc().ends_with('.'), "{reason:?}");
        }
    }

    #[test]
    fn a_number_names_its_reason() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason as u32), Some(reason));
        }
        assert_eq!(Reason::from_number(Reason::ALL.len() as u32), None);
        assert_eq!(Reason::from_number(u32::MAX), None);
    }
}
