/*
 * What is ours, and which sources nobody can have. A handful of addresses, known to the verifier:
 * comparing them costs less than any look-up.
 */
#pragma once

#include "maps.h"
#include "parse.h"

/* Which of ours that is, by its place; `own_addresses`: none. */
static __always_inline __u32 own_place(const struct source *address)
{
	for (__u32 i = 0; i < OWN_ADDRESSES_MAX; i++) {
		if (i >= own_addresses)
			break;
		if (address->word[0] == own_address[i].word[0] &&
		    address->word[1] == own_address[i].word[1] &&
		    address->word[2] == own_address[i].word[2] &&
		    address->word[3] == own_address[i].word[3] &&
		    address->family == own_address[i].family)
			return i;
	}
	return own_addresses;
}

static __always_inline int own_has(const struct source *address)
{
	return own_place(address) < own_addresses;
}

/*
 * An answer to such a source would go to ourselves, to a group, or nowhere (RFC 1122 §3.2.1.3,
 * RFC 4291 §2.5 and §2.7). The kernel refuses them too, but it does not see what goes to a worker.
 */
static __always_inline int own_impossible(const struct source *source)
{
	if (source->family == 4) {
		__u32 first = bpf_ntohl(source->word[0]) >> 24;

		if (first == 0 || first == 127 || first >= 224)
			return 1;
	} else {
		if ((source->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
			return 1;
		/* Unspecified, loopback, IPv4-compatible and IPv4-mapped. */
		if (!source->word[0] && !source->word[1] &&
		    (!source->word[2] || source->word[2] == bpf_htonl(0xffff)))
			return 1;
	}
	return own_has(source);
}

/*
 * Neighbour discovery comes from the same link or not at all (hop limit 255, RFC 4861 §7.1). It is
 * never denied: a rule against a router's network must not cut the wire.
 */
static __always_inline int own_neighbor(struct xdp_md *frame, const struct packet *packet)
{
	__u8 *type;

	if (packet->protocol != ICMPV6 || packet->hops != 255 || packet->fragment != WHOLE)
		return 0;
	type = frame_at(frame, packet->at, sizeof(*type));
	return type && packet->left && *type >= 133 && *type <= 137;
}
