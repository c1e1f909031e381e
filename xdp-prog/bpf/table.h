/*
 * Single addresses in a flat table: those denied, and the regulars. Written by src/addresses.rs.
 */
#pragma once

#include "maps.h"
#include "source.h"

/* A slot from 1 on, or 0. */
#define SLOT_MASK ADDRESS_SLOTS

/* The source 0.0.0.0, whose tag would be a free slot's, never gets here (own.h). */
static __always_inline __u32 table_tag(const struct source *source, __u64 hash)
{
	__u32 mixed = (__u32)hash ^ (__u32)(hash >> 32);

	if (source->family == 4)
		return source->word[0];
	return mixed ? mixed : 1;
}

/*
 * The slot of that tag, from 1 on, or 0. Control never puts one tag into a bucket twice. All slots are
 * compared without a branch: which of them it is nobody predicts, and a wrong guess would cost more and
 * hold up what comes behind until the line is there.
 */
static __always_inline __u64 table_slot(const struct address_bucket *bucket, __u32 tag)
{
	__u64 found = 0;

#pragma unroll
	for (__u32 slot = 0; slot < ADDRESS_SLOTS; slot++) {
		__u64 differs = bucket->tags[slot] ^ tag;

		/* 0 less 1 fills the upper half. */
		found |= ((differs - 1) >> 32) & (slot + 1);
	}
	/* What the compiler knows, but not Linux 6.1. */
	asm volatile("" : "+r"(found));
	return found & SLOT_MASK;
}

/* The count of that source in the bucket, and when its entry ends. */
static __always_inline __u32 *table_in_bucket(void *entries, const struct source *source,
					      struct address_bucket *bucket, __u32 number,
					      __u32 tag, __u64 *not_after)
{
	__u64 slot = table_slot(bucket, tag);
	struct address_entry *entry;
	__u32 place;

	if (!slot)
		return 0;
	if (bucket->looked >> slot & 1) {
		place = number * ADDRESS_SLOTS + slot - 1;
		entry = bpf_map_lookup_elem(entries, &place);
		if (!entry || !source_equal(&entry->source, source))
			return 0;
		*not_after = entry->not_after;
	} else {
		if (source->family != 4)
			return 0;
		*not_after = 0;
	}
	/* The count before the first is `spilled`. Of a difference, too, Linux 6.1 would lose sight. */
	return &bucket->spilled + slot;
}

static __always_inline __u32 *table_find(void *buckets, void *entries, __u32 mask,
					 const struct source *source, __u64 hash,
					 __u64 *not_after)
{
	__u32 tag = table_tag(source, hash);
	__u32 number = (__u32)hash & mask;
	struct address_bucket *bucket = bpf_map_lookup_elem(buckets, &number);
	__u32 *count;

	if (!bucket)
		return 0;
	count = table_in_bucket(entries, source, bucket, number, tag, not_after);
	if (count || !bucket->spilled)
		return count;
	number = (__u32)(hash >> 32) & mask;
	bucket = bpf_map_lookup_elem(buckets, &number);
	return bucket ? table_in_bucket(entries, source, bucket, number, tag, not_after) : 0;
}
