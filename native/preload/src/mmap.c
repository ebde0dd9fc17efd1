/* Stands in for mmap and mmap64: finds the mapping of the guest's memory among all others. */
#include "memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both names are one function, and the offset is one argument of the system call. */
_Static_assert(sizeof(off_t) == sizeof(off64_t) && sizeof(long) == 8, "a 64-bit system is needed");

#define EXPORTED __attribute__((visibility("default")))

/* How the kernel names the file that QEMU's memory-backend-memfd makes. */
static const char MEMORY_FILE[] = "/memfd:memory-backend-memfd (deleted)";

/* What was served cannot be told from the arguments of the next call. */
static atomic_flag memory_served = ATOMIC_FLAG_INIT;

static void *plain_mmap(void *address, size_t length, int protection, int flags, int fd,
			off_t offset)
{
	return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

static bool is_shared(int flags)
{
	int type = flags & MAP_TYPE;

	return type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
}

static bool is_memory_file(int fd)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];
	char target[sizeof(MEMORY_FILE) + 1];
	int caller_errno = errno;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target));
	errno = caller_errno;
	return length == (ssize_t)strlen(MEMORY_FILE) &&
	       memcmp(target, MEMORY_FILE, strlen(MEMORY_FILE)) == 0;
}

static void *map_memory(void *address, size_t length, int protection, int flags, int fd,
			off_t offset)
{
	struct settings settings;
	void *base;

	if (atomic_flag_test_and_set(&memory_served))
		die(EXIT_SECOND_MAPPING, "the guest's memory is mapped a second time", 0);
	settings = take_settings();
	if (length != settings.bytes || offset != 0)
		die(EXIT_OTHER_MAPPING, "the guest's memory has another size than announced", 0);

	if (settings.mode == MODE_FILE)
		return map_file(address, &settings, protection);

	base = plain_mmap(address, length, protection, flags, fd, offset);
	if (base == MAP_FAILED)
		die(EXIT_MAP, "cannot map the guest's memory", errno);
	serve_pages(base, &settings);
	return base;
}

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (fd >= 0 && !(flags & MAP_ANONYMOUS) && is_shared(flags) && is_memory_file(fd))
		return map_memory(address, length, protection, flags, fd, offset);
	return plain_mmap(address, length, protection, flags, fd, offset);
}

/* Programs that were built for large files call it by this name. */
EXPORTED void *mmap64(void *address, size_t length, int protection, int flags, int fd,
		      off_t offset) __attribute__((alias("mmap")));
