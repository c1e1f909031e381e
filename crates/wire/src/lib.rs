//! Bytes to headers: Ethernet, VLAN, IPv4, IPv6, UDP, RTP, RTCP.
