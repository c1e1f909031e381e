/*
 * What strangers did, for people: who sends how much, and what became of it. Denied addresses count for
 * themselves (deny.h); so "dropped" never means "without a trace". A cache: who spoke last keeps the place.
 */
#pragma once

#include "maps.h"
#include "warm.h"

/* Who spoke within so long is not displaced by one who spoke now. */
#define TALKER_KEPT_NS 1000000000ULL

static __always_inline void talk_count(const struct packet *packet, const struct explanation *why,
				       enum reason said)
{
	__u64 hash = packet->hash;
	__u64 identity = hash ? hash : 1;
	__u32 place = talk_place(hash);
	struct talker *talker = bpf_map_lookup_elem(&talkers, &place);
	__u64 now, owner;

	if (!talker)
		return;
	now = packet->now ? packet->now : bpf_ktime_get_ns();
	owner = talker->identity;
	if (owner != identity) {
		if (owner && now - talker->last_ns < TALKER_KEPT_NS)
			return;
		if (__sync_val_compare_and_swap(&talker->identity, owner, identity) != owner)
			return;
		talker->source = why->source;
		talker->packets = 0;
		talker->dropped = 0;
		talker->options = 0;
	}
	talker->last_ns = now;
	talker->reason = said;
	/* Not locked: a NIC gives one source one queue, and where it does not, people miss one of many. */
	talker->packets += 1;
	talker->dropped += said >= FIRST_DROP;
	talker->options += why->meter == METER_OPTIONS;
}
