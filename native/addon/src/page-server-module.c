/*
 * Page servers for JavaScript. Each is an object, which is kept from the garbage
 * collector until the server is closed: a machine may need it though nobody
 * looks. The thread tells of its progress by a threadsafe function, which does
 * not keep Node alive except while a close() is awaited.
 */
#include <errno.h>
#include <stdlib.h>

#include "module.h"
#include "page-server.h"
#include "values.h"

/* What the thread tells. */
enum progress { PROGRESS_HANDSHAKE = 1, PROGRESS_END };

struct handle {
	struct page_server server;
	napi_env env;
	napi_threadsafe_function progress;
	napi_ref self;
	/* NULL once settled. */
	napi_deferred handshake;
	napi_deferred ended;
	napi_deferred closed;
	/* The promise of the first close(). */
	napi_ref closing;
	/* Whether the thread has been joined. */
	bool has_ended;
	bool has_hook;
};

static const napi_type_tag handle_tag = {0x7772656e6e706167, 0x6573657276657231};

static const char *const end_names[] = {
	[END_CLOSED] = "closed",
	[END_VMM_GONE] = "vmm-gone",
	[END_FAILED] = "failed",
	[END_DAMAGED] = "damaged",
};

static void tell(struct handle *handle, enum progress progress)
{
	/* It fails only when the environment goes, whose hook ends the thread. */
	(void)napi_call_threadsafe_function(handle->progress, (void *)(uintptr_t)progress,
					    napi_tsfn_nonblocking);
}

static void on_handshake(void *context)
{
	tell(context, PROGRESS_HANDSHAKE);
}

static void on_end(void *context)
{
	tell(context, PROGRESS_END);
}

static void settle(napi_env env, napi_deferred *deferred, bool resolve, napi_value value)
{
	if (!*deferred)
		return;
	if (resolve)
		napi_resolve_deferred(env, *deferred, value);
	else
		napi_reject_deferred(env, *deferred, value);
	*deferred = NULL;
}

static void settle_handshake(napi_env env, struct handle *handle)
{
	napi_value made = make_handshake(env, &handle->server);

	if (made)
		settle(env, &handle->handshake, true, made);
}

static void settle_end(napi_env env, struct handle *handle)
{
	const struct page_server_end *end = &handle->server.end;
	napi_value made;

	if (handle->handshake)
		settle(env, &handle->handshake, false,
		       end->kind == END_FAILED ? make_error(env, end->error, end->message)
					       : make_error(env, ECANCELED, "closed"));
	if (napi_create_object(env, &made) != napi_ok ||
	    !set_string(env, made, "kind", end_names[end->kind]))
		return;
	if (end->kind == END_FAILED && !set_string(env, made, "message", end->message))
		return;
	if (end->kind == END_DAMAGED && (!set_number(env, made, "file", end->file) ||
					 !set_number(env, made, "block", end->block)))
		return;
	settle(env, &handle->ended, true, made);
}

static void on_environment_end(void *argument)
{
	struct handle *handle = argument;

	handle->has_hook = false;
	if (!handle->has_ended) {
		page_server_command(&handle->server, COMMAND_STOP);
		page_server_join(&handle->server);
	}
	page_server_release(&handle->server);
}

static void remove_hook(struct handle *handle)
{
	if (handle->has_hook)
		napi_remove_env_cleanup_hook(handle->env, on_environment_end, handle);
	handle->has_hook = false;
}

/* The thread has ended and close() was called: all goes, and the object may. */
static void finish_close(napi_env env, struct handle *handle)
{
	napi_value undefined;

	page_server_release(&handle->server);
	remove_hook(handle);
	if (napi_get_undefined(env, &undefined) == napi_ok)
		settle(env, &handle->closed, true, undefined);
	napi_delete_reference(env, handle->self);
	handle->self = NULL;
}

static void on_progress(napi_env env, napi_value callback, void *context, void *data)
{
	struct handle *handle = context;

	(void)callback;
	/* The environment goes, and the handle may have gone. */
	if (!env)
		return;
	if ((enum progress)(uintptr_t)data == PROGRESS_HANDSHAKE) {
		settle_handshake(env, handle);
		return;
	}
	page_server_join(&handle->server);
	handle->has_ended = true;
	settle_end(env, handle);
	napi_release_threadsafe_function(handle->progress, napi_tsfn_release);
	if (handle->closed)
		finish_close(env, handle);
}

static void finalize(napi_env env, void *data, void *hint)
{
	struct handle *handle = data;

	(void)hint;
	if (handle->closing)
		napi_delete_reference(env, handle->closing);
	free(handle);
}

static struct handle *unwrap(napi_env env, napi_callback_info info)
{
	void *handle = NULL;
	napi_value self;
	bool is_ours;

	if (napi_get_cb_info(env, info, NULL, NULL, &self, NULL) != napi_ok ||
	    napi_check_object_type_tag(env, self, &handle_tag, &is_ours) != napi_ok || !is_ours ||
	    napi_unwrap(env, self, &handle) != napi_ok)
		throw_invalid(env, "not a page server");
	return handle;
}

static napi_value serve(napi_env env, napi_callback_info info)
{
	struct handle *handle = unwrap(env, info);

	if (handle && !handle->closing && !handle->has_ended)
		page_server_command(&handle->server, COMMAND_SERVE);
	return NULL;
}

static napi_value statistics(napi_env env, napi_callback_info info)
{
	struct handle *handle = unwrap(env, info);

	return handle ? make_statistics(env, &handle->server.statistics) : NULL;
}

