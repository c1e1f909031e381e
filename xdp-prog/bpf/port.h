/*
 * Which ports may be sent to: what we serve, from anywhere; what administrators use, from them alone; and the
 * ports of our own connections to others, if it is no new connection. Everything else meets silence.
 */
#pragma once

#include "maps.h"
#include "who.h"

static __always_inline int port_bit(__u64 bits, __u32 port)
{
	return (bits >> (port & 63)) & 1;
}

static __always_inline int port_is_local(const struct settings *settings, __u32 port)
{
	return port >= settings->local_first && port <= settings->local_last;
}

static __always_inline enum reason port_udp(const struct settings *settings, __u32 port)
{
	__u32 word = port >> 6;
	struct ports *open = bpf_map_lookup_elem(&ports, &word);

	if (!settings->closed || !open || port_bit(open->udp, port) ||
	    port_is_local(settings, port))
		return UNDECIDED;
	return DROP_PORT;
}

/* `why` says who it is. */
static __always_inline enum reason port_tcp(const struct settings *settings, __u32 port, int syn,
					    const struct explanation *why)
{
	__u32 word = port >> 6;
	struct ports *open = bpf_map_lookup_elem(&ports, &word);

	if (!settings->closed || !open || port_bit(open->tcp, port))
		return UNDECIDED;
	if (port_bit(open->admin, port))
		return !settings->admins || why->admin ? UNDECIDED : DROP_ADMIN_PORT;
	return !syn && port_is_local(settings, port) ? UNDECIDED : DROP_PORT;
}
