/*
 * Who is it, as far as budgets go: trusted, a regular, or a stranger. What is known of each lies in tables that
 * only control writes, so no flood of invented sources displaces anybody who is known.
 */
#pragma once

#include "table.h"
#include "trust.h"

#define MARK_TRUNK 0xffff

__noinline int who(const struct packet *packet, struct explanation *why)
{
	struct prefix_rule *trust;
	__u64 not_after;
	__u32 *contacts;

	if (!packet || !why)
		return 0;
	trust = trust_find(&packet->source, why);
	if (trust) {
		why->standing = TRUSTED;
		why->trunk = trust->mark & MARK_TRUNK;
		why->admin = trust->mark & MARK_ADMIN ? 1 : 0;
		return 0;
	}
	contacts = table_find(&regular_buckets, &regular_entries, regular_mask, &packet->source,
			      packet->hash, &not_after);
	if (contacts && !rule_ended(not_after)) {
		why->standing = REGULAR;
		why->contacts = *contacts;
		return 0;
	}
	why->standing = STRANGER;
	return 0;
}
