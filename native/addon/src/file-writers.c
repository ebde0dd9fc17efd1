/* Whether a file is open for writing anywhere, also where no name leads to it any more. */
#include <errno.h>
#include <fcntl.h>

#include "module.h"
#include "values.h"

/*
 * The kernel grants a read lease only where nobody has the file open for
 * writing. It is given back at once: what counts is the answer. 0 or an errno.
 */
static int ask_for_lease(int file)
{
	if (fcntl(file, F_SETLEASE, F_RDLCK) != 0)
		return errno;
	return fcntl(file, F_SETLEASE, F_UNLCK) == 0 ? 0 : errno;
}

static napi_value has_writers(napi_env env, napi_callback_info info)
{
	napi_value argument, result;
	int32_t file;
	int error;

	if (!read_arguments(env, info, 1, &argument))
		return NULL;
	if (napi_get_value_int32(env, argument, &file) != napi_ok) {
		throw_invalid(env, "hasWriters takes a descriptor");
		return NULL;
	}
	error = ask_for_lease(file);
	if (error && error != EAGAIN) {
		throw_error(env, error, "hasWriters");
		return NULL;
	}
	return napi_get_boolean(env, error == EAGAIN, &result) == napi_ok ? result : NULL;
}

bool register_file_writers(napi_env env, napi_value exports)
{
	return set_function(env, exports, "hasWriters", has_writers);
}
