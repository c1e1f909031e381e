/*
 * OPTIONS answered where they arrive: a 200 for peers who ask whether we are there, as often as they like, without
 * anybody in user space. What is plain is answered, and whatever is not goes on to the worker, who answers
 * all of it: one Via of UDP with a branch and no `maddr`, a From with a tag and a To without, each header once and
 * on one line, nothing demanded, no body, 900 bytes. The answer is that of the worker (its headers behind
 * CSeq are the worker's own text), and only while the worker says that calls can be carried.
 *
 * What is found is noted in a draft, one for each core, and the answer is written there: nothing of the frame
 * changes until all is known. Memory is also what the verifier does not follow, so a byte is read once.
 */
#pragma once

#include "maps.h"
#include "parse.h"
#include "sip.h"
#include "source.h"

#define ANSWERED_BYTES_MAX 900
/* Words and line ends of so many bytes. */
#define ANSWERED_STEPS_MAX 192
/* With it a frame stays below every MTU. */
#define ANSWER_WHOLE_MAX 1400
#define URI_WORDS_MAX 32
#define VIA_BYTES_MAX 200
#define FROM_BYTES_MAX 250

#define LINE_END 0x0a0d
#define BLANKS 0x2020202020202020ULL
#define COLONS 0x3a3a3a3a3a3a3a3aULL
#define SEMICOLONS 0x3b3b3b3b3b3b3b3bULL

/* Read as little-endian words, in lower case where the letters of a name have any. */
#define VERSION_ 0x302e322f50495320ULL  /* " SIP/2.0" */
#define OF_VERSION 0x2f302e322f504953ULL /* "SIP/2.0/" */
#define OF_UDP 0x20504455               /* "UDP " */
#define SIP_ 0x3a706973                 /* "sip:" */
#define SIPS 0x73706973                 /* "sips" */
#define CONTENT_ 0x2d746e65746e6f63ULL  /* "content-" */
#define LENGTH 0x6874676e656cULL        /* "length" */
#define CALL_ID 0x64692d6c6c6163ULL     /* "call-id" */
#define REQUIRE 0x65726975716572ULL     /* "require" */
#define PROXY_ 0x2d79786f7270ULL        /* "proxy-" */
#define AUTHORIZ 0x7a69726f68747561ULL  /* "authoriz" */
#define ROUTE 0x6574756f72ULL           /* "route" */
#define CSEQ 0x71657363                 /* "cseq" */
#define VIA 0x616976                    /* "via" */
#define BRANCH 0x6272616e6368ULL        /* "branch", the last letter lowest */
#define RPORT 0x72706f7274ULL           /* "rport" */
#define RECEIVED 0x7265636569766564ULL  /* "received" */
#define MADDR 0x6d61646472ULL           /* "maddr" */
#define OK_200 0x0d4b4f2030303220ULL    /* " 200 OK" and the first half of a line end */
#define RECEIVE 0x657669656365723bULL   /* ";receive" */
#define D_IS 0x3d64                     /* "d=" */
#define TAG_IS 0x3d6761743bULL          /* ";tag=" */

#define FIVE_BYTES 0xffffffffffULL
#define SIP_PORT 5060
#define ANSWER_HOPS 64
#define IPV4_DONT_FRAGMENT 0x4000
/* Ethernet, two tags, IPv6 and UDP. */
#define HEADERS_MAX 80

/* Of the bytes that are zero the high bits; only the lowest is sure. */
static __always_inline __u64 answer_zeros(__u64 word)
{
	return (word - ONES) & ~word & HIGHS;
}

/* The place of the lowest of such bits, 8 where there is none. */
static __always_inline __u32 answer_first(__u64 bits)
{
	if (!bits)
		return 8;
	bits &= -bits;
	return ((((bits - 1) & ONES) * ONES) >> 56) - 1;
}

static __always_inline __u64 answer_word(struct xdp_md *frame, __u32 at, int *readable)
{
	const __u64 *word = frame_at(frame, at & OFFSET_MASK, sizeof(*word));

	*readable = word != 0;
	return word ? *word : 0;
}

