/*
 * bulk-copy FILE SIZE RUN PROCESSOR
 *
 * Fills guest memory from a file by UFFDIO_COPY alone, RUN blocks a call, in
 * one thread and without a fault: nobody can serve it faster. Prints the
 * nanoseconds.
 */
#include "common.h"

int main(int argc, char **argv)
{
	uint64_t size, step, started;
	uint8_t *content, *memory;
	int uffd;

	if (argc != 5)
		error(2, 0, "usage: bulk-copy FILE SIZE RUN PROCESSOR");
	size = parse_number(argv[2]);
	step = parse_number(argv[3]) * BLOCK_SIZE;
	pin(argv[4]);
	content = map_file(argv[1], size);
	memory = map_guest(size);
	uffd = watch_faults(memory, size);

	started = now_ns();
	for (uint64_t at = 0; at < size; at += step) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)memory + at,
			.src = (uintptr_t)content + at,
			.len = step < size - at ? step : size - at,
		};

		if (ioctl(uffd, UFFDIO_COPY, &copy) != 0)
			error(1, errno, "UFFDIO_COPY");
	}
	printf("%llu\n", (unsigned long long)(now_ns() - started));
	return 0;
}
