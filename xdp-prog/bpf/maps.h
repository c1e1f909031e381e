/*
 * The tables, all pinned, so that lists outlive every process. Sizes of 1 are set by the loader.
 * Only control writes rules and settings, only the dataplane writes sockets, answers, tags, calls and how media
 * goes on, only this program writes counts, budgets, flows, talkers and drafts, and what it hears.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

/* Mappable arrays begin on a page, so a bucket never straddles two cache lines. */
#define MAPPABLE(name, entries, of)                                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, of);                                                                 \
	} name SEC(".maps")

/* Rules by networks. */
#define TRIE(name)                                                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                               \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                              \
		__uint(max_entries, 1);                                                            \
		__type(key, struct prefix_key);                                                    \
		__type(value, struct prefix_rule);                                                 \
	} name SEC(".maps")

/* Whether a decision changes the books, or only reads them. */
enum purpose {
	JUDGE,
	EXPLAIN,
};

/* Fixed by the loader before the verifier reads them, so that unused branches cost nothing. */
const volatile enum deliver deliver = DELIVER_SOCKETS;
const volatile __u32 sip_port;
const volatile __u32 media_first;
const volatile __u32 media_last;
const volatile __u32 queues_per_interface;
const volatile __u32 deny_mask;
const volatile __u32 regular_mask;
const volatile __u32 budget_mask;
const volatile __u32 regular_budget_mask;
const volatile __u32 network_budget_mask;
const volatile __u32 flow_mask;
const volatile __u32 network_flow_mask;
const volatile __u32 talker_mask;
const volatile __u32 interfaces;
const volatile __u32 interface_index[INTERFACES_MAX];
/* Those that hear SIP come first. */
const volatile __u32 own_addresses;
const volatile __u32 service_addresses;
const volatile struct source own_address[OWN_ADDRESSES_MAX];

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/* Made of the key in the settings. By its size alone, because the loader's generator knows no such array. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct tabulation));
} tabulation SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS * STANDINGS);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

/* In monitor mode: frames that were let in, under why they would have been dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS * STANDINGS);
	__type(key, __u32);
	__type(value, struct count);
} spared SEC(".maps");

MAPPABLE(deny_buckets, 1, struct address_bucket);
MAPPABLE(deny_entries, 1, struct address_entry);
MAPPABLE(regular_buckets, 1, struct address_bucket);
MAPPABLE(regular_entries, 1, struct address_entry);

TRIE(deny_prefixes);
TRIE(geo_prefixes);
TRIE(trust_prefixes);

/*
 * One bit for each IPv4 /24: does any rule touch it? A trie is walked node by node, this costs one
 * cache line; nearly all sources have no rule near them.
 */
#define NEAR_WORDS (1 << 18)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NEAR_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} deny_near SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NEAR_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} geo_near SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NEAR_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} trust_near SEC(".maps");

MAPPABLE(budgets, 1, struct budget_bucket);
MAPPABLE(regular_budgets, 1, struct budget_bucket);
MAPPABLE(network_budgets, 1, struct budget_bucket);
MAPPABLE(crowds, METERS + 1, struct crowd);
MAPPABLE(trunks, TRUNKS_MAX, struct trunk);
/*
 * The slot of each worker's calls, those of one number side by side: a tag does not say whose it is. What their
 * messages spent lies apart, because another hand writes it.
 */
MAPPABLE(calls, 1, struct call);
MAPPABLE(call_budgets, 1, __u64);
/* By address and port: media_place. What a worker says and what is heard lie apart, because different hands write them. */
/* Of which addresses and ports the next two are; only the loader reads it. By its size alone, as above. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 2 * sizeof(__u32) + OWN_ADDRESSES_MAX * sizeof(struct source));
} media_plan SEC(".maps");
MAPPABLE(media_rules, 1, struct media_rule);
MAPPABLE(media_heard, 1, struct media_heard);
MAPPABLE(flows, 1, struct address_flows);
MAPPABLE(network_flow_sets, 1, struct network_flows);
MAPPABLE(talkers, 1, struct talker);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct agent);
	__type(value, __u64);
} signatures SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS / 64);
	__type(key, __u32);
	__type(value, struct ports);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tags);
} tags SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, struct answer);
} answers SEC(".maps");

/* A line of a message, without its end. */
struct span {
	__u32 at;
	__u32 bytes;
};

enum via_part {
	VIA_HOST,
	VIA_BRACKETS,
	VIA_PORT,
	VIA_NAME,
	VIA_VALUE,
};

#define DRAFT_BYTES 4096
/* An offset behind it is followed by more room than any piece of a message takes. */
#define DRAFT_MASK 0x7ff

/* What is known of a request that is being answered, and the answer. */
struct draft {
	__u32 begin; /* of the message, in the frame and in the text below */
	__u32 first; /* of its start line: there may be line ends before it */
	__u32 line;  /* that is being read, */
	__u32 at;    /* what of it is read next, */
	__u32 end;   /* and where the message ends */
	struct span via, from, to, call_id, cseq;
	enum via_part via_part;
	__u64 via_name;
	__u32 branch; /* whether there is one */
	__u32 rport;  /* where its value belongs, if it has none; or 0 */
	__u32 port;   /* where the answer goes */
	__u32 sum;
	__u32 bytes;
	char text[DRAFT_BYTES]; /* the whole frame */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");
