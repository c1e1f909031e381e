/*
 * What a datagram asks for, from its start line, and where a header of it stands. The method is compared
 * whole and case-sensitively (RFC 3261 §7.1), never as a substring, and whatever the URI's scheme; line ends
 * before the start line are looked over (§7.5).
 */
#pragma once

#include "maps.h"
#include "parse.h"

#define LEADING_LINE_ENDS_MAX 8
#define METHOD_BYTES_MAX 32
/* Words of eight bytes that are searched for a header: 2 KiB of head. */
#define HEAD_WORDS_MAX 256
/* Not above what a frame holds; a power of two, so that an offset behind a mask is in it. */
#define OFFSET_MASK 0x3fff

/* Read as little-endian words. */
#define OPTIONS_ 0x20534e4f4954504fULL
#define REGISTER 0x5245545349474552ULL
#define INVITE_ 0x0020455449564e49ULL
#define SEVEN_BYTES 0x00ffffffffffffffULL
#define SIP_2_0_ 0x20302e322f504953ULL

/* Which ASCII characters a token may have (RFC 3261 §25.1), a bit each. */
#define TOKEN_LOW 0x03ff6ca200000000ULL
#define TOKEN_HIGH 0x47ffffff87fffffeULL

static __always_inline int sip_is_token(__u8 byte)
{
	if (byte >= 128)
		return 0;
	return ((byte < 64 ? TOKEN_LOW : TOKEN_HIGH) >> (byte & 63)) & 1;
}

/* A token and a space: some method, or the version of an answer (its slash is taken for a letter). */
static __always_inline int sip_is_start_line(struct xdp_md *frame, __u32 at, __u32 left)
{
	const __u8 *byte;

	for (__u32 i = 0; i < METHOD_BYTES_MAX; i++) {
		byte = frame_at(frame, at + i, 1);
		if (!byte || i >= left)
			return 0;
		if (*byte == ' ')
			return i > 0;
		if (!sip_is_token(*byte) && *byte != '/')
			return 0;
	}
	return 0;
}

/*
 * What is asked for, METERS where it is no SIP at all. Up to four bytes are a keep-alive, whatever they
 * are: phones send line ends, zeros, and words of their makers.
 */
__noinline enum meter sip_meter(struct xdp_md *frame, struct packet *packet)
{
	const char *byte;
	const __u64 *start;
	__u32 at, left;

	if (!packet)
		return METERS;
	at = packet->at;
	left = packet->left;
	for (int i = 0; i < LEADING_LINE_ENDS_MAX; i++) {
		byte = frame_at(frame, at, 2);
		if (!byte || left < 2 || byte[0] != '\r' || byte[1] != '\n')
			break;
		at += 2;
		left -= 2;
	}
	if (left <= 4)
		return METER_OTHER;
	start = frame_at(frame, at, sizeof(*start));
	if (start && left >= sizeof(*start)) {
		packet->at = at;
		packet->left = left;
		if (*start == OPTIONS_)
			return METER_OPTIONS;
		if ((*start & SEVEN_BYTES) == INVITE_)
			return METER_INVITE;
		if (*start == REGISTER) {
			byte = frame_at(frame, at + sizeof(*start), 1);
			if (byte && left > sizeof(*start) && *byte == ' ')
				return METER_REGISTER;
		}
	}
	return sip_is_start_line(frame, at, left) ? METER_OTHER : METERS;
}

/* Which header is looked for. */
enum header {
	HEADER_AGENT, /* User-Agent or Server */
	HEADER_FROM,
	HEADER_TO,
};

/* The eight bytes in lower case, as far as letters go. */
#define LOWER 0x2020202020202020ULL
#define USER_AGE 0x6567612d72657375ULL
#define SERVER__ 0x0000726576726573ULL
#define SIX_BYTES 0x0000ffffffffffffULL
#define FROM 0x6d6f7266
#define TO 0x6f74

/* Bytes of the name that begins at a line, or 0 if it is another. Names have any case (§7.3.1). */
static __always_inline __u32 sip_name(struct xdp_md *frame, __u32 at, enum header header)
{
	const __u64 *word = frame_at(frame, at, sizeof(*word));
	const __u8 *byte;
	__u64 lower;

	if (!word)
		return 0;
	lower = *word | LOWER;
	if (header != HEADER_AGENT) {
		if (header == HEADER_TO ? (lower & 0xffff) == TO : (__u32)lower == FROM)
			return header == HEADER_TO ? 2 : 4;
		/* The compact form; behind one letter, what follows must end the name. */
		byte = (const __u8 *)word + 1;
		return (lower & 0xff) == (header == HEADER_TO ? 't' : 'f') &&
		       (*byte == ':' || *byte == ' ' || *byte == '\t');
	}
	if (lower == USER_AGE) {
		byte = frame_at(frame, at + sizeof(*word), 2);
		return byte && (byte[0] | 0x20) == 'n' && (byte[1] | 0x20) == 't' ? 10 : 0;
	}
	return (lower & SIX_BYTES) == SERVER__ ? 6 : 0;
}

