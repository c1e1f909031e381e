/*
 * What the program and user space share, written once. src/abi.rs mirrors it; its tests compare
 * names, sizes and offsets with the BTF of the built object, so neither side can drift.
 */
#pragma once

#include <linux/types.h>

/* Moves when the meaning of pinned data changes without its size doing so. */
#define LAYOUT 6

#define INTERFACES_MAX 16
#define OWN_ADDRESSES_MAX 32
#define ADDRESS_SLOTS 7
#define BUDGET_SLOTS 4
#define FLOWS_OF_ADDRESS 14
#define FLOWS_OF_NETWORK 30
#define AGENT_BYTES 32
#define PORTS 65536
#define TRUNKS_MAX 4096
#define QUEUES_MAX 256
#define WORKERS_MAX 128
#define ANSWER_BYTES 512

/*
 * Why a frame left, one counter each. The order is the verdict: first what the kernel gets, then
 * what a worker or another interface gets, then what goes back where it came from, then what nobody gets.
 */
enum reason {
	PASS_NOT_IP,
	PASS_FOREIGN,
	PASS_NEIGHBOR,
	PASS_FRAGMENT,
	PASS_TCP,
	PASS_ICMP,
	PASS_PROTOCOL,
	PASS_PORT,
	PASS_SIP,
	PASS_MEDIA,

	WORKER_SIP,
	WORKER_MEDIA,
	WORKER_CALL,
	RELAY_ON,

	RELAY_BACK,
	ANSWER_OPTIONS,
	ANSWER_UNREACHABLE,

	DROP_ETHERNET_SHORT,
	DROP_IP_SHORT,
	DROP_IP_HEADER,
	DROP_IP_LENGTH,
	DROP_IP_EXTENSIONS,
	DROP_IP_SOURCE,
	DROP_UDP_SHORT,
	DROP_UDP_LENGTH,
	DROP_TCP_SHORT,
	DROP_TCP_LENGTH,
	DROP_BEFORE_RULES,
	DROP_DENY_ADDRESS,
	DROP_DENY_PREFIX,
	DROP_GEO,
	DROP_PORT,
	DROP_ADMIN_PORT,
	DROP_MEDIA_FRAGMENT,
	DROP_MEDIA_CLOSED,
	DROP_MEDIA_STRANGER,
	DROP_MEDIA_OVER,
	DROP_MEDIA_FRAME,
	DROP_SIP_START_LINE,
	DROP_SIGNATURE,
	DROP_OPTIONS_BUDGET,
	DROP_REGISTER_BUDGET,
	DROP_INVITE_BUDGET,
	DROP_OTHER_BUDGET,
	DROP_SYN_BUDGET,
	DROP_FRAGMENT_BUDGET,
	DROP_ANY_BUDGET,
	DROP_NETWORK_BUDGET,
	DROP_CROWD_BUDGET,
	DROP_FLOWS,
	DROP_NETWORK_FLOWS,
	DROP_NO_SOCKET,
	DROP_INTERFACE,

	REASONS,
	/* Not a reason: the next step decides. */
	UNDECIDED = REASONS,
};

#define FIRST_WORKER WORKER_SIP
#define FIRST_ANSWER RELAY_BACK
#define FIRST_DROP DROP_ETHERNET_SHORT

/* Where the frames of our ports go. */
enum deliver {
	DELIVER_SOCKETS,
	DELIVER_KERNEL,
};

/* What a stranger or a regular may do only so often; each has a budget of its own. */
enum meter {
	METER_OPTIONS,
	METER_REGISTER,
	METER_INVITE,
	METER_OTHER, /* every other method in every other spelling, answers, keep-alives */
	METER_SYN,
	METER_FRAGMENT,
	METERS,
};

/* What we know of who sent it. Each class has tables of its own: strangers displace strangers. */
enum standing {
	UNASKED, /* it made no difference */
	STRANGER,
	REGULAR, /* somebody registered or called from there lately */
	TRUSTED, /* a gateway, an administrator, or on the operator's list */
	STANDINGS,
};

/* Which list decided. */
enum rule {
	RULE_NONE,
	RULE_DENY_ADDRESS,
	RULE_DENY_PREFIX,
	RULE_GEO,
};

/* One of these for each reason and standing. */
struct count {
	__u64 packets;
	__u64 bytes;
};

