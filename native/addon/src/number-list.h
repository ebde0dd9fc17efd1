/* Lists of numbers that grow: packed runs, and checksums. */
#ifndef WRENN_NUMBER_LIST_H
#define WRENN_NUMBER_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "mapped-memory.h"

struct number_list {
	uint32_t *numbers;
	size_t count;
	size_t capacity;
};

/* 0 or ENOMEM. */
int append_numbers(struct number_list *list, const uint32_t *numbers, size_t count);

/* Appends a run, or makes the last one longer when the run continues it. 0 or ENOMEM. */
int append_run(struct number_list *list, struct run run);

void free_numbers(struct number_list *list);

#endif
