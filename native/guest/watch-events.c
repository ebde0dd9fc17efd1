/* Events of the kernel; see watch-events.h. */
#define _GNU_SOURCE
#include "watch-events.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum {
	MS_PER_SEC = 1000,
	NS_PER_MS = 1000000,
	/* The rest of the buffer is for the look ahead. */
	BATCH_BYTES = EVENT_BUFFER_BYTES / 2,
};

int events_wait(const struct events *events, int output_fd)
{
	/* Of the output only its end is wanted, which poll() tells without being asked. */
	struct pollfd files[] = {
		{ .fd = events->fd, .events = POLLIN },
		{ .fd = output_fd, .events = 0 },
	};

	while (poll(files, 2, -1) < 0) {
		if (errno != EINTR)
			return errno;
	}
	return (files[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? EPIPE : 0;
}


int events_read(struct events *events)
{
	events->start = events->end = events->settled = 0;
	for (;;) {
		ssize_t got = read(events->fd, events->buffer + events->end, BATCH_BYTES);

		if (got >= 0) {
			events->end += (size_t)got;
			return 0;
		}
		if (errno != EINTR)
			return errno == EAGAIN ? 0 : errno;
	}
}

bool events_are_waiting(const struct events *events)
{
	struct pollfd file = { .fd = events->fd, .events = POLLIN };

	return poll(&file, 1, 0) > 0;
}

static struct inotify_event *event_at(struct events *events, size_t offset)
{
	return (struct inotify_event *)(events->buffer + offset);
}

struct inotify_event *events_next(struct events *events)
{
	while (events->start < events->end) {
		struct inotify_event *event = event_at(events, events->start);

		events->start += sizeof(*event) + event->len;
		if (event->mask != 0)
			return event;
	}
	return NULL;
}

static struct inotify_event *find_pair(struct events *events, uint32_t cookie)
{
	size_t offset = events->start;

	while (offset < events->end) {
		struct inotify_event *event = event_at(events, offset);

		if ((event->mask & IN_MOVED_TO) != 0 && event->cookie == cookie)
			return event;
		offset += sizeof(*event) + event->len;
	}
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * MS_PER_SEC + now.tv_nsec / NS_PER_MS;
}

/* Waits for further events until a time; false when it has come. */
static bool await_more(struct events *events, int64_t ends_at_ms)
{
	struct pollfd file = { .fd = events->fd, .events = POLLIN };
	int64_t left_ms = ends_at_ms - now_ms();

	return left_ms > 0 && poll(&file, 1, (int)left_ms) > 0;
}

/*
 * The events stay where they are while it is waited: the caller still holds the first half. So the
 * wait ends also when the buffer is full.
 */
static struct inotify_event *await_pair(struct events *events, uint32_t cookie)
{
	size_t waited_for = events->end;
	int64_t ends_at_ms = now_ms() + PAIR_WAIT_MS;

	while (sizeof(events->buffer) - events->end >= EVENT_BYTES_MAX &&
	       await_more(events, ends_at_ms)) {
		ssize_t got = read(events->fd, events->buffer + events->end,
				   sizeof(events->buffer) - events->end);
		struct inotify_event *pair;

		if (got < 0)
			break;
		events->end += (size_t)got;
		pair = find_pair(events, cookie);
		if (pair != NULL)
			return pair;
	}
	/* All of them have now waited, so that many halves cost one wait. */
	events->settled = waited_for;
	return NULL;
}

struct inotify_event *events_take_pair(struct events *events, uint32_t cookie)
{
	struct inotify_event *pair = find_pair(events, cookie);

	if (pair == NULL && events->start > events->settled)
		pair = await_pair(events, cookie);
	if (pair != NULL)
		pair->mask = 0;
	return pair;
}
