/*
 * Stands in for a VMM that was broken into, and wants its page server to hang:
 *
 *     flip-vmm SOCKET BLOCKS
 *
 * Hands its userfaultfd over, touches its memory once, and until it is killed switches O_NONBLOCK of
 * the open file, which it shares with the page server, off and on.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define BLOCK_SIZE 4096ul
/* The page server serves by then. */
#define TOUCH_AFTER_US 100000

static int register_memory(void *memory, size_t size)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)memory, .len = size},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) != 0 ||
	    ioctl(uffd, UFFDIO_REGISTER, &range) != 0)
		return -1;
	return uffd;
}

static int hand_over(const char *path, int uffd, const void *memory, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uffd))] = {0};
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[256];
	struct iovec part = {.iov_base = text};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *rights = (struct cmsghdr *)control;

	part.iov_len = (size_t)snprintf(text, sizeof(text),
					"[{\"base_host_virt_addr\":%lu,\"size\":%zu,\"offset\":0,"
					"\"page_size\":4096}]",
					(uintptr_t)memory, size);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(uffd));
	memcpy(CMSG_DATA(rights), &uffd, sizeof(uffd));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) != 0)
		return -1;
	return sendmsg(connection, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* One access: a server that waits for another one waits for ever. */
static void *touch(void *memory)
{
	(void)*(volatile unsigned char *)memory;
	return NULL;
}

int main(int argc, char **argv)
{
	size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) * BLOCK_SIZE : 0;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int uffd = memory == MAP_FAILED ? -1 : register_memory(memory, size);
	pthread_t thread;
	int flags;

	if (uffd < 0 || hand_over(argv[1], uffd, memory, size) != 0)
		return 1;
	usleep(TOUCH_AFTER_US);
	if (pthread_create(&thread, NULL, touch, memory) != 0)
		return 1;
	flags = fcntl(uffd, F_GETFL);
	for (;;) {
		fcntl(uffd, F_SETFL, flags & ~O_NONBLOCK);
		fcntl(uffd, F_SETFL, flags);
	}
}
