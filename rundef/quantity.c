#include "rundef_int.h"

#include "common/mem.h"

#include <stdio.h>
#include <string.h>

/* Exact arithmetic: mantissa * 2^two * 10^ten, 19 digits of it being kept. */
#define DIGITS_MAX 19
#define EXPONENT_MAX 40

struct suffix {
	const char *name;
	int two, ten;
};
static const struct suffix suffixes[] = {
	{ "", 0, 0 },
	{ "Ki", 10, 0 },
	{ "Mi", 20, 0 },
	{ "Gi", 30, 0 },
	{ "Ti", 40, 0 },
	{ "Pi", 50, 0 },
	{ "Ei", 60, 0 },
	{ "n", 0, -9 },
	{ "u", 0, -6 },
	{ "m", 0, -3 },
	{ "k", 0, 3 },
	{ "M", 0, 6 },
	{ "G", 0, 9 },
	{ "T", 0, 12 },
	{ "P", 0, 15 },
	{ "E", 0, 18 },
};

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')

struct number {
	uint64_t mantissa;
	int ten, two;
	bool more; /* non-zero digits were dropped */
};

/* Digits with at most one point; false when there are none. */
static bool
number_parse(struct number *x, const char **p)
{
	size_t digits = 0, kept = 0;
	bool point = false;

	for (;; (*p)++) {
		if (**p == '.' && !point) {
			point = true;
			continue;
		}
		if (!IS_DIGIT(**p))
			return digits > 0;
		digits++;
		if (kept < DIGITS_MAX) {
			x->mantissa = x->mantissa * 10 + (uint64_t)(**p - '0');
			kept += x->mantissa > 0;
			x->ten -= point;
		} else {
			x->more |= **p != '0';
			/* saturates: a number of a million digits is too large all the same */
			if (!point && x->ten < EXPONENT_MAX)
				x->ten++;
		}
	}
}

static bool
suffix_parse(struct number *x, const char *p)
{
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		if (strcmp(p, suffixes[i].name) == 0) {
			x->two = suffixes[i].two;
			x->ten += suffixes[i].ten;
			return true;
		}
	}
	if (*p != 'e' && *p != 'E')
		return false;
	p++;
	int sign = *p == '-' ? -1 : 1, exponent = 0;
	if (*p == '-' || *p == '+')
		p++;
	if (!IS_DIGIT(*p))
		return false;
	for (; IS_DIGIT(*p); p++)
		exponent = exponent < 10000 ? exponent * 10 + (*p - '0') : exponent;
	x->ten += sign * exponent;
	return *p == '\0';
}

/* Rounded up; false when it does not fit into 63 bits. */
static bool
number_bytes(const struct number *x, uint64_t *bytes)
{
	unsigned __int128 v = (unsigned __int128)x->mantissa << x->two; /* 64 + 60 bits */
	bool more = x->more;

	if (v == 0) {
		*bytes = more;
		return true;
	}
	for (int e = x->ten; e > 0; e--) {
		if (v > INT64_MAX)
			return false;
		v *= 10;
	}
	for (int e = x->ten; e < 0; e++) {
		more |= v % 10 != 0;
		v /= 10;
		if (v == 0)
			break;
	}
	v += more;
	*bytes = (uint64_t)v;
	return v <= INT64_MAX;
}

/* In units of 10^-ten, rounded up. */
static int
parse(uint64_t *out, const char *text, int ten, struct err **err)
{
	struct number x = { .ten = ten };
	const char *p = text;
	bool negative = *p == '-';

	if (*p == '-' || *p == '+')
		p++;
	if (!number_parse(&x, &p) || !suffix_parse(&x, p))
		return err_set(err, ERR_INVALID,
		    "invalid %s \"%.60s\": write a number with an optional unit, such as %s",
		    ten ? "cpu" : "size", text, ten ? "2, 1.5 or 500m" : "512Mi or 1G");
	if (negative && (x.mantissa || x.more))
		return err_set(err, ERR_INVALID, "invalid %s \"%.60s\": it is negative",
		    ten ? "cpu" : "size", text);
	if (!number_bytes(&x, out))
		return err_set(err, ERR_INVALID, "invalid %s \"%.60s\": it is too large",
		    ten ? "cpu" : "size", text);
	return 0;
}

int
rundef_quantity_parse(uint64_t *bytes, const char *text, struct err **err)
{
	return parse(bytes, text, 0, err);
}

int
rundef_cpu_parse(uint64_t *milli, const char *text, struct err **err)
{
	int rc = parse(milli, text, 3, err);

	if (rc == 0 && (*milli < RUNDEF_CPU_MIN || *milli > RUNDEF_CPU_MAX))
		rc = err_set(err, ERR_INVALID,
		    "invalid cpu \"%.60s\": it must be at least %dm and at most %d", text,
		    RUNDEF_CPU_MIN, RUNDEF_CPU_MAX / 1000);
	return rc;
}

/* The text of a number or a text, malloc'ed; NULL after an error. */
static char *
quantity_text(struct rd *r, const struct yaml_node *n, const char *example)
{
	if (n->type == YAML_STRING)
		return rundef_dup(r, n);
	if (n->type == YAML_INT && (double)n->integer == n->number)
		return xasprintf("%lld", (long long)n->integer);
	if (n->type == YAML_INT || n->type == YAML_FLOAT)
		return xasprintf("%.17g", n->number);
	rundef_error(r, n->pos, "expected a number or text such as %s, found %s", example,
	    yaml_type_name(n->type));
	return NULL;
}

void
rundef_read_quantity(struct rd *r, const struct yaml_node *n, void *at)
{
	auto_err err = NULL;
	auto_free char *text = quantity_text(r, n, "1Gi");

	if (text && rundef_quantity_parse(at, text, &err))
		rundef_error(r, n->pos, "%s", err_msg(err));
}

/* Of a container: no engine starts one in less. */
void
rundef_read_memory(struct rd *r, const struct yaml_node *n, void *at)
{
	uint64_t *bytes = at;
	size_t refused = r->refused;

	rundef_read_quantity(r, n, at);
	if (r->refused == refused && *bytes < RUNDEF_MEMORY_MIN)
		rundef_error(r, n->pos,
		    "a container needs at least %uMi of memory, found %llu bytes: a unit such as "
		    "Mi or Gi may be missing",
		    RUNDEF_MEMORY_MIN >> 20, (unsigned long long)*bytes);
}

void
rundef_read_cpu(struct rd *r, const struct yaml_node *n, void *at)
{
	auto_err err = NULL;
	auto_free char *text = quantity_text(r, n, "1.5");

	if (text && rundef_cpu_parse(at, text, &err))
		rundef_error(r, n->pos, "%s", err_msg(err));
}
