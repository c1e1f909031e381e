/*
 * A flood for benches, and the cheapest answer to one; an object of its own, so that no machine that
 * carries calls loads it.
 *
 * `flood` is run over live frames, each a copy of one UDP frame over IPv4 without options. It gives each
 * the next source and the checksum that belongs to it, writes a number into it wherever one is wanted, and
 * puts it on a cable. `streams` does so with copies of one RTP packet: addresses, ports, sequence number,
 * timestamp and SSRC of each stream in turn, and if it is to be proven a mark and the time; `streams_proof` looks
 * at each that comes back. `bounce` sends all back to where it came from, as it is. `bare` drops all that comes;
 * `bare_source` has read who sent it, and `bare_line` has counted him in one line of a table: less than that no
 * exact list of addresses can do.
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

#define IP_DESTINATION 30
#define UDP_PORTS 34
#define UDP_CHECKSUM 40
#define RTP_SEQUENCE 44
#define RTP_STAMP 46
#define RTP_SSRC 50
#define RTP_PAYLOAD 54
#define RTP_PTIME 160
#define UDP_BYTES 180 /* with RTP of 20 ms of G.711 */
#define SILENCE 0xd5d5d5d5d5d5d5d5ULL

const volatile __u32 streams_used;
const volatile __u32 streams_ip_sum; /* of the IP header without addresses and checksum */
const volatile __u32 streams_sum;    /* of what the UDP checksum covers but what changes */
const volatile __u32 streams_proven; /* whether a mark and the time go with each */
const volatile __u64 streams_head[5]; /* of the frame, to behind UDP's length: a frame that was relayed comes again */
#define STREAMS_CABLES 2
#define MACS_WORDS 3
__u32 streams_next;
__u32 streams_turn;
__u64 streams_due;

/* Nanoseconds from packet to packet; 0: as fast as they go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} streams_gap SEC(".maps");

/* What waits is the kernel's own loop: a run of few packets takes it milliseconds to begin and to end. */
#define STREAMS_LOOKS 4000
#define STREAMS_BEHIND_MAX 200000 /* more at once would find the ring of a cable full */

/* Of interfaces of any namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, STREAMS_CABLES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} streams_cables SEC(".maps");

/* All in network order. */
struct stream {
	__u32 source;
	__u32 destination;
	__u32 ports; /* the sender's first */
	__u32 cable;
	__u32 macs[MACS_WORDS]; /* as a frame begins */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stream);
} streams_table SEC(".maps");