/* Where in a line a byte stands first, eight of which are the pattern; behind its end if it does not. */
__noinline __u32 answer_seek(struct xdp_md *frame, __u32 at, __u32 bytes, __u64 pattern)
{
	__u32 seen = 0, place;
	int readable;
	__u64 word;

	for (int i = 0; i < URI_WORDS_MAX; i++) {
		if (seen >= bytes)
			return bytes;
		word = answer_word(frame, at + seen, &readable);
		if (!readable)
			return 0;
		place = answer_first(answer_zeros(word ^ pattern));
		if (place < 8)
			return seen + place < bytes ? seen + place : bytes;
		seen += 8;
	}
	return 0;
}

/* "OPTIONS sip:… SIP/2.0" */
__noinline int answer_start_line(struct xdp_md *frame, __u32 at, __u32 bytes)
{
	const __u32 *scheme = frame_at(frame, (at + 8) & OFFSET_MASK, sizeof(*scheme));
	const __u8 *colon;
	__u32 space;
	int readable;

	if (!scheme || bytes < 24)
		return 0;
	colon = frame_at(frame, (at + 12) & OFFSET_MASK, 1);
	if ((*scheme | 0x00202020) != SIP_ &&
	    ((*scheme | 0x20202020) != SIPS || !colon || *colon != ':'))
		return 0;
	space = answer_seek(frame, at + 8, bytes - 8, BLANKS);
	return space && space + 16 == bytes &&
	       answer_word(frame, at + 8 + space, &readable) == VERSION_;
}

/* Digits, a space, and "OPTIONS". */
__noinline int answer_is_cseq(struct xdp_md *frame, __u32 at, __u32 bytes)
{
	const __u8 *byte;
	int readable;

	if (bytes < 9 || bytes > 18)
		return 0;
	for (__u32 i = 0; i < 10; i++) {
		if (i + 8 == bytes)
			break;
		byte = frame_at(frame, (at + i) & OFFSET_MASK, 1);
		if (!byte || *byte < '0' || *byte > '9')
			return 0;
	}
	byte = frame_at(frame, (at + bytes - 8) & OFFSET_MASK, 1);
	return byte && *byte == ' ' &&
	       (answer_word(frame, at + bytes - 7, &readable) & SEVEN_BYTES) == (OPTIONS_ & SEVEN_BYTES);
}

/* Whether a From has a tag, as all write it. */
__noinline int answer_has_tag(struct xdp_md *frame, __u32 at, __u32 bytes)
{
	int readable;
	__u64 word;

	for (__u32 i = 0; i < FROM_BYTES_MAX; i++) {
		if (i + 5 >= bytes)
			return 0;
		word = answer_word(frame, at + i, &readable);
		if (!readable)
			return 0;
		if (((word | 0x20202000) & FIVE_BYTES) == TAG_IS)
			return 1;
	}
	return 0;
}

/* A parameter of the Via ends. */
static __always_inline int answer_via_parameter(struct draft *draft, __u32 at)
{
	__u64 name = draft->via_name;

	if (name == RECEIVED || name == MADDR)
		return 0;
	if (name == BRANCH)
		draft->branch = draft->via_part == VIA_VALUE;
	if (name == RPORT) {
		if (draft->via_part == VIA_VALUE || draft->rport)
			return 0;
		draft->rport = at;
	}
	return 1;
}

/* One byte of the Via behind "SIP/2.0/UDP "; a semicolon also stands for its end. */
__noinline int answer_via_byte(struct draft *draft, __u32 at, __u32 byte)
{
	if (!draft || byte <= ' ' || byte >= 127 || byte == ',' || byte == '"')
		return 0;
	switch (draft->via_part) {
	case VIA_HOST:
		if (byte == '[')
			draft->via_part = VIA_BRACKETS;
		else if (byte == ':')
			draft->via_part = VIA_PORT;
		else if (byte == ';')
			draft->via_part = VIA_NAME;
		return 1;
	case VIA_BRACKETS:
		if (byte == ']')
			draft->via_part = VIA_HOST;
		return byte != ';';
	case VIA_PORT:
		if (byte == ';') {
			draft->via_part = VIA_NAME;
			return draft->port != 0;
		}
		if (byte < '0' || byte > '9' || draft->port > 6553)
			return 0;
		draft->port = draft->port * 10 + byte - '0';
		return draft->port < PORTS;
	case VIA_NAME:
		if (byte == '=') {
			draft->via_part = VIA_VALUE;
			return 1;
		}
		if (byte != ';') {
			draft->via_name = (draft->via_name << 8) | (byte | 0x20);
			return 1;
		}
		break;
	default:
		if (byte != ';')
			return 1;
		break;
	}
	if (!answer_via_parameter(draft, at))
		return 0;
	draft->via_part = VIA_NAME;
	draft->via_name = 0;
	return 1;
}

