/*
 * The guard in the driver: one look at each frame, one verdict, one count.
 *
 * Order: what is malformed or not ours; who sent it (deny, unless trusted); what it asks for (the
 * budget of OPTIONS); whose it is (a worker, the kernel). `tollgate` judges live frames.
 * `explain` is the same decision over the same tables for one described frame, run by test-run:
 * it counts nothing and spends no budget, and writes the decision in front of the frame, where
 * only the run that asked can read it, so there is no race and nothing to clean up.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "parse.h"
#include "own.h"
#include "deny.h"
#include "trust.h"
#include "limit.h"
#include "steer.h"
#include "price.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static __always_inline int is_media(__u32 port)
{
	return port >= media_first && port <= media_last;
}

static __always_inline enum reason decide_fragment(struct xdp_md *frame, struct packet *packet)
{
	/* The first fragment shows its port; the rest then never becomes a datagram. */
	if (packet->fragment != FIRST_FRAGMENT || packet->protocol != IPPROTO_UDP ||
	    parse_udp(frame, packet) != UNDECIDED)
		return PASS_FRAGMENT;
	if (is_media(packet->port))
		return DROP_MEDIA_FRAGMENT;
	return packet->port == sip_port ? steer_fragment(frame) : PASS_FRAGMENT;
}

static __always_inline enum reason decide_udp(struct xdp_md *frame, struct packet *packet,
					      __u64 hash, const struct settings *settings,
					      enum purpose purpose)
{
	enum reason reason = parse_udp(frame, packet);

	if (reason != UNDECIDED)
		return reason;
	if (is_media(packet->port))
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	if (packet->port != sip_port)
		return PASS_PORT;
	if (limit_is_options(frame, packet)) {
		reason = limit_options(hash, settings, purpose);
		if (reason != UNDECIDED)
			return reason;
	}
	return steer(frame, WORKER_SIP, PASS_SIP);
}

static __always_inline enum reason decide(struct xdp_md *frame, enum purpose purpose,
					  struct explanation *why)
{
	struct packet packet = {};
	struct settings *current;
	enum reason reason;
	__u32 first = 0;
	__u64 hash;

	reason = parse_ip(frame, &packet);
	if (reason != UNDECIDED)
		return reason;
	why->source = packet.source;
	if (!own_has(&packet.destination))
		return PASS_FOREIGN;
	if (own_neighbor(frame, &packet))
		return PASS_NEIGHBOR;
	if (own_impossible(&packet.source))
		return DROP_IP_SOURCE;

	current = bpf_map_lookup_elem(&settings, &first);
	if (!current)
		return DROP_INTERFACE;
	hash = source_hash(&packet.source, current);
	reason = deny(&packet.source, hash, why);
	if (reason != UNDECIDED && !trust_has(&packet.source, why))
		return reason;

	if (packet.fragment != WHOLE)
		return decide_fragment(frame, &packet);
	switch (packet.protocol) {
	case IPPROTO_UDP:
		return decide_udp(frame, &packet, hash, current, purpose);
	case IPPROTO_TCP:
		return parse_tcp(frame, &packet);
	case IPPROTO_ICMP:
	case ICMPV6:
		return PASS_ICMP;
	default:
		return PASS_PROTOCOL;
	}
}

/* Every frame leaves through here, so that none goes uncounted. */
static __always_inline int leave(enum reason reason, __u64 bytes)
{
	__u32 key = reason;
	struct count *count = bpf_map_lookup_elem(&counts, &key);

	if (count) {
		/* A per-CPU map: no other core writes these words. */
		count->packets += 1;
		count->bytes += bytes;
	}
	if (reason >= FIRST_DROP)
		return XDP_DROP;
	return reason >= FIRST_WORKER ? XDP_REDIRECT : XDP_PASS;
}

SEC("xdp")
int tollgate(struct xdp_md *frame)
{
	struct explanation why = {};
	__u64 bytes = frame_bytes(frame);

	return leave(decide(frame, JUDGE, &why), bytes);
}

SEC("xdp")
int explain(struct xdp_md *frame)
{
	struct explanation why = {};
	struct explanation *answer;

	why.reason = decide(frame, EXPLAIN, &why);
	if (bpf_xdp_adjust_head(frame, -(int)sizeof(why)))
		return XDP_ABORTED;
	answer = frame_at(frame, 0, sizeof(*answer));
	if (!answer)
		return XDP_ABORTED;
	*answer = why;
	return XDP_PASS;
}

SEC("xdp")
int price_verdict(struct xdp_md *frame)
{
	struct explanation why = {};
	__u64 bytes = frame_bytes(frame);

	if (price_prepare(frame))
		return XDP_ABORTED;
	return leave(decide(frame, JUDGE, &why), bytes);
}

SEC("xdp")
int price_frame(struct xdp_md *frame)
{
	return price_prepare(frame) ? XDP_ABORTED : XDP_PASS;
}
