/*
 * Bytes to a packet: Ethernet with up to two VLAN tags, IPv4 with options, IPv6 with the common
 * extension headers, and the UDP header. Every read is preceded by its bound; every length that a
 * sender wrote is compared with what is really there (a length is where parsers die).
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "frame.h"
#include "maps.h"

#define VLAN_TAGS_MAX 2
#define EXTENSIONS_MAX 5
#define ICMPV6 58
#define HOST_IDENTITY 139
#define SHIM6 140
#define MOBILITY 135

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV6_FRAGMENT_OFFSET 0xfff8

enum fragment {
	WHOLE,
	FIRST_FRAGMENT,
	LATER_FRAGMENT,
};

struct vlan_tag {
	__be16 control;
	__be16 type;
};

/* Head of every extension header that has a length (RFC 8200 §4.2). */
struct extension {
	__u8 next;
	__u8 length;
};

/* RFC 8200 §4.5. */
struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 identification;
};

struct packet {
	__u64 hash;     /* of the source, under the key of the tables */
	__u64 network_hash; /* of a stranger's network, once it is asked about his budget */
	__u64 now;      /* once the clock was asked: it costs as much as a table */
	enum purpose purpose;
	struct source source;
	struct source destination;
	__u32 network;  /* offset of the IP header in the frame, */
	__u32 transport; /* of the UDP header, */
	__u32 at;       /* and of what is to be read next */
	__u32 left;     /* bytes from there that the headers before vouch for */
	__u32 protocol;
	__u32 hops;
	enum fragment fragment;
	__u32 port;     /* destination port, host order */
	__u32 from;     /* source port, host order */
	__u32 syn;      /* TCP: whether it asks for a new connection */
	__u32 own;      /* which of our addresses it came to */
	__u32 of_call;  /* SIP: let in because it is of a running call */
};

/* The EtherType behind at most two tags; a third tag's type is no type of ours and passes. */
static __always_inline enum reason parse_ethernet(struct xdp_md *frame, struct packet *packet,
						  __be16 *type)
{
	struct ethhdr *ethernet = frame_at(frame, 0, sizeof(*ethernet));
	struct vlan_tag *tag;

	if (!ethernet)
		return DROP_ETHERNET_SHORT;
	packet->at = sizeof(*ethernet);
	*type = ethernet->h_proto;

#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			break;
		tag = frame_at(frame, packet->at, sizeof(*tag));
		if (!tag)
			return DROP_ETHERNET_SHORT;
		packet->at += sizeof(*tag);
		*type = tag->type;
	}
	return UNDECIDED;
}

static __always_inline enum reason parse_ipv4(struct xdp_md *frame, struct packet *packet)
{
	struct iphdr *ip = frame_at(frame, packet->at, sizeof(*ip));
	__u32 header, total, fragment;

	if (!ip)
		return DROP_IP_SHORT;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip))
		return DROP_IP_HEADER;
	if (total < header || total > frame_bytes(frame) - packet->at)
		return DROP_IP_LENGTH;

	packet->source.family = 4;
	packet->source.word[0] = ip->saddr;
	packet->destination.family = 4;
	packet->destination.word[0] = ip->daddr;
	packet->protocol = ip->protocol;
	packet->hops = ip->ttl;

	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & IPV4_FRAGMENT_OFFSET)
		packet->fragment = LATER_FRAGMENT;
	else if (fragment & IPV4_MORE_FRAGMENTS)
		packet->fragment = FIRST_FRAGMENT;

	packet->at += header;
	packet->left = total - header;
	return UNDECIDED;
}

static __always_inline int parse_is_extension(__u32 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH || protocol == MOBILITY ||
	       protocol == HOST_IDENTITY || protocol == SHIM6;
}

/*
 * Walks over extension headers to the transport header, or to a fragment header and its neighbour:
 * behind that of a later fragment is no header at all. A datagram that gets past here is read by
 * `parse_ipv6` of crates/wire/src/datagram.rs, which walks the same headers.
 */
