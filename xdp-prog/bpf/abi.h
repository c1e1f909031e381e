/*
 * What the program and user space share, written once. src/abi.rs mirrors it; its tests compare
 * names, sizes and offsets with the BTF of the built object, so neither side can drift.
 */
#pragma once

#include <linux/types.h>

/* Moves when the meaning of pinned data changes without its size doing so. */
#define LAYOUT 1

#define INTERFACES_MAX 16
#define OWN_ADDRESSES_MAX 32
#define DENY_SLOTS 15
#define BUDGET_SLOTS 4

/*
 * Why a frame left, one counter each. The order is the verdict: first what the kernel gets, then
 * what a worker gets, then what nobody gets.
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
	DROP_DENY_ADDRESS,
	DROP_DENY_PREFIX,
	DROP_MEDIA_FRAGMENT,
	DROP_OPTIONS_BUDGET,
	DROP_NO_SOCKET,
	DROP_INTERFACE,

	REASONS,
	/* Not a reason: the next step decides. */
	UNDECIDED = REASONS,
};

#define FIRST_WORKER WORKER_SIP
#define FIRST_DROP DROP_ETHERNET_SHORT

/* Where the frames of our ports go. */
enum deliver {
	DELIVER_SOCKETS,
	DELIVER_KERNEL,
};

/* Which list decided. */
enum rule {
	RULE_NONE,
	RULE_DENY_ADDRESS,
	RULE_DENY_PREFIX,
	RULE_TRUST,
};

struct count {
	__u64 packets;
	__u64 bytes;
};

/* Who sent it: family 4 or 6; an IPv4 address stands in the first word. Words in network order. */
struct source {
	__u32 family;
	__u32 word[4];
};

/*
 * Key of the prefix tries. The family is part of the prefix, so ::/0 never covers an IPv4
 * address.
 */
struct prefix_key {
	__u32 bits; /* of family and address: 32 more than the network's own */
	struct source source;
};

struct prefix_rule {
	/*
	 * Monotonic ns; 0 is never. The latest end of this network and all around it, because the
	 * trie finds only the longest: an ended /24 must not shield its /16.
	 */
	__u64 not_after;
	__u64 own_not_after;
	__u32 bits; /* the network's own length */
	__u32 spare;
};

/*
 * The deny table of single addresses. A source has a first bucket and a second, each one cache line
 * of tags. A tag is 0 (free) or 32 bits of the source's hash; the entry at the same place is read
 * only when the tag agrees. The second bucket is looked at only if the first ever ran over, and few
 * do: so a stranger costs one line, however many are denied.
 */
struct deny_bucket {
	__u32 tags[DENY_SLOTS];
	__u32 spilled; /* how many sources of this first bucket lie in their second */
};

struct deny_entry {
	struct source source;
	__u32 spare;
	__u64 not_after; /* monotonic ns; 0 is never */
};

/* A source's budget of OPTIONS as its theoretical arrival time (GCRA): one number, no refill. */
struct budget {
	__u64 identity; /* keyed hash of the source; 0 is free */
	__u64 due;      /* monotonic ns at which the source has its whole burst again */
};

struct budget_bucket {
	struct budget budgets[BUDGET_SLOTS];
};

/* What may change while the program runs. */
struct settings {
	__u64 key[2];               /* of the hash that places sources; as old as the tables */
	__u64 options_interval_ns;  /* between two OPTIONS of one source; 0: no limit */
	__u64 options_tolerance_ns; /* how far a source may run ahead: its burst */
	__u32 layout;
	__u32 spare;
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
};
