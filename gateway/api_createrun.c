#include "gateway/handlers.h"

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/rpc.h"
#include "common/work.h"
#include "gateway/definition.h"
#include "gateway/dump.h"
#include "gateway/gateway.h"
#include "gateway/git_repo.h"
#include "gateway/intake.h"
#include "gateway/reply.h"
#include "gateway/request.h"
#include "gateway/rs_client.h"
#include "gateway/run_spec.h"
#include "gateway/run_token.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Room for the envelope around the message. */
#define CREATE_BYTES_MAX (RPC_MESSAGE_MAX - 4096)

struct createrun {
	struct gw_req *rq;
	struct gw_intake in; /* points into rq->body */
	struct gw_ref ref;
	struct gw_origin origin;
	char *repo_path; /* on disk */
	char repo[ID_LEN + 1];
	struct gw_pairs own; /* variables of ours: what the runs clone with */
	struct gw_definition def;
	/* result of the workers */
	struct err *err;
	uint8_t *packed; /* NULL: nothing to create */
	size_t packed_len;
	bool setup_error; /* packed is one setup error run already */
	json_t *names;    /* of the runs, in order */
	json_t *warnings; /* what the user is told */
};

static void
createrun_free(struct createrun *c)
{
	gw_ref_fini(&c->ref);
	gw_origin_fini(&c->origin);
	gw_pairs_fini(&c->own);
	gw_definition_fini(&c->def);
	free(c->repo_path);
	err_clear(&c->err);
	if (c->packed)
		xfree_secret(c->packed, c->packed_len);
	json_decref(c->names);
	json_decref(c->warnings);
	free(c);
}

static void
add_variable(Millrace__RunCreateRequest *q, const char *name, const char *value)
{
	Millrace__Pair *p = xmalloc(sizeof(*p));

	*p = (Millrace__Pair)MILLRACE__PAIR__INIT;
	p->name = xstrdup(name);
	p->value = xstrdup(value);
	q->variables[q->n_variables++] = p;
}

static void
add_variables(Millrace__RunCreateRequest *q, const json_t *map, const struct gw_pairs *own)
{
	const char *name;
	json_t *value;

	q->variables = xcalloc(json_object_size(map) + own->n + 1, sizeof(*q->variables));
	/* json_object_foreach() takes no const; nothing is changed. */
	json_object_foreach((json_t *)(uintptr_t)map, name, value)
	    add_variable(q, name, json_string_value(value));
	for (size_t i = 0; i < own->n; i++)
		add_variable(q, own->list[i].name, own->list[i].value);
}

/* Packs the request; the expansion's runs stay its own. False when it is too large to be sent. */
static bool
pack(struct createrun *c, const struct gw_expansion *x)
{
	Millrace__RunCreateRequest q = MILLRACE__RUN_CREATE_REQUEST__INIT;
	struct id id = id_new();
	size_t len;

	q.request_id = id.s;
	q.n_runs = x->nruns;
	q.runs = x->runs;
	add_variables(&q, c->in.variables, &c->own);
	len = millrace__run_create_request__get_packed_size(&q);
	if (len <= CREATE_BYTES_MAX) {
		c->packed = xmalloc(len);
		c->packed_len = millrace__run_create_request__pack(&q, c->packed);
	}
	for (size_t i = 0; i < q.n_variables; i++) {
		xfree_secret(q.variables[i]->value, strlen(q.variables[i]->value));
		free(q.variables[i]->name);
		free(q.variables[i]);
	}
	free(q.variables);
	return c->packed != NULL;
}

/* What the i-th run's tasks clone with: values that are stored sealed, handed to its tasks alone
 * and masked in their logs. The token is masked by itself too, for it may be printed without its
 * URL. */
static void
give_url(struct createrun *c, Millrace__RunSpec *spec, size_t i, const char *space)
{
	const struct gateway *gw = c->rq->gw;
	const char *owner = c->rq->who.user.id;
	auto_free char *token = gw_run_token_make(gw->keys.run, owner, c->repo, space);
	auto_free char *url = xasprintf("%s/repos/%s/%s.git", gw->cfg->public_url, owner, token);
	const struct {
		const char *name, *suffix, *value;
	} list[] = { { "AGOLA_REPOSITORY_URL", "url", url },
		{ "MILLRACE_REPOSITORY_TOKEN", "token", token } };

	for (size_t k = 0; k < ARRAY_LEN(list); k++) {
		auto_free char *variable =
		    xasprintf(GW_OWN_VARIABLES "repository.%zu.%s", i, list[k].suffix);

		gw_pairs_add(&c->own, variable, list[k].value);
		gw_run_spec_add_environment(spec, list[k].name, variable);
	}
	explicit_bzero(token, strlen(token));
	explicit_bzero(url, strlen(url));
}

