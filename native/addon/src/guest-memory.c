/*
 * The memory of a guest that stands still, either a shared file or a private
 * map in the VMM.
 *
 * A shared file is never mapped here: one access to a hole would put a page of
 * zeros there, in the place of what the guest has not asked for yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block-io.h"
#include "guest-memory.h"

/* Bits of an entry of /proc/PID/pagemap. */
#define PAGE_PRESENT (1ull << 63)
#define PAGE_SWAPPED (1ull << 62)
#define PAGE_OF_FILE (1ull << 61)

#define PROC_PATH_SIZE 64

static uint32_t least(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

static int open_shared_file(const struct guest_memory *memory)
{
	struct stat status;

	if (fstat(memory->memfd, &status) < 0)
		return errno;
	return (uint64_t)status.st_size < (uint64_t)memory->block_count * BLOCK_SIZE ? EINVAL : 0;
}

/* Blocks of the file that have content. What lies in swap counts as well. */
static int next_data(const struct guest_memory *memory, uint32_t block, uint32_t *first,
		     uint32_t *count)
{
	off_t size = (off_t)memory->block_count * BLOCK_SIZE;
	off_t data = lseek(memory->memfd, (off_t)block * BLOCK_SIZE, SEEK_DATA), hole;

	*count = 0;
	if (data < 0)
		return errno == ENXIO ? 0 : errno;
	if (data >= size)
		return 0;
	hole = lseek(memory->memfd, data, SEEK_HOLE);
	if (hole < 0)
		return errno;
	if (hole > size)
		hole = size;
	*first = (uint32_t)(data / BLOCK_SIZE);
	*count = (uint32_t)((hole + BLOCK_SIZE - 1) / BLOCK_SIZE) - *first;
	return 0;
}

/*
 * Whether a file is mapped privately at all addresses, from its start on. The
 * page map would not tell: its entries are empty where nothing is mapped, as
 * they are where nothing was written.
 */
static int check_maps(FILE *maps, uint64_t address, uint64_t end)
{
	unsigned long long start, stop, offset, inode;
	uint64_t next = address;
	char *line = NULL, mode[5];
	size_t size = 0;

	while (next < end && getline(&line, &size, maps) >= 0) {
		if (sscanf(line, "%llx-%llx %4s %llx %*s %llu", &start, &stop, mode, &offset,
			   &inode) != 5 || stop <= next)
			continue;
		if (start > next || mode[3] != 'p' || inode == 0 ||
		    offset + (next - start) != next - address)
			break;
		next = stop;
	}
	free(line);
	return next < end ? EFAULT : 0;
}

static int check_mapped(const struct guest_memory *memory)
{
	uint64_t size = (uint64_t)memory->block_count * BLOCK_SIZE;
	char path[PROC_PATH_SIZE];
	FILE *maps;
	int error;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)memory->pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? ESRCH : errno;
	error = check_maps(maps, memory->address, memory->address + size);
	fclose(maps);
	return error;
}

static int open_private_map(struct guest_memory *memory)
{
	uint64_t size = (uint64_t)memory->block_count * BLOCK_SIZE;
	char path[PROC_PATH_SIZE];
	int error;

	if (sysconf(_SC_PAGESIZE) != BLOCK_SIZE)
		return EOPNOTSUPP;
	if (memory->address % BLOCK_SIZE || memory->address > (uint64_t)INT64_MAX - size)
		return EINVAL;
	memory->pidfd = (int)syscall(SYS_pidfd_open, memory->pid, 0);
	if (memory->pidfd < 0)
		return errno;
	error = check_mapped(memory);
	if (error)
		return error;
	memory->entries = calloc(PAGE_ENTRIES, sizeof(*memory->entries));
	if (!memory->entries)
		return ENOMEM;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)memory->pid);
	memory->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (memory->pagemap < 0)
		return errno == ENOENT ? ESRCH : errno;
	return 0;
}

static int read_entries(struct guest_memory *memory, uint32_t block)
{
	uint32_t wanted = least(PAGE_ENTRIES, memory->block_count - block);
	off_t at = (off_t)((memory->address / BLOCK_SIZE + block) * sizeof(uint64_t));
	ssize_t got;

	do {
		got = pread(memory->pagemap, memory->entries, wanted * sizeof(uint64_t), at);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno;
	/* A process that has ended has no map any more. */
	if (got < (ssize_t)sizeof(uint64_t))
		return ESRCH;
	memory->entries_block = block;
	memory->entries_end = block + (uint32_t)((size_t)got / sizeof(uint64_t));
	return 0;
}

/* Whether a page is the process's own, and not that of the file. */
static bool is_own(const struct guest_memory *memory, uint32_t block)
{
	uint64_t entry = memory->entries[block - memory->entries_block];

	return (entry & PAGE_SWAPPED) || (entry & (PAGE_PRESENT | PAGE_OF_FILE)) == PAGE_PRESENT;
}

static int next_own(struct guest_memory *memory, uint32_t block, uint32_t *first, uint32_t *count)
{
	*count = 0;
	while (block < memory->block_count && *count == 0) {
		bool held = block >= memory->entries_block && block < memory->entries_end;
		int error = held ? 0 : read_entries(memory, block);

		if (error)
			return error;
		while (block < memory->entries_end && !is_own(memory, block))
			block++;
		*first = block;
		while (block < memory->entries_end && is_own(memory, block))
			block++;
		*count = block - *first;
	}
	return 0;
}

static int read_process(const struct guest_memory *memory, uint32_t first, uint32_t count,
			void *bytes)
{
	size_t size = (size_t)count * BLOCK_SIZE, done = 0;
	uint64_t start = memory->address + (uint64_t)first * BLOCK_SIZE;

	while (done < size) {
		struct iovec local = { (char *)bytes + done, size - done };
		struct iovec remote = { (void *)(uintptr_t)(start + done), size - done };
		ssize_t got = process_vm_readv(memory->pid, &local, 1, &remote, 1, 0);

		if (got == 0)
			return EFAULT;
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

int open_guest_memory(struct guest_memory *memory)
{
	return memory->kind == SHARED_FILE ? open_shared_file(memory) : open_private_map(memory);
}

void close_guest_memory(struct guest_memory *memory)
{
	if (memory->memfd >= 0)
		close(memory->memfd);
	if (memory->pagemap >= 0)
		close(memory->pagemap);
	if (memory->pidfd >= 0)
		close(memory->pidfd);
	free(memory->entries);
}

int next_touched(struct guest_memory *memory, uint32_t block, uint32_t *first, uint32_t *count)
{
	return memory->kind == SHARED_FILE ? next_data(memory, block, first, count)
					   : next_own(memory, block, first, count);
}

int read_touched(const struct guest_memory *memory, uint32_t first, uint32_t count, void *bytes)
{
	return memory->kind == SHARED_FILE ? read_blocks(memory->memfd, first, count, bytes)
					   : read_process(memory, first, count, bytes);
}

int check_still_there(const struct guest_memory *memory)
{
	struct pollfd process = { .fd = memory->pidfd, .events = POLLIN };

	if (memory->kind == SHARED_FILE)
		return 0;
	if (poll(&process, 1, 0) < 0)
		return errno;
	return process.revents ? ESRCH : 0;
}
