/*
 * Is the source shut out? Single addresses by the flat table, networks by the trie behind its
 * bitmap. An entry past its end does not count, whether or not control has removed it yet. Each
 * counts what it drops, so that "dropped" never means "without a trace".
 */
#pragma once

#include "parse.h"
#include "prefix.h"
#include "table.h"

/* The verifier reads this by itself, for a caller that may have nothing (see frame.h). */
__noinline enum reason deny(const struct packet *packet, struct explanation *why)
{
	struct prefix_rule *rule;
	__u64 not_after;
	__u32 *dropped;

	if (!packet || !why)
		return DROP_INTERFACE;
	dropped = table_find(&deny_buckets, &deny_entries, deny_mask, &packet->source, packet->hash,
			     &not_after);
	if (dropped && !rule_ended(not_after)) {
		why->rule = RULE_DENY_ADDRESS;
		why->rule_bits = packet->source.family == 4 ? 32 : 128;
		why->rule_not_after = not_after;
		/*
		 * Not locked, or every frame would wait for a line that no cache holds. Two queues that
		 * count one source at once may lose one; those by reason (leave) are exact.
		 */
		if (packet->purpose == JUDGE)
			*dropped += 1;
		return DROP_DENY_ADDRESS;
	}
	rule = prefix_find(&deny_prefixes, &deny_near, &packet->source);
	if (rule && !rule_ended(rule->not_after)) {
		why->rule = RULE_DENY_PREFIX;
		why->rule_bits = rule->bits;
		why->rule_not_after = rule->not_after;
		if (packet->purpose == JUDGE)
			__sync_fetch_and_add(&rule->hits, 1);
		return DROP_DENY_PREFIX;
	}
	return UNDECIDED;
}
