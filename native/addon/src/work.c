/*
 * Promises of what a thread of libuv's pool does. The pool has four threads, for
 * every operation of Node on files as well, and a job may take seconds: so only
 * some run at a time, and the others wait outside of the pool.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "module.h"
#include "values.h"
#include "work.h"

#define RUNNING_MAX 3

struct queue {
	unsigned int running;
	struct work *first;
	struct work *last;
	/* The environment has gone, and what runs has the queue alone. */
	bool orphaned;
};

struct work {
	struct work *next;
	struct queue *queue;
	const struct work_kind *kind;
	void *data;
	napi_async_work handle;
	napi_deferred deferred;
	int error;
};

static void execute(napi_env env, void *argument)
{
	struct work *work = argument;

	(void)env;
	work->error = work->kind->execute(work->data);
}

static napi_value pending_exception(napi_env env)
{
	napi_value exception;
	bool pending;

	if (napi_is_exception_pending(env, &pending) != napi_ok || !pending ||
	    napi_get_and_clear_last_exception(env, &exception) != napi_ok)
		return NULL;
	return exception;
}

static void settle(napi_env env, struct work *work)
{
	napi_value result = NULL, reason;

	if (work->error == 0) {
		result = work->kind->result(env, work->data);
		work->error = EIO;
	}
	if (result) {
		napi_resolve_deferred(env, work->deferred, result);
		return;
	}
	reason = pending_exception(env);
	if (!reason)
		reason = make_error(env, work->error, work->kind->name);
	napi_reject_deferred(env, work->deferred, reason);
}

static void free_work(napi_env env, struct work *work)
{
	napi_delete_async_work(env, work->handle);
	work->kind->release(work->data);
	free(work);
}

static void start_waiting(napi_env env, struct queue *queue)
{
	while (queue->first && queue->running < RUNNING_MAX) {
		struct work *work = queue->first;

		queue->first = work->next;
		if (napi_queue_async_work(env, work->handle) == napi_ok) {
			queue->running++;
			continue;
		}
		work->error = EAGAIN;
		settle(env, work);
		free_work(env, work);
	}
}

static void append(struct queue *queue, struct work *work)
{
	work->queue = queue;
	if (queue->first)
		queue->last->next = work;
	else
		queue->first = work;
	queue->last = work;
}

static void complete(napi_env env, napi_status status, void *argument)
{
	struct work *work = argument;
	struct queue *queue = work->queue;

	if (status == napi_cancelled)
		work->error = ECANCELED;
	settle(env, work);
	free_work(env, work);
	queue->running--;
	if (!queue->orphaned)
		start_waiting(env, queue);
	else if (queue->running == 0)
		free(queue);
}

/* The environment goes: nothing else is started. */
static void end_queue(napi_env env, void *data, void *hint)
{
	struct queue *queue = data;

	(void)hint;
	while (queue->first) {
		struct work *work = queue->first;

		queue->first = work->next;
		free_work(env, work);
	}
	queue->orphaned = true;
	if (queue->running == 0)
		free(queue);
}

bool register_work(napi_env env, napi_value exports)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	(void)exports;
	if (queue && napi_set_instance_data(env, queue, end_queue, NULL) == napi_ok)
		return true;
	free(queue);
	throw_error(env, ENOMEM, "queue of work");
	return false;
}

napi_value start_work(napi_env env, const struct work_kind *kind, void *data)
{
	struct work *work = calloc(1, sizeof(*work));
	napi_value name, promise;
	void *queue = NULL;

	if (!work) {
		kind->release(data);
		throw_error(env, ENOMEM, kind->name);
		return NULL;
	}
	work->kind = kind;
	work->data = data;
	if (napi_create_string_utf8(env, kind->name, NAPI_AUTO_LENGTH, &name) == napi_ok &&
	    napi_create_async_work(env, NULL, name, execute, complete, work, &work->handle) ==
		    napi_ok &&
	    napi_create_promise(env, &work->deferred, &promise) == napi_ok &&
	    napi_get_instance_data(env, &queue) == napi_ok && queue) {
		append(queue, work);
		start_waiting(env, queue);
		return promise;
	}

	if (work->handle)
		napi_delete_async_work(env, work->handle);
	kind->release(data);
	free(work);
	throw_error(env, EAGAIN, kind->name);
	return NULL;
}
