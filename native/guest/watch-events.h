/*
 * Events of the kernel, in the order in which they came, with one look ahead: a rename is two
 * events, which mostly come one after the other, and which belong together.
 */
#ifndef WRENN_GUEST_WATCH_EVENTS_H
#define WRENN_GUEST_WATCH_EVENTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>

enum {
	EVENT_BUFFER_BYTES = 65536,
	EVENT_BYTES_MAX = sizeof(struct inotify_event) + NAME_MAX + 1,
	/* How long the second half of a rename may take after the first. */
	PAIR_WAIT_MS = 20,
};

struct events {
	int fd;
	size_t start;
	size_t end;
	/* Up to here all have waited long enough for their second half. */
	size_t settled;
	_Alignas(struct inotify_event) unsigned char buffer[EVENT_BUFFER_BYTES];
};

/* Waits until there is something to read. Returns an error number: EPIPE when nobody is left to read
 * the output. */
int events_wait(const struct events *events, int output_fd);

/* Reads what there is, once all that was read before is taken; returns an error number. */
int events_read(struct events *events);

/* Whether there is something to read. */
bool events_are_waiting(const struct events *events);

/* The next event; NULL when all were taken. It stands until the next call of events_read. */
struct inotify_event *events_next(struct events *events);

/* The second half of a rename, taken out of its place; NULL when none comes. */
struct inotify_event *events_take_pair(struct events *events, uint32_t cookie);

#endif