__noinline enum reason parse_extensions(struct xdp_md *frame, struct packet *packet)
{
	struct fragment_header *fragment;
	struct extension *extension;
	__u32 bytes;

	if (!packet)
		return DROP_IP_EXTENSIONS;

	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (packet->protocol == IPPROTO_FRAGMENT) {
			fragment = frame_at(frame, packet->at, sizeof(*fragment));
			if (!fragment)
				return DROP_IP_EXTENSIONS;
			bytes = sizeof(*fragment);
			packet->protocol = fragment->next;
			packet->fragment = fragment->offset & bpf_htons(IPV6_FRAGMENT_OFFSET)
				? LATER_FRAGMENT : FIRST_FRAGMENT;
		} else if (parse_is_extension(packet->protocol)) {
			extension = frame_at(frame, packet->at, sizeof(*extension));
			if (!extension)
				return DROP_IP_EXTENSIONS;
			/*
			 * The authentication header counts in words of four, less two (RFC 4302
			 * §2.2).
			 */
			bytes = packet->protocol == IPPROTO_AH ? (extension->length + 2) * 4
							       : (extension->length + 1) * 8;
			packet->protocol = extension->next;
		} else {
			return UNDECIDED;
		}
		if (bytes > packet->left)
			return DROP_IP_EXTENSIONS;
		packet->at += bytes;
		packet->left -= bytes;
		if (packet->fragment == LATER_FRAGMENT)
			return UNDECIDED;
	}
	/* What follows may be one more; nobody honest sends that many. */
	return parse_is_extension(packet->protocol) || packet->protocol == IPPROTO_FRAGMENT
		? DROP_IP_EXTENSIONS : UNDECIDED;
}

static __always_inline enum reason parse_ipv6(struct xdp_md *frame, struct packet *packet)
{
	struct ipv6hdr *ip = frame_at(frame, packet->at, sizeof(*ip));
	__u32 payload;

	if (!ip)
		return DROP_IP_SHORT;
	payload = bpf_ntohs(ip->payload_len);
	if (ip->version != 6)
		return DROP_IP_HEADER;
	if (payload + sizeof(*ip) > frame_bytes(frame) - packet->at)
		return DROP_IP_LENGTH;

	packet->source.family = 6;
	__builtin_memcpy(packet->source.word, &ip->saddr, sizeof(packet->source.word));
	packet->destination.family = 6;
	__builtin_memcpy(packet->destination.word, &ip->daddr, sizeof(packet->destination.word));
	packet->protocol = ip->nexthdr;
	packet->hops = ip->hop_limit;
	packet->at += sizeof(*ip);
	packet->left = payload;
	if (packet->protocol == IPPROTO_UDP)
		return UNDECIDED;
	return parse_extensions(frame, packet);
}

/* From the Ethernet header to where the transport header begins. */
static __always_inline enum reason parse_ip(struct xdp_md *frame, struct packet *packet)
{
	__be16 type = 0;
	enum reason reason = parse_ethernet(frame, packet, &type);

	if (reason != UNDECIDED)
		return reason;
	packet->network = packet->at;
	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(frame, packet);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(frame, packet);
	return PASS_NOT_IP;
}

/* The header must be whole: what is in it is the kernel's matter. */
static __always_inline enum reason parse_tcp(struct xdp_md *frame, struct packet *packet)
{
	struct tcphdr *tcp = frame_at(frame, packet->at, sizeof(*tcp));
	__u32 header;

	if (!tcp || packet->left < sizeof(*tcp))
		return DROP_TCP_SHORT;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || header > packet->left)
		return DROP_TCP_LENGTH;
	packet->port = bpf_ntohs(tcp->dest);
	packet->syn = tcp->syn && !tcp->ack;
	return UNDECIDED;
}

/* Behind it `at` and `left` are the datagram's payload. */
static __always_inline enum reason parse_udp(struct xdp_md *frame, struct packet *packet)
{
	struct udphdr *udp = frame_at(frame, packet->at, sizeof(*udp));
	__u32 bytes;

	if (!udp || packet->left < sizeof(*udp))
		return DROP_UDP_SHORT;
	bytes = bpf_ntohs(udp->len);
	packet->port = bpf_ntohs(udp->dest);
	packet->from = bpf_ntohs(udp->source);
	/* Of a fragment only the ports are here; its length speaks of the whole datagram. */
	if (packet->fragment == WHOLE && (bytes < sizeof(*udp) || bytes > packet->left))
		return DROP_UDP_LENGTH;
	packet->transport = packet->at;
	packet->at += sizeof(*udp);
	packet->left = bytes - sizeof(*udp);
	return UNDECIDED;
}
