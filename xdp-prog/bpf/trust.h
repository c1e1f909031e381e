/*
 * Trusted sources are never denied, forbidden by region or taken for scanners. They are looked up once a rule
 * has spoken, and before a budget is spent: budgets hold for them too, because a UDP source is easily forged,
 * but each network has its own.
 */
#pragma once

#include "parse.h"
#include "prefix.h"

static __always_inline struct prefix_rule *trust_find(const struct source *source,
						      struct explanation *why)
{
	struct prefix_rule *rule = prefix_find(&trust_prefixes, &trust_near, source);

	if (!rule)
		return 0;
	why->trusted = 1;
	why->trust_bits = rule->bits;
	return rule;
}

__noinline int trust_has(const struct packet *packet, struct explanation *why)
{
	return packet && why && trust_find(&packet->source, why) != 0;
}
