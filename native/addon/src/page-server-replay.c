/*
 * Brings the blocks that machines of the same memory have wanted before, in
 * bulk, before this one asks for them. It is a guess, and gives way to all that
 * is not: one copy at a time, and only while no fault waits. Whatever stands in
 * its way ends it and harms nobody; a block that is damaged is left to the fault
 * that wants it.
 */
#include <errno.h>
#include <stdlib.h>

#include "page-server-plan.h"

/* Blocks of one copy. A fault that comes meanwhile waits for it, so it grows only while none comes. */
#define BULK_BLOCKS_MIN 64u
#define BULK_BLOCKS_MAX 256u

const char *check_replay(const struct replay *replay, size_t numbers, uint32_t block_count)
{
	uint32_t total = 0;

	if (numbers % 2)
		return "workingSet must have 2 numbers for each run";
	for (size_t at = 0; at < numbers; at += 2) {
		uint32_t first = replay->pairs[at], blocks = replay->pairs[at + 1];

		if (blocks == 0 || first >= block_count || blocks > block_count - first)
			return "a run of workingSet is empty or ends beyond the memory";
		if (blocks > WORKING_SET_BLOCKS_MAX - total)
			return "workingSet has more than 65536 blocks";
		total += blocks;
	}
	return NULL;
}

void end_replay(struct replay *replay)
{
	free(replay->pairs);
	free(replay->brought);
	free(replay->buffer);
	*replay = (struct replay){0};
}

bool has_replay(const struct replay *replay)
{
	return replay->pair_count > 0;
}

void leave_out_of_replay(struct replay *replay, uint32_t first, uint32_t blocks)
{
	if (!replay->brought)
		return;
	for (uint32_t block = first; block - first < blocks; block++)
		replay->brought[block / 8] |= (uint8_t)(1u << block % 8);
}

/* What was given back must not come again, and what is there need not. */
static bool is_left_out(const struct page_server *server, uint32_t block)
{
	return is_removed(&server->removed, block) ||
	       (server->replay.brought[block / 8] >> block % 8 & 1);
}

/* Goes to the next block that is not left out; false when there is none. */
static bool find_next(struct page_server *server)
{
	struct replay *replay = &server->replay;

	for (; replay->pair < replay->pair_count; replay->pair++, replay->done = 0) {
		const uint32_t *pair = replay->pairs + 2 * replay->pair;

		while (replay->done < pair[1] && is_left_out(server, pair[0] + replay->done))
			replay->done++;
		if (replay->done < pair[1])
			return true;
	}
	return false;
}

static const struct region *region_of(const struct page_server *server, uint32_t block)
{
	uint64_t offset = (uint64_t)block * BLOCK_SIZE;

	for (size_t index = 0; index < server->region_count; index++) {
		const struct region *region = &server->regions[index];

		if (offset >= region->offset && offset - region->offset < region->size)
			return region;
	}
	return NULL;
}

/* The blocks from the next one on that come from the same place, up to one that is left out. */
static bool plan_next(struct page_server *server, struct plan *plan)
{
	struct replay *replay = &server->replay;
	const uint32_t *pair = replay->pairs + 2 * replay->pair;
	uint32_t first = pair[0] + replay->done;
	const struct region *region = region_of(server, first);
	const struct run *run = &server->memory.runs[find_run(&server->memory, first)];
	uint32_t most = smaller(pair[1] - replay->done, replay->bulk_blocks), blocks = 1;

	if (!region)
		return false;
	most = smaller(most, run->count - (first - run->block));
	most = smaller(most, (uint32_t)((region->offset + region->size) / BLOCK_SIZE - first));
	while (blocks < most && !is_left_out(server, first + blocks))
		blocks++;
	*plan = (struct plan){
		.region = region,
		.first = first,
		.count = blocks,
		.run = run,
		.buffer = replay->buffer,
	};
	return true;
}

/* Puts all that is not there. Returns 0 or the errno that is in the way; counts what is done. */
static int put_bulk(struct page_server *server, const struct plan *plan)
{
	uint32_t block = plan->first, end = plan->first + plan->count;

	while (block < end) {
		int64_t done = put_once(server, plan, block, end - block);

		if (done < 0 && done != -EEXIST)
			return (int)-done;
		if (done > 0)
			count(&server->statistics.replayed_blocks, (uint64_t)done);
		done = done > 0 ? done : 1;
		server->replay.done += (uint32_t)done;
		block += (uint32_t)done;
	}
	return 0;
}

static bool bring_next(struct page_server *server)
{
	struct replay *replay = &server->replay;
	struct plan plan;

	if (!find_next(server) || !plan_next(server, &plan))
		return false;
	if (!is_zero(&plan) && read_plan(server, &plan) >= 0)
		return false;
	switch (put_bulk(server, &plan)) {
	case 0:
		return true;
	case EAGAIN:
		/* Memory is being given back, perhaps this. */
		replay->waits = true;
		return true;
	default:
		return false;
	}
}

/* A quiet guest is not harmed by a long copy. */
static void choose_bulk(struct page_server *server)
{
	struct replay *replay = &server->replay;
	uint64_t faults = atomic_load_explicit(&server->statistics.faults, memory_order_relaxed);

	if (replay->bulk_blocks == 0 || faults != replay->faults)
		replay->bulk_blocks = BULK_BLOCKS_MIN;
	else
		replay->bulk_blocks = smaller(2 * replay->bulk_blocks, BULK_BLOCKS_MAX);
	replay->faults = faults;
}

static bool has_room(struct page_server *server)
{
	struct replay *replay = &server->replay;

	if (!replay->brought)
		replay->brought = calloc(1, server->memory.block_count / 8 + (size_t)1);
	if (!replay->buffer)
		replay->buffer = aligned_alloc(BLOCK_SIZE, (size_t)BULK_BLOCKS_MAX * BLOCK_SIZE);
	return replay->brought && replay->buffer;
}

void replay_some(struct page_server *server)
{
	struct replay *replay = &server->replay;

	if (!has_replay(replay))
		return;
	replay->waits = false;
	choose_bulk(server);
	if (!has_room(server) || !bring_next(server))
		end_replay(replay);
}
