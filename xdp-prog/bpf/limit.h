/*
 * A budget of OPTIONS for each source, shared by all queues: scanners knock with OPTIONS, and
 * each knock would cost a worker an answer. A cache of budgets, four to a line: whoever has been
 * quiet for its burst has nothing to remember and is the first to be forgotten, so a flood of
 * invented sources holds a place only for the time of one interval each.
 *
 * If all four owe, the one that owes least makes room: it is refilled too early, never too late.
 * The budget is of exact addresses; a sender with a whole IPv6 network has as many as addresses,
 * and is a matter for a deny rule.
 */
#pragma once

#include "maps.h"
#include "parse.h"
#include "source.h"

#define LEADING_LINE_ENDS_MAX 8

/* "OPTIONS " read as one little-endian word. */
#define METHOD 0x20534e4f4954504fULL

/* Whether metering changes the books, or only reads them. */
enum purpose {
	JUDGE,
	EXPLAIN,
};

/*
 * A request's start line is `OPTIONS SP ...`, exactly: the method is case-sensitive (RFC 3261
 * §7.1), and line ends before it are to be ignored (§7.5).
 */
static __always_inline int limit_is_options(struct xdp_md *frame, const struct packet *packet)
{
	__u32 at = packet->at;
	__u32 left = packet->left;
	const char *byte;
	const __u64 *start;

	for (int i = 0; i < LEADING_LINE_ENDS_MAX; i++) {
		byte = frame_at(frame, at, 2);
		if (!byte || left < 2 || byte[0] != '\r' || byte[1] != '\n')
			break;
		at += 2;
		left -= 2;
	}
	start = frame_at(frame, at, sizeof(*start));
	return start && left >= sizeof(*start) && *start == METHOD;
}

/* The source's budget, or the one to be given up for it. */
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

/* GCRA (ITU-T I.371): conforming while the source is not further ahead than its burst. */
static __always_inline enum reason limit_options(__u64 hash, const struct settings *settings,
						 enum purpose purpose)
{
	__u64 interval = settings->options_interval_ns;
	__u64 tolerance = settings->options_tolerance_ns;
	__u64 identity = hash ? hash : 1;
	__u32 place = (hash >> 16) & budget_mask;
	__u64 now, seen, due, owner;
	struct budget_bucket *bucket;
	struct budget *budget;

	if (!interval)
		return UNDECIDED;
	bucket = bpf_map_lookup_elem(&budgets, &place);
	if (!bucket)
		return UNDECIDED;
	now = bpf_ktime_get_ns();
	budget = limit_find(bucket, identity);
	owner = budget->identity;
	seen = budget->due;
	due = (owner == identity && seen > now ? seen : now) + interval;
	if (due - now > tolerance)
		return DROP_OPTIONS_BUDGET;
	if (purpose == EXPLAIN)
		return UNDECIDED;

	/* Whoever loses a race is over its budget: many queues together never let more through. */
	if (owner != identity) {
		if (__sync_val_compare_and_swap(&budget->identity, owner, identity) != owner)
			return DROP_OPTIONS_BUDGET;
	}
	if (__sync_val_compare_and_swap(&budget->due, seen, due) != seen)
		return DROP_OPTIONS_BUDGET;
	return UNDECIDED;
}
