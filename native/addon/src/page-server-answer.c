/*
 * Answers one page fault: plans which blocks to bring, and brings them. A guest
 * never sees wrong content: when a block cannot be read the fault stays without
 * an answer and the server ends.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "page-server-plan.h"

/* The block of a fault. */
static uint32_t wanted_block(const struct region *region, uint64_t address)
{
	return (uint32_t)((address - region->address + region->offset) / BLOCK_SIZE);
}

/* The aligned window around the wanted block, without what is of another kind than it. */
static struct plan make_plan(const struct page_server *server, const struct region *region,
			     uint32_t wanted)
{
	uint32_t window = server->run_blocks_max;
	uint32_t region_first = (uint32_t)(region->offset / BLOCK_SIZE);
	uint32_t region_end = (uint32_t)((region->offset + region->size) / BLOCK_SIZE);
	const struct run *run = &server->memory.runs[find_run(&server->memory, wanted)];
	bool removed = is_removed(&server->removed, wanted);
	uint32_t lowest = larger(region_first, wanted - wanted % window);
	uint32_t highest = smaller(region_end - wanted, window - wanted % window) + wanted;
	uint32_t first = wanted, end = wanted + 1;

	if (!removed) {
		lowest = larger(lowest, run->block);
		highest = smaller(highest - wanted, run->count - (wanted - run->block)) + wanted;
	}
	while (first > lowest && is_removed(&server->removed, first - 1) == removed)
		first--;
	while (end < highest && is_removed(&server->removed, end) == removed)
		end++;
	return (struct plan){
		.region = region,
		.first = first,
		.count = end - first,
		.removed = removed,
		.run = run,
		.buffer = server->buffer,
	};
}

/* Reads the blocks of the plan; false when the server has ended. */
static bool read_blocks(struct page_server *server, const struct plan *plan)
{
	int64_t wrong = read_plan(server, plan);

	if (wrong < 0)
		return true;
	server->end = (struct page_server_end){
		.kind = END_DAMAGED,
		.file = plan->run->source,
		.block = plan->run->source_block + (plan->first - plan->run->block) +
			 (uint32_t)wrong,
	};
	return false;
}

/* Puts `blocks` blocks from `block` on, until one fails. Returns 0 or its errno. */
static int put(struct page_server *server, const struct plan *plan, uint32_t block, uint32_t blocks)
{
	while (blocks > 0) {
		int64_t done = put_once(server, plan, block, blocks);

		if (done < 0)
			return (int)-done;
		block += (uint32_t)done;
		blocks -= (uint32_t)done;
	}
	return 0;
}

/* For a page that is already there: its fault was read before it came. */
static int wake(struct page_server *server, const struct plan *plan, uint32_t wanted)
{
	struct uffdio_range range = {
		.start = address_of(plan, wanted),
		.len = BLOCK_SIZE,
	};

	count(&server->statistics.ioctls, 1);
	return ioctl(server->uffd, UFFDIO_WAKE, &range) == 0 ? 0 : errno;
}

/* The window has a page that is there already, or that is mapped apart; the wanted block is there. */
static int put_singly(struct page_server *server, const struct plan *plan)
{
	int error = 0;

	for (uint32_t index = 0; index < plan->count && !error; index++) {
		error = put(server, plan, plan->first + index, 1);
		if (error == EEXIST || error == ENOENT)
			error = 0;
	}
	return error;
}

/* What a fault has brought. */
enum brought {
	/* Nothing: the block was there. */
	NOTHING,
	/* All that was not there. */
	THE_REST,
	ALL,
};

static int put_plan(struct page_server *server, const struct plan *plan, uint32_t wanted,
		    enum brought *brought)
{
	int error = put(server, plan, plan->first, plan->count);

	*brought = ALL;
	if (error != EEXIST && (error != ENOENT || plan->count == 1))
		return error;
	/* The wanted block goes first; when it was there nothing else needs to be done. */
	error = put(server, plan, wanted, 1);
	*brought = error == EEXIST ? NOTHING : THE_REST;
	if (error == EEXIST)
		return wake(server, plan, wanted);
	return error ? error : put_singly(server, plan);
}

/* A fault was answered with blocks that were not there. */
static void note_demand(struct page_server *server, const struct plan *plan)
{
	if (!plan->removed)
		record_blocks(&server->recorded, plan->first, plan->count);
	leave_out_of_replay(&server->replay, plan->first, plan->count);
	count(&server->statistics.demand_faults, 1);
}

enum answer answer_fault(struct page_server *server, uint64_t address, uint64_t *answered_to)
{
	const struct region *region = find_region(server, address);
	enum brought brought;
	struct plan plan;
	uint32_t wanted;
	int error;

	*answered_to = address;
	/* Nothing that was agreed on; the VMM harms itself alone. */
	if (!region)
		return ANSWERED;
	wanted = wanted_block(region, address);
	plan = make_plan(server, region, wanted);
	if (!is_zero(&plan) && !read_blocks(server, &plan))
		return ANSWER_ENDED;

	error = put_plan(server, &plan, wanted, &brought);
	switch (error) {
	case EAGAIN:
		return ANSWER_AGAIN;
	case 0:
		if (brought != NOTHING)
			note_demand(server, &plan);
		if (brought == ALL)
			*answered_to = address_of(&plan, plan.first + plan.count);
		return ANSWERED;
	case ENOENT: /* the range is gone, */
	case ESRCH: /* or the whole VMM */
		return ANSWERED;
	default:
		page_server_fail(server, error, "put pages into the VMM");
		return ANSWER_ENDED;
	}
}
