/*
 * Answers one page fault: plans which blocks to bring, reads and checks them,
 * and puts them into the VMM's memory. A guest never sees wrong content: when a
 * block cannot be read the fault stays without an answer and the server ends.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "crc32c.h"
#include "page_server.h"

/* Blocks that come from the same place, are in the same region, and are brought together. */
struct plan {
	const struct region *region;
	/* The block of the fault. */
	uint32_t wanted;
	uint32_t first;
	uint32_t count;
	bool removed;
	const struct run *run;
};

static uint64_t address_of(const struct plan *plan, uint32_t block)
{
	return plan->region->address + ((uint64_t)block * BLOCK_SIZE - plan->region->offset);
}

static uint32_t larger(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

static uint32_t smaller(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

/* The aligned window around the wanted block, without what is of another kind than it. */
static struct plan make_plan(const struct page_server *server, const struct region *region,
			     uint64_t address)
{
	uint32_t window = server->run_blocks_max;
	uint32_t region_first = (uint32_t)(region->offset / BLOCK_SIZE);
	uint32_t region_end = (uint32_t)((region->offset + region->size) / BLOCK_SIZE);
	uint32_t wanted = (uint32_t)((address - region->address + region->offset) / BLOCK_SIZE);
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
		.wanted = wanted,
		.first = first,
		.count = end - first,
		.removed = removed,
		.run = run,
	};
}

static bool is_zero(const struct plan *plan)
{
	return plan->removed || plan->run->source == SOURCE_ZERO;
}

static bool damaged(struct page_server *server, const struct plan *plan, uint32_t index)
{
	server->end = (struct page_server_end){
		.kind = END_DAMAGED,
		.file = plan->run->source,
		.block = plan->run->source_block + (plan->first - plan->run->block) + index,
	};
	return false;
}

static bool check_blocks(struct page_server *server, const struct plan *plan)
{
	const struct mapped_memory *memory = &server->memory;
	const uint32_t *checksums;

	if (!memory->checksums)
		return true;
	checksums = memory->checksums + memory->run_checksums[plan->run - memory->runs] +
		    (plan->first - plan->run->block);
	for (uint32_t index = 0; index < plan->count; index++)
		if (crc32c(0, server->buffer + (size_t)index * BLOCK_SIZE, BLOCK_SIZE) !=
		    checksums[index])
			return damaged(server, plan, index);
	return true;
}

/* Reads the blocks of the plan into the buffer; false when the server has ended. */
static bool read_blocks(struct page_server *server, const struct plan *plan)
{
	uint64_t start = plan->run->source_block + (uint64_t)(plan->first - plan->run->block);
	size_t length = (size_t)plan->count * BLOCK_SIZE;
	size_t done = 0;

	while (done < length) {
		ssize_t got = pread(server->memory.files[plan->run->source], server->buffer + done,
				    length - done, (off_t)(start * BLOCK_SIZE + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return damaged(server, plan, (uint32_t)(done / BLOCK_SIZE));
		done += (size_t)got;
	}
	return check_blocks(server, plan);
}

static void count(_Atomic uint64_t *counter, uint64_t number)
{
	atomic_fetch_add_explicit(counter, number, memory_order_relaxed);
}

/* One call for `blocks` blocks from `block` on: returns how many were put, or a negative errno. */
static int64_t put_once(struct page_server *server, const struct plan *plan, uint32_t block,
			uint32_t blocks)
{
	uint64_t length = (uint64_t)blocks * BLOCK_SIZE;
	struct uffdio_copy copy = {
		.dst = address_of(plan, block),
		.src = (uintptr_t)server->buffer + (uint64_t)(block - plan->first) * BLOCK_SIZE,
		.len = length,
	};
	struct uffdio_zeropage zero = {.range = {.start = copy.dst, .len = length}};
	int64_t put;
	int failed;

	count(&server->statistics.ioctls, 1);
	if (is_zero(plan)) {
		failed = ioctl(server->uffd, UFFDIO_ZEROPAGE, &zero);
		put = zero.zeropage;
	} else {
		failed = ioctl(server->uffd, UFFDIO_COPY, &copy);
		put = copy.copy;
	}
	if (!failed)
		return blocks;
	/* A part may be done; what stopped it is told by the next call. */
	return put > 0 ? put / BLOCK_SIZE : -(int64_t)errno;
}

static void count_blocks(struct page_server *server, const struct plan *plan, uint32_t blocks)
{
	if (plan->removed)
		count(&server->statistics.removed_blocks, blocks);
	else if (is_zero(plan))
		count(&server->statistics.zero_blocks, blocks);
	else
		count(&server->statistics.served_blocks, blocks);
}

/* Puts `blocks` blocks from `block` on, until one fails. Returns 0 or its errno. */
static int put(struct page_server *server, const struct plan *plan, uint32_t block, uint32_t blocks)
{
	while (blocks > 0) {
		int64_t done = put_once(server, plan, block, blocks);

		if (done < 0) {
			if (done == -EAGAIN)
				count(&server->statistics.eagain, 1);
			if (done == -EEXIST)
				count(&server->statistics.eexist, 1);
			return (int)-done;
		}
		count_blocks(server, plan, (uint32_t)done);
		block += (uint32_t)done;
		blocks -= (uint32_t)done;
	}
	return 0;
}

/* For a page that is already there: its fault was read before it came. */
static int wake(struct page_server *server, const struct plan *plan)
{
	struct uffdio_range range = {
		.start = address_of(plan, plan->wanted),
		.len = BLOCK_SIZE,
	};

	count(&server->statistics.ioctls, 1);
	return ioctl(server->uffd, UFFDIO_WAKE, &range) == 0 ? 0 : errno;
}

/*
 * The window has a page that is there already, or that is mapped apart. The
 * wanted block goes first; when it was there nothing else needs to be done.
 */
static int put_singly(struct page_server *server, const struct plan *plan)
{
	int error = put(server, plan, plan->wanted, 1);

	if (error == EEXIST)
		return wake(server, plan);
	for (uint32_t index = 0; index < plan->count && !error; index++) {
		error = put(server, plan, plan->first + index, 1);
		if (error == EEXIST || error == ENOENT)
			error = 0;
	}
	return error;
}

enum answer answer_fault(struct page_server *server, uint64_t address, uint64_t *answered_to)
{
	const struct region *region = find_region(server, address);
	struct plan plan;
	int error;

	*answered_to = address;
	/* Nothing that was agreed on; the VMM harms itself alone. */
	if (!region)
		return ANSWERED;
	plan = make_plan(server, region, address);
	if (!is_zero(&plan) && !read_blocks(server, &plan))
		return ANSWER_ENDED;

	error = put(server, &plan, plan.first, plan.count);
	if (error == EEXIST || (error == ENOENT && plan.count > 1))
		error = put_singly(server, &plan);
	else if (!error)
		*answered_to = address_of(&plan, plan.first) + (uint64_t)plan.count * BLOCK_SIZE;

	switch (error) {
	case EAGAIN:
		return ANSWER_AGAIN;
	case 0:
	case ENOENT: /* the range is gone, */
	case ESRCH: /* or the whole VMM */
		return ANSWERED;
	default:
		page_server_fail(server, error, "put pages into the VMM");
		return ANSWER_ENDED;
	}
}
