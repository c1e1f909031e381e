/*
 * Where in the world is the source? Sets of networks that are forbidden, and sets of which one must hold the
 * source; a network that is in both is forbidden. Rules say so by their marks.
 */
#pragma once

#include "parse.h"
#include "prefix.h"

__noinline enum reason geo(const struct packet *packet, const struct settings *settings,
			   struct explanation *why)
{
	struct prefix_rule *rule;
	__u32 mark;

	if (!packet || !settings || !why)
		return DROP_INTERFACE;
	rule = prefix_find(&geo_prefixes, &geo_near, &packet->source);
	mark = rule ? rule->mark : 0;
	if (!(mark & MARK_GEO_FORBID) && !(settings->geo & MARK_GEO_ALLOW & ~mark))
		return UNDECIDED;
	why->rule = RULE_GEO;
	why->rule_bits = rule ? rule->bits : 0;
	why->rule_not_after = 0;
	if (rule && packet->purpose == JUDGE)
		__sync_fetch_and_add(&rule->hits, 1);
	return DROP_GEO;
}