__noinline int answer_via(struct xdp_md *frame, struct draft *draft, __u32 at, __u32 bytes)
{
	const __u32 *transport = frame_at(frame, (at + 8) & OFFSET_MASK, sizeof(*transport));
	const __u8 *byte;
	int readable;

	if (!draft || !transport || *transport != OF_UDP || bytes < 14)
		return 0;
	if (answer_word(frame, at, &readable) != OF_VERSION)
		return 0;
	draft->via_part = VIA_HOST;
	for (__u32 i = 12; i < VIA_BYTES_MAX; i++) {
		if (i >= bytes)
			return answer_via_byte(draft, at + i, ';') && draft->branch;
		byte = frame_at(frame, (at + i) & OFFSET_MASK, 1);
		if (!byte || !answer_via_byte(draft, at + i, *byte))
			return 0;
	}
	return 0;
}

/* Who may be one of a kind. */
static __always_inline int answer_note(struct span *line, __u32 at, __u32 bytes)
{
	if (line->bytes)
		return 0;
	line->at = at;
	line->bytes = bytes;
	return 1;
}

/* A Content-Length that is 0. */
static __always_inline int answer_is_zero(struct xdp_md *frame, __u32 at, __u32 bytes)
{
	const __u8 *byte = frame_at(frame, at & OFFSET_MASK, 1);

	return byte && bytes == 1 && *byte == '0';
}

/* A header by its name, whose value begins at `value`. Whether it is one that does not matter, or as it should be. */
static __always_inline int answer_header(struct xdp_md *frame, struct draft *draft, struct span line,
					 __u32 value, __u64 name)
{
	__u32 bytes = line.at + line.bytes - value;

	switch (name) {
	case 'v':
	case VIA:
		return answer_note(&draft->via, line.at, line.bytes) &&
		       answer_via(frame, draft, value, bytes);
	case 'f':
	case FROM:
		return answer_note(&draft->from, line.at, line.bytes) &&
		       answer_has_tag(frame, value, bytes);
	case 't':
	case TO: {
		const __u8 *last = frame_at(frame, (line.at + line.bytes - 1) & OFFSET_MASK, 1);

		/* Behind the URI in brackets nothing, or no parameter at all. */
		return answer_note(&draft->to, line.at, line.bytes) && last &&
		       (*last == '>' || answer_seek(frame, value, bytes, SEMICOLONS) == bytes);
	}
	case 'i':
	case CALL_ID:
		return bytes && answer_seek(frame, value, bytes, BLANKS) == bytes &&
		       answer_note(&draft->call_id, line.at, line.bytes);
	case CSEQ:
		return answer_is_cseq(frame, value, bytes) &&
		       answer_note(&draft->cseq, line.at, line.bytes);
	case 'l':
		return answer_is_zero(frame, value, bytes);
	/* A type or an encoding of a body, and whom we should pass it on to. */
	case 'c':
	case 'e':
	case REQUIRE:
	case ROUTE:
		return 0;
	default:
		return (name & SIX_BYTES) != PROXY_;
	}
}

