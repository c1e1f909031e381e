/*
 * The guard in the driver: one look at each frame, one verdict, one count.
 *
 * Order: what is malformed or not ours; who sent it (deny, region, unless trusted); whose it is (a worker, the
 * kernel, nobody's); what it asks for (scanners, budgets, flows). `tollgate` judges live frames.
 * `explain` is the same decision over the same tables for one described frame, run by test-run:
 * it counts nothing and spends no budget, and writes the decision in front of the frame, where
 * only the run that asked can read it, so there is no race and nothing to clean up.
 *
 * In monitor mode, what the rules would drop is counted as spared, and goes on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "parse.h"
#include "own.h"
#include "deny.h"
#include "geo.h"
#include "trust.h"
#include "who.h"
#include "port.h"
#include "sip.h"
#include "signature.h"
#include "limit.h"
#include "call.h"
#include "flow.h"
#include "answer.h"
#include "refuse.h"
#include "steer.h"
#include "media.h"
#include "talk.h"
#include "price.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* What a rule said; in monitor mode it is noted, and nothing comes of it. */
static __always_inline enum reason enforce(enum reason said, const struct settings *settings,
					   struct explanation *why)
{
	if (said == UNDECIDED || !settings->monitor)
		return said;
	if (why->spared == REASONS)
		why->spared = said;
	return UNDECIDED;
}

/* Addresses for media alone are not among those. */
static __always_inline int hears_sip(const struct packet *packet)
{
	return packet->port == sip_port && packet->own < service_addresses;
}

/* Whether that sender's next one of a kind is within the budget. */
static __always_inline enum reason decide_budget(struct packet *packet, enum meter meter,
						 const struct settings *settings,
						 struct explanation *why)
{
	why->meter = meter;
	return enforce(limit(packet, settings, why), settings, why);
}

/* The verifier reads these by themselves, for a caller that may have nothing (see frame.h). */
__noinline enum reason decide_fragment(struct xdp_md *frame, struct packet *packet,
				       const struct settings *settings, struct explanation *why)
{
	enum reason reason;

	if (!packet || !settings || !why)
		return DROP_INTERFACE;
	who(packet, why);
	reason = decide_budget(packet, METER_FRAGMENT, settings, why);
	if (reason != UNDECIDED)
		return reason;
	/* The first fragment shows its port; the rest then never becomes a datagram. */
	if (packet->fragment != FIRST_FRAGMENT || packet->protocol != IPPROTO_UDP ||
	    parse_udp(frame, packet) != UNDECIDED)
		return PASS_FRAGMENT;
	if (is_media(packet->port))
		return DROP_MEDIA_FRAGMENT;
	return hears_sip(packet) ? steer_fragment(frame) : PASS_FRAGMENT;
}

__noinline enum reason decide_sip(struct xdp_md *frame, struct packet *packet,
				  const struct settings *settings, struct explanation *why)
{
	enum reason reason;
	enum meter meter;

	if (!packet || !settings || !why)
		return DROP_INTERFACE;
	meter = sip_meter(frame, packet);
	if (meter == METERS)
		return DROP_SIP_START_LINE;
	who(packet, why);
	if (why->standing == STRANGER && settings->signatures) {
		reason = enforce(signature(frame, packet), settings, why);
		if (reason != UNDECIDED)
			return reason;
	}
	/* Calls that run are never held up by a flood of new ones in the same trunk's name. */
	if (why->standing == TRUSTED && meter == METER_INVITE && sip_tag(frame, packet, HEADER_TO))
		meter = METER_OTHER;
	why->meter = meter;
	reason = limit(packet, settings, why);
	if (reason != UNDECIDED && why->standing == TRUSTED && meter != METER_INVITE &&
	    call(frame, packet, settings)) {
		packet->of_call = 1;
		return UNDECIDED;
	}
	reason = enforce(reason, settings, why);
	if (reason != UNDECIDED)
		return reason;
	if (why->standing == STRANGER)
		return enforce(flow(packet, settings), settings, why);
	return UNDECIDED;
}

__noinline enum reason decide_tcp(struct xdp_md *frame, struct packet *packet,
				  const struct settings *settings, struct explanation *why)
{
	enum reason reason;

	if (!packet || !settings || !why)
		return DROP_INTERFACE;
	reason = parse_tcp(frame, packet);
	if (reason != UNDECIDED)
		return reason;
	who(packet, why);
	reason = enforce(port_tcp(settings, packet->port, packet->syn, why), settings, why);
	if (reason == UNDECIDED && packet->syn)
		reason = decide_budget(packet, METER_SYN, settings, why);
	return reason == UNDECIDED ? PASS_TCP : reason;
}

static __always_inline enum reason decide_udp(struct xdp_md *frame, struct packet *packet,
					      const struct settings *settings,
					      struct explanation *why)
{
	enum reason reason = parse_udp(frame, packet);

	if (reason != UNDECIDED)
		return reason;
	if (is_media(packet->port))
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	if (hears_sip(packet)) {
		/* Who is denied, and who a scanner, is not known yet. */
		if (!settings->admits)
			return DROP_BEFORE_RULES;
		warm_regular(packet);
		reason = decide_sip(frame, packet, settings, why);
		if (reason == UNDECIDED && why->meter == METER_OPTIONS &&
		    why->standing >= REGULAR)
			reason = answer(frame, packet, settings);
		if (reason != UNDECIDED)
			return reason;
		return steer(frame, packet->of_call ? WORKER_CALL : WORKER_SIP, PASS_SIP);
	}
	/* For SIP nobody listens at an address for media alone, whatever is open. */
	reason = packet->port == sip_port ? DROP_PORT : port_udp(settings, packet->port);
	reason = enforce(reason, settings, why);
	return reason == UNDECIDED ? PASS_PORT : reason;
}