static __always_inline __u32 streams_words(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

static __always_inline __u32 streams_words_of(__u64 words)
{
	return streams_words(words) + streams_words(words >> 32);
}

/* What no other packet has in its payload. */
static __always_inline __u64 streams_mark(__u32 ssrc, __u16 sequence)
{
	return ((__u64)ssrc << 16 | sequence) * 0x9e3779b97f4a7c15ULL;
}

/* Until the next one is due. What was missed long ago is not made up for. */
static __always_inline void streams_wait(__u64 gap)
{
	__u64 now = bpf_ktime_get_ns(), due = streams_due;

	if (due + STREAMS_BEHIND_MAX < now)
		due = now;
	for (int i = 0; i < STREAMS_LOOKS && now < due; i++)
		now = bpf_ktime_get_ns();
	streams_due = due + gap;
}

SEC("xdp")
int streams(struct xdp_md *frame)
{
	__u32 zero = 0, next = streams_next, turn = streams_turn;
	__u64 *gap = bpf_map_lookup_elem(&streams_gap, &zero);
	struct stream *stream = bpf_map_lookup_elem(&streams_table, &next);
	__u16 *head = frame_at(frame, IP_CHECKSUM, RTP_PAYLOAD + 16 - IP_CHECKSUM);
	__u32 stamp = bpf_htonl(turn * RTP_PTIME), ssrc = bpf_htonl(next), sum, addresses;
	__u16 sequence = bpf_htons(turn);
	__u64 *words, proof[2] = { 0, 0 };

	if (!stream || !head)
		return XDP_ABORTED;
	if (gap && *gap)
		streams_wait(*gap);
	words = frame_at(frame, 0, sizeof(streams_head));
	if (!words)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < 5; i++)
		words[i] = streams_head[i];
#pragma unroll
	for (int i = 0; i < MACS_WORDS; i++)
		((__u32 *)words)[i] = stream->macs[i];
	addresses = streams_words(stream->source) + streams_words(stream->destination);
	head[0] = ~streams_words(streams_words(streams_ip_sum + addresses));
	__builtin_memcpy(&head[(IP_SOURCE - IP_CHECKSUM) / 2], &stream->source, 4);
	__builtin_memcpy(&head[(IP_DESTINATION - IP_CHECKSUM) / 2], &stream->destination, 4);
	__builtin_memcpy(&head[(UDP_PORTS - IP_CHECKSUM) / 2], &stream->ports, 4);
	head[(RTP_SEQUENCE - IP_CHECKSUM) / 2] = sequence;
	__builtin_memcpy(&head[(RTP_STAMP - IP_CHECKSUM) / 2], &stamp, sizeof(stamp));
	__builtin_memcpy(&head[(RTP_SSRC - IP_CHECKSUM) / 2], &ssrc, sizeof(ssrc));
	sum = streams_sum + addresses + streams_words(stream->ports) + sequence + streams_words(stamp) +
	      streams_words(ssrc);
	if (streams_proven) {
		proof[0] = streams_mark(next, turn);
		proof[1] = bpf_ktime_get_ns();
		__builtin_memcpy(&head[(RTP_PAYLOAD - IP_CHECKSUM) / 2], proof, sizeof(proof));
		sum += streams_words_of(proof[0]) + streams_words_of(proof[1]);
	}
	sum = streams_words(streams_words(sum));
	head[(UDP_CHECKSUM - IP_CHECKSUM) / 2] = sum == 0xffff ? 0xffff : ~sum;
	if (next + 1 < streams_used) {
		streams_next = next + 1;
	} else {
		streams_next = 0;
		streams_turn = turn + 1;
	}
	return bpf_redirect_map(&streams_cables, stream->cable, 0);
}

/* So many parts of each power of two: a delay is told to a sixteenth. */
#define PROOF_PARTS_BITS 4
#define PROOF_DELAYS (32 << PROOF_PARTS_BITS)

struct proof {
	__u64 packets;  /* of the streams, whole, at the right place, each behind the one before */
	__u64 damaged;  /* with another payload, or a checksum that is not theirs */
	__u64 missing;  /* numbers that were passed over */
	__u64 late;     /* ... and came all the same, or came twice */
	__u64 stray;    /* at another end, from another port or to another one */
	__u64 foreign;  /* what is no RTP goes on, and counts here too */
	__u64 delays[PROOF_DELAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proof);
} streams_proofs SEC(".maps");

struct stream_end {
	__u32 next;        /* the number that is next, and above it whether any came */
	__u32 source;      /* as it is to come out, in network order; all zero: not at this end */
	__u32 destination;
	__u32 ports;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stream_end);
} streams_ends SEC(".maps");

const volatile __u32 proof_knows_ends; /* whether they are filled in */

static __always_inline __u32 proof_place(__u64 delay)
{
	__u32 power = 0, rest = delay >> 32 ? ~0U : delay;

#pragma unroll
	for (int bits = 16; bits; bits /= 2)
		if (rest >> power >> bits)
			power += bits;
	rest = power < PROOF_PARTS_BITS ? rest << (PROOF_PARTS_BITS - power) :
					  rest >> (power - PROOF_PARTS_BITS);
	rest &= (1 << PROOF_PARTS_BITS) - 1;
	return (power << PROOF_PARTS_BITS | rest) & (PROOF_DELAYS - 1);
}

