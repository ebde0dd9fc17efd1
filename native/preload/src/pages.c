/*
 * Memory that a page server fills at each first access: the range is registered with userfaultfd,
 * and the server gets the descriptor with Firecracker's handshake, one message of
 *
 *     [{"base_host_virt_addr":N,"size":N,"offset":0,"page_size":N}]
 *
 * and the descriptor beside it. Descriptor and socket stay open here for the life of the process.
 * Were the server's the last descriptor, the kernel would give the guest zeros after the server's
 * end; and by the socket each side sees the other one's end.
 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux before 6.1 has the system call alone; newer headers name the request. */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

enum { MESSAGE_BYTES_MAX = 256 };

/*
 * The device gives a userfaultfd to whoever holds it open. The system call refuses one that takes
 * the faults of the kernel, as of a disk read into guest memory, to those who have no privileges.
 */
static int open_userfaultfd(const struct settings *settings)
{
	int flags = O_CLOEXEC | O_NONBLOCK;
	int uffd = settings->fd >= 0 ? ioctl(settings->fd, USERFAULTFD_IOC_NEW, flags)
				     : (int)syscall(SYS_userfaultfd, flags);

	if (uffd < 0)
		die(EXIT_USERFAULTFD, "cannot open a userfaultfd", errno);
	if (settings->fd >= 0)
		close(settings->fd);
	return uffd;
}

static int negotiate(int uffd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	return ioctl(uffd, UFFDIO_API, &api);
}

/* With events of removal the server learns which pages were given back; not every kernel has them. */
static void choose_features(int uffd)
{
	if (negotiate(uffd, UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_EVENT_REMOVE) == 0)
		return;
	if (errno != EINVAL || negotiate(uffd, UFFD_FEATURE_MISSING_SHMEM) != 0)
		die(EXIT_USERFAULTFD, "the kernel's userfaultfd cannot serve shared memory", errno);
}

static void watch_range(int uffd, void *base, size_t bytes)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)base, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &range) != 0)
		die(EXIT_USERFAULTFD, "cannot register the memory with userfaultfd", errno);
}

static int connect_server(const struct sockaddr_un *server)
{
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connection < 0)
		die(EXIT_HANDSHAKE, "cannot make a socket", errno);
	if (connect(connection, (const struct sockaddr *)server, sizeof(*server)) != 0)
		die(EXIT_HANDSHAKE, "cannot connect to the page server", errno);
	return connection;
}

static void send_handshake(int connection, int uffd, const void *base, size_t bytes)
{
	char text[MESSAGE_BYTES_MAX];
	int length = snprintf(text, sizeof(text),
			      "[{\"base_host_virt_addr\":%ju,\"size\":%zu,\"offset\":0,"
			      "\"page_size\":%ld}]",
			      (uintmax_t)(uintptr_t)base, bytes, sysconf(_SC_PAGESIZE));
	union {
		char bytes[CMSG_SPACE(sizeof(uffd))];
		struct cmsghdr aligned;
	} control = { .bytes = { 0 } };
	struct iovec body = { .iov_base = text, .iov_len = (size_t)length };
	struct msghdr message = {
		.msg_iov = &body,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	ssize_t sent;

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(uffd));
	memcpy(CMSG_DATA(rights), &uffd, sizeof(uffd));

	do {
		sent = sendmsg(connection, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		die(EXIT_HANDSHAKE, "cannot send the handshake", errno);
	if (sent != length)
		die(EXIT_HANDSHAKE, "the handshake was cut off", 0);
}

void serve_pages(void *base, const struct settings *settings)
{
	int uffd = open_userfaultfd(settings);
	int connection;

	choose_features(uffd);
	watch_range(uffd, base, settings->bytes);
	connection = connect_server(&settings->server);
	send_handshake(connection, uffd, base, settings->bytes);
}
