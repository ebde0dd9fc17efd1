/*
 * Stands in for a virtual machine's network card: carries Ethernet frames
 * between a slot's tap and a tap in another namespace, which plays the guest.
 *
 *     frame-wire SLOT_NAMESPACE TAP UID GUEST_NAMESPACE NAME
 *
 * The slot's tap is opened as UID, as the VMM would. Prints "ready" when both
 * ends are open. Frames that come on standard input, each behind its length in
 * two bytes (big endian), go to the slot as if the guest had sent them. Ends
 * with its standard input.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FRAME_BYTES_MAX = 65535 };

static void check(int result, const char *what) {
	if (result >= 0) return;
	fprintf(stderr, "frame-wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_tap(const char *namespace_path) {
	int namespace = open(namespace_path, O_RDONLY | O_CLOEXEC);
	check(namespace, namespace_path);
	check(setns(namespace, CLONE_NEWNET), "setns");
	close(namespace);

	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	check(tap, "/dev/net/tun");
	return tap;
}

static void attach(int tap, const char *name) {
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	check(ioctl(tap, TUNSETIFF, &request), name);
}

/* Moves what is there to read; a frame that the other end does not take is lost, as on a wire. */
static void carry(int from, int to) {
	static unsigned char frame[FRAME_BYTES_MAX];
	ssize_t size = read(from, frame, sizeof frame);
	if (size > 0 && write(to, frame, size) < 0 && errno != EIO) check(-1, "write");
}

static void read_fully(unsigned char *bytes, size_t size) {
	while (size > 0) {
		ssize_t count = read(STDIN_FILENO, bytes, size);
		if (count <= 0) exit(0);
		bytes += count;
		size -= count;
	}
}

static void inject(int to) {
	static unsigned char frame[FRAME_BYTES_MAX];
	unsigned char length[2];
	read_fully(length, sizeof length);
	size_t size = length[0] << 8 | length[1];
	read_fully(frame, size);
	check(write(to, frame, size), "inject");
}

int main(int count, char **arguments) {
	if (count != 6) return 64;
	int slot = open_tap(arguments[1]);
	check(seteuid(atoi(arguments[3])), "seteuid");
	attach(slot, arguments[2]);
	check(seteuid(0), "seteuid");
	int guest = open_tap(arguments[4]);
	attach(guest, arguments[5]);
	printf("ready\n");
	fflush(stdout);

	struct pollfd watched[] = {
		{.fd = slot, .events = POLLIN},
		{.fd = guest, .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN},
	};
	for (;;) {
		check(poll(watched, 3, -1), "poll");
		if (watched[0].revents) carry(slot, guest);
		if (watched[1].revents) carry(guest, slot);
		if (watched[2].revents) inject(slot);
	}
}
