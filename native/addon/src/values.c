/* JavaScript's values as C's, and back. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

#define MESSAGE_SIZE 256
/* Number.MAX_SAFE_INTEGER */
#define INTEGER_MAX 9007199254740991.0

napi_value make_error(napi_env env, int error, const char *operation)
{
	const char *name = strerrorname_np(error);
	const char *description = strerrordesc_np(error);
	char text[MESSAGE_SIZE];
	napi_value code, message, made;

	snprintf(text, sizeof(text), "%s: %s", operation, description ? description : "unknown error");
	if (napi_create_string_utf8(env, name ? name : "EIO", NAPI_AUTO_LENGTH, &code) != napi_ok ||
	    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok ||
	    napi_create_error(env, code, message, &made) != napi_ok)
		return NULL;
	return made;
}

void throw_error(napi_env env, int error, const char *operation)
{
	napi_value made = make_error(env, error, operation);

	if (made)
		napi_throw(env, made);
}

void throw_invalid(napi_env env, const char *message)
{
	napi_throw_type_error(env, "EINVAL", message);
}

static bool refuse(napi_env env, const char *name, const char *wanted)
{
	char text[MESSAGE_SIZE];

	snprintf(text, sizeof(text), "%s must be %s", name, wanted);
	throw_invalid(env, text);
	return false;
}

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *arguments)
{
	return napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == napi_ok;
}

bool is_defined(napi_env env, napi_value value)
{
	napi_valuetype type;

	return napi_typeof(env, value, &type) == napi_ok && type != napi_undefined;
}

bool read_property(napi_env env, napi_value object, const char *name, napi_value *value)
{
	bool pending;

	if (napi_get_named_property(env, object, name, value) == napi_ok)
		return true;
	if (napi_is_exception_pending(env, &pending) == napi_ok && pending)
		return false;
	return refuse(env, name, "a property of an object");
}

bool read_size(napi_env env, napi_value object, const char *name, uint64_t *number)
{
	napi_value value;
	double read;

	if (!read_property(env, object, name, &value))
		return false;
	if (napi_get_value_double(env, value, &read) != napi_ok || !(read >= 0) ||
	    read > INTEGER_MAX || read != floor(read))
		return refuse(env, name, "a whole number");
	*number = (uint64_t)read;
	return true;
}

bool read_uint32(napi_env env, napi_value object, const char *name, uint32_t *number)
{
	uint64_t read;

	if (!read_size(env, object, name, &read))
		return false;
	if (read > UINT32_MAX)
		return refuse(env, name, "below 2^32");
	*number = (uint32_t)read;
	return true;
}

bool read_int(napi_env env, napi_value object, const char *name, int *number)
{
	uint64_t read;

	if (!read_size(env, object, name, &read))
		return false;
	if (read > INT_MAX)
		return refuse(env, name, "below 2^31");
	*number = (int)read;
	return true;
}

bool read_descriptor(napi_env env, napi_value object, const char *name, int *descriptor)
{
	int read = -1;

	*descriptor = -1;
	if (!read_int(env, object, name, &read))
		return false;
	*descriptor = fcntl(read, F_DUPFD_CLOEXEC, 3);
	if (*descriptor < 0)
		throw_error(env, errno, name);
	return *descriptor >= 0;
}

bool read_bigint(napi_env env, napi_value object, const char *name, uint64_t *number)
{
	napi_value value;
	bool lossless;

	if (!read_property(env, object, name, &value))
		return false;
	if (napi_get_value_bigint_uint64(env, value, number, &lossless) != napi_ok || !lossless)
		return refuse(env, name, "a bigint of 64 bits, not negative");
	return true;
}

bool read_string(napi_env env, napi_value object, const char *name, char *text, size_t size)
{
	napi_value value;
	size_t length;

	if (!read_property(env, object, name, &value))
		return false;
	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok)
		return refuse(env, name, "a string");
	if (length >= size)
		return refuse(env, name, "shorter");
	if (napi_get_value_string_utf8(env, value, text, size, &length) != napi_ok)
		return false;
	return strlen(text) == length || refuse(env, name, "without a zero character");
}

/* A copy of a typed array's memory; an array that is not shared cannot change while this runs. */
static bool copy_array(napi_env env, napi_value value, napi_typedarray_type wanted, size_t width,
		       void **copy, size_t *count)
{
	napi_typedarray_type type;
	bool is_typed;
	void *data;

	if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed ||
	    napi_get_typedarray_info(env, value, &type, count, &data, NULL, NULL) != napi_ok ||
	    type != wanted)
		return false;
	*copy = NULL;
	if (*count == 0)
		return true;
	*copy = malloc(*count * width);
	if (*copy)
		memcpy(*copy, data, *count * width);
	return *copy != NULL;
}

bool read_uint32_array(napi_env env, napi_value object, const char *name, uint32_t **numbers,
		       size_t *count)
{
	napi_value value;
	void *copy;

	if (!read_property(env, object, name, &value))
		return false;
	if (!copy_array(env, value, napi_uint32_array, sizeof(uint32_t), &copy, count))
		return refuse(env, name, "a Uint32Array that fits into memory");
	*numbers = copy;
	return true;
}

bool read_bytes(napi_env env, napi_value value, uint8_t **bytes, size_t *length)
{
	void *copy;

	if (!copy_array(env, value, napi_uint8_array, 1, &copy, length))
		return refuse(env, "the bytes", "a Uint8Array that fits into memory");
	*bytes = copy;
	return true;
}

bool set_number(napi_env env, napi_value object, const char *name, double number)
{
	napi_value value;

	return napi_create_double(env, number, &value) == napi_ok &&
	       napi_set_named_property(env, object, name, value) == napi_ok;
}

bool set_bigint(napi_env env, napi_value object, const char *name, uint64_t number)
{
	napi_value value;

	return napi_create_bigint_uint64(env, number, &value) == napi_ok &&
	       napi_set_named_property(env, object, name, value) == napi_ok;
}

bool set_string(napi_env env, napi_value object, const char *name, const char *text)
{
	napi_value value;

	return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
	       napi_set_named_property(env, object, name, value) == napi_ok;
}

napi_value make_uint32_array(napi_env env, const uint32_t *numbers, size_t count)
{
	napi_value buffer, array;
	void *data;

	if (napi_create_arraybuffer(env, count * sizeof(*numbers), &data, &buffer) != napi_ok ||
	    napi_create_typedarray(env, napi_uint32_array, count, buffer, 0, &array) != napi_ok)
		return NULL;
	if (count)
		memcpy(data, numbers, count * sizeof(*numbers));
	return array;
}

bool set_uint32_array(napi_env env, napi_value object, const char *name, const uint32_t *numbers,
		      size_t count)
{
	napi_value array = make_uint32_array(env, numbers, count);

	return array && napi_set_named_property(env, object, name, array) == napi_ok;
}

bool set_function(napi_env env, napi_value object, const char *name, napi_callback callback)
{
	napi_value function;

	return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function) ==
		       napi_ok &&
	       napi_set_named_property(env, object, name, function) == napi_ok;
}
