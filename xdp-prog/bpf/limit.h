/*
 * Budgets, shared by all queues. Those of strangers, of their networks and of regulars lie in caches of their
 * own, four to a line: whoever has been quiet for his burst has nothing to remember and is the first to be
 * forgotten, so a flood of invented sources holds a place only for the time of one interval each. Those of
 * trusted networks have a place for good.
 *
 * If all four owe, the one that owes least makes room: it is refilled too early, never too late.
 */
#pragma once

#include "maps.h"
#include "warm.h"
#include "who.h"

/* A due time is even; odd: who it belongs to went over and is out until then. */
#define OUT 1ULL

/*
 * GCRA (ITU-T I.371): conforming while one is not further ahead than the burst. `seen` is what he owes, `found`
 * what stands there and may be another's. Whoever loses a race is over his budget: many queues together never let
 * more through.
 */
static __always_inline int limit_meter(__u64 *due, __u64 found, __u64 seen,
				       const struct limit *limit, __u64 now, enum purpose purpose)
{
	__u64 next = ((seen > now ? seen : now) + limit->interval_ns) & ~OUT;
	int is_out = (seen & OUT) && seen > now;

	if (is_out || next - now > limit->tolerance_ns) {
		if (limit->renew_ns && purpose == JUDGE)
			__sync_val_compare_and_swap(due, found, (now + limit->renew_ns) | OUT);
		return 0;
	}
	if (purpose == EXPLAIN)
		return 1;
	return __sync_val_compare_and_swap(due, found, next) == found;
}

/* The budget of that identity, or the one to be given up for it. */
static __always_inline struct budget *limit_find(struct budget_bucket *bucket, __u64 identity)
{
	struct budget *oldest = &bucket->budgets[0];

#pragma unroll
	for (int i = 0; i < BUDGET_SLOTS; i++) {
		struct budget *budget = &bucket->budgets[i];

		if (budget->identity == identity)
			return budget;
		if (budget->due < oldest->due)
			oldest = budget;
	}
	return oldest;
}

/* Whether there was budget left in that cache. */
static __always_inline int limit_spend(const struct packet *packet, void *cache, __u32 mask,
				       __u64 hash, enum meter meter, const struct limit *limit)
{
	__u64 identity = limit_identity(hash, meter);
	__u32 place = limit_place(identity, mask);
	struct budget_bucket *bucket;
	struct budget *budget;
	__u64 owner, found, seen;

	if (!limit->interval_ns)
		return 1;
	bucket = bpf_map_lookup_elem(cache, &place);
	if (!bucket)
		return 1;
	budget = limit_find(bucket, identity);
	owner = budget->identity;
	found = budget->due;
	seen = found;
	if (owner != identity) {
		if (packet->purpose == JUDGE &&
		    __sync_val_compare_and_swap(&budget->identity, owner, identity) != owner)
			return 0;
		seen = 0;
	}
	return limit_meter(&budget->due, found, seen, limit, packet->now, packet->purpose);
}

static __always_inline int limit_due(const struct packet *packet, __u64 *due,
				     const struct limit *limit)
{
	__u64 found = *due;

	return limit_meter(due, found, found, limit, packet->now, packet->purpose);
}

/* All strangers together: a flood from everywhere, each source within its own budget, ends here. */
static __always_inline int limit_crowd(const struct packet *packet, enum meter meter,
				       const struct settings *settings)
{
	const struct limit *limit = &settings->crowd_limits[meter];
	__u32 place = meter;
	struct crowd *crowd = bpf_map_lookup_elem(&crowds, &place);

	return !limit->interval_ns || !crowd || limit_due(packet, &crowd->due, limit);
}

/* All SIP of a stranger counts, also what his other budgets refuse: who knocks on stays out. */
static __always_inline int limit_any(const struct packet *packet, enum meter meter,
				     const struct settings *settings)
{
	return !limit_has_any(meter, settings) ||
	       limit_spend(packet, &budgets, budget_mask, packet->hash, METER_ANY,
			   &settings->any_limit);
}

/* The stranger's own budgets, his network's, and that of all of them. */
static __always_inline enum reason limit_stranger(const struct packet *packet, enum meter meter,
						  const struct settings *settings)
{
	if (!limit_any(packet, meter, settings))
		return DROP_ANY_BUDGET;
	if (!limit_spend(packet, &budgets, budget_mask, packet->hash, meter,
			 &settings->limits[meter]))
		return DROP_OPTIONS_BUDGET + meter;
	if (!limit_spend(packet, &network_budgets, network_budget_mask, packet->network_hash, meter,
			 &settings->network_limits[meter]))
		return DROP_NETWORK_BUDGET;
	return limit_crowd(packet, meter, settings) ? UNDECIDED : DROP_CROWD_BUDGET;
}

/* So much in each window as his contacts ask for: an office has one address and three hundred phones. */
static __always_inline enum reason limit_regular(const struct packet *packet, __u32 contacts,
						 enum meter meter,
						 const struct settings *settings)
{
	__u64 most = (__u64)contacts * settings->regular_per_contact;
	struct limit limit = { .tolerance_ns = settings->regular_window_ns };

	if (most < settings->regular_least)
		most = settings->regular_least;
	if (most)
		limit.interval_ns = settings->regular_window_ns / most;
	if (limit_spend(packet, &regular_budgets, regular_budget_mask, packet->hash, meter, &limit))
		return UNDECIDED;
	return DROP_OPTIONS_BUDGET + meter;
}

/* A new INVITE, or the rest. */
static __always_inline enum reason limit_trusted(const struct packet *packet, __u32 number,
						 enum meter meter)
{
	struct trunk *trunk = bpf_map_lookup_elem(&trunks, &number);
	int fits;

	if (!trunk)
		return UNDECIDED;
	if (meter == METER_INVITE)
		fits = !trunk->invites.interval_ns ||
		       limit_due(packet, &trunk->invites_due, &trunk->invites);
	else
		fits = !trunk->rest.interval_ns ||
		       limit_due(packet, &trunk->rest_due, &trunk->rest);
	return fits ? UNDECIDED : DROP_OPTIONS_BUDGET + meter;
}

/* The verifier reads this by itself, for a caller that may have nothing (see frame.h). */
__noinline enum reason limit(struct packet *packet, const struct settings *settings,
			     struct explanation *why)
{
	enum meter meter;

	if (!packet || !settings || !why)
		return DROP_INTERFACE;
	meter = why->meter;
	if (meter >= METERS)
		return UNDECIDED;
	/* What is kept of it from here on is what was compared: Linux 6.1 knows no other copy. */
	asm volatile("" : "+r"(meter));
	if (why->standing == STRANGER) {
		warm_stranger(packet, meter, settings);
		packet->now = bpf_ktime_get_ns();
		return limit_stranger(packet, meter, settings);
	}
	packet->now = bpf_ktime_get_ns();
	return why->standing == TRUSTED ? limit_trusted(packet, why->trunk, meter)
					: limit_regular(packet, why->contacts, meter, settings);
}
