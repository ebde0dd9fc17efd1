/*
 * What envd, the daemon of a guest, cannot do from Node: set the clock to the nanosecond, and give
 * the kernel's random number generator new entropy after the guest was restored from a snapshot.
 *
 *     wrenn-guest clock WALL_NS MONOTONIC_NS
 *     wrenn-guest restore WALL_NS MONOTONIC_NS < ENTROPY
 *     wrenn-guest --help
 *
 * WALL_NS is the host's wall clock, in nanoseconds since the epoch, at the moment at which this
 * guest's CLOCK_MONOTONIC read MONOTONIC_NS: however long it takes until this program runs, the
 * clock comes out right. A WALL_NS of 0 leaves the clock as it is. ENTROPY is 32 to 512 random
 * bytes, which are credited in full.
 *
 * Nothing is done unless all arguments and the entropy are good. Then every step is tried, also
 * after one has failed, and each prints one line of its name and 0 or the error number:
 *
 *     wall_clock 0
 *     add_entropy 0
 *     reseed 0
 *
 * Exits 0 when all steps were tried, 1 when that could not be printed, and 2 with one sentence on
 * stderr when nothing was done. Without stdio, whose start and buffers a freshly restored guest
 * would have to fetch page by page.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC 1000000000ULL
/* Beyond it nanoseconds would not fit the kernel's own signed count: the year 2262. */
#define TIME_NS_MAX ((uint64_t)INT64_MAX)

enum {
	EXIT_DONE = 0,
	EXIT_NOT_REPORTED = 1,
	EXIT_NOTHING_DONE = 2,

	ENTROPY_BYTES_MIN = 32,
	ENTROPY_BYTES_MAX = 512,
	BITS_PER_BYTE = 8,

	/* Digits of the largest number and a zero byte. */
	NUMBER_BYTES = 21,
	LINE_BYTES = 64,
};

struct moment {
	uint64_t wall_ns;
	uint64_t monotonic_ns;
};

/* As the kernel's struct rand_pool_info, with room for the bytes. */
struct entropy {
	int bits;
	int bytes;
	unsigned char data[ENTROPY_BYTES_MAX];
};

_Static_assert(offsetof(struct entropy, data) == offsetof(struct rand_pool_info, buf),
	       "the entropy lies where the kernel reads it");

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno;
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

