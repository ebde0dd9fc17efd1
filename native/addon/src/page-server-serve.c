/*
 * The serving loop. While memory is being given back every UFFDIO_COPY fails
 * with EAGAIN until the event has been read: so all events are read first, and
 * the faults among them are answered after that. What is left of a replay goes
 * on only when nothing waits for an answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "page-server.h"

#define EVENTS_READ_MAX 64
/* Faults that wait at the same time: one for each thread of the VMM. */
#define PENDING_MAX 65536
/* Pause after EAGAIN when there is no event: the VMM's thread has yet to go on. */
#define AGAIN_PAUSE_MS 1

static bool add_pending(struct page_server *server, uint64_t address)
{
	struct pending_faults *pending = &server->pending;

	if (pending->count == PENDING_MAX)
		return page_server_fail(server, 0, "the VMM has too many faults at once");
	if (pending->count == pending->capacity) {
		size_t capacity = pending->capacity ? pending->capacity * 2 : EVENTS_READ_MAX;
		uint64_t *grown = realloc(pending->addresses, capacity * sizeof(*grown));

		if (!grown)
			return page_server_fail(server, ENOMEM, "remember faults");
		pending->addresses = grown;
		pending->capacity = capacity;
	}
	pending->addresses[pending->count++] = address - address % BLOCK_SIZE;
	atomic_fetch_add_explicit(&server->statistics.faults, 1, memory_order_relaxed);
	return true;
}

/* Marks what of the range is in regions. */
static bool note_removed(struct page_server *server, uint64_t start, uint64_t end)
{
	for (size_t index = 0; index < server->region_count; index++) {
		const struct region *region = &server->regions[index];
		uint64_t low = start > region->address ? start : region->address;
		uint64_t region_end = region->address + region->size;
		uint64_t high = end < region_end ? end : region_end;
		int error;

		if (low >= high)
			continue;
		error = mark_removed(&server->removed,
				     (uint32_t)((low - region->address + region->offset) / BLOCK_SIZE),
				     (uint32_t)((high - low) / BLOCK_SIZE));
		if (error)
			return page_server_fail(server, error, "keep which blocks were given back");
	}
	return true;
}

static bool take_event(struct page_server *server, const struct uffd_msg *event)
{
	switch (event->event) {
	case UFFD_EVENT_PAGEFAULT:
		return add_pending(server, event->arg.pagefault.address);
	case UFFD_EVENT_REMOVE:
		return note_removed(server, event->arg.remove.start, event->arg.remove.end);
	case UFFD_EVENT_UNMAP:
		return true;
	case UFFD_EVENT_FORK:
		/* The child's memory is not ours to serve. */
		close((int)event->arg.fork.ufd);
		return true;
	default:
		return page_server_fail(server, 0, "the VMM moved its memory");
	}
}

/*
 * Reads events without waiting. O_NONBLOCK belongs to the open file, which the
 * VMM shares: one that was broken into takes it away, and the events as well.
 * Before Linux 6.10 a userfaultfd knows no other way, and the flag is set again.
 */
static ssize_t read_events(int uffd, struct uffd_msg *events, size_t size)
{
	struct iovec part = {.iov_base = events, .iov_len = size};
	ssize_t got = preadv2(uffd, &part, 1, -1, RWF_NOWAIT);

	if (got >= 0 || errno != EOPNOTSUPP)
		return got;
	if (fcntl(uffd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		return -1;
	return read(uffd, events, size);
}

/* Reads all events that there are; false when the server has ended. */
static bool drain(struct page_server *server)
{
	struct uffd_msg events[EVENTS_READ_MAX];

	/* A VMM may make events as fast as they are read. */
	while (atomic_load(&server->command) != COMMAND_STOP) {
		ssize_t got = read_events(server->uffd, events, sizeof(events));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return true;
		if (got <= 0)
			return page_server_fail(server, got < 0 ? errno : EIO,
						"read the userfaultfd");
		for (size_t index = 0; index < (size_t)got / sizeof(*events); index++)
			if (!take_event(server, &events[index]))
				return false;
	}
	return true;
}

static int by_address(const void *left, const void *right)
{
	uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;

	return one < other ? -1 : one > other;
}

/* Answers what is pending; what has to be tried again stays. False when the server has ended. */
static bool answer_pending(struct page_server *server)
{
	struct pending_faults *pending = &server->pending;
	uint64_t answered_to = 0;
	size_t kept = 0;

	/* In order, those that an answer before them has served are easily seen. */
	if (pending->count > 1)
		qsort(pending->addresses, pending->count, sizeof(*pending->addresses), by_address);
	for (size_t index = 0; index < pending->count; index++) {
		uint64_t address = pending->addresses[index];

		if (address < answered_to)
			continue;
		if (atomic_load_explicit(&server->command, memory_order_relaxed) == COMMAND_STOP)
			return true;
		switch (answer_fault(server, address, &answered_to)) {
		case ANSWERED:
			break;
		case ANSWER_AGAIN:
			pending->addresses[kept++] = address;
			break;
		case ANSWER_ENDED:
			return false;
		}
	}
	pending->count = kept;
	return true;
}

/* Nothing more is agreed on than that the connection stays; its end says less than the process's. */
static bool check_connection(struct page_server *server)
{
	char more;
	ssize_t got = recv(server->connection, &more, 1, MSG_DONTWAIT);

	if (got > 0)
		return page_server_fail(server, EPROTO, "the VMM sent more than its handshake");
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	close(server->connection);
	server->connection = -1;
	return true;
}

/* How long there is nothing to do unless something comes. */
static int idle_timeout_ms(const struct page_server *server)
{
	if (server->pending.count || server->replay.waits)
		return AGAIN_PAUSE_MS;
	return has_replay(&server->replay) ? 0 : -1;
}

/* Waits for something to do; false when the server has ended. */
static bool wait_for_events(struct page_server *server, bool serving)
{
	struct pollfd files[] = {
		{.fd = server->wake, .events = POLLIN},
		{.fd = server->pidfd, .events = POLLIN},
		{.fd = server->connection, .events = POLLIN},
		{.fd = serving ? server->uffd : -1, .events = POLLIN},
	};
	int timeout_ms = serving ? idle_timeout_ms(server) : -1;

	if (poll(files, sizeof(files) / sizeof(*files), timeout_ms) < 0)
		return errno == EINTR || page_server_fail(server, errno, "poll");
	page_server_take_wake(server);
	if (atomic_load(&server->command) == COMMAND_STOP) {
		server->end.kind = END_CLOSED;
		return false;
	}
	if (files[1].revents) {
		server->end.kind = END_VMM_GONE;
		return false;
	}
	if (files[3].revents & (POLLERR | POLLNVAL))
		return page_server_fail(server, EIO, "the userfaultfd is broken");
	return !files[2].revents || check_connection(server);
}

void page_server_serve(struct page_server *server)
{
	while (atomic_load(&server->command) == COMMAND_HOLD)
		if (!wait_for_events(server, false))
			return;
	begin_recording(&server->recorded);
	while (wait_for_events(server, true)) {
		if (!drain(server) || !answer_pending(server))
			return;
		if (server->pending.count == 0)
			replay_some(server);
	}
}
