/*
 * Prints the rate of this machine's time stamp counter in kHz, one number and a newline.
 *
 * The guest kernel takes it as `tsc_early_khz=`: on nested or noisy machines it cannot calibrate
 * the counter against the emulated timer chip by itself and hangs early in boot. A wrong figure
 * would make the guest's clock run fast or slow, so the rate is measured here, against
 * CLOCK_MONOTONIC_RAW (which no time daemon bends), over several short windows, and the median is
 * taken: a window in which this process was preempted at the wrong moment does not count.
 *
 * Exits 0 with the rate on stdout, or 1 with one sentence on stderr.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if !defined(__x86_64__)

int main(void)
{
	fputs("tsc-khz: this machine is not x86-64, so it has no time stamp counter to measure\n",
	      stderr);
	return 1;
}

#else

#include <x86intrin.h>

enum {
	WINDOW_COUNT = 15,
	WINDOW_NS = 12 * 1000 * 1000,
	/* Readings of both clocks at each end of a window; the tightest one is kept. */
	READINGS_PER_EDGE = 32,
	/* The windows around the median must agree within this many parts per million. */
	MAX_SPREAD_PPM = 500,
	MAX_ROUNDS = 5,
};

/* No x86-64 counter runs outside this range; a figure outside it is a broken clock. */
static const uint64_t MIN_PLAUSIBLE_KHZ = 100 * 1000;
static const uint64_t MAX_PLAUSIBLE_KHZ = 20 * 1000 * 1000;

/* One moment, read on both clocks. */
struct edge {
	uint64_t ticks;
	uint64_t ns;
};

static uint64_t raw_clock_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC_RAW, &now) != 0) {
		fprintf(stderr, "tsc-khz: cannot read CLOCK_MONOTONIC_RAW: %s\n", strerror(errno));
		exit(1);
	}
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Brackets the clock reading by two counter readings and keeps the tightest bracket. */
static struct edge read_edge(void)
{
	struct edge best = {0, 0};
	uint64_t tightest = UINT64_MAX;

	for (int i = 0; i < READINGS_PER_EDGE; i++) {
		unsigned int cpu;
		uint64_t before = __rdtscp(&cpu);
		uint64_t ns = raw_clock_ns();
		uint64_t after = __rdtscp(&cpu);

		if (after >= before && after - before < tightest) {
			tightest = after - before;
			best.ticks = before + (after - before) / 2;
			best.ns = ns;
		}
	}
	return best;
}

static void sleep_ns(long ns)
{
	struct timespec left = {0, ns};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static uint64_t window_khz(void)
{
	struct edge start = read_edge();
	sleep_ns(WINDOW_NS);
	struct edge end = read_edge();

	if (end.ns <= start.ns || end.ticks <= start.ticks)
		return 0;
	return (uint64_t)(((unsigned __int128)(end.ticks - start.ticks) * 1000000u) /
			  (end.ns - start.ns));
}

static int compare_rates(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* The median of one round, or 0 when its middle half does not agree. */
static uint64_t round_khz(void)
{
	uint64_t rates[WINDOW_COUNT];

	for (int i = 0; i < WINDOW_COUNT; i++)
		rates[i] = window_khz();
	qsort(rates, WINDOW_COUNT, sizeof(rates[0]), compare_rates);

	uint64_t median = rates[WINDOW_COUNT / 2];
	uint64_t spread = rates[WINDOW_COUNT * 3 / 4] - rates[WINDOW_COUNT / 4];

	if (median == 0 || spread * 1000000u / median > MAX_SPREAD_PPM)
		return 0;
	return median;
}

int main(void)
{
	for (int i = 0; i < MAX_ROUNDS; i++) {
		uint64_t khz = round_khz();

		if (khz >= MIN_PLAUSIBLE_KHZ && khz <= MAX_PLAUSIBLE_KHZ) {
			printf("%llu\n", (unsigned long long)khz);
			return fflush(stdout) == 0 ? 0 : 1;
		}
	}
	fputs("tsc-khz: the time stamp counter gives no steady rate on this machine\n", stderr);
	return 1;
}

#endif