/* Whether the UDP checksum is right; words as they lie in memory. */
static __always_inline int proof_is_whole(struct xdp_md *frame)
{
	__u64 *datagram = frame_at(frame, UDP_PORTS, UDP_BYTES);
	__u32 *addresses = frame_at(frame, IP_SOURCE, 8);
	__u64 sum;

	if (!datagram || !addresses)
		return 0;
	sum = (__u64)addresses[0] + addresses[1] + bpf_htons(17) + bpf_htons(UDP_BYTES);
#pragma unroll
	for (int i = 0; i < UDP_BYTES / 8; i++)
		sum += (datagram[i] & 0xffffffff) + (datagram[i] >> 32);
	sum += *(__u32 *)&datagram[UDP_BYTES / 8];
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* Whether the payload is what that packet was sent with. */
static __always_inline int proof_is_same(struct xdp_md *frame, __u32 ssrc, __u16 sequence)
{
	__u64 *payload = frame_at(frame, RTP_PAYLOAD, 160);
	__u64 other;

	if (!payload)
		return 0;
	other = payload[0] ^ streams_mark(ssrc, sequence);
#pragma unroll
	for (int i = 2; i < 20; i++)
		other |= payload[i] ^ SILENCE;
	return !other;
}

/* Whether it is one at all: SIP begins with a letter. */
static __always_inline int proof_is_rtp(struct xdp_md *frame)
{
	__u8 *head = frame_at(frame, 12, RTP_PAYLOAD + 16 - 12);

	return head && head[0] == 8 && !head[1] && head[23 - 12] == 17 && head[42 - 12] == 0x80;
}

/* Whether it came out where it is to. */
static __always_inline int proof_is_there(struct xdp_md *frame, struct stream_end *end)
{
	__u32 *found = frame_at(frame, IP_SOURCE, 12);

	return !proof_knows_ends || (found && found[0] == end->source &&
				     found[1] == end->destination && found[2] == end->ports);
}

SEC("xdp")
int streams_proof(struct xdp_md *frame)
{
	__u32 zero = 0, ssrc, heard;
	__u16 *head = frame_at(frame, RTP_SEQUENCE, RTP_PAYLOAD + 16 - RTP_SEQUENCE), sequence, ahead;
	struct proof *proof = bpf_map_lookup_elem(&streams_proofs, &zero);
	struct stream_end *end;
	__u64 sent;

	if (!proof)
		return XDP_ABORTED;
	if (!head || !proof_is_rtp(frame)) {
		proof->foreign += 1;
		return XDP_PASS;
	}
	sequence = bpf_ntohs(head[0]);
	__builtin_memcpy(&ssrc, &head[(RTP_SSRC - RTP_SEQUENCE) / 2], sizeof(ssrc));
	ssrc = bpf_ntohl(ssrc);
	__builtin_memcpy(&sent, &head[(RTP_PAYLOAD + 8 - RTP_SEQUENCE) / 2], sizeof(sent));
	end = bpf_map_lookup_elem(&streams_ends, &ssrc);
	if (!end) {
		proof->foreign += 1;
		return XDP_DROP;
	}
	if (!proof_is_whole(frame) || !proof_is_same(frame, ssrc, sequence)) {
		proof->damaged += 1;
		return XDP_DROP;
	}
	if (!proof_is_there(frame, end)) {
		proof->stray += 1;
		return XDP_DROP;
	}
	heard = end->next;
	ahead = sequence - (__u16)heard;
	if (heard >> 16 && ahead >= 0x8000) {
		proof->late += 1;
		return XDP_DROP;
	}
	if (heard >> 16)
		proof->missing += ahead;
	end->next = 1 << 16 | (__u16)(sequence + 1);
	proof->packets += 1;
	proof->delays[proof_place(bpf_ktime_get_ns() - sent)] += 1;
	return XDP_DROP;
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
