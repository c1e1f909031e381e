/*
 * Frames from a table put on a cable in their order, and what counts or hears them at its other end; an
 * object of its own, so that no machine that carries calls loads it.
 *
 * `replay` is run over live frames. Each run takes the next order: which kept frame, and which patch of its
 * addresses and its RTP source. A kept frame is written once and may be sent under thousands of patches;
 * its checksums follow by what a patch changes (RFC 1624), and a UDP checksum that is absent stays absent.
 * The kernel gives the same pages again with whatever was in them, so all bytes of a frame are written.
 *
 * `replay_sink` drops and counts. `replay_hear` gives UDP to the socket of its queue and leaves the rest.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

#define REPLAY_LARGE 0x80000000 /* of an order: the frame is one of the large ones */
#define SMALL_BYTES 248
#define LARGE_BYTES 2040
#define QUEUES_MAX 64

/* Offsets of an untagged frame; IPv4 without options. */
#define IP4_CHECKSUM 24
#define IP4_ADDRESSES 26
#define IP4_PORTS 34
#define IP6_ADDRESSES 22
#define IP6_PORTS 54
/* From the ports on. */
#define UDP_CHECKSUM 6
#define RTP_SOURCE 16

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile __u32 replay_usual; /* bytes that most frames have, and every fresh page; 0 is not known */

struct replay_state {
	__u32 next;  /* order */
	__u32 first; /* where it goes on behind the last one */
	__u32 end;   /* behind the last one */
	__u32 refused;
};

/* The one global that changes, so that user space writes it whole. */
struct replay_state replay_state;

struct replay_order {
	__u32 frame;
	__u32 patch; /* 0 is none */
};

struct replay_small {
	__u32 length;
	__u32 rest;
	__u8 bytes[SMALL_BYTES];
};

struct replay_large {
	__u32 length;
	__u32 rest;
	__u8 bytes[LARGE_BYTES];
};

/* All as it lies in a frame. The sums are of 16-bit words, new less old. */
struct replay_patch {
	__u32 address_sum;
	__u32 rest_sum; /* of ports and RTP source */
	__u32 rtp_source;
	__u32 ports;
	__u32 address[8]; /* source, destination; of IPv4 the first two words */
	__u32 is_v6;
	__u32 rest[3];
};

/* The interface at the near end of the cable. By a table it costs less than by its index. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} replay_cable SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct replay_order);
} replay_orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct replay_small);
} replay_smalls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct replay_large);
} replay_larges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct replay_patch);
} replay_patches SEC(".maps");

/* Frames and bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} replay_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} replay_sockets SEC(".maps");

/* The frame becomes these bytes, all of them and no more. */
static __always_inline int replay_write(struct xdp_md *frame, __u8 *bytes, __u32 length, __u32 most)
{
	__u32 had = frame_bytes(frame);

	if (length < ETH_HLEN || length > most)
		return -1;
	if (had != length && bpf_xdp_adjust_tail(frame, (int)length - (int)had))
		return -1;
	return bpf_xdp_store_bytes(frame, 0, bytes, length);
}

#define PIECE_BYTES 64
#define PIECES_MAX 8 /* a small frame has fewer */

static __always_inline void replay_piece(void *to, void *from)
{
#pragma unroll
	for (int i = 0; i < PIECE_BYTES / 8; i++)
		((volatile __u64 *)to)[i] = ((volatile __u64 *)from)[i];
}

/*
 * A frame of up to `most` bytes. Those of the usual length are copied piece by piece without a call, the last
 * piece up to the end of the frame, whatever it overlaps: the verifier knows that length. With a call a frame
 * took 200 ns instead of 140 (`scripts/bench replay`).
 */
static __always_inline int replay_kept(struct xdp_md *frame, __u8 *bytes, __u32 length, __u32 most)
{
	__u32 usual = replay_usual;
	void *to;

	if (usual < PIECE_BYTES || usual > PIECES_MAX * PIECE_BYTES || usual > most ||
	    length != usual || frame_bytes(frame) != usual)
		return replay_write(frame, bytes, length, most);
	to = frame_at(frame, 0, usual);
	if (!to)
		return -1;
	replay_piece(to, bytes);
#pragma unroll
	for (__u32 i = 1; i < PIECES_MAX; i++)
		if (usual > (i + 1) * PIECE_BYTES && (i + 1) * PIECE_BYTES <= most)
			replay_piece(to + i * PIECE_BYTES, bytes + i * PIECE_BYTES);
	replay_piece(to + usual - PIECE_BYTES, bytes + usual - PIECE_BYTES);
	return 0;
}

