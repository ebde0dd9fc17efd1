/* Promises of what a thread of libuv's pool does. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "values.h"
#include "work.h"

struct work {
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

static void complete(napi_env env, napi_status status, void *argument)
{
	struct work *work = argument;

	if (status == napi_cancelled)
		work->error = ECANCELED;
	settle(env, work);
	napi_delete_async_work(env, work->handle);
	work->kind->release(work->data);
	free(work);
}

napi_value start_work(napi_env env, const struct work_kind *kind, void *data)
{
	struct work *work = calloc(1, sizeof(*work));
	napi_value name, promise;

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
	    napi_queue_async_work(env, work->handle) == napi_ok)
		return promise;

	if (work->handle)
		napi_delete_async_work(env, work->handle);
	kind->release(data);
	free(work);
	throw_error(env, EAGAIN, kind->name);
	return NULL;
}