/* One line of the head. */
__noinline int answer_line(struct xdp_md *frame, struct draft *draft, __u32 at, __u32 bytes)
{
	struct span line = { .at = at, .bytes = bytes };
	__u32 colon, blank, value;
	const __u8 *byte;
	__u64 word, name;
	int readable;

	if (!draft || bytes < 3)
		return 0;
	word = answer_word(frame, at, &readable);
	if (!readable)
		return 0;
	colon = answer_first(answer_zeros(word ^ COLONS));
	blank = answer_first(answer_zeros(word ^ BLANKS));
	/* A folded line, or a name with blanks behind it. */
	if (blank < colon)
		return 0;
	name = word | LOWER;
	value = at + colon + 1;
	if (colon == 8) {
		/* A long name: of these, one matters, and two must not be there. */
		if (name == AUTHORIZ)
			return 0;
		if (name != CONTENT_)
			return (name & SIX_BYTES) != PROXY_;
		word = answer_word(frame, at + 8, &readable);
		if (!readable || ((word | LOWER) & SIX_BYTES) != LENGTH || (word >> 48 & 0xff) != ':')
			return 0;
		value = at + 15;
		name = 'l';
	} else {
		name &= (1ULL << (colon * 8)) - 1;
	}
	byte = frame_at(frame, value & OFFSET_MASK, 1);
	if (!byte || value >= at + bytes)
		return 0;
	/* One space, as all write it; more of them are looked over by the worker. */
	if (*byte == ' ')
		value += 1;
	if (value >= at + bytes)
		return 0;
	return answer_header(frame, draft, line, value, name);
}

/* Eight bytes of a datagram; behind its end there are spaces. */
static __always_inline int answer_word_to(struct xdp_md *frame, __u32 at, __u32 end, __u64 *word)
{
	__u32 over = at + 8 > end ? at + 8 - end : 0;
	int readable;

	if (over > 7)
		return 0;
	*word = answer_word(frame, at - over, &readable);
	if (over)
		*word = (*word >> (over * 8)) | (BLANKS << ((8 - over) * 8));
	return readable;
}

enum step {
	STEP_NO,   /* not one that can be answered here */
	STEP_MORE,
	STEP_DONE, /* it is one */
};

/* The next eight bytes of the head, or what is left of a line. */
__noinline enum step answer_step(struct xdp_md *frame, struct draft *draft)
{
	__u32 at, end, line;
	const __u16 *ends;
	__u64 word, controls;

	if (!draft)
		return STEP_NO;
	at = draft->at & OFFSET_MASK;
	line = draft->line & OFFSET_MASK;
	end = draft->end;
	if (!answer_word_to(frame, at, end, &word))
		return STEP_NO;
	/* Of control characters there are line ends, and nothing else. */
	controls = (word - BLANKS) & ~word & HIGHS;
	if (!controls) {
		draft->at = at + 8;
		return STEP_MORE;
	}
	at += answer_first(controls);
	ends = frame_at(frame, at, 4);
	if (!ends || at + 4 > end || ends[0] != LINE_END)
		return STEP_NO;
	draft->at = at + 2;
	draft->line = at + 2;
	if (ends[1] == LINE_END && at + 4 != end)
		return STEP_NO;
	if (line == draft->first)
		return answer_start_line(frame, line, at - line) ? STEP_MORE : STEP_NO;
	if (!answer_line(frame, draft, line, at - line))
		return STEP_NO;
	if (ends[1] != LINE_END)
		return STEP_MORE;
	return draft->via.bytes && draft->from.bytes && draft->to.bytes && draft->call_id.bytes &&
	       draft->cseq.bytes ? STEP_DONE : STEP_NO;
}

/* Notes the lines of a request that can be answered here; whether it is one. */
static __always_inline int answer_read(struct xdp_md *frame, const struct packet *packet,
				       struct draft *draft)
{
	enum step step;

	draft->first = packet->at;
	draft->line = packet->at;
	draft->at = packet->at;
	draft->end = packet->at + packet->left;
	for (int i = 0; i < ANSWERED_STEPS_MAX; i++) {
		step = answer_step(frame, draft);
		if (step != STEP_MORE)
			return step == STEP_DONE;
	}
	return 0;
}

/* Up to eight characters of a word. */
static __always_inline void answer_say(struct draft *draft, __u64 word, __u32 bytes)
{
	__u32 at = draft->bytes & DRAFT_MASK;

	*(__u64 *)(draft->text + at) = word;
	draft->bytes = at + bytes;
}

/* That many, as Linux 6.1 wants to see it: who is not 0 is no 1 or more for it. */
static __always_inline __u32 answer_size(__u32 bytes)
{
	asm volatile("" : "+r"(bytes));
	return ((bytes - 1) & DRAFT_MASK) + 1;
}

