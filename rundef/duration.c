#include "rundef_int.h"

#include "common/mem.h"

#include <math.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t ns;
};
static const struct unit units[] = {
	/* longer names first where one begins another */
	{ "ns", 1 },
	{ "us", 1000 },
	{ "\xc2\xb5s", 1000 },
	{ "\xce\xbcs", 1000 },
	{ "ms", 1000000 },
	{ "m", 60000000000 },
	{ "s", 1000000000 },
	{ "h", 3600000000000 },
};

static const struct unit *
unit_find(const char **p)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t n = strlen(units[i].name);
		if (strncmp(*p, units[i].name, n) == 0) {
			*p += n;
			return &units[i];
		}
	}
	return NULL;
}

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')

/* One <decimal><unit> at *p, added to *total. */
static int
part_parse(const char **p, int64_t *total, const char *text, struct err **err)
{
	int64_t whole = 0, v;
	double fraction = 0, scale = 1;
	const char *start = *p;

	for (; IS_DIGIT(**p); (*p)++) {
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, **p - '0', &whole))
			goto too_large;
	}
	size_t digits = (size_t)(*p - start);
	if (**p == '.') {
		for ((*p)++; IS_DIGIT(**p); (*p)++, digits++) {
			if (scale < 1e18) {
				fraction = fraction * 10 + (**p - '0');
				scale *= 10;
			}
		}
	}
	if (digits == 0)
		return err_set(
		    err, ERR_INVALID, "invalid duration \"%.60s\": write it like 1h30m", text);
	const struct unit *unit = unit_find(p);
	if (!unit)
		return err_set(err, ERR_INVALID,
		    "invalid duration \"%.60s\": a unit is missing or unknown; use ns, us, ms, s, "
		    "m "
		    "or h",
		    text);
	if (__builtin_mul_overflow(whole, unit->ns, &v) ||
	    __builtin_add_overflow(v, (int64_t)(fraction * ((double)unit->ns / scale)), &v) ||
	    __builtin_add_overflow(*total, v, total))
		goto too_large;
	return 0;
too_large:
	return err_set(
	    err, ERR_INVALID, "invalid duration \"%.60s\": more than about 292 years", text);
}

int
rundef_duration_parse(int64_t *ns, const char *text, struct err **err)
{
	const char *p = text;
	int64_t total = 0;
	bool negative = false;

	if (*p == '-' || *p == '+')
		negative = *p++ == '-';
	if (strcmp(p, "0") == 0) {
		*ns = 0;
		return 0;
	}
	if (!*p)
		return err_set(err, ERR_INVALID, "invalid duration \"%.60s\": it is empty", text);
	while (*p) {
		int rc = part_parse(&p, &total, text, err);
		if (rc)
			return rc;
	}
	*ns = negative ? -total : total;
	return 0;
}

void
rundef_read_duration(struct rd *r, const struct yaml_node *n, void *at)
{
	struct src_duration *d = at;
	auto_err err = NULL;

	if (n->type == YAML_INT && (double)n->integer == n->number) {
		d->ns = n->integer;
		if (d->ns > 0 && d->ns < 1000000)
			rundef_warn(r, n->pos,
			    "a number is a time in nanoseconds: this is less than a millisecond; "
			    "write for example \"%lds\"",
			    (long)d->ns);
	} else if ((n->type == YAML_FLOAT || n->type == YAML_INT) && fabs(n->number) < 9.2e18) {
		d->ns = (int64_t)n->number;
	} else if (n->type != YAML_STRING) {
		rundef_error(r, n->pos,
		    "invalid duration: expected text such as \"1h30m\", found %s",
		    yaml_type_name(n->type));
		return;
	} else {
		auto_free char *text = rundef_dup(r, n);

		if (!text)
			return;
		if (rundef_duration_parse(&d->ns, text, &err)) {
			rundef_error(r, n->pos, "%s", err_msg(err));
			return;
		}
	}
	if (d->ns < 0) {
		rundef_error(r, n->pos,
		    "invalid duration: it is negative; leave it out, or write 0 for no timeout");
		return;
	}
	d->present = true;
}

void
rundef_read_timeout(struct rd *r, const struct yaml_node *n, void *at)
{
	if ((n->type == YAML_INT || n->type == YAML_FLOAT) && n->number != 0)
		rundef_error(
		    r, n->pos, "a timeout needs a unit: write for example \"%.20ss\"", n->text);
	else
		rundef_read_duration(r, n, at);
}
