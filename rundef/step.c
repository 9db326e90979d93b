/* Steps: six types, each with its table, in a long and a short spelling. */
#include "rundef_int.h"

#include "common/mem.h"

#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(struct rundef_step, member)
#define STEP_NAME                                                                                  \
	{                                                                                          \
		.name = "name", .kind = RD_TEXT, .at = AT(name), .doc = "shown in logs"            \
	}
/* What every step has. */
#define STEP_COMMON                                                                                \
	STEP_NAME,                                                                                 \
	    { .name = "when",                                                                      \
		    .kind = RD_CUSTOM,                                                             \
		    .at = 0,                                                                       \
		    .read = step_when,                                                             \
		    .shape = "when",                                                               \
		    .doc = "has no effect" },                                                      \
	    { .name = "if",                                                                        \
		    .kind = RD_CUSTOM,                                                             \
		    .at = AT(run_if),                                                              \
		    .read = step_if,                                                               \
		    .words = if_words,                                                             \
		    .v1 = true,                                                                    \
		    .doc = "whether it runs, by how the steps before it ended" },                  \
	    { .name = "retries",                                                                   \
		    .kind = RD_INTEGER,                                                            \
		    .at = AT(retries),                                                             \
		    .max = RUNDEF_RETRIES_MAX,                                                     \
		    .v1 = true,                                                                    \
		    .doc = "further attempts after a failure" },                                   \
	{                                                                                          \
		.name = "timeout", .kind = RD_CUSTOM, .at = AT(timeout_ns), .read = step_timeout,  \
		.shape = "duration", .v1 = true, .doc = "of each attempt"                          \
	}
#define STEP_CONTENTS                                                                              \
	{                                                                                          \
		.name = "contents", .kind = RD_OBJECTS, .at = AT(contents),                        \
		.count_at = AT(ncontents), .object = &content_object, .doc = "what to archive"     \
	}
#define STEP_DEST                                                                                  \
	{                                                                                          \
		.name = "dest_dir", .kind = RD_TEXT, .at = AT(dest_dir),                           \
		.doc = "where to unpack, default: the working directory"                           \
	}

static void
step_when(struct rd *r, const struct yaml_node *n, void *at)
{
	struct rundef_when when = { 0 };

	(void)at;
	rundef_read_when(r, n, &when);
	rundef_when_fini(&when);
	rundef_warn(r, n->pos, "when has no effect on a step: put it on the task or the run");
}

static const char *const if_words[] = {
	[RUNDEF_IF_SUCCESS] = "on_success",
	[RUNDEF_IF_FAILURE] = "on_failure",
	[RUNDEF_IF_ALWAYS] = "always",
	NULL,
};

static void
step_if(struct rd *r, const struct yaml_node *n, void *at)
{
	enum rundef_run_if *run_if = at;
	auto_free char *text = rundef_read_text(r, n, true);

	for (size_t i = 0; text && if_words[i]; i++)
		if (strcmp(if_words[i], text) == 0) {
			*run_if = (enum rundef_run_if)i;
			return;
		}
	if (text)
		rundef_report(r, RUNDEF_ERROR, n->pos, rundef_nearest(text, if_words),
		    "wrong if \"%.60s\": use one of on_success, on_failure, always", text);
}

static void
step_timeout(struct rd *r, const struct yaml_node *n, void *at)
{
	struct src_duration d = { 0 };

	rundef_read_timeout(r, n, &d);
	*(int64_t *)at = d.ns;
}

static const struct rd_field content_fields[] = {
	{ .name = "source_dir",
	    .kind = RD_TEXT,
	    .at = offsetof(struct rundef_content, source_dir),
	    .doc = "relative to the working directory" },
	{ .name = "dest_dir",
	    .kind = RD_TEXT,
	    .at = offsetof(struct rundef_content, dest_dir),
	    .doc = "prefix inside the archive" },
	{ .name = "paths",
	    .kind = RD_TEXTS,
	    .at = offsetof(struct rundef_content, paths),
	    .count_at = offsetof(struct rundef_content, npaths),
	    .doc = "globs below source_dir" },
	{ 0 },
};

static void
content_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	const struct rundef_content *c = obj;

	size_t mark = rundef_enter_key(r, "source_dir");
	if (!c->source_dir || !*c->source_dir)
		rundef_warn(r, map->pos, "a content without source_dir fails when the step runs");
	rundef_leave(r, mark);
}

