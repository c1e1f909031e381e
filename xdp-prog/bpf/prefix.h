/*
 * Rules about networks: the trie of a list, behind the bitmap that spares most frames the trie.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "maps.h"

/* The clock is asked only of rules with an end, once one was found: strangers never pay for it. */
static __always_inline int rule_ended(__u64 not_after)
{
	return not_after && bpf_ktime_get_ns() > not_after;
}

/* Whether any rule of the list that `near` stands before can touch the source. */
static __always_inline int prefix_near(void *near, const struct source *source)
{
	__u32 network = bpf_ntohl(source->word[0]) >> 8;
	__u32 word = network >> 6;
	__u64 *bits;

	if (source->family != 4)
		return 1;
	bits = bpf_map_lookup_elem(near, &word);
	return bits && (*bits >> (network & 63) & 1);
}

static __always_inline struct prefix_rule *prefix_find(void *prefixes, void *near,
						       const struct source *source)
{
	struct prefix_key key = {
		.bits = source->family == 4 ? 64 : 160,
		.source = *source,
	};

	if (!prefix_near(near, source))
		return 0;
	return bpf_map_lookup_elem(prefixes, &key);
}
