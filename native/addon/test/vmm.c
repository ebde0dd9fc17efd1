/*
 * Acts as a VMM whose memory is lazily restored, for tests of the page server.
 *
 *     vmm memfd|anonymous <size in blocks> <number of regions>
 *
 * Reads a command a line, and answers each with one line:
 *     handshake <socket>                    as Firecracker does it
 *     cut <socket>                          the same in two messages
 *     send <socket> <fds> uffd|other <text> whatever handshake; <fds> descriptors of that kind
 *     text                                  the text of the handshake
 *     verify <file> <threads>               compares the memory: wrong blocks, and zero ones of these
 *     start <file> <threads>                the same in the background
 *     join                                  the result of `start`
 *     remove <first block> <blocks>         gives memory back
 *     probe <block>                         reads a block in the background
 *     chase <first> <block>                 the same, as soon as the first one is there
 *     touch <first> <blocks> <step>         reads every <step>th of the blocks
 *     probed                                `waiting`, or the first byte that was read
 *     leave                                 closes the connection
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
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
#define THREADS_MAX 128
#define FDS_MAX 253
#define LINE_SIZE 65536
#define STACK_SIZE (256 * 1024)

struct verify {
	const unsigned char *expected;
	size_t thread;
	size_t threads;
	size_t wrong;
	size_t zero;
};

struct vmm {
	unsigned char *memory;
	size_t blocks;
	size_t regions;
	bool is_memfd;
	int uffd;
	int connection;
	char text[LINE_SIZE];

	pthread_t threads[THREADS_MAX];
	struct verify parts[THREADS_MAX];
	size_t thread_count;

	pthread_t probe;
	size_t probe_block;
	/* The block that comes before; SIZE_MAX when none has to. */
	size_t probe_after;
	_Atomic int probed;
};

/* Threads reach the memory by it. */
static struct vmm vmm = {.uffd = -1, .connection = -1, .probed = -1};

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_memory(void)
{
	size_t size = vmm.blocks * BLOCK_SIZE;
	int file = -1;

	if (vmm.is_memfd) {
		file = memfd_create("memory", MFD_CLOEXEC);
		if (file < 0 || ftruncate(file, (off_t)size) != 0)
			die("memfd");
	}
	vmm.memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  vmm.is_memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, file, 0);
	if (vmm.memory == MAP_FAILED)
		die("mmap");
	/* Large pages would bring neighbours that nobody asked for. */
	madvise(vmm.memory, size, MADV_NOHUGEPAGE);
}

static void register_memory(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_EVENT_REMOVE,
	};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)vmm.memory, .len = vmm.blocks * BLOCK_SIZE},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	vmm.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (vmm.uffd < 0 || ioctl(vmm.uffd, UFFDIO_API, &api) != 0 ||
	    ioctl(vmm.uffd, UFFDIO_REGISTER, &range) != 0)
		die("userfaultfd");
}

/* Regions of about equal size, in reverse order of address: the offset alone tells their place. */
static void make_text(void)
{
	size_t at = 0, each = vmm.blocks / vmm.regions;

	at += (size_t)snprintf(vmm.text + at, sizeof(vmm.text) - at, "[");
	for (size_t index = vmm.regions; index-- > 0;) {
		size_t first = index * each;
		size_t end = index + 1 == vmm.regions ? vmm.blocks : first + each;

		at += (size_t)snprintf(vmm.text + at, sizeof(vmm.text) - at,
				       "{\"base_host_virt_addr\":%lu,\"size\":%lu,\"offset\":%lu,"
				       "\"page_size\":4096,\"page_size_kib\":4096}%s",
				       (uintptr_t)vmm.memory + first * BLOCK_SIZE,
				       (end - first) * BLOCK_SIZE, first * BLOCK_SIZE,
				       index ? "," : "]");
	}
}

