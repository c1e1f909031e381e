/*
 * Single addresses in a flat table: those denied, and the regulars. Written by src/addresses.rs.
 */
#pragma once

#include "maps.h"
#include "source.h"

/*
 * Control never puts two entries of one tag into one bucket, so the first that agrees is the only.
 */
static __always_inline struct address_entry *table_in_bucket(void *entries,
							     const struct source *source,
							     const struct address_bucket *tags,
							     __u32 bucket, __u32 tag)
{
	struct address_entry *entry;
	__u32 place, slot;

	for (slot = 0; slot < ADDRESS_SLOTS; slot++) {
		if (tags->tags[slot] == tag)
			break;
	}
	if (slot == ADDRESS_SLOTS)
		return 0;
	place = bucket * ADDRESS_SLOTS + slot;
	entry = bpf_map_lookup_elem(entries, &place);
	if (!entry || !source_equal(&entry->source, source))
		return 0;
	return entry;
}

static __always_inline struct address_entry *table_find(void *buckets, void *entries, __u32 mask,
							const struct source *source, __u64 hash)
{
	__u32 low = hash;
	__u32 high = hash >> 32;
	__u32 tag = low ^ high ? low ^ high : 1;
	__u32 bucket = low & mask;
	struct address_bucket *tags = bpf_map_lookup_elem(buckets, &bucket);
	struct address_entry *entry;

	if (!tags)
		return 0;
	entry = table_in_bucket(entries, source, tags, bucket, tag);
	if (entry || !tags->spilled)
		return entry;
	bucket = high & mask;
	tags = bpf_map_lookup_elem(buckets, &bucket);
	return tags ? table_in_bucket(entries, source, tags, bucket, tag) : 0;
}
