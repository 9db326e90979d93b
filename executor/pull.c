#include "executor/pull.h"

#include "common/mem.h"
#include "executor/image.h"
#include "executor/pull_progress.h"

#include <string.h>

#define HEAD_MAX 4096 /* of an answer that may turn out to be an error */

struct ex_pulling {
	struct ex_pulling_options o;
	char *image;
	struct ex_image_ref ref; /* as it is asked for, after rewriting */
	const struct ex_image_rule *rule;
	struct ex_call *call;
	struct ex_pull_progress *progress;
	struct buf head;
	bool pulled;
	struct err *err; /* found before anything was asked */
	struct loop_timer *soon;
};

static void inspect(struct ex_pulling *p);

static void
pull_free(struct ex_pulling *p)
{
	ex_call_cancel(p->call);
	ex_pull_progress_free(p->progress);
	loop_timer_free(p->soon);
	ex_image_fini(&p->ref);
	buf_free(&p->head);
	err_clear(&p->err);
	free(p->image);
	free(p);
}

void
ex_pulling_cancel(struct ex_pulling *p)
{
	if (p != NULL)
		pull_free(p);
}

static void
finish(struct ex_pulling *p, struct ex_image_info *info, struct err **err)
{
	struct ex_pulling_options o = p->o;

	if (*err != NULL)
		err_wrap(err, "image %s", p->image);
	pull_free(p);
	o.done(info, err, o.arg);
}

static void __attribute__((format(printf, 2, 3))) say(struct ex_pulling *p, const char *fmt, ...)
{
	va_list ap;
	auto_free char *text = NULL;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	p->o.say(text, strlen(text), p->o.arg);
}

static int
on_data(const void *bytes, size_t n, void *arg)
{
	struct ex_pulling *p = arg;
	auto_buf lines = BUF_INIT;

	if (p->head.len < HEAD_MAX)
		buf_append(&p->head, bytes, n < HEAD_MAX ? n : HEAD_MAX);
	ex_pull_progress_feed(p->progress, bytes, n, &lines);
	if (lines.len > 0)
		p->o.say(lines.data, lines.len, p->o.arg);
	return 0;
}

/* The engine's own words are in the streamed body. */
static void
explain(struct ex_pulling *p, struct err **err)
{
	auto_json *j = NULL;
	const char *msg = ex_pull_progress_error(p->progress);
	auto_free char *text = NULL;
	enum err_code code = *err != NULL ? (*err)->code : ERR_INTERNAL;
	char *c;

	if (msg == NULL && json_parse(&j, buf_str(&p->head), p->head.len, NULL) == 0)
		msg = json_text(j, "message");
	if (msg == NULL)
		return;
	text = xstrndup(msg, 1024);
	for (c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	err_clear(err);
	err_set(err, code, "cannot be pulled from %s: %s", p->ref.full, text);
}

static void
on_pulled(json_t *answer, struct err **err, void *arg)
{
	struct ex_pulling *p = arg;
	auto_err e = steal(err);

	(void)answer;
	p->call = NULL;
	if (e != NULL || ex_pull_progress_error(p->progress) != NULL) {
		explain(p, &e);
		finish(p, NULL, &e);
		return;
	}
	p->pulled = true;
	inspect(p);
}

/* Credentials of the definition go to the registry it named them for, never to a mirror that the
 * operator put in its place, which has its own. */
static int
auth_of(char **out, struct ex_pulling *p, struct err **err)
{
	const Millrace__RegistryAuth *a;

	*out = NULL;
	if (p->rule != NULL && p->rule->username != NULL) {
		*out = ex_image_auth_header(p->rule->username,
		    p->rule->password != NULL ? p->rule->password : "", p->ref.host);
		return 0;
	}
	a = ex_image_auth_find(p->o.auth, p->o.nauth, p->ref.host);
	return a != NULL ? ex_image_auth_entry(out, a, p->ref.host, err) : 0;
}

static void
pull(struct ex_pulling *p)
{
	auto_free char *repo = http_encode(p->ref.repo), *tag = http_encode(p->ref.tag);
	auto_free char *path = xasprintf("/images/create?fromImage=%s&tag=%s", repo, tag);
	char *auth = NULL;
	auto_err e = NULL;
	struct ex_call_options opt = { .method = "POST",
		.path = path,
		.timeout_ms = p->o.ex->cfg->pull_timeout_ms,
		.on_data = on_data,
		.done = on_pulled,
		.arg = p };

	if (auth_of(&auth, p, &e) != 0) {
		finish(p, NULL, &e);
		return;
	}
	say(p, "Pulling image %s%s%s\n", p->image, p->rule != NULL ? " from " : "",
	    p->rule != NULL ? p->ref.full : "");
	p->progress = ex_pull_progress_new();
	opt.auth = auth;
	p->call = ex_engine_call(p->o.ex->engine, &opt);
	xfree_secret(auth, auth != NULL ? strlen(auth) : 0);
}

static void
on_inspected(json_t *answer, struct err **err, void *arg)
{
	struct ex_pulling *p = arg;
	struct ex_image_info info = { 0 };

	p->call = NULL;
	if (*err != NULL && (*err)->code == ERR_NOTFOUND && !p->pulled &&
	    p->o.ex->cfg->pull == EX_PULL_IF_ABSENT) {
		pull(p);
		return;
	}
	if (*err != NULL && (*err)->code == ERR_NOTFOUND && !p->pulled) {
		err_clear(err);
		err_set(err, ERR_NOTFOUND,
		    "%s is not on this host and this executor pulls no images (pull: never)",
		    p->ref.full);
	}
	if (*err != NULL || ex_json_image(&info, answer, p->ref.repo, err) != 0) {
		finish(p, NULL, err);
		return;
	}
	say(p, "Image %s is %s\n", p->image, info.digest != NULL ? info.digest : info.id);
	finish(p, &info, err);
}

static void
inspect(struct ex_pulling *p)
{
	auto_free char *path = xasprintf("/images/%s/json", p->ref.full);
	const struct ex_call_options opt = {
		.method = "GET", .path = path, .done = on_inspected, .arg = p
	};

	p->call = ex_engine_call(p->o.ex->engine, &opt);
}

static void
begin(void *arg)
{
	struct ex_pulling *p = arg;
	auto_err e = steal(&p->err);

	if (e != NULL)
		finish(p, NULL, &e);
	else if (p->o.ex->cfg->pull == EX_PULL_ALWAYS)
		pull(p);
	else
		inspect(p);
}

struct ex_pulling *
ex_pulling_start(const struct ex_pulling_options *opt)
{
	struct ex_pulling *p = xcalloc(1, sizeof(*p));
	const struct ex_image_rules *rules = &opt->ex->cfg->images;

	p->o = *opt;
	p->image = xstrdup(opt->image);
	p->soon = loop_timer_new(opt->ex->loop, "pull", begin, p);
	if (ex_image_parse(&p->ref, opt->image, &p->err) == 0) {
		p->rule = ex_image_rule_find(rules, p->ref.full);
		if (p->rule != NULL) {
			auto_free char *name = ex_image_rewrite(p->rule, p->ref.full);

			ex_image_fini(&p->ref);
			(void)!ex_image_parse(&p->ref, name, &p->err);
		}
	}
	loop_timer_start(p->soon, 0);
	return p;
}