static void connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	vmm.connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (vmm.connection < 0 ||
	    connect(vmm.connection, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
}

static void send_message(const char *text, size_t length, const int *fds, size_t fd_count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd_count > 0) {
		struct cmsghdr *header = (struct cmsghdr *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	/* A server that refuses may have closed already. */
	if (sendmsg(vmm.connection, &message, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		die("sendmsg");
}

static bool is_zero(const unsigned char *block)
{
	return block[0] == 0 && memcmp(block, block + 1, BLOCK_SIZE - 1) == 0;
}

/* Every `threads`th block, upwards or downwards, so that threads meet in a run. */
static void *verify_part(void *argument)
{
	struct verify *part = argument;
	size_t count = (vmm.blocks - part->thread + part->threads - 1) / part->threads;

	for (size_t index = 0; index < count; index++) {
		size_t place = part->thread % 2 ? count - 1 - index : index;
		size_t block = part->thread + place * part->threads;
		const unsigned char *content = vmm.memory + block * BLOCK_SIZE;

		if (memcmp(content, part->expected + block * BLOCK_SIZE, BLOCK_SIZE) == 0)
			continue;
		part->wrong++;
		part->zero += is_zero(content);
	}
	return NULL;
}

static pthread_t start_thread(void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (pthread_create(&thread, &attributes, run, argument) != 0)
		die("pthread_create");
	pthread_attr_destroy(&attributes);
	return thread;
}

static void start_verify(const char *path, size_t threads)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *expected =
		mmap(NULL, vmm.blocks * BLOCK_SIZE, PROT_READ, MAP_PRIVATE, file, 0);

	if (expected == MAP_FAILED || threads > THREADS_MAX)
		die("expected content");
	close(file);
	vmm.thread_count = threads;
	for (size_t index = 0; index < threads; index++) {
		vmm.parts[index] = (struct verify){expected, index, threads, 0, 0};
		vmm.threads[index] = start_thread(verify_part, &vmm.parts[index]);
	}
}

static void join_verify(void)
{
	size_t wrong = 0, zero = 0;

	for (size_t index = 0; index < vmm.thread_count; index++) {
		pthread_join(vmm.threads[index], NULL);
		wrong += vmm.parts[index].wrong;
		zero += vmm.parts[index].zero;
	}
	munmap((void *)(uintptr_t)vmm.parts[0].expected, vmm.blocks * BLOCK_SIZE);
	printf("%zu %zu\n", wrong, zero);
}

/* Without a fault. */
static bool is_there(size_t block)
{
	unsigned char there = 0;

	if (mincore(vmm.memory + block * BLOCK_SIZE, BLOCK_SIZE, &there) != 0)
		die("mincore");
	return there & 1;
}

static void *run_probe(void *argument)
{
	(void)argument;
	while (vmm.probe_after != SIZE_MAX && !is_there(vmm.probe_after))
		sched_yield();
	atomic_store(&vmm.probed, *(volatile unsigned char *)(vmm.memory +
							       vmm.probe_block * BLOCK_SIZE));
	return NULL;
}

static void start_probe(size_t after, size_t block)
{
	atomic_store(&vmm.probed, -1);
	vmm.probe_after = after;
	vmm.probe_block = block;
	vmm.probe = start_thread(run_probe, NULL);
	pthread_detach(vmm.probe);
}

static void touch_blocks(const char *arguments)
{
	size_t first, count, step;

	if (sscanf(arguments, "%zu %zu %zu", &first, &count, &step) != 3 || step == 0)
		die("touch");
	for (size_t index = 0; index < count; index += step)
		(void)*(volatile unsigned char *)(vmm.memory + (first + index) * BLOCK_SIZE);
}

static void remove_blocks(size_t first, size_t blocks)
{
	if (madvise(vmm.memory + first * BLOCK_SIZE, blocks * BLOCK_SIZE,
		    vmm.is_memfd ? MADV_REMOVE : MADV_DONTNEED) != 0)
		die("madvise");
}

static void send_other(char *arguments)
{
	char path[256], kind[16];
	int fds[FDS_MAX], used = 0;
	size_t count;

	if (sscanf(arguments, "%255s %zu %15s %n", path, &count, kind, &used) != 3 ||
	    count > FDS_MAX)
		die("send");
	for (size_t index = 0; index < count; index++)
		fds[index] = strcmp(kind, "uffd") == 0 ? vmm.uffd : STDERR_FILENO;
	connect_to(path);
	send_message(arguments + used, strlen(arguments + used), fds, count);
}

static void obey(char *command, char *arguments)
{
	size_t first = 0, count = 0;
	char path[256] = "";

	if (strcmp(command, "handshake") == 0) {
		connect_to(arguments);
		send_message(vmm.text, strlen(vmm.text), &vmm.uffd, 1);
	} else if (strcmp(command, "cut") == 0) {
		connect_to(arguments);
		send_message(vmm.text, 20, &vmm.uffd, 1);
		send_message(vmm.text + 20, strlen(vmm.text) - 20, NULL, 0);
	} else if (strcmp(command, "send") == 0) {
		send_other(arguments);
	} else if (strcmp(command, "text") == 0) {
		puts(vmm.text);
		return;
	} else if (strcmp(command, "verify") == 0 || strcmp(command, "start") == 0) {
		sscanf(arguments, "%255s %zu", path, &count);
		start_verify(path, count);
		if (command[0] == 'v') {
			join_verify();
			return;
		}
	} else if (strcmp(command, "join") == 0) {
		join_verify();
		return;
	} else if (strcmp(command, "remove") == 0) {
		sscanf(arguments, "%zu %zu", &first, &count);
		remove_blocks(first, count);
	} else if (strcmp(command, "probe") == 0) {
		sscanf(arguments, "%zu", &first);
		start_probe(SIZE_MAX, first);
	} else if (strcmp(command, "chase") == 0) {
		sscanf(arguments, "%zu %zu", &first, &count);
		start_probe(first, count);
	} else if (strcmp(command, "touch") == 0) {
		touch_blocks(arguments);
	} else if (strcmp(command, "probed") == 0) {
		int probed = atomic_load(&vmm.probed);

		if (probed < 0)
			puts("waiting");
		else
			printf("%d\n", probed);
		return;
	} else if (strcmp(command, "leave") == 0) {
		close(vmm.connection);
	} else {
		puts("unknown command");
		return;
	}
	puts("done");
}

int main(int count, char **arguments)
{
	static char line[LINE_SIZE];

	if (count != 4)
		return 2;
	vmm.is_memfd = strcmp(arguments[1], "memfd") == 0;
	vmm.blocks = strtoul(arguments[2], NULL, 10);
	vmm.regions = strtoul(arguments[3], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_memory();
	register_memory();
	make_text();
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		char *space;

		line[strcspn(line, "\n")] = 0;
		space = strchr(line, ' ');
		if (space)
			*space++ = 0;
		obey(line, space ? space : line + strlen(line));
	}
	return 0;
}