static napi_value working_set(napi_env env, napi_callback_info info)
{
	struct handle *handle = unwrap(env, info);

	return handle ? make_working_set(env, &handle->server.recorded) : NULL;
}

static napi_value stop_recording_blocks(napi_env env, napi_callback_info info)
{
	struct handle *handle = unwrap(env, info);

	if (handle)
		stop_recording(&handle->server.recorded);
	return NULL;
}

static napi_value close_server(napi_env env, napi_callback_info info)
{
	struct handle *handle = unwrap(env, info);
	napi_value promise;

	if (!handle)
		return NULL;
	if (handle->closing)
		return napi_get_reference_value(env, handle->closing, &promise) == napi_ok ? promise
											  : NULL;
	if (napi_create_promise(env, &handle->closed, &promise) != napi_ok ||
	    napi_create_reference(env, promise, 1, &handle->closing) != napi_ok)
		return NULL;
	if (handle->has_ended) {
		finish_close(env, handle);
		return promise;
	}
	napi_ref_threadsafe_function(env, handle->progress);
	page_server_command(&handle->server, COMMAND_STOP);
	return promise;
}

static bool make_promise(napi_env env, napi_value object, const char *name, napi_deferred *deferred)
{
	napi_value promise;

	return napi_create_promise(env, deferred, &promise) == napi_ok &&
	       napi_set_named_property(env, object, name, promise) == napi_ok;
}

/* The object without its handle. */
static napi_value make_object(napi_env env, struct handle *handle)
{
	napi_value object, name;

	if (napi_create_object(env, &object) != napi_ok ||
	    !make_promise(env, object, "handshake", &handle->handshake) ||
	    !make_promise(env, object, "ended", &handle->ended) ||
	    !set_function(env, object, "serve", serve) ||
	    !set_function(env, object, "statistics", statistics) ||
	    !set_function(env, object, "workingSet", working_set) ||
	    !set_function(env, object, "stopRecording", stop_recording_blocks) ||
	    !set_function(env, object, "close", close_server) ||
	    napi_create_string_utf8(env, "page server", NAPI_AUTO_LENGTH, &name) != napi_ok ||
	    napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, handle,
					    on_progress, &handle->progress) != napi_ok)
		return NULL;
	if (napi_unref_threadsafe_function(env, handle->progress) == napi_ok &&
	    napi_type_tag_object(env, object, &handle_tag) == napi_ok)
		return object;
	napi_release_threadsafe_function(handle->progress, napi_tsfn_abort);
	return NULL;
}

/* Binds the handle to the object, which frees it. */
static bool bind_handle(napi_env env, struct handle *handle, napi_value object)
{
	handle->has_hook = napi_add_env_cleanup_hook(env, on_environment_end, handle) == napi_ok;
	return handle->has_hook &&
	       napi_wrap(env, object, handle, finalize, NULL, NULL) == napi_ok &&
	       napi_create_reference(env, object, 1, &handle->self) == napi_ok;
}

static void unbind_handle(napi_env env, struct handle *handle, napi_value object)
{
	if (handle->self)
		napi_delete_reference(env, handle->self);
	napi_remove_wrap(env, object, NULL);
	remove_hook(handle);
	napi_release_threadsafe_function(handle->progress, napi_tsfn_abort);
}

/* Starts the thread of a server that is all set up; the object owns the handle when there is one. */
static napi_value start(napi_env env, struct handle *handle)
{
	napi_value object = make_object(env, handle);
	int error;

	if (!object)
		return NULL;
	error = bind_handle(env, handle, object) ? page_server_start(&handle->server) : ENOMEM;
	if (!error)
		return object;
	unbind_handle(env, handle, object);
	throw_error(env, error, "start the thread of a page server");
	return NULL;
}

typedef bool (*read_options)(napi_env env, napi_value options, struct page_server *server,
			     struct page_server_paths *paths);
typedef int (*open_server)(struct page_server *server);

static napi_value make_server(napi_env env, napi_callback_info info, read_options read,
			      open_server open)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	struct page_server_paths paths;
	napi_value options, object = NULL;
	int error;

	if (!handle) {
		throw_error(env, ENOMEM, "page server");
		return NULL;
	}
	handle->env = env;
	handle->server.context = handle;
	handle->server.on_handshake = on_handshake;
	handle->server.on_end = on_end;
	page_server_init(&handle->server);

	if (read_arguments(env, info, 1, &options) &&
	    read(env, options, &handle->server, &paths)) {
		error = page_server_prepare(&handle->server, paths.removed);
		if (!error)
			error = open(&handle->server);
		if (error)
			throw_error(env, error, "open a page server");
		else
			object = start(env, handle);
	}
	if (object)
		return object;
	page_server_release(&handle->server);
	free(handle);
	return NULL;
}

static napi_value start_page_server(napi_env env, napi_callback_info info)
{
	return make_server(env, info, read_listen_options, page_server_listen);
}

static int adopt(struct page_server *server)
{
	int error = page_server_adopt(server);

	/* What a machine wants at its beginning can be seen no more. */
	stop_recording(&server->recorded);
	if (!error)
		atomic_store(&server->command, COMMAND_SERVE);
	return error;
}

static napi_value adopt_page_server(napi_env env, napi_callback_info info)
{
	return make_server(env, info, read_adopt_options, adopt);
}

bool register_page_server(napi_env env, napi_value exports)
{
	return set_function(env, exports, "startPageServer", start_page_server) &&
	       set_function(env, exports, "adoptPageServer", adopt_page_server);
}
