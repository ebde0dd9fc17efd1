/*
 * page-server SOCKET FILE SIZE RUN PROCESSOR
 *
 * The smallest page server that works: it takes one VMM's handshake, and
 * answers each fault with the RUN blocks around it, out of a file that is
 * mapped. It checks nothing and expects no surprise. Prints `ready` when it
 * listens, and ends with the VMM.
 */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common.h"

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		error(2, 0, "the path is too long");
	strcpy(address.sun_path, path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listener, 1) != 0)
		error(1, errno, "%s", path);
	return listener;
}

/* Takes the userfaultfd and the address of the one region. */
static int take_handshake(int connection, uint64_t *base)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char text[512] = "";
	struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	unsigned long long address;
	struct cmsghdr *header;
	int uffd;

	if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) <= 0)
		error(1, errno, "recvmsg");
	header = CMSG_FIRSTHDR(&message);
	if (!header || sscanf(text, "[{\"base_host_virt_addr\":%llu", &address) != 1)
		error(1, 0, "no handshake: %s", text);
	memcpy(&uffd, CMSG_DATA(header), sizeof(uffd));
	*base = address;
	return uffd;
}

static void answer(int uffd, uint64_t base, const uint8_t *content, uint64_t offset, uint64_t step)
{
	struct uffdio_copy copy = {
		.dst = base + offset,
		.src = (uintptr_t)content + offset,
		.len = step,
	};

	if (ioctl(uffd, UFFDIO_COPY, &copy) != 0)
		error(1, errno, "UFFDIO_COPY");
}

int main(int argc, char **argv)
{
	uint64_t size, step, base;
	const uint8_t *content;
	int connection, uffd;

	if (argc != 6)
		error(2, 0, "usage: page-server SOCKET FILE SIZE RUN PROCESSOR");
	size = parse_number(argv[3]);
	step = parse_number(argv[4]) * BLOCK_SIZE;
	pin(argv[5]);
	content = map_file(argv[2], size);
	connection = listen_on(argv[1]);
	puts("ready");
	fflush(stdout);
	connection = accept4(connection, NULL, NULL, SOCK_CLOEXEC);
	if (connection < 0)
		error(1, errno, "accept");
	uffd = take_handshake(connection, &base);

	for (;;) {
		struct pollfd files[] = {
			{.fd = uffd, .events = POLLIN},
			{.fd = connection, .events = POLLIN},
		};
		struct uffd_msg event;
		uint64_t offset;

		if (poll(files, 2, -1) < 0)
			error(1, errno, "poll");
		if (files[1].revents)
			return 0;
		if (read(uffd, &event, sizeof(event)) != sizeof(event))
			continue;
		offset = event.arg.pagefault.address - base;
		answer(uffd, base, content, offset - offset % step, step);
	}
}
