/*
 * Scanners that say who they are: the first word of User-Agent or Server, in any case, against a list. It is
 * looked for only in requests and answers of strangers.
 */
#pragma once

#include "maps.h"
#include "sip.h"

static __always_inline int signature_ends(__u8 byte)
{
	return byte <= ' ' || byte == '/' || byte == '(' || byte == ',' || byte == ';' ||
	       byte >= 127;
}

__noinline enum reason signature(struct xdp_md *frame, const struct packet *packet)
{
	struct agent agent = {};
	const __u8 *byte;
	__u64 *hits;
	__u32 at;

	if (!packet)
		return DROP_INTERFACE;
	at = sip_find(frame, packet, HEADER_AGENT);
	if (!at)
		return UNDECIDED;
	for (int i = 0; i < AGENT_BYTES; i++) {
		byte = frame_at(frame, (at + i) & OFFSET_MASK, 1);
		if (!byte || signature_ends(*byte))
			break;
		agent.text[i] = *byte >= 'A' && *byte <= 'Z' ? *byte | 0x20 : *byte;
	}
	hits = bpf_map_lookup_elem(&signatures, &agent);
	if (!hits)
		return UNDECIDED;
	if (packet->purpose == JUDGE)
		__sync_fetch_and_add(hits, 1);
	return DROP_SIGNATURE;
}
