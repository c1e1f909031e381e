/*
 * Where things about a stranger lie, and how they are all there in time.
 *
 * They lie in half a dozen tables, none of it in a cache when he comes. Asked one after the
 * other they would each cost a whole wait for memory; the locked exchanges between them see to that. So all are
 * asked for at once, before the first is needed, by loads that nobody waits for.
 */
#pragma once

#include "parse.h"
#include "source.h"

/* Beside the meters, in the same cache: all of SIP together. */
#define METER_ANY METERS

static __always_inline int limit_has_any(enum meter meter, const struct settings *settings)
{
	return settings->any_limit.interval_ns && meter <= METER_OTHER;
}

/* Each meter of a source in another place: who it is there, and in which bucket. */
static __always_inline __u64 limit_identity(__u64 hash, enum meter meter)
{
	__u64 mixed = (hash ^ meter) * 0x9e3779b97f4a7c15ULL;

	return mixed ? mixed : 1;
}

static __always_inline __u32 limit_place(__u64 identity, __u32 mask)
{
	return (identity >> 32) & mask;
}

/* Where the set of a source or a network lies. */
static __always_inline __u32 flow_place(__u64 hash, __u32 mask)
{
	return (hash >> 20) & mask;
}

/* Where he is among the talkers. */
static __always_inline __u32 talk_place(__u64 hash)
{
	return (hash >> 24) & talker_mask;
}

/* A load of that line of the element, which no compiler leaves out. */
#define WARM_LINE(element, line) \
	asm volatile("r0 = *(u8 *)(%0 + %1)" : : "r"(element), "i"((line) * 64) : "r0")

static __always_inline void warm(void *table, __u32 place)
{
	void *element = bpf_map_lookup_elem(table, &place);

	if (element)
		WARM_LINE(element, 0);
}

static __always_inline void warm_stranger(struct packet *packet, enum meter meter,
					  const struct settings *settings)
{
	struct source around = source_network(&packet->source);
	__u64 hash = packet->hash, network = source_hash(&around, settings);
	__u32 place;
	void *set;

	packet->network_hash = network;
	if (limit_has_any(meter, settings))
		warm(&budgets, limit_place(limit_identity(hash, METER_ANY), budget_mask));
	if (settings->limits[meter].interval_ns)
		warm(&budgets, limit_place(limit_identity(hash, meter), budget_mask));
	if (settings->network_limits[meter].interval_ns)
		warm(&network_budgets,
		     limit_place(limit_identity(network, meter), network_budget_mask));
	warm(&talkers, talk_place(hash));
	if (packet->port != sip_port || packet->fragment != WHOLE)
		return;
	if (settings->flows)
		warm(&flows, flow_place(hash, flow_mask));
	if (!settings->network_flows)
		return;
	place = flow_place(network, network_flow_mask);
	set = bpf_map_lookup_elem(&network_flow_sets, &place);
	if (set) {
		WARM_LINE(set, 0);
		WARM_LINE(set, 1);
	}
}

/* And before it is known who he is: the rules around him. */
static __always_inline void warm_rules(const struct packet *packet, const struct settings *settings)
{
	__u32 network = bpf_ntohl(packet->source.word[0]) >> 14;

	if (packet->source.family != 4)
		return;
	warm(&deny_near, network);
	warm(&trust_near, network);
	if (settings->geo)
		warm(&geo_near, network);
}

static __always_inline void warm_regular(const struct packet *packet)
{
	warm(&regular_buckets, (__u32)packet->hash & regular_mask);
}
