/* Lists of numbers that grow. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "number-list.h"

#define CAPACITY_AT_FIRST 1024
#define RUN_NUMBERS (sizeof(struct run) / sizeof(uint32_t))

static int grow(struct number_list *list, size_t wanted)
{
	size_t capacity = list->capacity ? list->capacity : CAPACITY_AT_FIRST;
	uint32_t *numbers;

	while (capacity < wanted)
		capacity *= 2;
	if (capacity == list->capacity)
		return 0;
	numbers = reallocarray(list->numbers, capacity, sizeof(*numbers));
	if (!numbers)
		return ENOMEM;
	list->numbers = numbers;
	list->capacity = capacity;
	return 0;
}

int append_numbers(struct number_list *list, const uint32_t *numbers, size_t count)
{
	if (grow(list, list->count + count))
		return ENOMEM;
	memcpy(list->numbers + list->count, numbers, count * sizeof(*numbers));
	list->count += count;
	return 0;
}

static bool in_file(const struct run *run)
{
	return run->source != SOURCE_ZERO && run->source != SOURCE_INHERIT;
}

static bool continues(const struct run *last, const struct run *run)
{
	return last->source == run->source && last->block + last->count == run->block &&
	       (!in_file(run) || last->source_block + last->count == run->source_block);
}

int append_run(struct number_list *list, struct run run)
{
	if (run.count == 0)
		return 0;
	if (list->count) {
		struct run *last = (struct run *)(list->numbers + list->count - RUN_NUMBERS);

		if (continues(last, &run)) {
			last->count += run.count;
			return 0;
		}
	}
	return append_numbers(list, (const uint32_t *)&run, RUN_NUMBERS);
}

void free_numbers(struct number_list *list)
{
	free(list->numbers);
	*list = (struct number_list){0};
}
