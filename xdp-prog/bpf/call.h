/*
 * Messages of running calls, when the budget of the gateway in whose name they come is spent: whoever floods in
 * its name must not keep it from hanging up. They carry a tag that we gave: a request in To, an answer in From.
 *
 * A tag is eight random bytes and eight more, a slot and its generation, under a keyed mask
 * (crates/b2bua/src/keys.rs). Nobody without the key can write one whose generation is that of a running call: of
 * 2^32 tries one fits some slot. Who has seen a tag may repeat it, so each call has a budget of its own, and such
 * a flood ends that call at worst.
 *
 * All of this is looked at only once the gateway's own budget is spent.
 */
#pragma once

#include "limit.h"
#include "maps.h"
#include "sip.h"
#include "source.h"

#define TAG_BYTES 32

struct token {
	__u64 random;
	__u64 masked;
};

/* A digit, lower case as we write it, or 16. */
static __always_inline __u32 call_digit(__u8 byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : 16;
}

/* Whether what stands there can be a tag of ours. */
__noinline int call_token(struct xdp_md *frame, __u32 at, struct token *token)
{
	const __u8 *byte;
	__u64 word = 0;
	__u32 digit;

	if (!token)
		return 0;
	for (__u32 i = 0; i < TAG_BYTES; i++) {
		byte = frame_at(frame, (at + i) & OFFSET_MASK, 1);
		digit = byte ? call_digit(*byte) : 16;
		if (digit > 15)
			return 0;
		word = (word << 4) | digit;
		if (i == TAG_BYTES / 2 - 1)
			token->random = word;
	}
	token->masked = word;
	byte = frame_at(frame, (at + TAG_BYTES) & OFFSET_MASK, 1);
	return byte && !sip_is_token(*byte);
}

/* SipHash-2-4 of the random half. */
static __always_inline __u64 call_mask(__u64 random, const struct tags *made)
{
	struct siphash state;

	siphash_start(&state, made->key);
	state.d ^= random;
	siphash_round(&state);
	siphash_round(&state);
	state.a ^= random;
	/* What remains, under the length in bytes. */
	state.d ^= 8ULL << 56;
	siphash_round(&state);
	siphash_round(&state);
	state.a ^= 8ULL << 56;
	state.c ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(&state);
	return state.a ^ state.b ^ state.c ^ state.d;
}

/* Whether it is of a running call that has not said too much. The caller may have nothing (see frame.h). */
__noinline int call(struct xdp_md *frame, const struct packet *packet,
		    const struct settings *settings)
{
	__u32 first = 0, at, generation, place;
	struct token token = {};
	const __u64 *start;
	struct tags *made;
	__u64 payload, *due;
	struct call *slot;

	if (!packet || !settings)
		return 0;
	made = bpf_map_lookup_elem(&tags, &first);
	start = frame_at(frame, packet->at & OFFSET_MASK, sizeof(*start));
	if (!made || !start)
		return 0;
	at = sip_tag(frame, packet, *start == SIP_2_0_ ? HEADER_FROM : HEADER_TO);
	if (!at || !call_token(frame, at, &token))
		return 0;
	payload = token.masked ^ call_mask(token.random, made);
	generation = payload;
	for (__u32 worker = 0; worker < WORKERS_MAX; worker++) {
		if (worker >= made->workers)
			return 0;
		place = (payload >> 40) * made->workers + worker;
		slot = bpf_map_lookup_elem(&calls, &place);
		if (!slot)
			return 0;
		if (!slot->live || slot->generation != generation)
			continue;
		due = bpf_map_lookup_elem(&call_budgets, &place);
		return due && (!settings->call_limit.interval_ns ||
			       limit_due(packet, due, &settings->call_limit));
	}
	return 0;
}
