/*
 * What `wrenn-guest watch` writes to its standard output: records, each of a header and two paths.
 *
 *     byte 0     kind, a letter of enum record_kind
 *     byte 1     1 for a directory, else 0
 *     bytes 2-3  error number, of RECORD_ENDED only
 *     bytes 4-5  length of the path in bytes
 *     bytes 6-7  length of the path before a rename in bytes
 *     then       the two paths, below the watched directory, as the kernel knows them
 *
 * Numbers are little-endian. An empty path is the watched directory itself.
 */
#ifndef WRENN_GUEST_WATCH_RECORDS_H
#define WRENN_GUEST_WATCH_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

enum record_kind {
	RECORD_READY = 'R',
	RECORD_CREATE = 'C',
	RECORD_WRITE = 'W',
	RECORD_REMOVE = 'D',
	RECORD_RENAME = 'N',
	RECORD_CHMOD = 'M',
	RECORD_OVERFLOW = 'O',
	/* The last one: why there is nothing more. */
	RECORD_ENDED = 'E',
};

struct record {
	enum record_kind kind;
	bool is_directory;
	int error;
	/* NULL is as good as empty. */
	const char *path;
	const char *old_path;
};

enum { RECORD_BUFFER_BYTES = 65536 };

struct records {
	int fd;
	/* Whether nobody takes them any more. */
	bool refused;
	size_t length;
	unsigned char buffer[RECORD_BUFFER_BYTES];
};

/* Adds a record; writes those before it when there is no more room. */
void records_add(struct records *records, const struct record *record);

/* Writes all that were added. */
void records_flush(struct records *records);

#endif