static __always_inline __u16 replay_sum(__u16 checksum, __u32 change)
{
	__u32 sum = (__u16)~checksum + change;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline int replay_datagram(struct xdp_md *frame, struct replay_patch *patch,
					   __u32 at, int is_v6)
{
	__u32 *ports = frame_at(frame, at, RTP_SOURCE + 4);
	__u16 *checksum;

	if (!ports)
		return -1;
	ports[0] = patch->ports;
	ports[RTP_SOURCE / 4] = patch->rtp_source;
	checksum = (__u16 *)ports + UDP_CHECKSUM / 2;
	if (*checksum || is_v6) {
		__u16 sum = replay_sum(*checksum, patch->address_sum + patch->rest_sum);

		*checksum = sum ? sum : 0xffff;
	}
	return 0;
}

static __always_inline int replay_readdress(struct xdp_md *frame, struct replay_patch *patch)
{
	__u32 *addresses;
	__u16 *checksum;

	if (patch->is_v6) {
		addresses = frame_at(frame, IP6_ADDRESSES, 32);
		if (!addresses)
			return -1;
#pragma unroll
		for (int i = 0; i < 8; i++)
			addresses[i] = patch->address[i];
		return replay_datagram(frame, patch, IP6_PORTS, 1);
	}
	checksum = frame_at(frame, IP4_CHECKSUM, 10);
	if (!checksum)
		return -1;
	*checksum = replay_sum(*checksum, patch->address_sum);
	addresses = (void *)(checksum + 1);
	addresses[0] = patch->address[0];
	addresses[1] = patch->address[1];
	return replay_datagram(frame, patch, IP4_PORTS, 0);
}

static __always_inline int replay_order(struct xdp_md *frame, struct replay_order *order)
{
	__u32 number = order->frame & ~REPLAY_LARGE, which = order->patch;
	struct replay_patch *patch;

	if (order->frame & REPLAY_LARGE) {
		struct replay_large *kept = bpf_map_lookup_elem(&replay_larges, &number);

		if (!kept || replay_kept(frame, kept->bytes, kept->length, LARGE_BYTES))
			return -1;
	} else {
		struct replay_small *kept = bpf_map_lookup_elem(&replay_smalls, &number);

		if (!kept || replay_kept(frame, kept->bytes, kept->length, SMALL_BYTES))
			return -1;
	}
	if (!which)
		return 0;
	patch = bpf_map_lookup_elem(&replay_patches, &which);
	return patch ? replay_readdress(frame, patch) : -1;
}

SEC("xdp")
int replay(struct xdp_md *frame)
{
	__u32 next = replay_state.next;
	struct replay_order *order = bpf_map_lookup_elem(&replay_orders, &next);

	replay_state.next = next + 1 < replay_state.end ? next + 1 : replay_state.first;
	if (!order || replay_order(frame, order)) {
		replay_state.refused += 1;
		return XDP_DROP;
	}
	return bpf_redirect_map(&replay_cable, 0, 0);
}

static __always_inline void replay_count(__u32 which, __u64 more)
{
	__u64 *count = bpf_map_lookup_elem(&replay_counts, &which);

	if (count)
		*count += more; /* per-CPU map: no other core writes this word */
}

SEC("xdp")
int replay_sink(struct xdp_md *frame)
{
	replay_count(0, 1);
	replay_count(1, frame_bytes(frame));
	return XDP_DROP;
}

SEC("xdp")
int replay_hear(struct xdp_md *frame)
{
	__u16 *type = frame_at(frame, 12, 2);
	__u8 *protocol;
	__u32 at = 14;

	if (type && *type == __builtin_bswap16(ETH_P_8021Q)) {
		type = frame_at(frame, 16, 2);
		at = 18;
	}
	if (!type)
		return XDP_PASS;
	if (*type == __builtin_bswap16(ETH_P_IP))
		protocol = frame_at(frame, at + 9, 1);
	else if (*type == __builtin_bswap16(ETH_P_IPV6))
		protocol = frame_at(frame, at + 6, 1);
	else
		return XDP_PASS;
	if (!protocol || *protocol != IPPROTO_UDP)
		return XDP_PASS;
	return bpf_redirect_map(&replay_sockets, frame->rx_queue_index, XDP_PASS);
}
