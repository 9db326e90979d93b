#include "common/log.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

static const char *log_daemon = "millrace";
static enum log_level log_min = LOG_INFO;

void
log_init(const char *daemon, enum log_level min)
{
	log_daemon = daemon;
	log_min = min;
}

static void
put_escaped(struct buf *b, const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p && b->len < LOG_LINE_MAX; p++) {
		if (*p == '"' || *p == '\\')
			buf_printf(b, "\\%c", *p);
		else if (*p == '\n')
			buf_puts(b, "\\n");
		else if (*p < 0x20 || *p >= 0x7f)
			buf_printf(b, "\\x%02x", *p);
		else
			buf_putc(b, (char)*p);
	}
}

static void
put_value(struct buf *b, const char *s)
{
	bool plain = *s != '\0';
	for (const unsigned char *p = (const unsigned char *)s; *p && plain; p++)
		plain = *p > 0x20 && *p < 0x7f && *p != '"' && *p != '\\' && *p != '=';
	if (plain) {
		buf_puts(b, s);
		return;
	}
	buf_putc(b, '"');
	put_escaped(b, s);
	buf_putc(b, '"');
}

void
log_write(enum log_level level, const char *msg, const struct log_field *fields, size_t n)
{
	static const char *const names[] = { "", "debug", "info", "warn", "error" };
	if (level < log_min)
		return;
	char when[CLOCK_RFC3339_LEN];
	clock_rfc3339(clock_wall_ms(), when);
	auto_buf b = BUF_INIT;
	buf_printf(&b, "time=%s level=%s daemon=%s msg=\"", when, names[level], log_daemon);
	put_escaped(&b, msg);
	buf_putc(&b, '"');
	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, " %s=", fields[i].key);
		if (fields[i].str)
			put_value(&b, fields[i].str);
		else
			buf_printf(&b, "%lld", (long long)fields[i].num);
	}
	if (b.len > LOG_LINE_MAX) {
		b.len = LOG_LINE_MAX;
		buf_puts(&b, "...");
	}
	buf_putc(&b, '\n');
	ssize_t ignored = write(STDERR_FILENO, b.data, b.len);
	(void)ignored;
}

void
log_err_write(enum log_level level, const char *msg, struct err **err,
    const struct log_field *fields, size_t n)
{
	auto_free struct log_field *all = xcalloc(n + 2, sizeof(*all));

	if (n > 0)
		memcpy(all, fields, n * sizeof(*all));
	all[n] = LOG_STR("err", err && *err ? (*err)->msg : "");
	all[n + 1] = LOG_STR("code", err && *err ? err_code_name((*err)->code) : "");
	log_write(level, msg, all, n + 2);
	err_clear(err);
}
