/* Finds and writes what has changed in a guest's memory. */
#include <stdlib.h>
#include <unistd.h>

#include "block-io.h"
#include "memory-scan.h"

static int scan_touched(struct memory_scan *scan, uint32_t first, uint32_t count)
{
	int error = 0;

	scan->scanned_blocks += count;
	for (uint32_t part; !error && count; first += part, count -= part) {
		part = count < CHUNK_BLOCKS ? count : CHUNK_BLOCKS;
		error = read_touched(&scan->guest, first, part, scan->diff.bytes);
		if (!error)
			error = add_touched(&scan->diff, first, part);
	}
	return error;
}

static int scan_all(struct memory_scan *scan)
{
	uint32_t end = scan->guest.block_count, next = 0;
	int error = 0;

	while (!error && next < end) {
		uint32_t first = end, count;

		error = next_touched(&scan->guest, next, &first, &count);
		if (error)
			return error;
		if (count == 0)
			first = end;
		error = add_untouched(&scan->diff, next, first - next);
		if (!error)
			error = scan_touched(scan, first, count);
		next = first + count;
	}
	return error ? error : check_still_there(&scan->guest);
}

int scan_memory(struct memory_scan *scan)
{
	int error = check_file_sizes(&scan->parent);

	if (!error)
		error = open_guest_memory(&scan->guest);
	if (!error)
		error = prepare_output(scan->output, scan->guest.block_count);
	if (error)
		return error;

	scan->diff.parent = scan->has_parent ? &scan->parent : NULL;
	scan->diff.removed = scan->removed;
	scan->diff.output = scan->output;
	error = begin_diff(&scan->diff);
	return error ? error : scan_all(scan);
}

void free_scan(struct memory_scan *scan)
{
	end_diff(&scan->diff);
	close_guest_memory(&scan->guest);
	free_mapped_memory(&scan->parent);
	free(scan->removed);
	if (scan->output >= 0)
		close(scan->output);
	free(scan);
}