/* Keeps the commit for the runs that have tasks, and claims the repository, which is locked. */
static int
keep_commit(struct createrun *c, const struct gw_expansion *x, struct err **err)
{
	auto_free char(*spaces)[GW_REPO_SPACE_LEN + 1] = xcalloc(x->nruns + 1, sizeof(*spaces));
	auto_free const char **list = xcalloc(x->nruns + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < x->nruns; i++) {
		if (x->runs[i]->n_tasks == 0)
			continue;
		id_random_hex(spaces[i], GW_REPO_SPACE_LEN / 2);
		give_url(c, x->runs[i], i, spaces[i]);
		list[n++] = spaces[i];
	}
	return gw_repo_keep(c->repo_path, c->in.commit_sha, c->ref.ref, list, n, err);
}

/* Worker thread. */
static void
expand(struct createrun *c)
{
	struct gw_expansion x;
	auto_close int lock = -1;

	if (gw_repo_lock(&lock, c->repo_path, false, &c->err) < 0)
		return;
	gw_definition_changes(&c->def, c->repo_path, c->ref.ref, c->in.commit_sha);
	gw_definition_expand(&x, &c->def, &c->origin, &c->ref, c->in.message);
	if (keep_commit(c, &x, &c->err) < 0) {
		gw_expansion_fini(&x);
		return;
	}
	if (x.nruns && !pack(c, &x)) {
		gw_pairs_fini(&c->own);
		gw_expansion_fail(&x, &c->origin,
		    "the expanded run definition is too large; define fewer or smaller tasks");
		if (!pack(c, &x))
			err_set(&c->err, ERR_INVALID, "variables: too large");
	}
	c->names = json_array();
	for (size_t i = 0; i < x.nruns; i++)
		json_array_append_new(c->names, json_string(x.runs[i]->name));
	c->warnings = json_array();
	for (size_t i = 0; i < x.nwarnings; i++)
		json_array_append_new(c->warnings, json_string(x.warnings[i]));
	gw_expansion_fini(&x);
}

/* Worker thread. */
static void
createrun_run(void *thread_state, void *arg)
{
	struct createrun *c = arg;

	(void)thread_state;
	if (!gw_repo_exists(c->repo_path)) {
		err_set(
		    &c->err, ERR_INVALID, "the repository does not exist; push the commit first");
		return;
	}
	if (gw_definition_read(&c->def, c->repo_path, c->in.commit_sha, &c->err) < 0) {
		if (c->err->code == ERR_NOTFOUND)
			c->err->code = ERR_INVALID; /* it is the body that names it */
		return;
	}
	if (!gw_definition_is_program(&c->def))
		expand(c);
}

/* Worker thread of the pool that may be kept busy by endless programs. */
static void
evaluate_run(void *thread_state, void *arg)
{
	struct createrun *c = arg;

	(void)thread_state;
	if (gw_definition_evaluate(&c->def, c->repo_path, c->in.commit_sha, &c->ref,
	        &c->rq->gw->eval_stop, &c->err) == 0)
		expand(c);
}

static void
fail(struct createrun *c, struct err **err)
{
	struct gw_req *rq = c->rq;

	gw_reply_err(rq, err);
	createrun_free(c);
}

/* numbers belong to names, in order. */
static void
succeed(struct createrun *c, const uint64_t *numbers, size_t n)
{
	json_t *runs = json_array();

	for (size_t i = 0; i < n && i < json_array_size(c->names); i++)
		json_array_append_new(
		    runs, json_pack("{s:I, s:O}", "number", (json_int_t)numbers[i], "name",
		              json_array_get(c->names, i)));
	gw_meter_intake((clock_mono_us() - c->rq->started_us) / 1000);
	gw_reply_json(c->rq, 201, json_pack("{s:o, s:O}", "runs", runs, "warnings", c->warnings));
	createrun_free(c);
}

static void created(const void *reply, struct err **err, void *arg);

/* The runservice refused the runs as they are (a limit of its own, say). The user is to see that
 * as a run; only if that is refused too, it is an error of this request. */
