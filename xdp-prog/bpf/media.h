/*
 * Media that wants nothing but new addresses goes on here, without waking a worker: the settled path. A worker
 * says for each of its ports what becomes of what arrives there, and this program says what it heard. One line is
 * read to know whose a datagram is, one to send it on, one is written to count it.
 *
 * What is not plain goes to the worker, who knows the whole rule: RTCP, options, lengths that differ, events that
 * somebody reads, a payload type that was not agreed upon, a source that is not believed and might be.
 *
 * A worker that dies takes nothing with it: what it said last holds, until `not_after`.
 */
#pragma once

#include "maps.h"
#include "own.h"
#include "parse.h"
#include "steer.h"

/* A jump of this many sequence numbers is a new stream (RFC 3550 appendix A.1: MAX_DROPOUT). */
#define MEDIA_DROPOUT 3000
/* Who was heard within so long is who he was: nobody else is (crates/relay/src/latch.rs: REBIND_AFTER). */
#define MEDIA_REBIND_NS 2000000000ULL
/* One unit of a clock of 8 kHz. */
#define MEDIA_UNIT_NS 125000
/* A second of silence suppression is no jitter, in those units. */
#define MEDIA_PAUSE 8000
#define MEDIA_HOPS 64
/* There is no room before the frame for longer headers: it is as it was. */
#define MEDIA_UNTOUCHED 1

struct rtp_head {
	__u8 first;  /* version, padding, extension, contributors */
	__u8 second; /* marker, payload type */
	__be16 sequence;
	__be32 timestamp;
	__be32 ssrc;
};

static __always_inline int is_media(__u32 port)
{
	return port >= media_first && port <= media_last;
}

/* Each of our addresses has all of these ports. */
static __always_inline __u32 media_place(__u32 own, __u32 port)
{
	return own * (media_last - media_first + 1) + port - media_first;
}

static __always_inline __u32 media_state(__u64 order)
{
	return order & 0xffffffff;
}

/* RFC 5761 §4: of packets on one port, those with such a second byte are RTCP. */
static __always_inline int media_is_rtcp(__u32 second)
{
	return second >= 192 && second <= 223;
}

static __always_inline int media_is_from(const struct media_rule *rule, const struct packet *packet,
					 const struct udphdr *udp)
{
	return udp->source == rule->port && packet->source.word[0] == rule->source.word[0] &&
	       packet->source.word[1] == rule->source.word[1] &&
	       packet->source.word[2] == rule->source.word[2] &&
	       packet->source.word[3] == rule->source.word[3] &&
	       packet->source.family == rule->source.family;
}

/* Counts a packet as crates/relay/src/quality.rs does: loss by RFC 3550 A.3, jitter by A.8. */
static __always_inline void media_note(struct media_heard *heard, const struct rtp_head *rtp,
				       __u32 bytes, __u64 now)
{
	__u32 sequence = bpf_ntohs(rtp->sequence), ssrc = bpf_ntohl(rtp->ssrc);
	__u32 transit = (__u32)(now / MEDIA_UNIT_NS) - bpf_ntohl(rtp->timestamp);
	__u32 highest = heard->highest, expected, step;
	__u32 ahead = (sequence - highest) & 0xffff;
	int follows = heard->received && heard->ssrc == ssrc;

	if (follows && ahead < MEDIA_DROPOUT) {
		heard->highest = highest + ahead;
	} else if (!follows || ((highest - sequence) & 0xffff) > MEDIA_DROPOUT) {
		if (heard->received) {
			expected = highest - heard->base + 1;
			if (expected > heard->received)
				heard->lost_before += expected - heard->received;
		}
		heard->ssrc = ssrc;
		/* Room below, so that an early reordering does not wrap. */
		heard->base = 0x10000 + sequence;
		heard->highest = heard->base;
		heard->received = 0;
		heard->transit = transit;
	}
	heard->received += 1;
	step = transit - heard->transit;
	if (step & 0x80000000)
		step = -step;
	if (step < MEDIA_PAUSE)
		heard->jitter += step - ((heard->jitter + 8) >> 4);
	heard->transit = transit;
	heard->packets += 1;
	heard->bytes += bytes;
	heard->last_ns = now;
}

