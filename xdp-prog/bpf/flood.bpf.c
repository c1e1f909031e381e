/*
 * A flood for benches, and the cheapest answer to one; an object of its own, so that no machine that
 * carries calls loads it.
 *
 * `flood` is run over live frames, each a copy of one UDP frame over IPv4 without options. It gives each
 * the next source and the checksum that belongs to it, writes a number into it wherever one is wanted, and
 * puts it on a cable. `streams` does so with copies of one RTP packet: ports, sequence number, timestamp and SSRC of
 * each stream in turn. `bounce` sends all back to where it came from, as it is. `bare` drops all that comes; `bare_source` has read who sent it, and `bare_line` has
 * counted him in one line of a table: less than that no exact list of addresses can do.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

#define IP_CHECKSUM 24
#define IP_SOURCE 26
#define NUMBERS_MAX 2
#define DIGITS 8

const volatile __u32 flood_cable;        /* index of the interface at its near end */
const volatile __u32 flood_sources_used;
const volatile __u32 flood_sum;          /* of the IP header without source and checksum */
const volatile __u32 flood_number_at[NUMBERS_MAX]; /* offsets in the frame; 0 is none */
__u32 flood_next;
__u32 flood_number;

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* Words in network order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} flood_sources SEC(".maps");

/* As much memory as a million addresses take in the guard's own table. */
#define LINES_BITS 18
struct flood_line {
	__u64 hits;
	__u64 rest[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << LINES_BITS);
	__type(key, __u32);
	__type(value, struct flood_line);
} flood_lines SEC(".maps");

/* So many hexadecimal digits. */
static __always_inline int flood_write(struct xdp_md *frame, __u32 offset, __u32 number)
{
	__u8 *digits = frame_at(frame, offset, DIGITS);

	if (!digits)
		return -1;
#pragma unroll
	for (int i = 0; i < DIGITS; i++) {
		__u8 digit = number >> (28 - 4 * i) & 15;

		digits[i] = digit < 10 ? '0' + digit : 'a' - 10 + digit;
	}
	return 0;
}

SEC("xdp")
int flood(struct xdp_md *frame)
{
	__u32 next = flood_next;
	__u32 *source = bpf_map_lookup_elem(&flood_sources, &next);
	__u16 *checksum = frame_at(frame, IP_CHECKSUM, sizeof(*checksum));
	__u32 *word = frame_at(frame, IP_SOURCE, sizeof(*word));
	__u32 sum;

	if (!source || !checksum || !word)
		return XDP_ABORTED;
	*word = *source;
	sum = flood_sum + (*source & 0xffff) + (*source >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	*checksum = ~sum;
	next += 1;
	flood_next = next < flood_sources_used ? next : 0;

#pragma unroll
	for (int i = 0; i < NUMBERS_MAX; i++)
		if (flood_number_at[i] && flood_write(frame, flood_number_at[i], flood_number))
			return XDP_ABORTED;
	flood_number += 1;
	return bpf_redirect(flood_cable, 0);
}

#define UDP_PORTS 34
#define UDP_CHECKSUM 40
#define RTP_SEQUENCE 44
#define RTP_STAMP 46
#define RTP_SSRC 50
#define RTP_PTIME 160

const volatile __u32 streams_used;
const volatile __u32 streams_sum; /* of what the UDP checksum covers but what changes */
const volatile __u64 streams_head[5]; /* of the frame, to behind UDP's length: a frame that was relayed comes again */
__u32 streams_next;
__u32 streams_turn;

/* Ports, in network order, the sender's first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} streams_ports SEC(".maps");

static __always_inline __u32 streams_words(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

SEC("xdp")
int streams(struct xdp_md *frame)
{
	__u32 next = streams_next, turn = streams_turn;
	__u32 *ports = bpf_map_lookup_elem(&streams_ports, &next);
	__u16 *head = frame_at(frame, UDP_PORTS, RTP_SSRC + 4 - UDP_PORTS);
	__u32 stamp = bpf_htonl(turn * RTP_PTIME), ssrc = bpf_htonl(next), sum;
	__u16 sequence = bpf_htons(turn);
	__u64 *words;

	if (!ports || !head)
		return XDP_ABORTED;
	words = frame_at(frame, 0, sizeof(streams_head));
	if (!words)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < 5; i++)
		words[i] = streams_head[i];
	*(__u32 *)head = *ports;
	head[(RTP_SEQUENCE - UDP_PORTS) / 2] = sequence;
	__builtin_memcpy(&head[(RTP_STAMP - UDP_PORTS) / 2], &stamp, sizeof(stamp));
	__builtin_memcpy(&head[(RTP_SSRC - UDP_PORTS) / 2], &ssrc, sizeof(ssrc));
	sum = streams_sum + streams_words(*ports) + sequence + streams_words(stamp) +
	      streams_words(ssrc);
	sum = streams_words(streams_words(sum));
	head[(UDP_CHECKSUM - UDP_PORTS) / 2] = sum == 0xffff ? 0xffff : ~sum;
	if (next + 1 < streams_used) {
		streams_next = next + 1;
	} else {
		streams_next = 0;
		streams_turn = turn + 1;
	}
	return bpf_redirect(flood_cable, 0);
}

SEC("xdp")
int bounce(struct xdp_md *frame)
{
	__u16 *macs = frame_at(frame, 0, 12);
	__u16 word;

	if (!macs)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		word = macs[i];
		macs[i] = macs[i + 3];
		macs[i + 3] = word;
	}
	return XDP_TX;
}

SEC("xdp")
int bare(struct xdp_md *frame __attribute__((unused)))
{
	return XDP_DROP;
}

SEC("xdp")
int bare_source(struct xdp_md *frame)
{
	__u32 *word = frame_at(frame, IP_SOURCE, sizeof(*word));

	return word && *word ? XDP_DROP : XDP_ABORTED;
}

SEC("xdp")
int bare_line(struct xdp_md *frame)
{
	__u32 *word = frame_at(frame, IP_SOURCE, sizeof(*word));
	struct flood_line *line;
	__u32 place;

	if (!word)
		return XDP_ABORTED;
	place = *word * 0x9e3779b1 >> (32 - LINES_BITS);
	line = bpf_map_lookup_elem(&flood_lines, &place);
	if (!line)
		return XDP_ABORTED;
	line->hits += 1;
	return XDP_DROP;
}
