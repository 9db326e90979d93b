#include "executor/task_int.h"

#include "common/mem.h"
#include "executor/env.h"

#include <string.h>

static char *
text(const char *s)
{
	return (char *)(uintptr_t)(s != NULL ? s : "");
}

static const char *
first_of(const char *a, const char *b)
{
	return a != NULL && *a != '\0' ? a : b != NULL ? b : "";
}

/* Step, task, main container, image: the first that names one. */
static const char *
user_of(const struct ex_task *t, const Millrace__Step *step)
{
	const Millrace__TaskSpec *spec = t->plan->spec;
	const char *of_container = first_of(spec->containers[0]->user, t->images[0].user);

	return first_of(step != NULL ? step->user : NULL, first_of(spec->user, of_container));
}

static void
fill_contents(struct msg_start *m, const Millrace__Step *step)
{
	size_t i;

	m->ncontents = (uint32_t)step->n_contents;
	m->contents = xcalloc(step->n_contents + 1, sizeof(*m->contents));
	for (i = 0; i < step->n_contents; i++) {
		const Millrace__Content *c = step->contents[i];

		m->contents[i] = (struct msg_content){ .source_dir = text(c->source_dir),
			.dest_dir = text(c->dest_dir),
			.paths = c->paths,
			.npaths = (uint32_t)c->n_paths };
	}
}

/* Encodes, sends, wipes; 0 also when the link is down (it is sent again when it is up). */
static int
send(struct ex_link *link, enum frame_type type, const struct msg_start *m, struct err **err)
{
	size_t n;
	uint8_t *p;

	if (m->nenv > MSG_LIST_MAX || m->nargv > MSG_LIST_MAX || m->ncontents > MSG_LIST_MAX)
		return err_set(
		    err, ERR_INVALID, "more than %d variables, words or contents", MSG_LIST_MAX);
	p = msg_start_encode(m, &n);
	if (p == NULL)
		return err_set(err, ERR_INVALID,
		    "its command and its environment are together larger than %u bytes",
		    FRAME_PAYLOAD_MAX);
	(void)ex_link_send(link, type, p, n);
	xfree_secret(p, n);
	return 0;
}

static struct msg_start
base(const struct ex_task *t, const Millrace__Step *step, const struct ex_env *env)
{
	return (struct msg_start){ .env = env->items,
		.nenv = (uint32_t)env->n,
		.script = text(""),
		.working_dir = text(
		    first_of(step != NULL ? step->working_dir : NULL, t->plan->spec->working_dir)),
		.user = text(user_of(t, step)),
		.dest_dir = text("") };
}

bool
ex_step_send_mkdir(struct ex_task *t)
{
	struct ex_env env;
	struct msg_start m;
	auto_err e = NULL;
	int rc;

	ex_env_step(&env, &t->images[0], t->plan, NULL);
	m = base(t, NULL, &env);
	m.step = -1;
	m.attempt = 1;
	m.kind = MSG_MKDIR;
	rc = send(t->link, FRAME_START, &m, &e);
	ex_env_fini(&env);
	if (rc != 0)
		ex_task_setup_failed(t, &e);
	return rc == 0;
}

static int
send_step(struct ex_task *t, const Millrace__Step *step, const struct ex_env *env, struct err **err)
{
	struct msg_start m = base(t, step, env);
	char **words = NULL;
	size_t nwords = 0;
	int rc;

	m.step = t->step.index;
	m.attempt = t->st->attempt;
	if (step->type == MILLRACE__STEP_TYPE__STEP_RUN) {
		words = ex_words(first_of(step->shell, t->plan->spec->shell), &nwords);
		m.kind = MSG_RUN;
		m.argv = words;
		m.nargv = (uint32_t)nwords;
		m.script = text(step->command);
		m.tty = step->tty;
	} else if (ex_cache_rendering(t)) {
		m.kind = MSG_RENDER;
		m.argv = ex_cache_templates(t, &nwords);
		m.nargv = (uint32_t)nwords;
		nwords = 0; /* borrowed */
	} else if (step->type == MILLRACE__STEP_TYPE__STEP_SAVE_TO_WORKSPACE ||
	           step->type == MILLRACE__STEP_TYPE__STEP_SAVE_CACHE) {
		m.kind = MSG_SAVE;
		fill_contents(&m, step);
	} else {
		m.kind = MSG_RESTORE;
		m.dest_dir = text(step->dest_dir);
	}
	if (step->type != MILLRACE__STEP_TYPE__STEP_RUN)
		m.script = text(ex_cache_line(t));
	m.size_max = (uint64_t)t->ex->cfg->workspace_size_max;
	m.entries_max = (uint64_t)t->ex->cfg->workspace_entries_max;
	rc = send(t->link, FRAME_START, &m, err);
	free(m.contents);
	ex_words_free(words, nwords);
	return rc;
}

bool
ex_step_send_start(struct ex_task *t)
{
	const Millrace__Step *step = t->plan->spec->steps[t->step.index];
	struct ex_env env;
	auto_err e = NULL;
	int rc;

	if (!ex_link_up(t->link))
		return true;
	/* Only a command has variables of its own. */
	ex_env_step(&env, &t->images[0], t->plan,
	    step->type == MILLRACE__STEP_TYPE__STEP_RUN ? step : NULL);
	rc = send_step(t, step, &env, &e);
	ex_env_fini(&env);
	if (rc != 0) {
		ex_step_own(t, -1, "The step cannot be started: %s", err_msg(e));
		return false;
	}
	t->step.sent = true;
	return true;
}

int
ex_step_send_spawn(struct ex_task *t, struct ex_link *link, unsigned container, struct err **err)
{
	const Millrace__Container *def = t->plan->spec->containers[container];
	const struct ex_image_info *image = &t->images[container];
	bool own = def->n_entrypoint > 0;
	size_t n = own ? def->n_entrypoint : image->nentrypoint + image->ncmd, i;
	auto_free char **argv = xcalloc(n + 1, sizeof(*argv));
	struct ex_env env;
	struct msg_start m;
	int rc;

	for (i = 0; i < n; i++) {
		if (own)
			argv[i] = def->entrypoint[i];
		else
			argv[i] = i < image->nentrypoint ? image->entrypoint[i]
			                                 : image->cmd[i - image->nentrypoint];
	}
	ex_env_container(&env, image, def);
	m = (struct msg_start){ .step = -1,
		.attempt = 1,
		.kind = MSG_RUN,
		.argv = argv,
		.nargv = (uint32_t)n,
		.env = env.items,
		.nenv = (uint32_t)env.n,
		.working_dir = text(first_of(image->working_dir, "/")),
		.user = text(container == 0 ? first_of(def->user, image->user) : image->user),
		.dest_dir = text("") };
	rc = send(link, FRAME_SPAWN, &m, err);
	ex_env_fini(&env);
	return rc != 0 ? err_wrap(err, "the command of container %u", container) : 0;
}
