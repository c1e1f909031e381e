/*
 * Is the source shut out? Single addresses by the flat table, networks by the trie behind its
 * bitmap. An entry past its end does not count, whether or not control has removed it yet.
 */
#pragma once

#include "maps.h"
#include "prefix.h"
#include "source.h"

/*
 * Control never puts two entries of one tag into one bucket, so the first that agrees is the only.
 */
static __always_inline struct deny_entry *deny_in_bucket(const struct source *source,
							 const struct deny_bucket *tags,
							 __u32 bucket, __u32 tag)
{
	struct deny_entry *entry;
	__u32 place, slot;

	for (slot = 0; slot < DENY_SLOTS; slot++) {
		if (tags->tags[slot] == tag)
			break;
	}
	if (slot == DENY_SLOTS)
		return 0;
	place = bucket * DENY_SLOTS + slot;
	entry = bpf_map_lookup_elem(&deny_entries, &place);
	if (!entry || !source_equal(&entry->source, source))
		return 0;
	return entry;
}

static __always_inline struct deny_entry *deny_address(const struct source *source, __u64 hash)
{
	__u32 low = hash;
	__u32 high = hash >> 32;
	__u32 tag = low ^ high ? low ^ high : 1;
	__u32 bucket = low & deny_mask;
	struct deny_bucket *tags = bpf_map_lookup_elem(&deny_buckets, &bucket);
	struct deny_entry *entry;

	if (!tags)
		return 0;
	entry = deny_in_bucket(source, tags, bucket, tag);
	if (entry || !tags->spilled)
		return entry;
	bucket = high & deny_mask;
	tags = bpf_map_lookup_elem(&deny_buckets, &bucket);
	return tags ? deny_in_bucket(source, tags, bucket, tag) : 0;
}

/* The verifier reads this by itself, for a caller that may have nothing (see frame.h). */
__noinline enum reason deny(const struct source *source, __u64 hash, struct explanation *why)
{
	struct prefix_rule *rule;
	struct deny_entry *entry;

	if (!source || !why)
		return DROP_INTERFACE;
	entry = deny_address(source, hash);
	if (entry && !rule_ended(entry->not_after)) {
		why->rule = RULE_DENY_ADDRESS;
		why->rule_bits = source->family == 4 ? 32 : 128;
		why->rule_not_after = entry->not_after;
		return DROP_DENY_ADDRESS;
	}
	rule = prefix_find(&deny_prefixes, &deny_near, source);
	if (rule && !rule_ended(rule->not_after)) {
		why->rule = RULE_DENY_PREFIX;
		why->rule_bits = rule->bits;
		why->rule_not_after = rule->not_after;
		return DROP_DENY_PREFIX;
	}
	return UNDECIDED;
}