static __always_inline __u16 media_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What of a rule writes the headers, read at once. */
struct media_onward {
	struct source from;
	struct source to;
	__be16 ports[2];
	__be16 macs[6];
	__be16 tag;
	__u16 tagged;
	__u32 class;
	__u32 ip_sum;
	__u32 interface;
};

static __always_inline int media_write_ip(struct xdp_md *frame, __u32 at,
					  const struct media_onward *onward, __u32 bytes)
{
	if (onward->to.family == 4) {
		struct iphdr *ip = frame_at(frame, at, sizeof(*ip));

		if (!ip)
			return -1;
		*(__u16 *)ip = bpf_htons(0x4500 | onward->class);
		ip->tot_len = bpf_htons(sizeof(*ip) + bytes);
		ip->id = 0;
		/* Never fragmented: what is longer than the path takes goes to the worker. */
		ip->frag_off = bpf_htons(0x4000);
		ip->ttl = MEDIA_HOPS;
		ip->protocol = IPPROTO_UDP;
		ip->check = ~media_fold(onward->ip_sum + ip->tot_len);
		ip->saddr = onward->from.word[0];
		ip->daddr = onward->to.word[0];
	} else {
		struct ipv6hdr *ip = frame_at(frame, at, sizeof(*ip));

		if (!ip)
			return -1;
		*(__u32 *)ip = bpf_htonl(0x60000000 | onward->class << 20);
		ip->payload_len = bpf_htons(bytes);
		ip->nexthdr = IPPROTO_UDP;
		ip->hop_limit = MEDIA_HOPS;
		__builtin_memcpy(&ip->saddr, onward->from.word, sizeof(ip->saddr));
		__builtin_memcpy(&ip->daddr, onward->to.word, sizeof(ip->daddr));
	}
	return 0;
}

