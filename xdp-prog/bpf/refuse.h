/*
 * Refusals that the sender hears of: a port that is closed, or more flows than he may have, answered with ICMP
 * port unreachable (RFC 792, RFC 4443 §3.1) if the operator wants it so. Else all of them meet silence.
 *
 * Only a whole datagram for us alone is answered, so never ICMP, a fragment, or what went to a group (RFC 1122
 * §3.2.2, RFC 4443 §2.4); own.h has turned away sources that nobody may answer. A source may be invented, so all
 * of them together share one budget, and no answer is longer than its cause by more than its own headers.
 */
#pragma once

#include "answer.h"
#include "limit.h"

/* The answer stays within 576 bytes, with IPv6 within 1,280: everybody takes so much in one piece. */
#define QUOTED_IPV4_MAX 548
#define QUOTED_IPV6_MAX 1232

#define UNREACHABLE_IPV4 3
#define PORT_IPV4 3
#define UNREACHABLE_IPV6 1
#define PORT_IPV6 4

/* Behind the budgets of the crowd's meters. */
#define CROWD_REFUSALS METERS

struct unreachable {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 unused;
};

static __always_inline int refuse_is_due(struct packet *packet, const struct settings *settings)
{
	__u32 place = CROWD_REFUSALS;
	struct crowd *crowd = bpf_map_lookup_elem(&crowds, &place);

	if (!packet->now)
		packet->now = bpf_ktime_get_ns();
	return crowd && (!settings->refusal_limit.interval_ns ||
			 limit_due(packet, &crowd->due, &settings->refusal_limit));
}

/* The headers of the way back, from us, before what is quoted. */
static __always_inline void refuse_address(const struct packet *packet, struct draft *draft)
{
	struct unreachable *told = answer_place(draft, draft->begin);
	__u32 bytes = draft->bytes - draft->begin;
	__u64 sum;

	answer_station(draft);
	told->check = 0;
	told->unused = 0;
	if (packet->source.family == 4) {
		struct iphdr *ip = answer_place(draft, packet->network);

		told->type = UNREACHABLE_IPV4;
		told->code = PORT_IPV4;
		*(__be16 *)ip = bpf_htons(0x4500);
		ip->protocol = IPPROTO_ICMP;
		answer_ipv4(ip, packet, bytes);
		answer_sum(draft);
		sum = draft->sum;
	} else {
		struct ipv6hdr *ip = answer_place(draft, packet->network);

		told->type = UNREACHABLE_IPV6;
		told->code = PORT_IPV6;
		ip->nexthdr = ICMPV6;
		answer_ipv6(ip, packet, 0, bytes);
		answer_sum(draft);
		sum = (__u64)draft->sum + bpf_htons(ICMPV6) + bpf_htons(bytes);
		for (int i = 0; i < 4; i++)
			sum += (__u64)packet->source.word[i] + packet->destination.word[i];
	}
	told->check = ~answer_fold(sum);
}

/* The frame becomes the answer. The verifier reads this by itself, for a caller that may have nothing (see frame.h). */
__noinline enum reason refuse(struct xdp_md *frame, struct packet *packet,
			      const struct settings *settings, enum reason said)
{
	__u32 first = 0, quoted, most, whole, place;
	struct draft *draft;

	if (!packet || !settings || !answer_begin(frame, packet) ||
	    !refuse_is_due(packet, settings))
		return said;
	if (packet->purpose == EXPLAIN)
		return ANSWER_UNREACHABLE;
	draft = bpf_map_lookup_elem(&drafts, &first);
	if (!draft || !packet->network || packet->network > HEADERS_MAX)
		return said;
	most = packet->source.family == 4 ? QUOTED_IPV4_MAX : QUOTED_IPV6_MAX;
	/* However much of the head was read, so far goes the datagram. */
	quoted = packet->at + packet->left - packet->network;
	if (quoted > most)
		quoted = most;
	draft->begin = packet->transport;
	place = draft->begin + sizeof(struct unreachable);
	draft->bytes = place + quoted;
	if (bpf_xdp_load_bytes(frame, 0, draft->text, answer_size(packet->network)) ||
	    bpf_xdp_load_bytes(frame, packet->network, draft->text + (place & DRAFT_MASK),
			       answer_size(quoted)))
		return said;
	refuse_address(packet, draft);
	whole = draft->bytes;
	if (!whole || whole > ANSWER_WHOLE_MAX || !answer_resize(frame, draft))
		return said;
	if (bpf_xdp_store_bytes(frame, 0, draft->text, answer_size(whole)))
		return DROP_INTERFACE;
	return ANSWER_UNREACHABLE;
}
