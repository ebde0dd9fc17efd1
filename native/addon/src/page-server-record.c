/*
 * Which blocks faults have demanded, in order: the next machine of the same
 * memory will want them too. Bounded in time and number, since what a guest
 * touches later says little about how the next one begins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "page-server.h"

#define RECORDING_MS_MAX INT64_C(10000)
/* A first block and a number of blocks. */
#define PAIR 2

void begin_recording(struct recorded_blocks *recorded)
{
	pthread_mutex_lock(&recorded->lock);
	recorded->ends_at_ms = monotonic_ms() + RECORDING_MS_MAX;
	pthread_mutex_unlock(&recorded->lock);
}

void stop_recording(struct recorded_blocks *recorded)
{
	pthread_mutex_lock(&recorded->lock);
	recorded->stopped = true;
	pthread_mutex_unlock(&recorded->lock);
}

/* One that does not fit into memory is of no use: recording ends. */
static void append_pair(struct recorded_blocks *recorded, uint32_t first, uint32_t blocks)
{
	struct number_list *pairs = &recorded->pairs;
	uint32_t pair[PAIR] = {first, blocks};

	if (pairs->count) {
		uint32_t *last = pairs->numbers + pairs->count - PAIR;

		if (last[0] + last[1] == first) {
			last[1] += blocks;
			return;
		}
	}
	if (append_numbers(pairs, pair, PAIR))
		recorded->stopped = true;
}

void record_blocks(struct recorded_blocks *recorded, uint32_t first, uint32_t blocks)
{
	pthread_mutex_lock(&recorded->lock);
	if (monotonic_ms() >= recorded->ends_at_ms)
		recorded->stopped = true;
	if (!recorded->stopped) {
		uint32_t left = WORKING_SET_BLOCKS_MAX - recorded->blocks;

		blocks = blocks < left ? blocks : left;
		append_pair(recorded, first, blocks);
		recorded->blocks += blocks;
		if (recorded->blocks == WORKING_SET_BLOCKS_MAX)
			recorded->stopped = true;
	}
	pthread_mutex_unlock(&recorded->lock);
}

int copy_recorded(struct recorded_blocks *recorded, uint32_t **numbers, size_t *numbers_count)
{
	const struct number_list *pairs = &recorded->pairs;
	int error = 0;

	pthread_mutex_lock(&recorded->lock);
	*numbers_count = pairs->count;
	*numbers = malloc(pairs->count ? pairs->count * sizeof(**numbers) : 1);
	if (!*numbers)
		error = ENOMEM;
	else if (pairs->count)
		memcpy(*numbers, pairs->numbers, pairs->count * sizeof(**numbers));
	pthread_mutex_unlock(&recorded->lock);
	return error;
}
