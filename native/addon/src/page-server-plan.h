/*
 * Blocks that are brought together, because a fault wants one of them or because
 * a replay does: how they are read and checked, and put into the VMM's memory.
 */
#ifndef WRENN_PAGE_SERVER_PLAN_H
#define WRENN_PAGE_SERVER_PLAN_H

#include "page-server.h"

/* The blocks come from the same place and are in the same region. */
struct plan {
	const struct region *region;
	uint32_t first;
	uint32_t count;
	bool removed;
	const struct run *run;
	/* Where they are read to. */
	uint8_t *buffer;
};

uint64_t address_of(const struct plan *plan, uint32_t block);
bool is_zero(const struct plan *plan);

/* The first of the blocks, counted from the plan's, that cannot be read or is wrong; -1 when all are right. */
int64_t read_plan(const struct page_server *server, const struct plan *plan);

/*
 * One call for `blocks` blocks from `block` on: returns how many were put, or a
 * negative errno. Counts them.
 */
int64_t put_once(struct page_server *server, const struct plan *plan, uint32_t block,
		 uint32_t blocks);

void count(_Atomic uint64_t *counter, uint64_t number);

static inline uint32_t larger(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

static inline uint32_t smaller(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

#endif
