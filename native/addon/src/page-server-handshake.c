/*
 * The VMM's handshake, as Firecracker does it: it connects, and sends the text
 * of page-server-json.h with its userfaultfd. The connection stays open. More
 * than one message is read only because a stream may be cut anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page-server.h"

/* Linux 6.5; older ones answer ENOPROTOOPT. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Room for more descriptors than are allowed; of still more the kernel says MSG_CTRUNC. */
#define DESCRIPTORS_SEEN_MAX 4

struct handshake {
	int64_t ends_at_ms;
	char text[HANDSHAKE_SIZE_MAX];
	size_t length;
};

/* Waits for something to read; false when the server has ended. */
static bool wait_readable(struct page_server *server, int file, const struct handshake *handshake)
{
	struct pollfd files[] = {
		{.fd = file, .events = POLLIN},
		{.fd = server->wake, .events = POLLIN},
	};

	for (;;) {
		int64_t left = handshake->ends_at_ms - monotonic_ms();
		int ready;

		if (atomic_load(&server->command) == COMMAND_STOP) {
			server->end.kind = END_CLOSED;
			return false;
		}
		if (left <= 0)
			return page_server_fail(server, ETIMEDOUT, "wait for the handshake");
		ready = poll(files, 2, (int)left);
		if (ready < 0 && errno != EINTR)
			return page_server_fail(server, errno, "poll");
		page_server_take_wake(server);
		if (ready > 0 && files[0].revents)
			return true;
	}
}

static bool accept_vmm(struct page_server *server, const struct handshake *handshake)
{
	do {
		if (!wait_readable(server, server->listener, handshake))
			return false;
		server->connection = accept4(server->listener, NULL, NULL,
					     SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (server->connection < 0 && (errno == EAGAIN || errno == ECONNABORTED));
	if (server->connection < 0)
		return page_server_fail(server, errno, "accept");
	page_server_unlisten(server);
	return true;
}

static bool check_peer(struct page_server *server)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(server->connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return page_server_fail(server, errno, "SO_PEERCRED");
	if (peer.uid != server->uid)
		return page_server_fail(server, EPERM, "another user connected");
	if (server->pid != 0 && peer.pid != server->pid)
		return page_server_fail(server, EPERM, "another process connected");
	server->pid = peer.pid;

	size = sizeof(server->pidfd);
	if (getsockopt(server->connection, SOL_SOCKET, SO_PEERPIDFD, &server->pidfd, &size) == 0)
		return true;
	server->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	return server->pidfd >= 0 || page_server_fail(server, errno, "pidfd_open");
}

/* Keeps the first descriptor, and closes all others. */
static unsigned int take_descriptors(struct page_server *server, struct msghdr *message)
{
	unsigned int count = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		size_t length = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= length; at += sizeof(int), count++) {
			int descriptor;

			memcpy(&descriptor, CMSG_DATA(header) + at, sizeof(descriptor));
			if (server->uffd < 0)
				server->uffd = descriptor;
			else
				close(descriptor);
		}
	}
	return count;
}

/* Reads more of the text. */
static bool receive(struct page_server *server, struct handshake *handshake)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS_SEEN_MAX * sizeof(int))];
	struct iovec part = {
		.iov_base = handshake->text + handshake->length,
		.iov_len = sizeof(handshake->text) - handshake->length,
	};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	bool had_one = server->uffd >= 0;
	unsigned int descriptors;
	ssize_t got;

	if (part.iov_len == 0)
		return page_server_fail(server, EMSGSIZE, "the handshake is too long");
	if (!wait_readable(server, server->connection, handshake))
		return false;
	got = recvmsg(server->connection, &message, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ||
		       page_server_fail(server, errno, "recvmsg");
	descriptors = take_descriptors(server, &message);
	if (got == 0)
		return page_server_fail(server, ECONNRESET, "the VMM left during the handshake");
	if ((message.msg_flags & MSG_CTRUNC) || descriptors > 1 || (descriptors && had_one))
		return page_server_fail(server, EPROTO, "the handshake has more than one descriptor");
	handshake->length += (size_t)got;
	if (server->uffd < 0)
		return page_server_fail(server, EPROTO, "the handshake has no descriptor");
	return true;
}

static bool receive_regions(struct page_server *server, struct handshake *handshake)
{
	enum json_result result;

	do {
		if (!receive(server, handshake))
			return false;
		result = parse_regions(handshake->text, handshake->length, server->regions,
				       &server->region_count);
	} while (result == JSON_PARTIAL);
	return result == JSON_COMPLETE ||
	       page_server_fail(server, EPROTO, "the handshake is not what was agreed");
}

static bool check_uffd(struct page_server *server)
{
	struct pollfd state = {.fd = server->uffd, .events = POLLIN};
	char path[64];
	int flags;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", server->uffd);
	if (!is_userfaultfd(path))
		return page_server_fail(server, EBADF, "the descriptor is no userfaultfd");
	flags = fcntl(server->uffd, F_GETFL);
	if (flags < 0 || fcntl(server->uffd, F_SETFL, flags | O_NONBLOCK) != 0)
		return page_server_fail(server, errno, "fcntl");
	if (poll(&state, 1, 0) < 0 || (state.revents & (POLLERR | POLLNVAL)))
		return page_server_fail(server, EPROTO, "the userfaultfd is not set up");
	return true;
}

bool page_server_handshake(struct page_server *server)
{
	struct handshake handshake = {.ends_at_ms = monotonic_ms() + server->handshake_timeout_ms};
	const char *wrong;

	if (!accept_vmm(server, &handshake) || !check_peer(server) ||
	    !receive_regions(server, &handshake) || !check_uffd(server))
		return false;
	wrong = check_regions(server->regions, server->region_count, server->size);
	return !wrong || page_server_fail(server, EPROTO, wrong);
}