/* Who sent it: family 4 or 6; an IPv4 address stands in the first word. Words in network order. */
struct source {
	__u32 family;
	__u32 word[4];
};

/* A random word for each byte of an IPv4 address: what they come to is its hash (source.h). */
struct tabulation {
	__u64 words[4][256];
};

/*
 * Key of the prefix tries. The family is part of the prefix, so ::/0 never covers an IPv4
 * address.
 */
struct prefix_key {
	__u32 bits; /* of family and address: 32 more than the network's own */
	struct source source;
};

/* In a mark, beside the number of a trunk in the low half. */
#define MARK_ADMIN (1 << 16)
#define MARK_GEO_FORBID (1 << 17)
#define MARK_GEO_ALLOW (1 << 18)

struct prefix_rule {
	/*
	 * Monotonic ns; 0 is never. The latest end of this network and all around it, because the
	 * trie finds only the longest: an ended /24 must not shield its /16.
	 */
	__u64 not_after;
	__u64 own_not_after;
	__u64 hits;     /* frames that the rule dropped */
	__u32 bits;     /* the network's own length */
	__u32 mark;     /* its own and all around it; of two trunks the nearer */
	__u32 own_mark;
	__u32 spare;
};

/*
 * A table of single addresses. A source has a first bucket and a second, each one cache line, and lies
 * in one of them. The second is looked at only if the first ever ran over.
 *
 * A tag is 0 (free), an IPv4 address itself, or 32 bits of an IPv6 address's hash. What is denied for
 * good as an IPv4 address needs no more than its tag; of all else the entry at the same place decides.
 * So a denied address mostly costs one line, and a stranger too, however many are in it.
 */
struct address_bucket {
	__u32 looked; /* a bit for each slot, from bit 1 on: its entry decides */
	__u32 tags[ADDRESS_SLOTS];
	__u32 spilled; /* how many sources of this first bucket lie in their second */
	__u32 counts[ADDRESS_SLOTS]; /* of a denied source: frames dropped; of a regular: its contacts */
};

struct address_entry {
	struct source source;
	__u32 spare;
	__u64 not_after; /* monotonic ns; 0 is never */
};

/*
 * How often: a generic cell rate (ITU-T I.371). With `renew_ns`, who is over stays out until he has been
 * silent for so long.
 */
struct limit {
	__u64 interval_ns;  /* between two; 0: no limit */
	__u64 tolerance_ns; /* how far one may run ahead: the burst */
	__u64 renew_ns;
};

/* A budget as its theoretical arrival time: one number, no refill. */
struct budget {
	__u64 identity; /* keyed hash of source and meter; 0 is free */
	__u64 due;      /* monotonic ns at which the whole burst is there again; odd: out until then */
};

struct budget_bucket {
	struct budget budgets[BUDGET_SLOTS];
};

/* The budget of all strangers together for one meter, or of all refusals, on a line of its own. */
struct crowd {
	__u64 due;
	__u64 spare[7];
};

/* A gateway, or another trusted network: what is over is dropped for it alone. */
struct trunk {
	struct limit invites; /* new ones; those of a dialog are of the rest */
	struct limit rest;
	__u64 invites_due;
	__u64 rest_due;
};

/* Of what the tags that we give are made, and by how many workers. */
struct tags {
	__u64 key[2]; /* of the workers, as lasting as the calls */
	__u32 workers;
	__u32 spare;
};

/* A slot of a worker's calls. */
struct call {
	__u32 generation;
	__u32 live;
};

/*
 * The live flows of a source or a network: in each word who (16 bits of a keyed hash) and when last
 * (16 bits of seconds).
 */
struct address_flows {
	__u64 identity;
	__u32 flows[FLOWS_OF_ADDRESS];
};

struct network_flows {
	__u64 identity;
	__u32 flows[FLOWS_OF_NETWORK];
};

/* What a stranger or a network did, for people: one cache line each. */
struct talker {
	__u64 identity;
	struct source source;
	__u32 reason;    /* why his last frame left */
	__u64 packets;
	__u64 dropped;
	__u64 options;
	__u64 last_ns;
};

/* The first word of a User-Agent or Server header, in lower case, padded with zeros. */
struct agent {
	char text[AGENT_BYTES];
};

/* Who may send to a port of ours. Bits, 64 ports each. */
struct ports {
	__u64 tcp;
	__u64 udp;
	__u64 admin; /* TCP: administrators alone */
};