static const struct rd_object content_object = {
	.noun = "content",
	.fields = content_fields,
	.size = sizeof(struct rundef_content),
	.strict_text = true,
	.check = content_check,
};

static const struct rd_field clone_fields[] = {
	{ .name = "depth",
	    .kind = RD_INTEGER,
	    .at = AT(depth),
	    .min = 1,
	    .max = INT64_MAX,
	    .words_what = "clone depth",
	    .doc = "commits to fetch, default all" },
	{ .name = "recurse_submodules",
	    .kind = RD_BOOL,
	    .at = AT(recurse_submodules),
	    .doc = "clone submodules too" },
	STEP_COMMON,
	{ 0 },
};
static const struct rd_field run_fields[] = {
	{ .name = "command",
	    .kind = RD_TEXT,
	    .at = AT(command),
	    .required = true,
	    .missing = "a run step needs a command",
	    .doc = "script for the shell" },
	{ .name = "environment",
	    .kind = RD_CUSTOM,
	    .at = AT(environment),
	    .read = rundef_read_envs,
	    .shape = "environment",
	    .doc = "of this step, before all others" },
	{ .name = "working_dir",
	    .kind = RD_TEXT,
	    .at = AT(working_dir),
	    .doc = "default: the task's" },
	{ .name = "shell", .kind = RD_TEXT, .at = AT(shell), .doc = "default: the task's" },
	{ .name = "user", .kind = RD_TEXT, .at = AT(user), .doc = "default: the task's" },
	{ .name = "tty", .kind = RD_BOOL, .at = AT(tty), .doc = "default true" },
	STEP_COMMON,
	{ 0 },
};
static const struct rd_field save_workspace_fields[] = {
	STEP_CONTENTS,
	STEP_COMMON,
	{ 0 },
};
static const struct rd_field restore_workspace_fields[] = {
	STEP_DEST,
	STEP_COMMON,
	{ 0 },
};
static const struct rd_field save_cache_fields[] = {
	{ .name = "key",
	    .kind = RD_TEXT,
	    .at = AT(key),
	    .required = true,
	    .missing = "a save_cache step needs a key",
	    .doc = "template" },
	STEP_CONTENTS,
	STEP_COMMON,
	{ 0 },
};
static const struct rd_field restore_cache_fields[] = {
	{ .name = "keys",
	    .kind = RD_TEXTS,
	    .at = AT(keys),
	    .count_at = AT(nkeys),
	    .max = RUNDEF_CACHE_KEYS_MAX,
	    .required = true,
	    .missing = "a restore_cache step needs keys",
	    .doc = "templates, tried in order" },
	STEP_DEST,
	STEP_COMMON,
	{ 0 },
};

#define NAME_DEFAULT_MAX 100 /* bytes of a command that serve as the step's name */

static void
clone_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct rundef_step *s = obj;

	free(s->name);
	s->name = rundef_dup_text(r, map->pos, "Clone repository and checkout code");
}

static void
run_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct rundef_step *s = obj;

	if (!s->command || (s->name && *s->name))
		return;
	const struct yaml_node *command = yaml_get(map, "command");
	struct yaml_pos pos = command ? command->pos : map->pos;
	size_t line = strcspn(s->command, "\n");
	size_t mark = command ? rundef_enter_key(r, "command") : r->path.len;
	if (line == 0 || s->command[line + strspn(s->command + line, "\n")]) {
		rundef_error(r, pos,
		    "missing step name: step %zu has a command of several lines and so needs a "
		    "name",
		    r->steps_index);
		rundef_leave(r, mark);
		return;
	}
	if (s->command[line])
		rundef_warn(r, pos,
		    "a single line that ends in a newline: Agola wants a name here, or |- in "
		    "place of |");
	rundef_leave(r, mark);
	free(s->name);
	size_t n = line > NAME_DEFAULT_MAX ? NAME_DEFAULT_MAX + 1 : line;
	if (n > NAME_DEFAULT_MAX) {
		n = NAME_DEFAULT_MAX;
		while (n > 0 && ((unsigned char)s->command[n] & 0xc0) == 0x80)
			n--;
	}
	s->name = xstrndup(s->command, n);
}