/* Bytes of the frame. */
__noinline int answer_copy(struct xdp_md *frame, struct draft *draft, __u32 at, __u32 bytes)
{
	__u32 to;

	if (!draft || !bytes || bytes > ANSWERED_BYTES_MAX)
		return 0;
	to = draft->bytes & DRAFT_MASK;
	if (bpf_xdp_load_bytes(frame, at & OFFSET_MASK, draft->text + to,
			       answer_size(bytes)))
		return 0;
	draft->bytes = to + bytes;
	return 1;
}

static __always_inline __u64 answer_digit(__u32 digit)
{
	return digit < 10 ? '0' + digit : 'a' - 10 + digit;
}

/* A number below 2^16, to that base. */
__noinline int answer_number(struct draft *draft, __u32 number, __u32 base)
{
	__u64 word = 0;
	__u32 bytes = 0;

	if (!draft || !base)
		return 0;
	for (int i = 0; i < 5; i++) {
		word = (word << 8) | answer_digit(number % base);
		number /= base;
		bytes += 1;
		if (!number)
			break;
	}
	answer_say(draft, word, bytes);
	return 1;
}

/* ";received=" and the source (RFC 3261 §18.2.1). */
__noinline int answer_received(struct draft *draft, const struct source *source)
{
	__u32 word;

	if (!draft || !source)
		return 0;
	answer_say(draft, RECEIVE, 8);
	answer_say(draft, D_IS, 2);
	if (source->family == 4) {
		word = source->word[0];
		for (int i = 0; i < 4; i++) {
			if (i)
				answer_say(draft, '.', 1);
			answer_number(draft, word & 0xff, 10);
			word >>= 8;
		}
		return 1;
	}
	for (int i = 0; i < 8; i++) {
		if (i)
			answer_say(draft, ':', 1);
		word = bpf_ntohl(source->word[i / 2]);
		answer_number(draft, i & 1 ? word & 0xffff : word >> 16, 16);
	}
	return 1;
}

/* A keyed hash of the request: who repeats it is told the same tag (RFC 3261 §8.2.7). */
__noinline int answer_tag(struct xdp_md *frame, const struct packet *packet, struct draft *draft,
			  const struct settings *settings)
{
	struct siphash state;
	__u32 at, end;
	int readable;
	__u64 hash;

	if (!packet || !draft || !settings)
		return 0;
	siphash_begin(&state, settings);
	at = packet->at;
	end = at + packet->left;
	for (int i = 0; i < ANSWERED_BYTES_MAX / 8; i++) {
		at &= OFFSET_MASK;
		if (at + 8 > end)
			break;
		siphash_word(&state, answer_word(frame, at, &readable));
		at += 8;
	}
	/* The last ones once more, however many of them were left. */
	siphash_word(&state, answer_word(frame, end - 8, &readable));
	siphash_word(&state, packet->hash);
	hash = siphash_end(&state);
	for (int i = 0; i < 16; i++) {
		answer_say(draft, answer_digit(hash & 15), 1);
		hash >>= 4;
	}
	return 1;
}

/* Via with what is known of where it came from, and the place that the answer goes to. */
static __always_inline int answer_say_via(struct xdp_md *frame, const struct packet *packet,
					  struct draft *draft)
{
	__u32 at = draft->via.at, end = at + draft->via.bytes;

	if (draft->rport) {
		if (!answer_copy(frame, draft, at, draft->rport - at))
			return 0;
		answer_say(draft, '=', 1);
		answer_number(draft, packet->from, 10);
		at = draft->rport;
		draft->port = packet->from;
	} else if (!draft->port) {
		draft->port = SIP_PORT;
	}
	if (at != end && !answer_copy(frame, draft, at, end - at))
		return 0;
	answer_received(draft, &packet->source);
	answer_say(draft, LINE_END, 2);
	return 1;
}

