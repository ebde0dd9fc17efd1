/*
 * Which blocks the VMM has given back, one bit for each, lowest first. The bits
 * are in memory and written through to a file, which is not mapped: a fault on
 * a mapped file that is shortened or on a bad disk would end the whole agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page-server.h"

/* The folder may be the VMM's: what lies there must be a file that only we can have made. */
static int check_file(int file, uint64_t size)
{
	struct stat status;

	if (fstat(file, &status) != 0)
		return errno;
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1 ||
	    (status.st_mode & (S_IWGRP | S_IWOTH)))
		return EPERM;
	return status.st_size == 0 || (uint64_t)status.st_size == size ? 0 : EINVAL;
}

static int read_bits(struct removed_blocks *removed)
{
	size_t done = 0;

	while (done < removed->size) {
		ssize_t got = pread(removed->file, removed->bits + done, removed->size - done,
				    (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? errno : EIO;
		done += (size_t)got;
	}
	return 0;
}

int open_removed(struct removed_blocks *removed, const char *path, uint32_t block_count)
{
	int error;

	removed->size = ((size_t)block_count + 7) / 8;
	removed->bits = calloc(1, removed->size);
	if (!removed->bits)
		return ENOMEM;
	removed->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (removed->file < 0)
		return errno;
	error = check_file(removed->file, removed->size);
	/* All of its space now, so that a full disk is no matter of a running machine. */
	if (!error)
		error = posix_fallocate(removed->file, 0, (off_t)removed->size);
	return error ? error : read_bits(removed);
}

static int write_bits(const struct removed_blocks *removed, size_t first, size_t end)
{
	while (first < end) {
		ssize_t put = pwrite(removed->file, removed->bits + first, end - first, (off_t)first);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? errno : EIO;
		first += (size_t)put;
	}
	return 0;
}

/* Sets bits; whether one was not set. A range may be all of the memory, and comes again at will. */
static bool set_bits(uint8_t *bits, size_t first, size_t end)
{
	bool changed = false;

	while (first < end) {
		bool whole = first % 8 == 0 && end - first >= 8;
		uint8_t mask = (uint8_t)(whole ? 0xffu : 1u << first % 8);

		changed |= (bits[first / 8] & mask) != mask;
		bits[first / 8] |= mask;
		first += whole ? 8 : 1;
	}
	return changed;
}

int mark_removed(struct removed_blocks *removed, uint32_t first, uint32_t count)
{
	size_t end = (size_t)first + count;

	if (!set_bits(removed->bits, first, end))
		return 0;
	return write_bits(removed, first / 8, (end - 1) / 8 + 1);
}

bool is_removed(const struct removed_blocks *removed, uint32_t block)
{
	return removed->bits[block / 8] >> block % 8 & 1;
}

void close_removed(struct removed_blocks *removed)
{
	if (removed->file >= 0)
		close(removed->file);
	removed->file = -1;
	free(removed->bits);
	removed->bits = NULL;
}
