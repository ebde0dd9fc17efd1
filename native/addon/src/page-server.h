/*
 * A page server answers the page faults of one VMM, whose memory is lazily
 * restored, in a thread of its own: JavaScript's thread may be busy.
 *
 *     listening -> handshake -> (release) -> serving -> ended
 *     adopted --------------------------------^
 *
 * The thread owns everything but `command`, `statistics` and what is set before
 * it starts, until it has ended.
 */
#ifndef WRENN_PAGE_SERVER_H
#define WRENN_PAGE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "mapped-memory.h"
#include "number-list.h"
#include "page-server-json.h"

/* Largest number of blocks that one fault may bring: 2 MiB. */
#define RUN_BLOCKS_MAX 512u
/* Largest number of blocks that are recorded, and that are replayed: 256 MiB. */
#define WORKING_SET_BLOCKS_MAX 65536u
#define PATH_SIZE 4096u
#define MESSAGE_SIZE_MAX 200u

enum page_server_command {
	/* Between handshake and serving: the VMM's first access waits. */
	COMMAND_HOLD,
	COMMAND_SERVE,
	COMMAND_STOP,
};

enum page_server_end_kind { END_CLOSED, END_VMM_GONE, END_FAILED, END_DAMAGED };

struct page_server_end {
	enum page_server_end_kind kind;
	/* END_FAILED: why, and the errno that goes best with it. */
	char message[MESSAGE_SIZE_MAX];
	int error;
	/* END_DAMAGED: index of the file, and block in it. */
	uint32_t file;
	uint32_t block;
};

/* Written by the thread, read by any. */
struct page_server_statistics {
	_Atomic uint64_t faults;
	/* Of the faults, those whose block was not there yet. */
	_Atomic uint64_t demand_faults;
	_Atomic uint64_t served_blocks;
	_Atomic uint64_t zero_blocks;
	_Atomic uint64_t removed_blocks;
	/* Of the served and zero ones, those that were brought before a fault asked. */
	_Atomic uint64_t replayed_blocks;
	_Atomic uint64_t ioctls;
	_Atomic uint64_t eagain;
	_Atomic uint64_t eexist;
};

/* Blocks that the VMM has given back; a file keeps them for a later server of the same VMM. */
struct removed_blocks {
	int file;
	uint8_t *bits;
	size_t size;
};

/* Faults that were read but not answered, in order of block. */
struct pending_faults {
	uint64_t *addresses;
	size_t count;
	size_t capacity;
};

/* What faults have demanded; JavaScript reads it meanwhile. */
struct recorded_blocks {
	pthread_mutex_t lock;
	/* First block and number of blocks of each run, in the order in which they were demanded. */
	struct number_list pairs;
	uint32_t blocks;
	/* 0 before serving, and for good when it was adopted: nothing is recorded. */
	int64_t ends_at_ms;
	bool stopped;
};

/* What is brought before a fault asks; all zero when nothing is left. */
struct replay {
	/* As the pairs of recorded_blocks. */
	uint32_t *pairs;
	size_t pair_count;
	/* The next pair, and the blocks of it that are done. */
	size_t pair;
	uint32_t done;
	/* One bit for each block of the memory: a fault has brought it. */
	uint8_t *brought;
	/* Of the next copy. */
	uint32_t bulk_blocks;
	uint8_t *buffer;
	/* How many there had been at the last copy. */
	uint64_t faults;
	/* Memory is being given back: the event comes, or the VMM's thread has yet to go on. */
	bool waits;
};

struct page_server {
	struct mapped_memory memory;
	uint64_t size;
	uint32_t run_blocks_max;
	uid_t uid;
	pid_t pid;
	int handshake_timeout_ms;
	struct sockaddr_un socket_address;

	int listener;
	int connection;
	int uffd;
	/* Of the VMM. */
	int pidfd;
	/* An eventfd: look at `command`. */
	int wake;
	_Atomic int command;

	struct region regions[REGIONS_MAX];
	size_t region_count;
	struct removed_blocks removed;
	struct pending_faults pending;
	/* `run_blocks_max` blocks, for what a fault brings. */
	uint8_t *buffer;
	struct replay replay;
	struct recorded_blocks recorded;

	struct page_server_statistics statistics;
	struct page_server_end end;

