/*
 * The order of a replay. The first blocks that a machine wants should come
 * first, but neighbours take fewer copies: so runs are put in order of address
 * among those that are brought within about a hundredth of a second.
 */
#include <stdlib.h>

#include "page-server.h"

#define ORDERED_BLOCKS 4096u

struct pair {
	uint32_t first;
	uint32_t blocks;
};

static int by_first(const void *left, const void *right)
{
	const struct pair *one = left, *other = right;

	return one->first < other->first ? -1 : one->first > other->first;
}

/* How many pairs from `pairs` on are ordered together. */
static size_t group_size(const struct pair *pairs, size_t count)
{
	uint32_t blocks = 0;
	size_t size = 0;

	while (size < count && blocks < ORDERED_BLOCKS)
		blocks += pairs[size++].blocks;
	return size;
}

/* Makes one of pairs that meet; returns how many are left. */
static size_t join_pairs(struct pair *joined, const struct pair *pairs, size_t count)
{
	size_t left = 0;

	for (size_t index = 0; index < count; index++) {
		const struct pair pair = pairs[index];
		struct pair *last = left ? &joined[left - 1] : NULL;
		uint32_t end = pair.first + pair.blocks;

		if (!last || last->first + last->blocks < pair.first)
			joined[left++] = pair;
		else if (last->first + last->blocks < end)
			last->blocks = end - last->first;
	}
	return left;
}

void order_replay(struct replay *replay)
{
	struct pair *pairs = (struct pair *)replay->pairs;
	size_t done = 0, size;

	for (size_t at = 0; at < replay->pair_count; at += size) {
		size = group_size(pairs + at, replay->pair_count - at);
		qsort(pairs + at, size, sizeof(*pairs), by_first);
		done += join_pairs(pairs + done, pairs + at, size);
	}
	replay->pair_count = done;
}
