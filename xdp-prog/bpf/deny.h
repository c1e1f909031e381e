/*
 * Is the source shut out? Single addresses by the flat table, networks by the trie behind its
 * bitmap. An entry past its end does not count, whether or not control has removed it yet.
 */
#pragma once

#include "hash.h"
#include "maps.h"

static __always_inline int ended(__u64 not_after, __u64 now)
{
	return not_after && now > not_after;
}

static __always_inline int source_equal(const struct source *left, const struct source *right)
{
	return left->word[0] == right->word[0] && left->word[1] == right->word[1] &&
	       left->word[2] == right->word[2] && left->word[3] == right->word[3] &&
	       left->family == right->family;
}

/*
 * Control never puts two entries of one tag into one bucket, so the first that agrees is the
 * only.
 */
static __always_inline struct deny_entry *deny_in_bucket(const struct source *source, __u32 bucket,
							 __u32 tag)
{
	struct deny_bucket *tags = bpf_map_lookup_elem(&deny_buckets, &bucket);
	struct deny_entry *entry;
	__u32 place, slot;

	if (!tags)
		return 0;
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
	__u32 tag = low ^ high;
	struct deny_entry *entry;

	if (!tag)
		tag = 1;
	entry = deny_in_bucket(source, low & deny_mask, tag);
	if (entry)
		return entry;
	return deny_in_bucket(source, high & deny_mask, tag);
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

__noinline enum reason deny(const struct source *source __arg_nonnull, __u64 hash,
			    struct explanation *why __arg_nonnull)
{
	struct prefix_rule *rule;
	struct deny_entry *entry = deny_address(source, hash);

	/*
	 * The clock is asked only when a rule was found, which a stranger's frame never pays for.
	 */
	if (entry && !ended(entry->not_after, entry->not_after ? bpf_ktime_get_ns() : 0)) {
		why->rule = RULE_DENY_ADDRESS;
		why->rule_bits = source->family == 4 ? 32 : 128;
		why->rule_not_after = entry->not_after;
		return DROP_DENY_ADDRESS;
	}
	rule = prefix_find(&deny_prefixes, &deny_near, source);
	if (rule && !ended(rule->not_after, rule->not_after ? bpf_ktime_get_ns() : 0)) {
		why->rule = RULE_DENY_PREFIX;
		why->rule_bits = rule->bits;
		why->rule_not_after = rule->not_after;
		return DROP_DENY_PREFIX;
	}
	return UNDECIDED;
}
