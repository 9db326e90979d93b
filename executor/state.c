#include "executor/state.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"

#include <inttypes.h>
#include <string.h>

static const char *const phase_words[] = {
	[EX_NOTSTARTED] = "notstarted",
	[EX_RUNNING] = "running",
	[EX_SUCCESS] = "success",
	[EX_FAILED] = "failed",
	[EX_STOPPED] = "stopped",
	[EX_CANCELLED] = "cancelled",
};

const char *
ex_phase_word(enum ex_phase p)
{
	return phase_words[p];
}

bool
ex_phase_final(enum ex_phase p)
{
	return p != EX_NOTSTARTED && p != EX_RUNNING;
}

static enum ex_phase
phase_of(const char *word)
{
	size_t i;

	for (i = 1; word != NULL && i < ARRAY_LEN(phase_words); i++)
		if (strcmp(phase_words[i], word) == 0)
			return (enum ex_phase)i;
	return 0;
}

struct ex_state *
ex_state_new(const char *run_id, const char *task_id, uint64_t fence, unsigned nsteps)
{
	struct ex_state *s = xcalloc(1, sizeof(*s));
	unsigned i;

	s->run_id = xstrdup(run_id);
	s->task_id = xstrdup(task_id);
	s->fence = fence;
	s->status = EX_RUNNING;
	s->epochs = 1;
	s->nsteps = nsteps;
	s->steps = xcalloc(nsteps ? nsteps : 1, sizeof(*s->steps));
	s->setup.phase = EX_NOTSTARTED;
	for (i = 0; i < nsteps; i++)
		s->steps[i].phase = EX_NOTSTARTED;
	return s;
}

void
ex_state_free(struct ex_state *s)
{
	unsigned i;

	if (s == NULL)
		return;
	for (i = 0; i < s->nsteps; i++)
		free(s->steps[i].error);
	for (i = 0; i < s->ncontainers; i++)
		free(s->containers[i]);
	free(s->setup.error);
	free(s->steps);
	free(s->run_id);
	free(s->task_id);
	free(s);
}

struct ex_step_state *
ex_state_step(struct ex_state *s, int step)
{
	return step < 0 ? &s->setup : &s->steps[step];
}

/* By hand: a state is printed for every step of its task, and holds all of them. */
static void
step_print(struct buf *out, const struct ex_step_state *s)
{
	auto_json *error = s->error != NULL ? json_string(s->error) : NULL;

	buf_printf(out, "{\"phase\":\"%s\"", ex_phase_word(s->phase));
	if (s->start_ms != 0 || s->end_ms != 0)
		buf_printf(out, ",\"start\":%" PRId64 ",\"end\":%" PRId64, s->start_ms, s->end_ms);
	if (s->log_stored)
		buf_printf(out, ",\"stored\":true");
	if (s->has_exit)
		buf_printf(out, ",\"exit\":%" PRId32, s->exit_status);
	if (error != NULL) {
		auto_free char *text = json_print(error);

		buf_printf(out, ",\"error\":%s", text);
	}
	buf_putc(out, '}');
}

static const char *
flag(bool b)
{
	return b ? "true" : "false";
}

/* Ids and names need no escaping: they were checked when they came in, or are made here. */
char *
ex_state_print(const struct ex_state *s)
{
	auto_buf out = BUF_INIT;
	unsigned i;

	buf_printf(&out,
	    "{\"version\":1,\"run\":\"%s\",\"task\":\"%s\",\"fence\":%" PRId64
	    ",\"revision\":%" PRId64 ",\"status\":\"%s\",\"timedout\":%s,\"begun\":%s,"
	    "\"setup_done\":%s",
	    s->run_id, s->task_id, (int64_t)s->fence, (int64_t)s->revision,
	    ex_phase_word(s->status), flag(s->timedout), flag(s->begun), flag(s->setup_done));
	buf_printf(&out,
	    ",\"start\":%" PRId64 ",\"end\":%" PRId64 ",\"steps_start\":%" PRId64
	    ",\"epochs\":%" PRIu32 ",\"attempt\":%" PRIu32 ",\"archives\":%" PRIu32,
	    s->start_ms, s->end_ms, s->steps_start_ms, s->epochs, s->attempt, s->archives);
	if (s->archive[0] != '\0')
		buf_printf(&out, ",\"archive\":\"%s\"", s->archive);
	buf_printf(&out, ",\"setup\":");
	step_print(&out, &s->setup);
	buf_printf(&out, ",\"steps\":[");
	for (i = 0; i < s->nsteps; i++) {
		if (i > 0)
			buf_putc(&out, ',');
		step_print(&out, &s->steps[i]);
	}
	buf_printf(&out, "],\"containers\":[");
	for (i = 0; i < s->ncontainers; i++)
		buf_printf(&out, "%s\"%s\"", i > 0 ? "," : "", s->containers[i]);
	buf_printf(&out, "]}");
	return xstrdup(buf_str(&out));
}

