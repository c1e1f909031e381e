/*
 * Who sent it, as the tables know him: compared whole, and placed by a keyed hash. The key is secret and as
 * old as the tables, so nobody can choose addresses that crowd one bucket.
 *
 * An IPv6 address is hashed by SipHash-1-3 (Aumasson and Bernstein, 2012). For an IPv4 address that would be a
 * third of all that a verdict has to do, so each of its four bytes chooses a random word, and those are added
 * without carry (simple tabulation, Patrascu and Thorup, 2012). Words are read as little-endian, as the machines
 * we run on do.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "maps.h"

static __always_inline int source_equal(const struct source *left, const struct source *right)
{
	return left->word[0] == right->word[0] && left->word[1] == right->word[1] &&
	       left->word[2] == right->word[2] && left->word[3] == right->word[3] &&
	       left->family == right->family;
}

struct siphash {
	__u64 a, b, c, d;
};

#define ROTATE(word, bits) (((word) << (bits)) | ((word) >> (64 - (bits))))

static __always_inline void siphash_round(struct siphash *state)
{
	state->a += state->b;
	state->c += state->d;
	state->b = ROTATE(state->b, 13) ^ state->a;
	state->d = ROTATE(state->d, 16) ^ state->c;
	state->a = ROTATE(state->a, 32);
	state->c += state->b;
	state->a += state->d;
	state->b = ROTATE(state->b, 17) ^ state->c;
	state->d = ROTATE(state->d, 21) ^ state->a;
	state->c = ROTATE(state->c, 32);
}

static __always_inline void siphash_word(struct siphash *state, __u64 word)
{
	state->d ^= word;
	siphash_round(state);
	state->a ^= word;
}

static __always_inline void siphash_start(struct siphash *state, const __u64 *key)
{
	state->a = key[0] ^ 0x736f6d6570736575ULL;
	state->b = key[1] ^ 0x646f72616e646f6dULL;
	state->c = key[0] ^ 0x6c7967656e657261ULL;
	state->d = key[1] ^ 0x7465646279746573ULL;
}

static __always_inline void siphash_begin(struct siphash *state, const struct settings *settings)
{
	siphash_start(state, settings->key);
}

static __always_inline __u64 siphash_end(struct siphash *state)
{
	state->c ^= 0xff;
	siphash_round(state);
	siphash_round(state);
	siphash_round(state);
	return state->a ^ state->b ^ state->c ^ state->d;
}

static __always_inline __u64 source_tabulated(__u32 address)
{
	__u32 first = 0;
	struct tabulation *table = bpf_map_lookup_elem(&tabulation, &first);

	if (!table)
		return 0;
	return table->words[0][address & 0xff] ^ table->words[1][address >> 8 & 0xff] ^
	       table->words[2][address >> 16 & 0xff] ^ table->words[3][address >> 24];
}

static __always_inline __u64 source_siphash(const struct source *source,
					    const struct settings *settings)
{
	struct siphash state;

	siphash_begin(&state, settings);
	siphash_word(&state, ((__u64)source->word[1] << 32) | source->word[0]);
	siphash_word(&state, ((__u64)source->word[3] << 32) | source->word[2]);
	/* What remains, under the length in bytes. */
	siphash_word(&state, 16ULL << 56);
	return siphash_end(&state);
}

static __always_inline __u64 source_hash(const struct source *source,
					 const struct settings *settings)
{
	return source->family == 4 ? source_tabulated(source->word[0])
				   : source_siphash(source, settings);
}

/* The /24 or /64 around a source. */
static __always_inline struct source source_network(const struct source *source)
{
	struct source network = *source;

	if (source->family == 4) {
		network.word[0] &= bpf_htonl(0xffffff00);
	} else {
		network.word[2] = 0;
		network.word[3] = 0;
	}
	return network;
}
