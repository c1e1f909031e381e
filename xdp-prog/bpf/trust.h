/*
 * Trusted sources are never denied. They are looked up only once a deny rule has spoken, which
 * comes to the same and costs the others nothing. Budgets hold for them too: a UDP source is
 * easily forged.
 */
#pragma once

#include "prefix.h"

static __always_inline int trust_has(const struct source *source, struct explanation *why)
{
	struct prefix_rule *rule = prefix_find(&trust_prefixes, &trust_near, source);

	if (!rule)
		return 0;
	why->trusted = 1;
	why->trust_bits = rule->bits;
	return 1;
}