static int refuse(const char *sentence)
{
	const char *parts[] = { "wrenn-guest: ", sentence, "\n" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		write_all(STDERR_FILENO, parts[i], strlen(parts[i]));
	return EXIT_NOTHING_DONE;
}

/* Appends as much of the text as fits, and returns the new length. */
static size_t append(char *line, size_t length, const char *text)
{
	while (*text != '\0' && length < LINE_BYTES)
		line[length++] = *text++;
	return length;
}

static const char *to_decimal(unsigned int number, char buffer[NUMBER_BYTES])
{
	char *digit = buffer + NUMBER_BYTES - 1;

	*digit = '\0';
	do {
		*--digit = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return digit;
}

/* Prints the outcome of a step; returns whether it could be printed. */
static bool report(const char *step, int error)
{
	char line[LINE_BYTES];
	char number[NUMBER_BYTES];
	size_t length = 0;

	length = append(line, length, step);
	length = append(line, length, " ");
	length = append(line, length, to_decimal((unsigned int)error, number));
	length = append(line, length, "\n");
	return write_all(STDOUT_FILENO, line, length) == 0;
}

/* Reads a decimal number without sign or blanks, up to the largest time. */
static bool parse_ns(const char *text, uint64_t *ns)
{
	uint64_t value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	}
	*ns = value;
	return value <= TIME_NS_MAX;
}

static int read_clock(clockid_t clock, uint64_t *ns)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		return errno;
	*ns = (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
	return 0;
}

/* Whether the monotonic reading has happened, on this machine and since its boot. */
static bool has_passed(const struct moment *moment)
{
	uint64_t now_ns;

	return read_clock(CLOCK_MONOTONIC, &now_ns) == 0 && moment->monotonic_ns <= now_ns;
}

static int set_wall_clock(const struct moment *moment)
{
	struct timespec wall;
	uint64_t now_ns;
	uint64_t wall_ns;
	int error;

	if (moment->wall_ns == 0)
		return 0;
	error = read_clock(CLOCK_MONOTONIC, &now_ns);
	if (error != 0)
		return error;
	if (__builtin_add_overflow(moment->wall_ns, now_ns - moment->monotonic_ns, &wall_ns) ||
	    wall_ns > TIME_NS_MAX)
		return ERANGE;
	wall.tv_sec = (time_t)(wall_ns / NS_PER_SEC);
	wall.tv_nsec = (long)(wall_ns % NS_PER_SEC);
	return clock_settime(CLOCK_REALTIME, &wall) == 0 ? 0 : errno;
}

/* Reads all of standard input; returns an error number, E2BIG when it is more than there is room. */
static int read_entropy(struct entropy *entropy)
{
	size_t length = 0;
	unsigned char excess;

	for (;;) {
		bool full = length == ENTROPY_BYTES_MAX;
		ssize_t got = read(STDIN_FILENO, full ? &excess : entropy->data + length,
				   full ? 1 : ENTROPY_BYTES_MAX - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0)
			break;
		if (full)
			return E2BIG;
		length += (size_t)got;
	}
	if (length < ENTROPY_BYTES_MIN)
		return ENODATA;
	entropy->bytes = (int)length;
	entropy->bits = (int)length * BITS_PER_BYTE;
	return 0;
}

static int random_ioctl(unsigned long request, void *argument)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return errno;
	error = ioctl(fd, request, argument) == 0 ? 0 : errno;
	close(fd);
	return error;
}

/*
 * Adding entropy alone changes what programs read only at the kernel's next own reseed, up to a
 * minute later; until then copies of one snapshot would read the same numbers.
 */
static bool renew_random(struct entropy *entropy)
{
	bool reported = report("add_entropy", random_ioctl(RNDADDENTROPY, entropy));

	explicit_bzero(entropy, sizeof(*entropy));
	return report("reseed", random_ioctl(RNDRESEEDCRNG, NULL)) && reported;
}

static int run_clock(const struct moment *moment)
{
	return report("wall_clock", set_wall_clock(moment)) ? EXIT_DONE : EXIT_NOT_REPORTED;
}

static int run_restore(const struct moment *moment)
{
	struct entropy entropy;
	bool reported;

	if (read_entropy(&entropy) != 0)
		return refuse("standard input must hold 32 to 512 bytes of entropy");
	reported = report("wall_clock", set_wall_clock(moment));
	return renew_random(&entropy) && reported ? EXIT_DONE : EXIT_NOT_REPORTED;
}

static int print_help(void)
{
	static const char help[] =
		"usage: wrenn-guest clock WALL_NS MONOTONIC_NS\n"
		"       wrenn-guest restore WALL_NS MONOTONIC_NS < ENTROPY\n"
		"Sets the clock of a guest, and renews its kernel's randomness.\n";

	return write_all(STDOUT_FILENO, help, sizeof(help) - 1) == 0 ? EXIT_DONE
								     : EXIT_NOT_REPORTED;
}

int main(int argc, char *argv[])
{
	struct moment moment;
	bool restores;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return print_help();
	if (argc != 4)
		return refuse("three arguments are needed, see --help");
	restores = strcmp(argv[1], "restore") == 0;
	if (!restores && strcmp(argv[1], "clock") != 0)
		return refuse("the first argument must be clock or restore");
	if (!parse_ns(argv[2], &moment.wall_ns) || !parse_ns(argv[3], &moment.monotonic_ns))
		return refuse("a time must be a decimal number of nanoseconds");
	if (!has_passed(&moment))
		return refuse("the monotonic time has not come yet");
	return restores ? run_restore(&moment) : run_clock(&moment);
}
