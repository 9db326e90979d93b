#include "gateway/name.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Lower-case canonical text of exactly 36 bytes, or of 32 hex digits without hyphens. */
static bool
uuid_body(struct id *out, const char *s, size_t n)
{
	bool hyphens = n == ID_LEN;
	size_t used = 0;

	if (n != ID_LEN && n != 32)
		return false;
	for (size_t i = 0; i < ID_LEN; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (hyphen) {
			if (hyphens && s[used++] != '-')
				return false;
			out->s[i] = '-';
		} else {
			char c = s[used++];

			if (!isxdigit((unsigned char)c))
				return false;
			out->s[i] = (char)tolower((unsigned char)c);
		}
	}
	out->s[ID_LEN] = '\0';
	return true;
}

bool
gw_name_uuid(struct id *out, const char *text)
{
	size_t n = strlen(text);

	if (n == ID_LEN + 2 && text[0] == '{' && text[n - 1] == '}')
		return uuid_body(out, text + 1, ID_LEN);
	if (n == ID_LEN + 9 && strncasecmp(text, "urn:uuid:", 9) == 0)
		return uuid_body(out, text + 9, ID_LEN);
	return uuid_body(out, text, n);
}

bool
gw_name_is_valid(const char *name)
{
	size_t n = strlen(name);
	struct id id;

	if (n < 1 || n > GW_NAME_MAX || gw_name_uuid(&id, name))
		return false;
	if (n == 1)
		return alpha(name[0]) || digit(name[0]);
	if (!alpha(name[0]) || name[n - 1] == '-')
		return false;
	for (size_t i = 1; i < n; i++) {
		if (name[i] == '-' && name[i - 1] == '-')
			return false;
		if (!alpha(name[i]) && !digit(name[i]) && name[i] != '-')
			return false;
	}
	return true;
}

int
gw_name_check(const char *name, const char *field, const char *slug, struct err **err)
{
	if (name && gw_name_is_valid(name))
		return 0;
	return err_set_slug(err, ERR_INVALID, slug,
	    "%s: must be a letter followed by letters, digits and single hyphens, at most %d of "
	    "them",
	    field, GW_NAME_MAX);
}

bool
gw_visibility_parse(bool *is_private, const char *text)
{
	if (!text)
		return false;
	*is_private = strcmp(text, "private") == 0;
	return *is_private || strcmp(text, "public") == 0;
}