/* The message, in the draft, behind the room that the headers before it take. */
__noinline int answer_write(struct xdp_md *frame, const struct packet *packet, struct draft *draft,
			    const struct settings *settings, const struct answer *answer)
{
	__u32 at;

	if (!packet || !draft || !settings || !answer)
		return 0;
	draft->bytes = draft->begin;
	answer_say(draft, OF_VERSION & SEVEN_BYTES, 7);
	answer_say(draft, OK_200, 8);
	answer_say(draft, '\n', 1);
	if (!answer_say_via(frame, packet, draft))
		return 0;
	/* With their line ends. */
	if (!answer_copy(frame, draft, draft->from.at, draft->from.bytes + 2) ||
	    !answer_copy(frame, draft, draft->to.at, draft->to.bytes))
		return 0;
	answer_say(draft, TAG_IS, 5);
	if (!answer_tag(frame, packet, draft, settings))
		return 0;
	answer_say(draft, LINE_END, 2);
	if (!answer_copy(frame, draft, draft->call_id.at, draft->call_id.bytes + 2) ||
	    !answer_copy(frame, draft, draft->cseq.at, draft->cseq.bytes + 2))
		return 0;
	at = draft->bytes & DRAFT_MASK;
	for (int i = 0; i < ANSWER_BYTES; i += 8)
		*(__u64 *)(draft->text + at + i) = *(const __u64 *)(answer->text + i);
	draft->bytes = at + answer->bytes;
	return answer->bytes <= ANSWER_BYTES && draft->bytes <= ANSWER_WHOLE_MAX;
}

static __always_inline __u16 answer_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

#define CHECKED_BYTES 512

/* The sum of the message's words, in pieces as large as the kernel takes. */
__noinline int answer_sum(struct draft *draft)
{
	__u32 at, end, bytes;
	__s64 sum = 0;

	if (!draft)
		return 0;
	at = draft->begin & DRAFT_MASK;
	end = draft->bytes & DRAFT_MASK;
	/* The last word is filled up. */
	*(__u32 *)(draft->text + end) = 0;
	for (int i = 0; i < ANSWER_WHOLE_MAX / CHECKED_BYTES + 1; i++) {
		if (at >= end)
			break;
		bytes = end - at > CHECKED_BYTES ? CHECKED_BYTES : (end - at + 3) & ~3U;
		if (!bytes || bytes > CHECKED_BYTES)
			break;
		sum = bpf_csum_diff(0, 0, (__be32 *)(draft->text + (at & DRAFT_MASK)), bytes, sum);
		at += CHECKED_BYTES;
	}
	draft->sum = sum;
	return 0;
}

/* A header of the draft. Those of UDP end where the message begins. */
static __always_inline void *answer_place(struct draft *draft, __u32 at)
{
	return draft->text + (at & DRAFT_MASK);
}

/* Back to the station it came from. */
static __always_inline void answer_station(struct draft *draft)
{
	struct ethhdr *ethernet = (struct ethhdr *)draft->text;
	__u8 station[ETH_ALEN];

	__builtin_memcpy(station, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, station, ETH_ALEN);
}

