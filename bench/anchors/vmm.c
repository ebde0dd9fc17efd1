/*
 * vmm SOCKET SIZE PROCESSOR all
 * vmm SOCKET SIZE PROCESSOR random TOUCHES SEED
 *
 * What a VMM and its guest do to a page server, without either: hands over a
 * userfaultfd as Firecracker does, and reads blocks, each of them in order or
 * some at random. Block N must begin with N + 1, in 64 bits. Prints
 *
 *     {"elapsed_ns":…,"p50_ns":…,"p99_ns":…}
 *
 * The first touch is not counted: it waits until the server has begun.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "common.h"

static void shake_hands(const char *path, int uffd, const uint8_t *memory, uint64_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	char text[256];
	int length = snprintf(text, sizeof(text),
			      "[{\"base_host_virt_addr\":%llu,\"size\":%llu,\"offset\":0,"
			      "\"page_size\":4096}]",
			      (unsigned long long)(uintptr_t)memory, (unsigned long long)size);
	struct iovec part = {.iov_base = text, .iov_len = (size_t)length};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		error(2, 0, "the path is too long");
	strcpy(address.sun_path, path);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) != 0)
		error(1, errno, "%s", path);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &uffd, sizeof(int));
	if (sendmsg(connection, &message, 0) != length)
		error(1, errno, "sendmsg");
}

static uint64_t touch(const uint8_t *memory, uint64_t block)
{
	uint64_t started = now_ns();
	uint64_t content = *(const volatile uint64_t *)(memory + block * BLOCK_SIZE);
	uint64_t elapsed = now_ns() - started;

	if (content != block + 1)
		error(1, 0, "block %llu is wrong", (unsigned long long)block);
	return elapsed;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Blocks from 1 on in order, or in an order that the seed decides. */
static uint64_t *order_blocks(uint64_t blocks, uint64_t seed)
{
	uint64_t *order = calloc(blocks, sizeof(*order));

	if (!order)
		error(1, errno, "calloc");
	for (uint64_t index = 1; index < blocks; index++)
		order[index] = index;
	for (uint64_t index = 1; seed && index < blocks; index++) {
		uint64_t other = index + next_random(&seed) % (blocks - index);
		uint64_t block = order[index];

		order[index] = order[other];
		order[other] = block;
	}
	return order;
}

static int by_number(const void *left, const void *right)
{
	uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;

	return one < other ? -1 : one > other;
}

int main(int argc, char **argv)
{
	bool all = argc == 5 && strcmp(argv[4], "all") == 0;
	uint64_t size, blocks, touches, started, elapsed, *order, *times;
	uint8_t *memory;

	if (!all && (argc != 7 || strcmp(argv[4], "random") != 0))
		error(2, 0, "usage: vmm SOCKET SIZE PROCESSOR (all | random TOUCHES SEED)");
	size = parse_number(argv[2]);
	blocks = size / BLOCK_SIZE;
	touches = all ? blocks - 1 : parse_number(argv[5]);
	if (touches == 0 || touches >= blocks)
		error(2, 0, "there are %llu blocks", (unsigned long long)blocks);
	pin(argv[3]);
	order = order_blocks(blocks, all ? 0 : parse_number(argv[6]));
	times = calloc(touches, sizeof(*times));
	if (!times)
		error(1, errno, "calloc");
	memset(times, 1, touches * sizeof(*times));
	memory = map_guest(size);
	shake_hands(argv[1], watch_faults(memory, size), memory, size);

	touch(memory, 0);
	started = now_ns();
	for (uint64_t index = 0; index < touches; index++)
		times[index] = touch(memory, order[index + 1]);
	elapsed = now_ns() - started;

	qsort(times, touches, sizeof(*times), by_number);
	printf("{\"elapsed_ns\":%llu,\"p50_ns\":%llu,\"p99_ns\":%llu}\n",
	       (unsigned long long)elapsed, (unsigned long long)times[touches / 2],
	       (unsigned long long)times[touches * 99 / 100]);
	return 0;
}
