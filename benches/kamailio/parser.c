/* What Kamailio's parser takes for one message: all headers, then the fields that benches/parse.rs
 * forces too, as its own scripts would ask for them. Usage: parser FILE RUNS [once]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/parser/contact/parse_contact.h"
#include "core/parser/msg_parser.h"
#include "core/parser/parse_content.h"
#include "core/parser/parse_cseq.h"
#include "core/parser/parse_from.h"
#include "core/parser/parse_hname2.h"
#include "core/parser/parse_to.h"
#include "core/parser/parse_uri.h"

#define ROUNDS 61

static char message[65536];
static int bytes;
static volatile unsigned long sink;

/* 0, or which step refused the message. */
static int read_one(void)
{
	sip_msg_t m = {.buf = message, .len = bytes};
	struct sip_uri contact;
	contact_t *first;

	if (parse_msg(m.buf, m.len, &m) < 0 || parse_headers(&m, HDR_EOH_F, 0) < 0)
		return 1;
	if (parse_sip_msg_uri(&m) < 0 || parse_from_header(&m) < 0 || !parse_from_uri(&m))
		return 2;
	if (parse_to_header(&m) < 0 || !parse_to_uri(&m) || parse_contact_headers(&m) < 0)
		return 3;
	first = ((contact_body_t *)m.contact->parsed)->contacts;
	if (parse_uri(first->uri.s, first->uri.len, &contact) < 0)
		return 4;
	if (!m.maxforwards || !m.content_type || !m.callid || !m.cseq)
		return 5;
	sink += get_from(&m)->tag_value.len + m.via1->branch->value.len + m.via1->port;
	sink += contact.host.len + m.parsed_uri.user.len + get_cseq(&m)->method_id;
	sink += get_content_length(&m);
	free_sip_msg(&m);
	return 0;
}

/* The only code below which callgrind counts. */
static int __attribute__((noinline)) measured(int runs)
{
	int refused = 0;

	while (runs-- > 0 && !refused)
		refused = read_one();
	return refused;
}

static int by_size(const void *a, const void *b)
{
	double less = *(const double *)a - *(const double *)b;

	return (less > 0) - (less < 0);
}

int main(int count, char **words)
{
	FILE *file = count > 2 ? fopen(words[1], "rb") : NULL;
	int runs = count > 2 ? atoi(words[2]) : 0;
	double ns[ROUNDS];

	if (!file || (bytes = fread(message, 1, sizeof(message) - 1, file)) <= 0 || runs <= 0)
		return 2;
	ksr_hname_init_index();
	if (count > 3)
		return measured(runs);
	for (int round = 0; round < ROUNDS; round++) {
		struct timespec begun, ended;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
		if (measured(runs))
			return 1;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
		ns[round] = (ended.tv_sec - begun.tv_sec) * 1e9 + (ended.tv_nsec - begun.tv_nsec);
	}
	qsort(ns, ROUNDS, sizeof(*ns), by_size);
	printf("| kamailio 5.6.3 | %.0f ns | %.0f to %.0f ns |", ns[ROUNDS / 2] / runs,
		ns[ROUNDS / 4] / runs, ns[ROUNDS * 3 / 4] / runs);
	return 0;
}