/* From us to who sent it, with so many bytes behind the header. */
static __always_inline void answer_ipv4(struct iphdr *ip, const struct packet *packet, __u32 bytes)
{
	__u64 sum = 0;

	ip->tot_len = bpf_htons(sizeof(*ip) + bytes);
	ip->id = 0;
	ip->frag_off = bpf_htons(IPV4_DONT_FRAGMENT);
	ip->ttl = ANSWER_HOPS;
	ip->check = 0;
	ip->saddr = packet->destination.word[0];
	ip->daddr = packet->source.word[0];
	for (int i = 0; i < 5; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = ~answer_fold(sum);
}

static __always_inline void answer_ipv6(struct ipv6hdr *ip, const struct packet *packet,
					__u32 traffic_class, __u32 bytes)
{
	*(__be32 *)ip = bpf_htonl(6u << 28 | (traffic_class & 0xff) << 20);
	ip->payload_len = bpf_htons(bytes);
	ip->hop_limit = ANSWER_HOPS;
	__builtin_memcpy(&ip->saddr, packet->destination.word, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, packet->source.word, sizeof(ip->daddr));
}

/* The headers, as they came, and then the way back, from us: addresses and ports change places. */
__noinline int answer_address(struct xdp_md *frame, const struct packet *packet,
			      struct draft *draft, const struct answer *answer)
{
	struct udphdr *udp;
	__u32 bytes;
	__u64 sum;

	if (!packet || !draft || !answer || draft->begin > HEADERS_MAX || !draft->begin)
		return 0;
	if (bpf_xdp_load_bytes(frame, 0, draft->text, answer_size(draft->begin)))
		return 0;
	answer_station(draft);
	bytes = draft->bytes - draft->begin + sizeof(*udp);
	sum = draft->sum;
	for (int i = 0; i < 4; i++)
		sum += (__u64)packet->source.word[i] + packet->destination.word[i];
	if (packet->source.family == 4) {
		struct iphdr *ip = answer_place(draft, packet->network);

		ip->tos = answer->traffic_class;
		answer_ipv4(ip, packet, bytes);
	} else {
		answer_ipv6(answer_place(draft, packet->network), packet, answer->traffic_class,
			    bytes);
	}
	udp = answer_place(draft, packet->transport);
	udp->source = bpf_htons(packet->port);
	udp->dest = bpf_htons(draft->port);
	udp->len = bpf_htons(bytes);
	sum += (__u64)bpf_htons(IPPROTO_UDP) + udp->len * 2 + udp->source + udp->dest;
	udp->check = ~answer_fold(sum);
	if (!udp->check)
		udp->check = 0xffff;
	return 1;
}

/* In front of a frame there is always so much room, whatever the driver. */
#define HEAD_ROOM 192

/*
 * Makes the frame as long as the draft: at its end where there is room, else in front. Where there is not enough
 * anywhere it is as it was.
 */
static __always_inline int answer_resize(struct xdp_md *frame, const struct draft *draft)
{
	int more = draft->bytes - frame_bytes(frame);
	int front = more > HEAD_ROOM ? HEAD_ROOM : more;

	if (!bpf_xdp_adjust_tail(frame, more))
		return 1;
	if (more <= 0 || bpf_xdp_adjust_head(frame, -front))
		return 0;
	if (more == front || !bpf_xdp_adjust_tail(frame, more - front))
		return 1;
	bpf_xdp_adjust_head(frame, front);
	return 0;
}

/* Where the message begins, if the headers before it are plain and the frame is for us alone; else 0. */
static __always_inline __u32 answer_begin(struct xdp_md *frame, const struct packet *packet)
{
	__u32 header = packet->source.family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	const __u8 *station = frame_at(frame, 0, 1);

	if (!station || (*station & 1) || packet->transport != packet->network + header)
		return 0;
	return packet->transport + sizeof(struct udphdr);
}

/* The verifier reads this by itself, for a caller that may have nothing (see frame.h). */
__noinline enum reason answer(struct xdp_md *frame, struct packet *packet,
			      const struct settings *settings)
{
	__u32 queue, first = 0, whole;
	struct answer *answer;
	struct draft *draft;

	if (!packet || !settings || packet->left > ANSWERED_BYTES_MAX || packet->left < 8)
		return UNDECIDED;
	queue = frame->rx_queue_index;
	answer = bpf_map_lookup_elem(&answers, &queue);
	if (!answer || answer->not_after < packet->now)
		return UNDECIDED;
	draft = bpf_map_lookup_elem(&drafts, &first);
	if (!draft)
		return UNDECIDED;
	__builtin_memset(draft, 0, __builtin_offsetof(struct draft, text));
	draft->begin = answer_begin(frame, packet);
	if (!draft->begin || !answer_read(frame, packet, draft))
		return UNDECIDED;
	if (packet->purpose == EXPLAIN)
		return ANSWER_OPTIONS;
	if (!answer_write(frame, packet, draft, settings, answer))
		return UNDECIDED;
	answer_sum(draft);
	if (!answer_address(frame, packet, draft, answer) || !answer_resize(frame, draft))
		return UNDECIDED;
	whole = draft->bytes;
	if (!whole || whole > ANSWER_WHOLE_MAX ||
	    bpf_xdp_store_bytes(frame, 0, draft->text, answer_size(whole)))
		return DROP_INTERFACE;
	return ANSWER_OPTIONS;
}
