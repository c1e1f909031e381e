/*
 * Frames of our ports go to the AF_XDP socket of the queue they came in by. A socket that is not
 * there is a drop, never a pass: while a process restarts the kernel would answer for it with ICMP
 * port unreachable, and the far end would hang up.
 */
#pragma once

#include "maps.h"

static __always_inline enum reason steer(struct xdp_md *frame, enum reason to_worker,
					 enum reason to_kernel)
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
		if (bpf_redirect_map(&sockets, i * queues_per_interface + queue, XDP_DROP) ==
		    XDP_REDIRECT)
			return to_worker;
		return DROP_NO_SOCKET;
	}
	return DROP_INTERFACE;
}
