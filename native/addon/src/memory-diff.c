/* What differs between a memory and its parent. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "block-io.h"
#include "crc32c.h"
#include "memory-diff.h"

/* Bytes after which the search for one that is not zero may stop. */
#define ZERO_STEP 512

enum verdict {
	INHERIT,
	ZERO,
	WRITE,
	/* Only the parent's content can tell. */
	COMPARE,
};

/* Blocks that lie in one place in the parent. */
struct segment {
	uint32_t first;
	uint32_t count;
	/* NULL where the parent is zero, or where there is none. */
	const struct run *run;
	/* Of the segment's blocks; NULL when they are not known. */
	const uint32_t *checksums;
};

static uint32_t least(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

static bool is_zero(const uint8_t *block)
{
	for (size_t at = 0; at < BLOCK_SIZE; at += ZERO_STEP) {
		uint64_t words[ZERO_STEP / sizeof(uint64_t)], all = 0;

		memcpy(words, block + at, sizeof(words));
		for (size_t index = 0; index < ZERO_STEP / sizeof(uint64_t); index++)
			all |= words[index];
		if (all)
			return false;
	}
	return true;
}

static bool is_removed(const struct memory_diff *diff, uint32_t block)
{
	return diff->removed && diff->removed[block / 8] >> block % 8 & 1;
}

/* The place of blocks in the parent, as far as it is one. Blocks are asked for in order. */
static struct segment segment_at(struct memory_diff *diff, uint32_t first, uint32_t count)
{
	const struct mapped_memory *parent = diff->parent;
	struct segment segment = { .first = first, .count = count };
	const struct run *run;
	uint32_t skipped;

	if (!parent)
		return segment;
	while (first - parent->runs[diff->parent_run].block >=
	       parent->runs[diff->parent_run].count)
		diff->parent_run++;
	run = &parent->runs[diff->parent_run];
	skipped = first - run->block;
	segment.count = least(count, run->count - skipped);
	if (run->source == SOURCE_ZERO)
		return segment;
	segment.run = run;
	if (parent->checksums)
		segment.checksums =
			parent->checksums + parent->run_checksums[diff->parent_run] + skipped;
	return segment;
}

/* What becomes of a block where the memory is zero. */
static enum verdict zero_verdict(const struct memory_diff *diff, const struct segment *segment)
{
	return diff->parent && !segment->run ? INHERIT : ZERO;
}

static int add_verdict(struct memory_diff *diff, enum verdict verdict, uint32_t first,
		       uint32_t count)
{
	uint32_t source = verdict == INHERIT ? SOURCE_INHERIT : SOURCE_ZERO;

	return append_run(&diff->runs, (struct run){ first, count, source, 0 });
}

static enum verdict untouched_verdict(const struct memory_diff *diff,
				      const struct segment *segment, uint32_t block)
{
	if (!diff->parent || is_removed(diff, block))
		return zero_verdict(diff, segment);
	return INHERIT;
}

int add_untouched(struct memory_diff *diff, uint32_t first, uint32_t count)
{
	uint32_t end = first + count;
	int error = 0;

	if (!diff->parent || !diff->removed)
		return add_verdict(diff, diff->parent ? INHERIT : ZERO, first, count);
	while (!error && first < end) {
		struct segment segment = segment_at(diff, first, end - first);
		enum verdict verdict = untouched_verdict(diff, &segment, first);
		uint32_t next = first + 1;

		while (next < first + segment.count &&
		       untouched_verdict(diff, &segment, next) == verdict)
			next++;
		error = add_verdict(diff, verdict, first, next - first);
		first = next;
	}
	return error;
}

/* Decides what can be told without the parent's content. */
static void judge(struct memory_diff *diff, const struct segment *segment, uint32_t at)
{
	for (uint32_t index = 0; index < segment->count; index++) {
		const uint8_t *block = diff->bytes + (size_t)(at + index) * BLOCK_SIZE;
		uint8_t *verdict = &diff->verdicts[at + index];

		if (is_zero(block)) {
			*verdict = (uint8_t)zero_verdict(diff, segment);
			continue;
		}
		diff->sums[at + index] = crc32c(0, block, BLOCK_SIZE);
		if (!segment->run)
			*verdict = WRITE;
		else if (segment->checksums &&
			 segment->checksums[index] != diff->sums[at + index])
			*verdict = WRITE;
		else
			*verdict = COMPARE;
	}
}

static uint32_t same_verdicts(const struct memory_diff *diff, uint32_t at, uint32_t end)
{
	uint32_t next = at + 1;

	while (next < end && diff->verdicts[next] == diff->verdicts[at])
		next++;
	return next - at;
}

static int compare_blocks(struct memory_diff *diff, int file, uint32_t file_block, uint32_t at,
			  uint32_t count)
{
	int error = read_blocks(file, file_block, count, diff->parent_bytes);

	for (uint32_t index = 0; !error && index < count; index++) {
		const uint8_t *block = diff->bytes + (size_t)(at + index) * BLOCK_SIZE;
		const uint8_t *other = diff->parent_bytes + (size_t)index * BLOCK_SIZE;
		bool same = memcmp(block, other, BLOCK_SIZE) == 0;

		diff->verdicts[at + index] = same ? INHERIT : WRITE;
	}
	return error;
}

/* Decides the rest by what the parent's file holds; same checksums alone do not prove it. */
static int compare(struct memory_diff *diff, const struct segment *segment, uint32_t at)
{
	uint32_t end = at + segment->count;
	int error = 0;

	for (uint32_t next = at, count; !error && next < end; next += count) {
		const struct run *run = segment->run;
		uint32_t block = segment->first + (next - at);

		count = same_verdicts(diff, next, end);
		if (diff->verdicts[next] == COMPARE)
			error = compare_blocks(diff, diff->parent->files[run->source],
					       run->source_block + (block - run->block), next,
					       count);
	}
	return error;
}

static int write_changed(struct memory_diff *diff, uint32_t first, uint32_t at, uint32_t count)
{
	int error = write_blocks(diff->output, first, count,
				 diff->bytes + (size_t)at * BLOCK_SIZE);

	if (!error)
		error = append_numbers(&diff->checksums, diff->sums + at, count);
	if (!error)
		error = append_run(&diff->runs, (struct run){ first, count, 0, first });
	return error;
}

int add_touched(struct memory_diff *diff, uint32_t first, uint32_t count)
{
	int error = 0;

	for (uint32_t at = 0; !error && at < count;) {
		struct segment segment = segment_at(diff, first + at, count - at);

		judge(diff, &segment, at);
		error = compare(diff, &segment, at);
		at += segment.count;
	}
	for (uint32_t at = 0, same; !error && at < count; at += same) {
		same = same_verdicts(diff, at, count);
		if (diff->verdicts[at] == WRITE)
			error = write_changed(diff, first + at, at, same);
		else
			error = add_verdict(diff, diff->verdicts[at], first + at, same);
	}
	return error;
}

int begin_diff(struct memory_diff *diff)
{
	diff->bytes = malloc((size_t)CHUNK_BLOCKS * BLOCK_SIZE);
	diff->parent_bytes = malloc((size_t)CHUNK_BLOCKS * BLOCK_SIZE);
	return diff->bytes && diff->parent_bytes ? 0 : ENOMEM;
}

void end_diff(struct memory_diff *diff)
{
	free(diff->bytes);
	free(diff->parent_bytes);
	free_numbers(&diff->runs);
	free_numbers(&diff->checksums);
}
