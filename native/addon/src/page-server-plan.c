/* Reads and checks blocks, and puts them into the VMM's memory. */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "crc32c.h"
#include "page-server-plan.h"

uint64_t address_of(const struct plan *plan, uint32_t block)
{
	return plan->region->address + ((uint64_t)block * BLOCK_SIZE - plan->region->offset);
}

bool is_zero(const struct plan *plan)
{
	return plan->removed || plan->run->source == SOURCE_ZERO;
}

void count(_Atomic uint64_t *counter, uint64_t number)
{
	atomic_fetch_add_explicit(counter, number, memory_order_relaxed);
}

static int64_t check_plan(const struct page_server *server, const struct plan *plan)
{
	const struct mapped_memory *memory = &server->memory;
	const uint32_t *checksums;

	if (!memory->checksums)
		return -1;
	checksums = memory->checksums + memory->run_checksums[plan->run - memory->runs] +
		    (plan->first - plan->run->block);
	for (uint32_t index = 0; index < plan->count; index++)
		if (crc32c(0, plan->buffer + (size_t)index * BLOCK_SIZE, BLOCK_SIZE) !=
		    checksums[index])
			return index;
	return -1;
}

int64_t read_plan(const struct page_server *server, const struct plan *plan)
{
	uint64_t start = plan->run->source_block + (uint64_t)(plan->first - plan->run->block);
	size_t length = (size_t)plan->count * BLOCK_SIZE;
	size_t done = 0;

	while (done < length) {
		ssize_t got = pread(server->memory.files[plan->run->source], plan->buffer + done,
				    length - done, (off_t)(start * BLOCK_SIZE + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return (int64_t)(done / BLOCK_SIZE);
		done += (size_t)got;
	}
	return check_plan(server, plan);
}

static void count_blocks(struct page_server *server, const struct plan *plan, uint64_t blocks)
{
	if (plan->removed)
		count(&server->statistics.removed_blocks, blocks);
	else if (is_zero(plan))
		count(&server->statistics.zero_blocks, blocks);
	else
		count(&server->statistics.served_blocks, blocks);
}

static int64_t note_failure(struct page_server *server, int error)
{
	if (error == EAGAIN)
		count(&server->statistics.eagain, 1);
	if (error == EEXIST)
		count(&server->statistics.eexist, 1);
	return -(int64_t)error;
}

int64_t put_once(struct page_server *server, const struct plan *plan, uint32_t block,
		 uint32_t blocks)
{
	uint64_t length = (uint64_t)blocks * BLOCK_SIZE;
	struct uffdio_copy copy = {
		.dst = address_of(plan, block),
		.src = (uintptr_t)plan->buffer + (uint64_t)(block - plan->first) * BLOCK_SIZE,
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
	/* A part may be done; what stopped it is told by the next call. */
	if (failed && put <= 0)
		return note_failure(server, errno);
	put = failed ? put / BLOCK_SIZE : (int64_t)blocks;
	count_blocks(server, plan, (uint64_t)put);
	return put;
}
