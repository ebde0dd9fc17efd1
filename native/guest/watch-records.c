/* The records of a watch on their way out; see watch-records.h. */
#include "watch-records.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_BYTES = 8 };

_Static_assert(HEADER_BYTES + 2 * PATH_MAX <= RECORD_BUFFER_BYTES, "every record fits the buffer");

static void put_number(unsigned char *at, size_t number)
{
	at[0] = (unsigned char)(number & 0xff);
	at[1] = (unsigned char)(number >> 8 & 0xff);
}

void records_flush(struct records *records)
{
	const unsigned char *rest = records->buffer;

	while (records->length > 0 && !records->refused) {
		ssize_t written = write(records->fd, rest, records->length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			records->refused = true;
			break;
		}
		rest += written;
		records->length -= (size_t)written;
	}
	records->length = 0;
}

void records_add(struct records *records, const struct record *record)
{
	const char *path = record->path != NULL ? record->path : "";
	const char *old_path = record->old_path != NULL ? record->old_path : "";
	size_t path_bytes = strnlen(path, PATH_MAX);
	size_t old_path_bytes = strnlen(old_path, PATH_MAX);
	unsigned char *at;

	if (HEADER_BYTES + path_bytes + old_path_bytes > sizeof(records->buffer) - records->length)
		records_flush(records);
	at = records->buffer + records->length;
	at[0] = (unsigned char)record->kind;
	at[1] = record->is_directory;
	put_number(at + 2, (size_t)record->error);
	put_number(at + 4, path_bytes);
	put_number(at + 6, old_path_bytes);
	memcpy(at + HEADER_BYTES, path, path_bytes);
	memcpy(at + HEADER_BYTES + path_bytes, old_path, old_path_bytes);
	records->length += HEADER_BYTES + path_bytes + old_path_bytes;
}