/* What was dropped, and whether the sender hears of it. */
static __always_inline enum reason decide_refusal(struct xdp_md *frame, struct packet *packet,
						  const struct settings *settings,
						  enum reason said, struct explanation *why)
{
	enum reason reason;

	if (!settings->refuses ||
	    (said != DROP_PORT && said != DROP_FLOWS && said != DROP_NETWORK_FLOWS))
		return said;
	reason = refuse(frame, packet, settings, said);
	if (reason == ANSWER_UNREACHABLE)
		why->refused = said;
	return reason;
}

/* Who may not come at all, whatever he brings. */
static __always_inline enum reason decide_source(const struct packet *packet,
						 const struct settings *settings,
						 struct explanation *why)
{
	enum reason reason = deny(packet, why);

	if (reason != UNDECIDED && !trust_has(packet, why)) {
		reason = enforce(reason, settings, why);
		if (reason != UNDECIDED)
			return reason;
	}
	if (!settings->geo)
		return UNDECIDED;
	reason = geo(packet, settings, why);
	if (reason != UNDECIDED && !trust_has(packet, why))
		return enforce(reason, settings, why);
	return UNDECIDED;
}

static __always_inline enum reason decide(struct xdp_md *frame, struct packet *packet,
					  struct explanation *why)
{
	struct settings *current;
	enum reason reason;
	__u32 first = 0;

	reason = parse_ip(frame, packet);
	if (reason != UNDECIDED)
		return reason;
	why->source = packet->source;
	packet->own = own_place(&packet->destination);
	if (packet->own >= own_addresses)
		return PASS_FOREIGN;
	if (own_neighbor(frame, packet))
		return PASS_NEIGHBOR;
	/* Whose packets of a running call these are is known exactly: no list is asked about him. */
	if (deliver == DELIVER_SOCKETS && packet->protocol == IPPROTO_UDP &&
	    packet->fragment == WHOLE) {
		reason = media(frame, packet);
		if (reason != UNDECIDED)
			return reason;
	}
	if (own_impossible(&packet->source))
		return DROP_IP_SOURCE;

	current = bpf_map_lookup_elem(&settings, &first);
	if (!current)
		return DROP_INTERFACE;
	warm_rules(packet, current);
	packet->hash = source_hash(&packet->source, current);
	reason = decide_source(packet, current, why);
	if (reason != UNDECIDED)
		return reason;

	if (packet->fragment != WHOLE)
		return decide_fragment(frame, packet, current, why);
	switch (packet->protocol) {
	case IPPROTO_UDP:
		reason = decide_udp(frame, packet, current, why);
		return decide_refusal(frame, packet, current, reason, why);
	case IPPROTO_TCP:
		return decide_tcp(frame, packet, current, why);
	case IPPROTO_ICMP:
	case ICMPV6:
		return PASS_ICMP;
	default:
		reason = enforce(current->closed ? DROP_PORT : UNDECIDED, current, why);
		return reason == UNDECIDED ? PASS_PROTOCOL : reason;
	}
}

static __always_inline void count(void *books, enum reason reason, enum standing standing,
				  __u64 bytes)
{
	__u32 key = reason * STANDINGS + standing;
	struct count *count = bpf_map_lookup_elem(books, &key);

	if (!count)
		return;
	/* A per-CPU map: no other core writes these words. */
	count->packets += 1;
	count->bytes += bytes;
}

/* Every frame leaves through here, so that none goes uncounted. */
static __always_inline int leave(const struct packet *packet, const struct explanation *why,
				 __u64 bytes)
{
	enum reason said = why->refused == REASONS ? why->reason : why->refused;
	/* Never both: in monitor mode nothing is refused. */
	enum reason instead = why->spared == REASONS ? why->refused : why->spared;

	count(&counts, why->reason, why->standing, bytes);
	if (instead != REASONS)
		count(&spared, instead, why->standing, bytes);
	/*
	 * A denied address counts for itself; of others that are unknown there is one place. That
	 * nobody listens is no fault of theirs.
	 */
	if (packet->hash && said != DROP_DENY_ADDRESS && said < DROP_NO_SOCKET &&
	    (why->standing == STRANGER || said >= DROP_DENY_PREFIX))
		talk_count(packet, why, said);
	if (why->reason >= FIRST_DROP)
		return XDP_DROP;
	if (why->reason >= FIRST_ANSWER)
		return XDP_TX;
	return why->reason >= FIRST_WORKER ? XDP_REDIRECT : XDP_PASS;
}

static __always_inline int judge(struct xdp_md *frame)
{
	struct explanation why = { .meter = METERS, .spared = REASONS, .refused = REASONS };
	struct packet packet = { .purpose = JUDGE };
	__u64 bytes = frame_bytes(frame);

	why.reason = decide(frame, &packet, &why);
	return leave(&packet, &why, bytes);
}

SEC("xdp")
int tollgate(struct xdp_md *frame)
{
	return judge(frame);
}

SEC("xdp")
int explain(struct xdp_md *frame)
{
	struct explanation why = { .meter = METERS, .spared = REASONS, .refused = REASONS };
	struct packet packet = { .purpose = EXPLAIN };
	struct explanation *answer;

	why.reason = decide(frame, &packet, &why);
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
	if (price_prepare(frame))
		return XDP_ABORTED;
	return judge(frame);
}

SEC("xdp")
int price_frame(struct xdp_md *frame)
{
	return price_prepare(frame) ? XDP_ABORTED : XDP_PASS;
}