	pthread_t thread;
	bool thread_started;
	/* Called in the thread: after the handshake, and as the last thing that it does. */
	void (*on_handshake)(void *context);
	void (*on_end)(void *context);
	void *context;
};

/* page-server.c. Each returns 0 or an errno. */

/* Sets up what is empty; `memory`, `size` and the rest of the first part are the caller's to fill. */
void page_server_init(struct page_server *server);
/* Opens what every server needs: buffer, eventfd, and the file of removed blocks. */
int page_server_prepare(struct page_server *server, const char *removed_path);
int page_server_start(struct page_server *server);
void page_server_command(struct page_server *server, enum page_server_command command);
/* In the thread: `command` is about to be looked at. */
void page_server_take_wake(struct page_server *server);
/* Waits for the end of the thread, which must be under way. */
void page_server_join(struct page_server *server);
/* Closes and frees all but the structure itself. Idempotent; the thread must have been joined. */
void page_server_release(struct page_server *server);

int64_t monotonic_ms(void);

/* Ends the server: `what` failed with `error`, or, when that is 0, is wrong. Returns false. */
bool page_server_fail(struct page_server *server, int error, const char *what);

/* page-server-options.c: false leaves a JavaScript exception pending. */
struct page_server_paths {
	char removed[PATH_SIZE];
};
/* Of startPageServer. */
bool read_listen_options(napi_env env, napi_value options, struct page_server *server,
			 struct page_server_paths *paths);
/* Of adoptPageServer. */
bool read_adopt_options(napi_env env, napi_value options, struct page_server *server,
			struct page_server_paths *paths);

/* page-server-values.c: NULL leaves a JavaScript exception pending, or the environment goes. */
napi_value make_handshake(napi_env env, const struct page_server *server);
napi_value make_statistics(napi_env env, const struct page_server_statistics *counted);
napi_value make_working_set(napi_env env, struct recorded_blocks *recorded);

/* page-server-listen.c */
int page_server_listen(struct page_server *server);
/* Closes the listening socket and removes its name. Idempotent. */
void page_server_unlisten(struct page_server *server);

/* page-server-handshake.c: false when the server has ended. */
bool page_server_handshake(struct page_server *server);

/* page-server-regions.c: what is wrong with the regions, or NULL. */
const char *check_regions(const struct region *regions, size_t count, uint64_t memory_size);
const struct region *find_region(const struct page_server *server, uint64_t address);

/* page-server-adopt.c: 0 or an errno. */
int page_server_adopt(struct page_server *server);
bool is_userfaultfd(const char *link_path);

/* page-server-removed.c: 0 or an errno. */
int open_removed(struct removed_blocks *removed, const char *path, uint32_t block_count);
int mark_removed(struct removed_blocks *removed, uint32_t first, uint32_t count);
bool is_removed(const struct removed_blocks *removed, uint32_t block);
void close_removed(struct removed_blocks *removed);

/* page-server-record.c; any thread. */
void begin_recording(struct recorded_blocks *recorded);
void record_blocks(struct recorded_blocks *recorded, uint32_t first, uint32_t blocks);
/* For good. */
void stop_recording(struct recorded_blocks *recorded);
/* What has been recorded so far, for free(). 0 or an errno. */
int copy_recorded(struct recorded_blocks *recorded, uint32_t **numbers, size_t *numbers_count);

/* page-server-replay.c */
/* What is wrong with the pairs, or NULL. */
const char *check_replay(const struct replay *replay, size_t numbers, uint32_t block_count);
/* page-server-replay-order.c: of pairs that were checked. */
void order_replay(struct replay *replay);
bool has_replay(const struct replay *replay);
/* A fault has brought these. */
void leave_out_of_replay(struct replay *replay, uint32_t first, uint32_t blocks);
/* Brings a few blocks. */
void replay_some(struct page_server *server);
/* Frees it; nothing is left. */
void end_replay(struct replay *replay);

/* page-server-serve.c: returns when the server has ended. */
void page_server_serve(struct page_server *server);

/* page-server-answer.c */
enum answer {
	ANSWERED,
	/* Memory is being given back: the events must be read first. */
	ANSWER_AGAIN,
	/* The server has ended. */
	ANSWER_ENDED,
};
/* Brings the block at `address` in the VMM and its neighbours; *answered_to is the end of what is there. */
enum answer answer_fault(struct page_server *server, uint64_t address, uint64_t *answered_to);

#endif
