/*
 * Without arguments wrenn-guest is started by envd with itself and lives as long: to start a
 * process takes tens of milliseconds in a guest that is emulated, or whose memory is still being
 * fetched. It reads one request a line from standard input, until that ends:
 *
 *     clock WALL_NS MONOTONIC_NS
 *     restore WALL_NS MONOTONIC_NS ENTROPY
 *
 * WALL_NS is the host's wall clock, in nanoseconds since the epoch, at the moment at which this
 * guest's CLOCK_MONOTONIC read MONOTONIC_NS: however long it takes until this program runs, the
 * clock comes out right. A WALL_NS of 0 leaves the clock as it is. ENTROPY is 32 to 512 random
 * bytes, in lower-case hexadecimal digits, which are credited in full.
 *
 * Nothing is done unless the whole request is good. Then every step is tried, also after one has
 * failed. The answer has a line for each, with 0 or the error number, and ends with an empty line:
 *
 *     wall_clock 0
 *     add_entropy 0
 *     reseed 0
 *
 * A request that is not good is answered by `refused` and an error number. Exits 0 at the end of
 * the input, 1 when nobody takes its answers, and 2 when it cannot tell requests apart.
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

#include "print.h"
#include "requests.h"

#define NS_PER_SEC 1000000000ULL
/* Beyond it nanoseconds would not fit the kernel's own signed count: the year 2262. */
#define TIME_NS_MAX ((uint64_t)INT64_MAX)

enum {
	ENTROPY_BYTES_MIN = 32,
	ENTROPY_BYTES_MAX = 512,
	BITS_PER_BYTE = 8,

	/* Digits of an error number and a zero byte. */
	NUMBER_BYTES = 11,
	/* Three lines. */
	ANSWER_BYTES_MAX = 128,
	/* The longest request, whose entropy takes two digits a byte, with some room. */
	REQUEST_BYTES_MAX = 2 * ENTROPY_BYTES_MAX + 128,
};

struct answer {
	char text[ANSWER_BYTES_MAX];
	size_t length;
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

/* Appends as much of the text as fits. */
static void append(struct answer *answer, const char *text)
{
	while (*text != '\0' && answer->length < sizeof(answer->text))
		answer->text[answer->length++] = *text++;
}

static void append_number(struct answer *answer, unsigned int number)
{
	char buffer[NUMBER_BYTES];
	char *digit = buffer + sizeof(buffer) - 1;

	*digit = '\0';
	do {
		*--digit = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	append(answer, digit);
}

static void report(struct answer *answer, const char *step, int error)
{
	append(answer, step);
	append(answer, " ");
	append_number(answer, (unsigned int)error);
	append(answer, "\n");
}

/* Cuts the next word off a text, with the one blank behind it; empty when none is left. */
static const char *take_word(char **rest)
{
	const char *word = *rest;
	char *blank;

	if (word == NULL)
		return "";
	blank = strchr(*rest, ' ');
	*rest = blank == NULL ? NULL : blank + 1;
	if (blank != NULL)
		*blank = '\0';
	return word;
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

static int parse_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

static bool parse_entropy(const char *text, struct entropy *entropy)
{
	size_t digits = strlen(text);
	size_t bytes = digits / 2;

	if (digits % 2 != 0 || bytes < ENTROPY_BYTES_MIN || bytes > ENTROPY_BYTES_MAX)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		int high = parse_digit(text[2 * i]);
		int low = parse_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		entropy->data[i] = (unsigned char)(high << 4 | low);
	}
	entropy->bytes = (int)bytes;
	entropy->bits = (int)bytes * BITS_PER_BYTE;
	return true;
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
static void renew_random(struct entropy *entropy, struct answer *answer)
{
	report(answer, "add_entropy", random_ioctl(RNDADDENTROPY, entropy));
	report(answer, "reseed", random_ioctl(RNDRESEEDCRNG, NULL));
}

/* Does what a line asks for; returns an error number when it is no request. */
static int handle(char *line, struct entropy *entropy, struct answer *answer)
{
	struct moment moment;
	const char *kind = take_word(&line);
	bool restores = strcmp(kind, "restore") == 0;

	if (!restores && strcmp(kind, "clock") != 0)
		return ENOSYS;
	if (!parse_ns(take_word(&line), &moment.wall_ns) ||
	    !parse_ns(take_word(&line), &moment.monotonic_ns) || !has_passed(&moment))
		return EINVAL;
	if (restores && !parse_entropy(take_word(&line), entropy))
		return EINVAL;
	if (line != NULL)
		return E2BIG;

	report(answer, "wall_clock", set_wall_clock(&moment));
	if (restores)
		renew_random(entropy, answer);
	return 0;
}

/* Returns whether the answer was taken. */
static bool answer_line(char *line, size_t length)
{
	struct answer answer = { .length = 0 };
	struct entropy entropy;
	int error = strlen(line) == length ? handle(line, &entropy, &answer) : EILSEQ;

	explicit_bzero(&entropy, sizeof(entropy));
	if (error != 0)
		report(&answer, "refused", error);
	append(&answer, "\n");
	return write_all(STDOUT_FILENO, answer.text, answer.length) == 0;
}

int requests_main(int count, char *arguments[])
{
	char buffer[REQUEST_BYTES_MAX];
	size_t length = 0;

	(void)arguments;
	if (count != 1)
		return fail("no arguments are needed, see --help");
	for (;;) {
		char *end = memchr(buffer, '\n', length);
		ssize_t got;

		if (end != NULL) {
			size_t line_bytes = (size_t)(end - buffer);

			*end = '\0';
			if (!answer_line(buffer, line_bytes))
				return EXIT_NOT_ANSWERED;
			length -= line_bytes + 1;
			memmove(buffer, end + 1, length);
			/* No entropy stays behind for a snapshot to hold. */
			explicit_bzero(buffer + length, sizeof(buffer) - length);
			continue;
		}
		if (length == sizeof(buffer))
			return fail("a request is too long");
		got = read(STDIN_FILENO, buffer + length, sizeof(buffer) - length);
		if (got < 0 && errno != EINTR)
			return fail("standard input cannot be read");
		if (got == 0)
			return length == 0 ? EXIT_DONE : fail("a request has no end");
		if (got > 0)
			length += (size_t)got;
	}
}
