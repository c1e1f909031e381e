/*
 * Frames of our ports go to the AF_XDP socket of the queue they came in by. A socket that is not
 * there is a drop, never a pass: while a process restarts the kernel would answer for it with ICMP
 * port unreachable, and the far end would hang up.
 */
#pragma once

#include "maps.h"

/*
 * UNDECIDED, and where the socket of the frame's queue stands; `to_kernel` where everything goes there;
 * or why there is no such place.
 */
static __always_inline enum reason steer_place(struct xdp_md *frame, enum reason to_kernel,
					       __u32 *place)
{
	__u32 queue = frame->rx_queue_index;
	__u32 interface = frame->ingress_ifindex;

	if (deliver == DELIVER_KERNEL)
		return to_kernel;
	if (queue >= queues_per_interface)
		return DROP_NO_SOCKET;
	for (__u32 i = 0; i < INTERFACES_MAX; i++) {
		if (i >= interfaces)
			break;
		if (interface_index[i] != interface)
			continue;
		*place = i * queues_per_interface + queue;
		return UNDECIDED;
	}
	return DROP_INTERFACE;
}

static __always_inline enum reason steer(struct xdp_md *frame, enum reason to_worker,
					 enum reason to_kernel)
{
	__u32 place = 0;
	enum reason reason = steer_place(frame, to_kernel, &place);

	if (reason != UNDECIDED)
		return reason;
	return bpf_redirect_map(&sockets, place, XDP_DROP) == XDP_REDIRECT ? to_worker
									    : DROP_NO_SOCKET;
}

/*
 * SIP in fragments: the kernel puts it together and the dataplane's rim reads it. Without a worker's
 * socket there is no rim either. Of the rest of the datagram nothing is heard: without its first
 * fragment it is never whole.
 */
static __always_inline enum reason steer_fragment(struct xdp_md *frame)
{
	__u32 place = 0;
	enum reason reason = steer_place(frame, PASS_FRAGMENT, &place);

	if (reason != UNDECIDED)
		return reason;
	return bpf_map_lookup_elem(&sockets, &place) ? PASS_FRAGMENT : DROP_NO_SOCKET;
}