/* How OPTIONS that came in by a queue are answered, and until when: its worker says so again and again. */
struct answer {
	__u64 not_after; /* monotonic ns */
	__u32 bytes;
	__u32 traffic_class;
	char text[ANSWER_BYTES]; /* the headers behind CSeq, and the line that ends them */
};

/* What a worker has said of a media port. */
enum media_state {
	MEDIA_OPEN, /* nothing: all of it is the worker's */
	MEDIA_CLOSED, /* it is of no call */
	MEDIA_KNOWN, /* whose packets are heard, by the worker */
	MEDIA_SETTLED, /* and how they go on from here */
};

/*
 * Where the packets of one media port come from, and how they go on: two lines. Sums are of 16-bit words as they
 * lie in memory.
 */
struct media_rule {
	enum media_state state; /* this and the next are one word for whoever reads or writes them, */
	__u32 generation; /* which says how often the rest was written */
	__u64 not_after; /* monotonic ns; 0: never over */
	__u64 payload_types[2]; /* a bit for each that goes on from here */
	struct source source; /* who is heard, */
	__be16 port; /* by which port of his */
	__u16 events; /* the payload type that the worker reads; over 127: none */
	__u32 interface; /* by which it goes on */
	__u32 bytes_max; /* the longest UDP datagram that it takes */

	struct source to;
	__u32 own; /* which of our addresses it comes from then */
	__u64 owner; /* the worker's own number for the call */
	__be16 ports[2]; /* ours and his */
	__be16 macs[6]; /* his and ours */
	__be16 tag;
	__u16 tagged;
	__u32 traffic_class;
	__u16 udp_delta; /* what a checksum grows by when the addresses change */
	__u16 spare;
	__u32 ip_sum; /* of the new IPv4 header but its length */
};

/* What was heard at a media port (crates/relay/src/quality.rs), one line. */
struct media_heard {
	__u64 packets;
	__u64 bytes;
	__u64 last_ns; /* when, by whom is believed */
	__u32 ssrc;
	__u32 base;
	__u32 highest;
	__u32 received;
	__u32 transit;
	__u32 jitter;
	__u32 lost_before;
	__u32 spare[3];
};

/* What may change while the program runs. */
struct settings {
	__u64 key[2];                          /* of the hash that places sources; as old as the tables */
	struct limit limits[METERS];           /* of one stranger */
	struct limit any_limit;                /* of one stranger, over all SIP */
	struct limit network_limits[METERS];   /* of his /24 or /64 */
	struct limit crowd_limits[METERS];     /* of all strangers together */
	struct limit call_limit;               /* of one running call, where its gateway's is spent */
	struct limit refusal_limit;            /* of all that are told together */
	__u64 regular_window_ns;               /* in which a regular may do ... */
	__u32 regular_least;                   /* ... so much by each meter, or more ... */
	__u32 regular_per_contact;             /* ... by its contacts */
	__u32 flows;                           /* live ones of one stranger; 0: no limit */
	__u32 network_flows;                   /* of his /24 or /64 */
	__u64 flow_idle_ns;                    /* a flow lives so long after its last datagram */
	__u32 signatures;                      /* whether there are any */
	__u32 geo;                             /* whether there are rules; MARK_GEO_ALLOW: one must hold */
	__u32 closed;                          /* ports that we do not serve are closed */
	__u32 admins;                          /* whether administrators are named; if not, all are */
	__u32 local_first;                     /* ports of our own connections to others */
	__u32 local_last;
	__u32 monitor;                         /* count what would be dropped, and let it in */
	__u32 admits;                          /* control has written its rules; until then nobody is let in */
	__u32 refuses;                         /* some of what is dropped is told so */
	__u32 layout;
};

/* What `explain` writes before the frame that it was asked about. */
struct explanation {
	enum reason reason;
	enum rule rule;
	__u32 rule_bits; /* length of the network that decided */
	__u32 trusted;   /* 1: a trust rule was asked and held */
	__u64 rule_not_after;
	struct source source;
	__u32 trust_bits;
	enum standing standing;
	enum meter meter; /* METERS: none */
	__u32 contacts;   /* of a regular */
	__u32 trunk;      /* of a trusted network; 0: none of its own */
	__u32 admin;      /* 1: an administrator's */
	enum reason spared; /* in monitor mode: why it would have been dropped; REASONS: it would not */
	enum reason refused; /* of one that is told so: why; REASONS: none */
	__u32 spare;
};
