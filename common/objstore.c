#include "common/objstore.h"

#include <string.h>

static bool
key_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool
objstore_key_ok(const char *key)
{
	size_t n = strnlen(key, OBJSTORE_KEY_MAX + 1);
	if (n == 0 || n > OBJSTORE_KEY_MAX)
		return false;
	size_t from = 0;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && key[i] != '/') {
			if (!key_char(key[i]))
				return false;
			continue;
		}
		size_t len = i - from;
		if (len == 0 || (len == 1 && key[from] == '.') ||
		    (len == 2 && key[from] == '.' && key[from + 1] == '.'))
			return false;
		from = i + 1;
	}
	return true;
}

int
objstore_key_check(const char *key, struct err **err)
{
	if (objstore_key_ok(key))
		return 0;
	return err_set(err, ERR_INVALID, "not a valid object key");
}