static bool
send_setup_error(struct createrun *c, const struct err *why)
{
	struct gw_expansion x = { 0 };
	bool packed;

	if (why->code != ERR_INVALID || c->setup_error)
		return false;
	c->setup_error = true;
	xfree_secret(c->packed, c->packed_len);
	c->packed = NULL;
	gw_pairs_fini(&c->own);
	gw_expansion_fail(&x, &c->origin, err_msg(why));
	packed = pack(c, &x);
	gw_expansion_fini(&x);
	json_array_clear(c->names);
	json_array_append_new(c->names, json_string(GW_SETUP_ERROR_NAME));
	if (packed)
		gw_rs_run_create(c->rq->gw->rs, c->packed, c->packed_len, created, c);
	return packed;
}

static void
created(const void *reply, struct err **err, void *arg)
{
	const Millrace__RunCreateReply *r = reply;
	struct createrun *c = arg;

	if (!r) {
		if (!send_setup_error(c, *err))
			fail(c, err);
		return;
	}
	for (size_t i = 0; i < r->n_numbers; i++)
		log_info("run created", LOG_STR("user", c->rq->who.user.id),
		    LOG_I64("number", (int64_t)r->numbers[i]), LOG_STR("commit", c->in.commit_sha));
	succeed(c, r->numbers, r->n_numbers);
}

static void
createrun_done(void *arg)
{
	struct createrun *c = arg;
	struct gateway *gw = c->rq->gw;

	gw_req_back(c->rq);
	if (gw->stopping) {
		err_clear(&c->err);
		err_set(&c->err, ERR_UNAVAILABLE, "the gateway is stopping; try again");
	}
	if (!c->err && gw_definition_is_program(&c->def)) {
		if (gw_req_submit(
		        c->rq, gw->eval_pool, "evaluate", evaluate_run, createrun_done, c))
			return;
		err_set(&c->err, ERR_UNAVAILABLE,
		    "too many run definitions are being evaluated; try again");
	}
	if (c->err) {
		struct err *err = steal(&c->err);

		fail(c, &err);
	} else if (!c->packed) {
		succeed(c, NULL, 0);
	} else {
		gw_rs_run_create(gw->rs, c->packed, c->packed_len, created, c);
	}
}

/* Everything that is known without the repository. 401 through rq->denied. */
static int
prepare(struct createrun *c, struct gw_req *rq, struct err **err)
{
	auto_free char *owner = NULL;
	auto_free char *repo = NULL;
	int rc = gw_intake_parse(&c->in, rq->body, err);

	if (rc == 0)
		rc = gw_intake_repo(&owner, &repo, &c->in, err);
	if (rc != 0)
		return rc;
	if (strcmp(owner, rq->who.user.id) != 0) {
		rq->denied = 401;
		return 0;
	}
	rc = gw_ref_classify(&c->ref, &c->in, err);
	if (rc == 0)
		rc = gw_repo_path(&c->repo_path, rq->gw->cfg->repository_dir, owner, repo, err);
	if (rc < 0)
		return rc == ERR_NOTFOUND ? ((*err)->code = ERR_INVALID) : rc;
	snprintf(c->repo, sizeof(c->repo), "%s", repo);
	gw_origin_init(&c->origin, &c->in, &c->ref, rq->who.user.id, rq->gw->cfg->public_url);
	return 0;
}

/* At shutdown: the answer of the runservice will not come any more. */
static void
abandon(struct gw_req *rq)
{
	struct createrun *c = rq->op;
	struct err *err = NULL;

	err_set(&err, ERR_UNAVAILABLE, "the gateway is stopping; try again");
	fail(c, &err);
}

void
gw_api_createrun(struct gw_req *rq)
{
	struct createrun *c = xcalloc(1, sizeof(*c));
	struct err *err = NULL;

	c->rq = rq;
	rq->op = c;
	rq->abandon = abandon;
	if (prepare(c, rq, &err) < 0) {
		fail(c, &err);
	} else if (rq->denied) {
		gw_reply_denied(rq, rq->denied);
		createrun_free(c);
	} else if (!gw_req_submit(
	               rq, rq->gw->git_pool, "createrun", createrun_run, createrun_done, c)) {
		err_set(&err, ERR_UNAVAILABLE, "too many runs are being created; try again");
		fail(c, &err);
	}
}
