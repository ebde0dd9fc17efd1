/* The life of a page server: what it holds, and its thread. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "page-server.h"

void page_server_init(struct page_server *server)
{
	server->listener = -1;
	server->connection = -1;
	server->uffd = -1;
	server->pidfd = -1;
	server->wake = -1;
	server->removed.file = -1;
	pthread_mutex_init(&server->recorded.lock, NULL);
	atomic_init(&server->command, COMMAND_HOLD);
}

int page_server_prepare(struct page_server *server, const char *removed_path)
{
	server->buffer = aligned_alloc(BLOCK_SIZE, (size_t)server->run_blocks_max * BLOCK_SIZE);
	if (!server->buffer)
		return ENOMEM;
	server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->wake < 0)
		return errno;
	return open_removed(&server->removed, removed_path, server->memory.block_count);
}

int64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

bool page_server_fail(struct page_server *server, int error, const char *what)
{
	server->end.kind = END_FAILED;
	server->end.error = error ? error : EPROTO;
	if (error)
		snprintf(server->end.message, sizeof(server->end.message), "%s: %s", what,
			 strerrordesc_np(error));
	else
		snprintf(server->end.message, sizeof(server->end.message), "%s", what);
	return false;
}

static void *run_thread(void *argument)
{
	struct page_server *server = argument;

	/* One that was adopted has its userfaultfd. */
	if (server->uffd >= 0 || page_server_handshake(server)) {
		server->on_handshake(server->context);
		page_server_serve(server);
	}
	page_server_unlisten(server);
	server->on_end(server->context);
	return NULL;
}

int page_server_start(struct page_server *server)
{
	sigset_t all, before;
	int error;

	/* Signals are for JavaScript's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&server->thread, NULL, run_thread, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error;
	server->thread_started = true;
	pthread_setname_np(server->thread, "wrenn-pages");
	return 0;
}

void page_server_command(struct page_server *server, enum page_server_command command)
{
	uint64_t poke = 1;

	atomic_store(&server->command, (int)command);
	/* It fails only when it is already set. */
	if (write(server->wake, &poke, sizeof(poke)) < 0)
		return;
}

void page_server_take_wake(struct page_server *server)
{
	uint64_t pokes;

	/* It fails only when there was none. */
	if (read(server->wake, &pokes, sizeof(pokes)) < 0)
		return;
}

void page_server_join(struct page_server *server)
{
	if (!server->thread_started)
		return;
	pthread_join(server->thread, NULL);
	server->thread_started = false;
}

static void close_file(int *file)
{
	if (*file >= 0)
		close(*file);
	*file = -1;
}

void page_server_release(struct page_server *server)
{
	page_server_unlisten(server);
	close_file(&server->connection);
	close_file(&server->uffd);
	close_file(&server->pidfd);
	close_file(&server->wake);
	close_removed(&server->removed);
	free_mapped_memory(&server->memory);
	free(server->pending.addresses);
	server->pending = (struct pending_faults){0};
	free(server->buffer);
	server->buffer = NULL;
	end_replay(&server->replay);
	free_numbers(&server->recorded.pairs);
}
