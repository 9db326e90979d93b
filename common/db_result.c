#include "common/db_int.h"

#include "common/mem.h"

#include <errno.h>
#include <string.h>

void
db_result_free(struct db_result *r)
{
	if (r == NULL)
		return;
	PQclear(r->res);
	free(r);
}

size_t
db_rows(const struct db_result *r)
{
	return (size_t)PQntuples(r->res);
}

static int64_t
parse_i64(const char *s)
{
	char *end = NULL;
	errno = 0;
	long long v = strtoll(s, &end, 10);
	MUST(errno == 0 && end != s && *end == '\0');
	return v;
}

size_t
db_affected(const struct db_result *r)
{
	const char *n = PQcmdTuples(r->res);
	return *n ? (size_t)parse_i64(n) : 0;
}

static const char *
value(const struct db_result *r, size_t row, const char *col, size_t *len)
{
	int c = PQfnumber(r->res, col);
	MUST(c >= 0 && row < db_rows(r));
	if (PQgetisnull(r->res, (int)row, c))
		return NULL;
	if (len != NULL)
		*len = (size_t)PQgetlength(r->res, (int)row, c);
	return PQgetvalue(r->res, (int)row, c);
}

const char *
db_text(const struct db_result *r, size_t row, const char *col)
{
	return value(r, row, col, NULL);
}

bool
db_is_null(const struct db_result *r, size_t row, const char *col)
{
	return value(r, row, col, NULL) == NULL;
}

int64_t
db_i64(const struct db_result *r, size_t row, const char *col)
{
	const char *s = value(r, row, col, NULL);
	MUST(s != NULL);
	return parse_i64(s);
}

int64_t
db_i64_or(const struct db_result *r, size_t row, const char *col, int64_t if_null)
{
	const char *s = value(r, row, col, NULL);
	return s ? parse_i64(s) : if_null;
}

bool
db_bool(const struct db_result *r, size_t row, const char *col)
{
	const char *s = value(r, row, col, NULL);
	MUST(s != NULL && (strcmp(s, "t") == 0 || strcmp(s, "f") == 0));
	return *s == 't';
}

void *
db_bytes(size_t *len, const struct db_result *r, size_t row, const char *col)
{
	*len = 0;
	const char *s = value(r, row, col, NULL);
	if (s == NULL)
		return NULL;
	size_t n = 0;
	unsigned char *raw = PQunescapeBytea((const unsigned char *)s, &n);
	MUST(raw != NULL);
	void *copy = xmemdup(raw, n);
	PQfreemem(raw);
	*len = n;
	return copy;
}