/* New headers before the payload, in whatever shape the far end's network wants them. */
static __always_inline int media_write(struct xdp_md *frame, const struct packet *packet,
				       const struct media_onward *onward, __u32 bytes, __u16 check)
{
	__u32 ip = sizeof(struct ethhdr), transport;
	struct vlan_tag *tag;
	struct udphdr *udp;
	__be16 *words, type;

	if (onward->tagged)
		ip += sizeof(*tag);
	transport = ip + (onward->to.family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	if (packet->at != transport && bpf_xdp_adjust_head(frame, (int)packet->at - (int)transport))
		return MEDIA_UNTOUCHED;
	type = onward->to.family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	words = frame_at(frame, 0, sizeof(struct ethhdr));
	if (!words)
		return -1;
	__builtin_memcpy(words, onward->macs, sizeof(onward->macs));
	words[6] = onward->tagged ? bpf_htons(ETH_P_8021Q) : type;
	if (onward->tagged) {
		tag = frame_at(frame, sizeof(struct ethhdr), sizeof(*tag));
		if (!tag)
			return -1;
		tag->control = onward->tag;
		tag->type = type;
	}
	if (media_write_ip(frame, ip, onward, bytes))
		return -1;
	udp = frame_at(frame, transport, sizeof(*udp));
	if (!udp)
		return -1;
	udp->source = onward->ports[0];
	udp->dest = onward->ports[1];
	udp->check = check;
	return 0;
}

/* Sends it on by a rule that was read as `order`; UNDECIDED: the worker must. */
static __always_inline enum reason media_send_on(struct xdp_md *frame, const struct packet *packet,
						 const struct media_rule *rule, __u64 order,
						 const struct udphdr *udp)
{
	__u32 bytes = bpf_ntohs(udp->len), check = udp->check, own = rule->own;
	struct media_onward onward;
	int written;

	if (bytes > rule->bytes_max || own >= OWN_ADDRESSES_MAX)
		return UNDECIDED;
	onward.from.family = rule->to.family;
	for (int i = 0; i < 4; i++)
		onward.from.word[i] = own_address[own].word[i];
	onward.to = rule->to;
	__builtin_memcpy(onward.ports, rule->ports, sizeof(onward.ports));
	__builtin_memcpy(onward.macs, rule->macs, sizeof(onward.macs));
	onward.tag = rule->tag;
	onward.tagged = rule->tagged;
	onward.class = rule->traffic_class;
	onward.ip_sum = rule->ip_sum;
	onward.interface = rule->interface;
	if (!check && (packet->source.family != 4 || onward.to.family != 4))
		return UNDECIDED;
	/* No checksum stays none; a computed 0 goes out as 0xffff (RFC 768). */
	if (check) {
		check = ~media_fold((~check & 0xffff) + rule->udp_delta) & 0xffff;
		if (!check)
			check = 0xffff;
	}
	/* The worker wrote while we read: what was read may be of two rules. x86-64 keeps the order of loads. */
	barrier();
	if (*(const volatile __u64 *)&rule->state != order)
		return UNDECIDED;
	written = packet->purpose == JUDGE ? media_write(frame, packet, &onward, bytes, check) : 0;
	if (written == MEDIA_UNTOUCHED)
		return UNDECIDED;
	if (written)
		return DROP_MEDIA_FRAME;
	if (onward.interface == frame->ingress_ifindex)
		return RELAY_BACK;
	if (packet->purpose == JUDGE)
		bpf_redirect(onward.interface, 0);
	return RELAY_ON;
}

/*
 * What becomes of a datagram to a media port; UNDECIDED where that is no matter of this table, such as of a source
 * that is not believed yet. The verifier reads this by itself, for a caller that may have nothing (see frame.h).
 */
__noinline enum reason media(struct xdp_md *frame, struct packet *packet)
{
	const struct rtp_head *rtp;
	const struct udphdr *udp;
	struct media_heard *heard;
	struct media_rule *rule;
	enum reason reason;
	__u32 place, type, bytes;
	struct rtp_head copy;
	__u64 order, now;

	if (!packet)
		return DROP_INTERFACE;
	udp = frame_at(frame, packet->at, sizeof(*udp));
	if (!udp || !is_media(bpf_ntohs(udp->dest)))
		return UNDECIDED;
	place = media_place(packet->own, bpf_ntohs(udp->dest));
	rule = bpf_map_lookup_elem(&media_rules, &place);
	heard = bpf_map_lookup_elem(&media_heard, &place);
	if (!rule || !heard)
		return UNDECIDED;
	order = *(const volatile __u64 *)&rule->state;
	barrier();
	if (media_state(order) == MEDIA_OPEN)
		return UNDECIDED;
	if (media_state(order) == MEDIA_CLOSED)
		return DROP_MEDIA_CLOSED;
	now = bpf_ktime_get_ns();
	if (!media_is_from(rule, packet, udp))
		return now - heard->last_ns < MEDIA_REBIND_NS ? DROP_MEDIA_STRANGER : UNDECIDED;
	if (media_state(order) == MEDIA_KNOWN) {
		if (packet->purpose == JUDGE)
			heard->last_ns = now;
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	}

	udp = frame_at(frame, packet->at, sizeof(*udp) + sizeof(*rtp));
	if (!udp || packet->left != bpf_ntohs(udp->len) || packet->left < sizeof(*udp) + sizeof(*rtp))
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	rtp = (const void *)(udp + 1);
	type = rtp->second & 0x7f;
	if (rtp->first >> 6 != 2 || media_is_rtcp(rtp->second) ||
	    packet->left < sizeof(*udp) + sizeof(*rtp) + (rtp->first & 0x0f) * 4 ||
	    packet->at - packet->network !=
		    (packet->source.family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)))
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	if (type != rule->events && !(rule->payload_types[type >> 6] >> (type & 63) & 1))
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	if (rule->not_after && now > rule->not_after)
		return DROP_MEDIA_OVER;
	if (type == rule->events)
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	/* Who sends it on counts it: the worker what it gets. Its header may be another's in a moment. */
	copy = *rtp;
	bytes = packet->left - sizeof(*udp);
	reason = media_send_on(frame, packet, rule, order, udp);
	if (reason == UNDECIDED)
		return steer(frame, WORKER_MEDIA, PASS_MEDIA);
	if (packet->purpose == JUDGE)
		media_note(heard, &copy, bytes, now);
	return reason;
}
