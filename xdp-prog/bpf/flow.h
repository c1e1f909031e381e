/*
 * How many ports of a stranger, and how many flows of his network, talk SIP to us at a time. A phone has one; a
 * scanner that changes its port with each knock has as many as it likes. A flow lives for the idle time after its
 * last datagram. The sets are a cache: who comes later takes the place, and a limit that was forgotten lets in too
 * many, never too few.
 */
#pragma once

#include "parse.h"
#include "source.h"
#include "warm.h"

/* Who in the high half of a word, when in the low. */
#define FLOW(who, seconds) (((__u32)(who) << 16) | ((seconds) & 0xffff))

/*
 * Finds the flow, or a place for it among the first `most` of `room`: renewed, taken, or 0. Seconds wrap after
 * eighteen hours, by which time a set without a datagram has been somebody else's or starts anew.
 */
static __always_inline int flow_enter(__u32 *flows, __u32 room, __u32 most, __u32 who, __u32 now,
				      __u32 idle, enum purpose purpose)
{
	__u32 live = 0, free = room, seen, age;

	for (__u32 i = 0; i < room; i++) {
		seen = flows[i];
		if (!seen) {
			/* Places are taken from the first on, so nobody was behind this one yet. */
			if (free == room)
				free = i;
			break;
		}
		age = (now - seen) & 0xffff;
		if (age <= idle) {
			if (seen >> 16 == who) {
				if (age && purpose == JUDGE)
					flows[i] = FLOW(who, now);
				return 1;
			}
			live += 1;
		} else if (free == room) {
			free = i;
		}
	}
	if (live >= most || free >= room)
		return 0;
	if (purpose == EXPLAIN)
		return 1;
	seen = flows[free];
	age = (now - seen) & 0xffff;
	/* Another queue was quicker: whoever loses a race is over. */
	if (seen && age <= idle)
		return 0;
	return __sync_val_compare_and_swap(&flows[free], seen, FLOW(who, now)) == seen;
}

static __always_inline __u32 flow_who(__u64 hash, __u32 port)
{
	__u32 who = ((hash ^ port) * 0x9e3779b97f4a7c15ULL) >> 48;

	/* With 0 a flow at second 0 would be a free place. */
	return who ? who : 1;
}

/* The set of an address or of a network, which differ in their room alone; a set of somebody else begins anew. */
static __always_inline int flow_of(void *sets, __u32 mask, __u32 room, __u64 hash, __u32 most,
				   __u32 who, __u32 now, __u32 idle, enum purpose purpose)
{
	__u64 identity = hash ? hash : 1;
	__u32 place = flow_place(hash, mask);
	struct network_flows *set = bpf_map_lookup_elem(sets, &place);

	if (!set)
		return 1;
	if (set->identity != identity) {
		if (purpose == EXPLAIN)
			return 1;
		set->identity = identity;
		__builtin_memset(set->flows, 0, room * sizeof(set->flows[0]));
	}
	return flow_enter(set->flows, room, most, who, now, idle, purpose);
}

/* The verifier reads this by itself, for a caller that may have nothing (see frame.h). */
__noinline enum reason flow(const struct packet *packet, const struct settings *settings)
{
	__u32 now, idle, who;

	if (!packet || !settings)
		return DROP_INTERFACE;
	if (!settings->flows && !settings->network_flows)
		return UNDECIDED;
	now = packet->now / 1000000000;
	idle = settings->flow_idle_ns / 1000000000;
	who = flow_who(packet->hash, packet->from);
	if (settings->flows &&
	    !flow_of(&flows, flow_mask, FLOWS_OF_ADDRESS, packet->hash, settings->flows, who, now,
		     idle, packet->purpose))
		return DROP_FLOWS;
	if (settings->network_flows &&
	    !flow_of(&network_flow_sets, network_flow_mask, FLOWS_OF_NETWORK, packet->network_hash,
		     settings->network_flows, who, now, idle, packet->purpose))
		return DROP_NETWORK_FLOWS;
	return UNDECIDED;
}
