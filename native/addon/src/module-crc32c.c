/* crc32c and crc32cFile for JavaScript. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "crc32c.h"
#include "module.h"
#include "values.h"
#include "work.h"

/* Bytes of a file that are read at once: enough to hide the call, little enough for the cache. */
#define READ_SIZE (256 * 1024)

struct file_sum {
	int file;
	uint32_t sum;
};

static napi_value sum_bytes(napi_env env, napi_callback_info info)
{
	napi_value arguments[2], result;
	napi_typedarray_type type;
	uint32_t seed = 0;
	bool is_typed;
	size_t length;
	void *data;

	if (!read_arguments(env, info, 2, arguments))
		return NULL;
	if (napi_is_typedarray(env, arguments[0], &is_typed) != napi_ok || !is_typed ||
	    napi_get_typedarray_info(env, arguments[0], &type, &length, &data, NULL, NULL) !=
		    napi_ok ||
	    type != napi_uint8_array ||
	    (is_defined(env, arguments[1]) &&
	     napi_get_value_uint32(env, arguments[1], &seed) != napi_ok)) {
		throw_invalid(env, "crc32c takes a Uint8Array and a number");
		return NULL;
	}
	return napi_create_uint32(env, crc32c(seed, data, length), &result) == napi_ok ? result
										       : NULL;
}

static int sum_file(void *argument)
{
	struct file_sum *work = argument;
	char *buffer = malloc(READ_SIZE);
	off_t at = 0;
	ssize_t got;
	int error;

	if (!buffer)
		return ENOMEM;
	do {
		got = pread(work->file, buffer, READ_SIZE, at);
		if (got > 0) {
			work->sum = crc32c(work->sum, buffer, (size_t)got);
			at += got;
		}
	} while (got > 0 || (got < 0 && errno == EINTR));
	error = got < 0 ? errno : 0;
	free(buffer);
	return error;
}

static napi_value file_result(napi_env env, void *argument)
{
	const struct file_sum *work = argument;
	napi_value result;

	return napi_create_uint32(env, work->sum, &result) == napi_ok ? result : NULL;
}

static void free_file(void *argument)
{
	struct file_sum *work = argument;

	close(work->file);
	free(work);
}

static const struct work_kind file_sum_kind = {
	.name = "crc32cFile",
	.execute = sum_file,
	.result = file_result,
	.release = free_file,
};

static napi_value sum_of_file(napi_env env, napi_callback_info info)
{
	struct file_sum *work;
	napi_value argument;
	int32_t descriptor;

	if (!read_arguments(env, info, 1, &argument))
		return NULL;
	if (napi_get_value_int32(env, argument, &descriptor) != napi_ok) {
		throw_invalid(env, "crc32cFile takes a descriptor");
		return NULL;
	}
	work = calloc(1, sizeof(*work));
	if (!work) {
		throw_error(env, ENOMEM, "crc32cFile");
		return NULL;
	}
	work->file = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
	if (work->file < 0) {
		free(work);
		throw_error(env, errno, "crc32cFile");
		return NULL;
	}
	return start_work(env, &file_sum_kind, work);
}

bool register_crc32c(napi_env env, napi_value exports)
{
	return set_function(env, exports, "crc32c", sum_bytes) &&
	       set_function(env, exports, "crc32cFile", sum_of_file);
}
