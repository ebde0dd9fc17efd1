/* Memory that is a private map of a file: what the guest writes stays with the process. */
#include "memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A file that ends early would kill the guest at some access later on. */
static void check_size(const struct settings *settings)
{
	struct stat status;

	if (fstat(settings->fd, &status) != 0)
		die(EXIT_MAP, "cannot look at the memory file", errno);
	if (!S_ISREG(status.st_mode) || status.st_size < 0 ||
	    (uint64_t)status.st_size != settings->bytes)
		die(EXIT_MAP, "the memory file has another size than the memory", 0);
}

void *map_file(void *address, const struct settings *settings, int protection)
{
	/* MAP_FIXED: QEMU has reserved the range, and wants the memory in it. */
	int flags = MAP_PRIVATE | MAP_NORESERVE | (address == NULL ? 0 : MAP_FIXED);
	long base;

	check_size(settings);

	base = syscall(SYS_mmap, address, settings->bytes, protection, flags, settings->fd, 0L);
	if ((void *)base == MAP_FAILED)
		die(EXIT_MAP, "cannot map the memory file", errno);

	close(settings->fd);
	return (void *)base;
}