static void
default_name(struct rd *r, const struct yaml_node *map, struct rundef_step *s, const char *name)
{
	if (s->name && *s->name)
		return;
	free(s->name);
	s->name = rundef_dup_text(r, map->pos, name);
}

static void
save_workspace_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct rundef_step *s = obj;

	default_name(r, map, s, "save to workspace");
	const struct yaml_node *contents = yaml_get(map, "contents");
	for (size_t i = 0; i < s->ncontents && contents && i < contents->n; i++) {
		size_t mark = rundef_enter_key(r, "contents");

		rundef_enter_index(r, i);
		rundef_enter_key(r, "paths");
		if (s->contents[i].npaths == 0 && contents->items[i]->type == YAML_MAP)
			rundef_warn(r, contents->items[i]->pos,
			    "a content without paths saves nothing: use \"**\" for everything");
		rundef_leave(r, mark);
	}
}

static void
restore_workspace_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	default_name(r, map, obj, "restore workspace");
}

static void
save_cache_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	struct rundef_step *s = obj;

	default_name(r, map, s, "save cache");
	for (size_t i = 0; i < s->ncontents; i++) {
		struct rundef_content *c = &s->contents[i];
		if (c->paths || !(c->paths = rundef_array(r, map->pos, 1, sizeof(*c->paths))))
			continue;
		c->paths[0] = xstrdup("**");
		c->npaths = 1;
	}
}

static void
restore_cache_check(struct rd *r, const struct yaml_node *map, void *obj)
{
	default_name(r, map, obj, "restore cache");
}

struct step_type {
	const char *word;
	enum rundef_step_type type;
	struct rd_object object;
};
#define STEP_OBJECT(word_, fields_, check_)                                                        \
	{                                                                                          \
		.noun = word_ " step", .fields = (fields_), .size = sizeof(struct rundef_step),    \
		.strict_text = true, .check = (check_)                                             \
	}
static const struct step_type types[] = {
	{ "clone", RUNDEF_CLONE, STEP_OBJECT("clone", clone_fields, clone_check) },
	{ "run", RUNDEF_RUN, STEP_OBJECT("run", run_fields, run_check) },
	{ "save_to_workspace", RUNDEF_SAVE_TO_WORKSPACE,
	    STEP_OBJECT("save_to_workspace", save_workspace_fields, save_workspace_check) },
	{ "restore_workspace", RUNDEF_RESTORE_WORKSPACE,
	    STEP_OBJECT("restore_workspace", restore_workspace_fields, restore_workspace_check) },
	{ "save_cache", RUNDEF_SAVE_CACHE,
	    STEP_OBJECT("save_cache", save_cache_fields, save_cache_check) },
	{ "restore_cache", RUNDEF_RESTORE_CACHE,
	    STEP_OBJECT("restore_cache", restore_cache_fields, restore_cache_check) },
};
static const char *const type_words[] = { "clone", "run", "save_to_workspace", "restore_workspace",
	"save_cache", "restore_cache", NULL };

static const struct step_type *
type_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].word, word) == 0)
			return &types[i];
	return NULL;
}

static const struct step_type *
type_need(struct rd *r, const struct yaml_node *word)
{
	const struct step_type *t = type_find(word->text);

	if (!t)
		rundef_report(r, RUNDEF_ERROR, word->pos, rundef_nearest(word->text, type_words),
		    "unknown step type \"%.60s\": use clone, run, save_to_workspace, "
		    "restore_workspace, save_cache or restore_cache",
		    word->text);
	return t;
}

static void
fields_read(struct rd *r, const struct step_type *t, const struct yaml_node *map, const char *skip,
    struct rundef_step *s)
{
	s->type = t->type;
	s->tty = true;
	s->run_if = r->post ? RUNDEF_IF_ALWAYS : RUNDEF_IF_SUCCESS;
	rundef_read_object(r, &t->object, map, s, skip);
}