/* Spaces, tabs and folded lines that are looked over around a colon. */
#define BLANKS_MAX 16

/* Where the value of the header line at `at` begins, or 0 if it is another header. */
__noinline __u32 sip_value(struct xdp_md *frame, __u32 at, enum header header)
{
	int colon = 0;
	const __u8 *byte;
	__u32 name;

	at &= OFFSET_MASK;
	name = sip_name(frame, at, header);
	if (!name)
		return 0;
	at += name;
	for (int i = 0; i < BLANKS_MAX; i++) {
		at &= OFFSET_MASK;
		byte = frame_at(frame, at, 1);
		if (!byte)
			return 0;
		if (*byte == ':' && !colon)
			colon = 1;
		else if (*byte != ' ' && *byte != '\t' &&
			 !(colon && (*byte == '\r' || *byte == '\n')))
			return colon ? at : 0;
		at += 1;
	}
	return 0;
}

#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL
#define LINE_FEEDS 0x0a0a0a0a0a0a0a0aULL

/*
 * The offset of a header's value in the frame, or 0. Eight bytes at a time: of those that are a line feed the
 * high bit is left, and of the lowest its place is counted. Only the head is searched: a word in the body, or in
 * another header, is nobody's agent.
 */
__noinline __u32 sip_find(struct xdp_md *frame, const struct packet *packet, enum header header)
{
	__u32 at, end, value;
	__u64 word, feeds;
	const __u64 *words;

	if (!packet)
		return 0;
	at = packet->at;
	end = at + packet->left;
	for (int i = 0; i < HEAD_WORDS_MAX; i++) {
		/* The same bounds each time round, or the verifier reads the loop anew for each. */
		at &= OFFSET_MASK;
		words = frame_at(frame, at, sizeof(*words));
		if (!words || at >= end)
			return 0;
		word = *words ^ LINE_FEEDS;
		feeds = (word - ONES) & ~word & HIGHS;
		if (!feeds) {
			at += sizeof(*words);
			continue;
		}
		feeds &= -feeds;
		at += (((feeds - 1) & ONES) * ONES) >> 56;
		at &= OFFSET_MASK;
		words = frame_at(frame, at, sizeof(*words));
		if (!words)
			return 0;
		if ((*words & 0xff) == '\r')
			return 0;
		value = sip_value(frame, at, header);
		if (value)
			return value;
	}
	return 0;
}

/* Bytes of a To or From header that are searched for its tag. */
#define TAG_WITHIN 256

/* ";tag=", the last byte lowest. */
#define TAG_NAME 0x3b7461673dULL
#define TAG_NAME_MASK 0xffffffffffULL

static __always_inline int sip_is_blank(__u8 byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Above the bytes: in a display name between quotes, behind its backslash, in the address between brackets. */
#define TAG_QUOTED (1ULL << 56)
#define TAG_ESCAPED (1ULL << 57)
#define TAG_INSIDE (1ULL << 58)

/*
 * The bytes read so far and one more, in lower case; around a parameter's name there may be blanks (RFC 3261
 * §25.1), and what is quoted or in brackets is none. Read by itself, so that the verifier follows no path of one
 * byte into the next.
 */
__noinline __u64 sip_tag_name(__u64 read, __u32 byte)
{
	__u8 last = read;

	if (read & TAG_ESCAPED)
		return TAG_QUOTED;
	if (read & TAG_QUOTED)
		return byte == '\\' ? TAG_QUOTED | TAG_ESCAPED : byte == '"' ? 0 : TAG_QUOTED;
	if (read & TAG_INSIDE)
		return byte == '>' ? 0 : TAG_INSIDE;
	if (byte == '"')
		return TAG_QUOTED;
	if (byte == '<')
		return TAG_INSIDE;
	if (sip_is_blank(byte) && (last == ';' || last == 'g' || last == '='))
		return read;
	if (byte >= 'A' && byte <= 'Z')
		byte |= 0x20;
	return ((read << 8) | byte) & TAG_NAME_MASK;
}

/* The offset of the tag of a To or From in the frame, or 0. Its line may be folded (§7.3.1). */
__noinline __u32 sip_tag(struct xdp_md *frame, const struct packet *packet, enum header header)
{
	__u32 at = sip_find(frame, packet, header);
	const __u8 *byte;
	__u64 read = 0;

	if (!at)
		return 0;
	for (int i = 0; i < TAG_WITHIN; i++) {
		at &= OFFSET_MASK;
		byte = frame_at(frame, at, 2);
		if (!byte || (byte[0] == '\n' && byte[1] != ' ' && byte[1] != '\t'))
			return 0;
		if ((read & TAG_NAME_MASK) == TAG_NAME && !sip_is_blank(*byte))
			return at;
		read = sip_tag_name(read, *byte);
		at += 1;
	}
	return 0;
}
