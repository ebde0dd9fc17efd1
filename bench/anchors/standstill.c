/*
 * How long a thread of another process stood still: the longest time over which
 * the processor time that it has had did not grow, though it always had work.
 *
 *   standstill TID     prints nanoseconds when it gets SIGTERM
 */
#include "common.h"

#include <linux/perf_event.h>
#include <signal.h>

#define PAUSE_NS 100000

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

static int open_task_clock(pid_t thread)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};
	int clock = (int)syscall(SYS_perf_event_open, &attributes, thread, -1, -1,
				 PERF_FLAG_FD_CLOEXEC);

	if (clock < 0)
		error(1, errno, "perf_event_open");
	return clock;
}

static uint64_t read_clock(int clock)
{
	uint64_t value;

	if (read(clock, &value, sizeof(value)) != sizeof(value))
		error(1, errno, "read the clock of the thread");
	return value;
}

int main(int count, char **arguments)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t longest = 0, value, last, last_change;
	int clock;

	if (count != 2)
		error(2, 0, "usage: standstill TID");
	clock = open_task_clock((pid_t)parse_number(arguments[1]));
	last = read_clock(clock);
	last_change = now_ns();
	signal(SIGTERM, end);

	while (!ended) {
		uint64_t now;

		nanosleep(&pause, NULL);
		value = read_clock(clock);
		now = now_ns();
		if (value != last) {
			if (now - last_change > longest)
				longest = now - last_change;
			last = value;
			last_change = now;
		}
	}
	printf("%llu\n", (unsigned long long)longest);
	return 0;
}
