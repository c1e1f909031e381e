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
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "abi.h"

#define VLAN_TAGS_MAX 2
#define EXTENSIONS_MAX 6
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
	struct source source;
	struct source destination;
	void *at;      /* where the next header begins */
	void *end;     /* of the frame */
	__u32 left;    /* bytes from `at` that the IP header vouches for */
	__u32 protocol;
	__u32 hops;
	enum fragment fragment;
	__u32 port;    /* destination port, host order */
};

/* The EtherType behind at most two tags; a third tag's type is no type of ours and passes. */
static __always_inline enum reason parse_ethernet(struct packet *packet, __be16 *type)
{
	struct ethhdr *ethernet = packet->at;

	if ((void *)(ethernet + 1) > packet->end)
		return DROP_ETHERNET_SHORT;
	packet->at = ethernet + 1;
	*type = ethernet->h_proto;

#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag = packet->at;

		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > packet->end)
			return DROP_ETHERNET_SHORT;
		packet->at = tag + 1;
		*type = tag->type;
	}
	return UNDECIDED;
}

static __always_inline enum reason parse_ipv4(struct packet *packet)
{
	struct iphdr *ip = packet->at;
	__u32 present, header, total, fragment;

	if ((void *)(ip + 1) > packet->end)
		return DROP_IP_SHORT;
	present = packet->end - packet->at;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip))
		return DROP_IP_HEADER;
	if (total < header || total > present)
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

/* One step over an extension header; `*more` says whether another may follow. */
static __always_inline enum reason parse_extension(struct packet *packet, int *more)
{
	struct extension *extension = packet->at;
	struct fragment_header *fragment = packet->at;
	__u32 bytes;

	*more = 0;
	switch (packet->protocol) {
	case IPPROTO_FRAGMENT:
		if ((void *)(fragment + 1) > packet->end || packet->left < sizeof(*fragment))
			return DROP_IP_EXTENSIONS;
		packet->fragment = fragment->offset & bpf_htons(IPV6_FRAGMENT_OFFSET)
			? LATER_FRAGMENT : FIRST_FRAGMENT;
		bytes = sizeof(*fragment);
		packet->protocol = fragment->next;
		break;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case MOBILITY:
	case HOST_IDENTITY:
	case SHIM6:
		if ((void *)(extension + 1) > packet->end || packet->left < sizeof(*extension))
			return DROP_IP_EXTENSIONS;
		/* RFC 4302 §2.2: the authentication header counts in words of four, less two. */
		bytes = packet->protocol == IPPROTO_AH ? (extension->length + 2) * 4
						       : (extension->length + 1) * 8;
		packet->protocol = extension->next;
		break;
	default:
		return UNDECIDED;
	}
	if (bytes > packet->left)
		return DROP_IP_EXTENSIONS;
	packet->at += bytes;
	packet->left -= bytes;
	*more = packet->fragment != LATER_FRAGMENT;
	return UNDECIDED;
}

static __always_inline enum reason parse_ipv6(struct packet *packet)
{
	struct ipv6hdr *ip = packet->at;
	__u32 present, payload;
	enum reason reason;
	int more;

	if ((void *)(ip + 1) > packet->end)
		return DROP_IP_SHORT;
	present = packet->end - packet->at;
	payload = bpf_ntohs(ip->payload_len);
	if (ip->version != 6)
		return DROP_IP_HEADER;
	if (payload + sizeof(*ip) > present)
		return DROP_IP_LENGTH;

	packet->source.family = 6;
	__builtin_memcpy(packet->source.word, &ip->saddr, sizeof(packet->source.word));
	packet->destination.family = 6;
	__builtin_memcpy(packet->destination.word, &ip->daddr, sizeof(packet->destination.word));
	packet->protocol = ip->nexthdr;
	packet->hops = ip->hop_limit;
	packet->at = ip + 1;
	packet->left = payload;

#pragma unroll
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		reason = parse_extension(packet, &more);
		if (reason != UNDECIDED)
			return reason;
		if (!more)
			return UNDECIDED;
	}
	/* A seventh may be a header of ours or not; nobody honest sends that many. */
	return DROP_IP_EXTENSIONS;
}

static __always_inline enum reason parse_ip(struct packet *packet)
{
	__be16 type = 0;
	enum reason reason = parse_ethernet(packet, &type);

	if (reason != UNDECIDED)
		return reason;
	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(packet);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(packet);
	return PASS_NOT_IP;
}

/* Behind it `at` and `left` are the datagram's payload. */
static __always_inline enum reason parse_udp(struct packet *packet)
{
	struct udphdr *udp = packet->at;
	__u32 bytes;

	if (packet->left < sizeof(*udp) || (void *)(udp + 1) > packet->end)
		return DROP_UDP_SHORT;
	bytes = bpf_ntohs(udp->len);
	packet->port = bpf_ntohs(udp->dest);
	/* Of a fragment only the ports are here; its length speaks of the whole datagram. */
	if (packet->fragment == WHOLE && (bytes < sizeof(*udp) || bytes > packet->left))
		return DROP_UDP_LENGTH;
	packet->at = udp + 1;
	packet->left = bytes - sizeof(*udp);
	return UNDECIDED;
}
