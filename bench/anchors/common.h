/* What the programs that benchmarks compare with share. Each of them ends at its first error. */
#ifndef WRENN_ANCHORS_COMMON_H
#define WRENN_ANCHORS_COMMON_H

#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_SIZE 4096u

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (end == text || *end)
		error(2, 0, "%s is no number", text);
	return number;
}

/* Stays on one processor, so that all that are compared have the same way to one another. */
static inline void pin(const char *processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)parse_number(processor), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		error(1, errno, "sched_setaffinity");
}

/* A whole file, read into memory before it is needed. */
static inline uint8_t *map_file(const char *path, uint64_t size)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *content;

	if (file < 0)
		error(1, errno, "%s", path);
	content = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	if (content == MAP_FAILED)
		error(1, errno, "map %s", path);
	close(file);
	return content;
}

/* Guest memory as a VMM has it: a shared memory file. */
static inline uint8_t *map_guest(uint64_t size)
{
	int file = memfd_create("guest", MFD_CLOEXEC);
	uint8_t *memory;

	if (file < 0 || ftruncate(file, (off_t)size) != 0)
		error(1, errno, "memfd");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED)
		error(1, errno, "map the guest");
	close(file);
	return memory;
}

/* A userfaultfd to which each first access to the memory goes. */
static inline int watch_faults(uint8_t *memory, uint64_t size)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)memory, .len = size},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (uffd < 0)
		error(1, errno, "userfaultfd");
	if (ioctl(uffd, UFFDIO_API, &api) != 0 || ioctl(uffd, UFFDIO_REGISTER, &range) != 0)
		error(1, errno, "set up the userfaultfd");
	return uffd;
}

#endif
