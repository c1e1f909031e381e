/*
 * What a verdict costs: the same decision over the same tables, each run with another source, so that
 * no table line is warm because the last run read it. `price_frame` does all but decide; the
 * difference is the price. Loaded for benches alone.
 */
#pragma once

#include "maps.h"

const volatile __u32 price_sources_used;
const volatile __u32 price_offset; /* of the word of the source that changes, in the frame */
__u32 price_next;

/* Words in network order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} price_sources SEC(".maps");

static __always_inline int price_prepare(struct xdp_md *frame)
{
	__u32 next = price_next;
	__u32 *source = bpf_map_lookup_elem(&price_sources, &next);
	__u32 *word = frame_at(frame, price_offset, sizeof(*word));

	if (!source || !word)
		return -1;
	*word = *source;
	next += 1;
	price_next = next < price_sources_used ? next : 0;
	return 0;
}