/* "clone:" and "run: command": the short spelling whose value is no mapping. */
static void
short_read(struct rd *r, const struct step_type *t, const struct yaml_node *value,
    const struct yaml_node *entry, struct rundef_step *s)
{
	struct yaml_node map = { .type = YAML_MAP, .pos = entry->pos };

	if (value->type == YAML_STRING && t->type == RUNDEF_RUN) {
		s->type = t->type;
		s->tty = true;
		s->run_if = r->post ? RUNDEF_IF_ALWAYS : RUNDEF_IF_SUCCESS;
		s->command = rundef_dup(r, value);
		if (s->command && !*s->command)
			rundef_error(r, value->pos, "a run step needs a command");
		map.pos = value->pos;
		run_check(r, &map, s);
		return;
	}
	if (value->type != YAML_NULL && value->type != YAML_MAP) {
		rundef_error(r, value->pos, "%s must be a mapping%s, found %s", t->object.noun,
		    t->type == RUNDEF_RUN ? " or text" : "", yaml_type_name(value->type));
		return;
	}
	fields_read(r, t, value->type == YAML_NULL ? &map : value, NULL, s);
}

static void
entry_read(struct rd *r, const struct yaml_node *n, size_t index, struct rundef_step *s)
{
	const struct step_type *t;

	s->pos = n->pos;
	r->steps_index = index;
	if (n->type == YAML_NULL || (n->type == YAML_MAP && n->n == 0)) {
		rundef_error(r, n->pos, "step at index %zu is empty", index);
		return;
	}
	if (n->type != YAML_MAP) {
		rundef_error(r, n->pos, "step at index %zu must be a mapping, found %s%s", index,
		    yaml_type_name(n->type),
		    n->type == YAML_STRING && type_find(n->text) ? ": a colon is missing after it"
		                                                 : "");
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const struct yaml_pair *pair = &n->pairs[i];
		if (strcmp(pair->key->text, "type") != 0)
			continue;
		size_t mark = rundef_enter_key(r, "type");
		if (pair->value->type != YAML_STRING)
			rundef_error(r, pair->value->pos,
			    "step at index %zu: its type must be text, found %s", index,
			    yaml_type_name(pair->value->type));
		t = pair->value->type == YAML_STRING ? type_need(r, pair->value) : NULL;
		rundef_leave(r, mark);
		if (t)
			fields_read(r, t, n, "type", s);
		return;
	}
	if (n->n > 1) {
		rundef_error(r, n->pos,
		    "step at index %zu has more than one step name: indent the fields of a step "
		    "below its type",
		    index);
		return;
	}
	size_t mark = rundef_enter_key(r, n->pairs[0].key->text);
	t = type_need(r, n->pairs[0].key);
	if (t)
		short_read(r, t, n->pairs[0].value, n, s);
	rundef_leave(r, mark);
}

void
rundef_read_steps(struct rd *r, const struct yaml_node *n, void *at)
{
	struct src_steps *steps = at;

	if (n->type != YAML_LIST) {
		rundef_error(r, n->pos, "steps must be a list, found %s%s", yaml_type_name(n->type),
		    n->type == YAML_MAP ? ": begin each step with \"- \"" : "");
		return;
	}
	steps->list = rundef_array(r, n->pos, n->n, sizeof(*steps->list));
	if (!steps->list)
		return;
	steps->n = n->n;
	for (size_t i = 0; i < n->n; i++) {
		size_t mark = rundef_enter_index(r, i);
		entry_read(r, n->items[i], i, &steps->list[i]);
		rundef_leave(r, mark);
	}
}

void
rundef_read_post(struct rd *r, const struct yaml_node *n, void *at)
{
	struct src_steps *steps = at;

	r->post = true;
	rundef_read_steps(r, n, at);
	r->post = false;
	for (size_t i = 0; i < steps->n; i++)
		steps->list[i].post = true;
}

const struct rd_object *
rundef_content_object(void)
{
	return &content_object;
}

const struct rd_object *
rundef_step_object(size_t i, const char **word)
{
	if (i >= ARRAY_LEN(types))
		return NULL;
	*word = types[i].word;
	return &types[i].object;
}

void
rundef_step_fini(struct rundef_step *s)
{
	free(s->name);
	free(s->command);
	free(s->working_dir);
	free(s->shell);
	free(s->user);
	rundef_envs_fini(&s->environment);
	for (size_t i = 0; i < s->ncontents; i++) {
		free(s->contents[i].source_dir);
		free(s->contents[i].dest_dir);
		rundef_texts_free(s->contents[i].paths, s->contents[i].npaths);
	}
	free(s->contents);
	free(s->dest_dir);
	free(s->key);
	rundef_texts_free(s->keys, s->nkeys);
}