static bool
step_parse(struct ex_step_state *s, const json_t *j)
{
	const char *error = json_text(j, "error");
	json_t *exit_status = json_member(j, "exit");

	s->phase = phase_of(json_text(j, "phase"));
	s->start_ms = json_int(j, "start", 0);
	s->end_ms = json_int(j, "end", 0);
	s->log_stored = json_flag(j, "stored", false);
	s->has_exit = exit_status != NULL;
	s->exit_status = (int32_t)json_integer_value(exit_status);
	s->error = error != NULL ? xstrdup(error) : NULL;
	return s->phase != 0;
}

static bool
fill(struct ex_state *s, const json_t *j)
{
	json_t *steps = json_member(j, "steps"), *containers = json_member(j, "containers");
	const char *archive = json_text(j, "archive");
	unsigned i;

	s->revision = (uint64_t)json_int(j, "revision", 0);
	s->status = phase_of(json_text(j, "status"));
	s->timedout = json_flag(j, "timedout", false);
	s->begun = json_flag(j, "begun", false);
	s->setup_done = json_flag(j, "setup_done", false);
	s->start_ms = json_int(j, "start", 0);
	s->end_ms = json_int(j, "end", 0);
	s->steps_start_ms = json_int(j, "steps_start", 0);
	s->epochs = (uint32_t)json_int(j, "epochs", 1);
	s->attempt = (uint32_t)json_int(j, "attempt", 0);
	s->archives = (uint32_t)json_int(j, "archives", 0);
	if (archive != NULL && id_is_valid(archive))
		memcpy(s->archive, archive, sizeof(s->archive));
	if (!step_parse(&s->setup, json_member(j, "setup")))
		return false;
	for (i = 0; i < s->nsteps; i++)
		if (!step_parse(&s->steps[i], json_array_get(steps, i)))
			return false;
	for (i = 0; i < json_array_size(containers) && i < EX_CONTAINERS_MAX; i++) {
		const char *id = json_string_value(json_array_get(containers, i));

		if (id == NULL)
			return false;
		s->containers[s->ncontainers++] = xstrdup(id);
	}
	return s->status != 0;
}

int
ex_state_parse(struct ex_state **out, const char *text, size_t n, struct err **err)
{
	auto_json *j = NULL;
	struct ex_state *s;
	const char *run, *task;
	size_t nsteps;
	int rc = json_parse(&j, text, n, err);

	if (rc != 0)
		return err_wrap(err, "state file");
	run = json_text(j, "run");
	task = json_text(j, "task");
	nsteps = json_array_size(json_member(j, "steps"));
	if (run == NULL || task == NULL || nsteps > EX_STEPS_MAX || json_int(j, "version", 0) != 1)
		return err_set(err, ERR_INVALID, "state file: not one of this version");
	s = ex_state_new(run, task, (uint64_t)json_int(j, "fence", 0), (unsigned)nsteps);
	if (!fill(s, j)) {
		ex_state_free(s);
		return err_set(err, ERR_INVALID, "state file: a step is not as expected");
	}
	*out = s;
	return 0;
}

static void
step_report(Millrace__StepState *out, const struct ex_step_state *s)
{
	bool shown = !ex_phase_final(s->phase) || s->log_stored;

	millrace__step_state__init(out);
	out->phase = (char *)(uintptr_t)ex_phase_word(shown ? s->phase : EX_RUNNING);
	out->has_start_ms = s->start_ms != 0;
	out->start_ms = s->start_ms;
	out->has_log_stored = true;
	out->log_stored = s->log_stored;
	if (!shown)
		return;
	out->has_exit_status = s->has_exit;
	out->exit_status = s->exit_status;
	out->has_end_ms = s->end_ms != 0;
	out->end_ms = s->end_ms;
	out->error = s->error;
}

void *
ex_state_report(const struct ex_state *s, size_t *len)
{
	Millrace__ReportRequest req = MILLRACE__REPORT_REQUEST__INIT;
	Millrace__Attempt attempt = MILLRACE__ATTEMPT__INIT;
	Millrace__StepState setup;
	Millrace__StepState *items = xcalloc(s->nsteps + 1, sizeof(*items));
	Millrace__StepState **list = xcalloc(s->nsteps + 1, sizeof(*list));
	void *out;
	unsigned i;

	attempt.task_id = s->task_id;
	attempt.fence = s->fence;
	req.attempt = &attempt;
	req.revision = s->revision;
	req.status = (char *)(uintptr_t)ex_phase_word(s->status);
	req.has_timedout = true;
	req.timedout = s->timedout;
	step_report(&setup, &s->setup);
	req.setup = &setup;
	for (i = 0; i < s->nsteps; i++) {
		step_report(&items[i], &s->steps[i]);
		list[i] = &items[i];
	}
	req.steps = list;
	req.n_steps = s->nsteps;
	req.has_start_ms = s->start_ms != 0;
	req.start_ms = s->start_ms;
	req.has_end_ms = s->end_ms != 0;
	req.end_ms = s->end_ms;
	*len = millrace__report_request__get_packed_size(&req);
	out = xmalloc(*len ? *len : 1);
	millrace__report_request__pack(&req, out);
	free(items);
	free(list);
	return out;
}
