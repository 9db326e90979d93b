/* Jsonnet in its child: what it may, what it may not, and what is said then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/mem.h"
#include "evaluate/confine.h"
#include "evaluate/evaluate.h"
#include "evaluate/message.h"
#include "evaluate/scan.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NAME ".agola/config.jsonnet"

/* The repository's files; NULL content: the store is away. */
struct file {
	const char *path, *content;
};
struct repo {
	struct file files[8];
	unsigned reads;
	enum err_code code; /* of files that are not there; 0: ERR_NOTFOUND */
};

static int
read_repo(struct buf *out, void *arg, const char *path, size_t max, struct err **err)
{
	struct repo *r = arg;

	r->reads++;
	for (const struct file *f = r->files; f->path; f++) {
		if (strcmp(f->path, path) != 0)
			continue;
		if (strlen(f->content) > max)
			return err_set(err, ERR_INVALID, "too large");
		buf_puts(out, f->content);
		return 0;
	}
	return err_set(err, r->code ? r->code : ERR_NOTFOUND, "no such file in the commit");
}

struct result {
	struct buf out;
	char *problem;
};

static struct result
evaluate_as(const struct eval_source *like, struct repo *repo, const char *text)
{
	struct eval_source s = *like;
	struct repo none = { 0 };
	struct result r = { 0 };
	auto_err err = NULL;

	s.file = s.file ? s.file : FILE_NAME;
	s.text = text;
	s.len = strlen(text);
	s.read = read_repo;
	s.arg = repo ? repo : &none;
	if (!s.ctx.ref_type)
		s.ctx = (struct eval_context){ "branch", "refs/heads/main", "main", "", "",
			"0123456789012345678901234567890123456789" };
	if (eval_run(&r.out, &r.problem, &s, &err) < 0)
		fail_msg("%s", err_msg(err));
	return r;
}

static void
result_fini(struct result *r)
{
	buf_free(&r->out);
	free(r->problem);
}

static void
gives(struct repo *repo, const char *text, const char *want)
{
	struct result r = evaluate_as(&(struct eval_source){ 0 }, repo, text);

	if (r.problem)
		fail_msg("%.200s: %s", text, r.problem);
	assert_string_equal(buf_str(&r.out), want);
	result_fini(&r);
}

static void
fails_as(const struct eval_source *like, struct repo *repo, const char *text, const char *want)
{
	struct result r = evaluate_as(like, repo, text);

	if (!r.problem)
		fail_msg("%s: it gives %.100s", text, buf_str(&r.out));
	if (strncmp(r.problem, want, strlen(want)) != 0)
		fail_msg("%.200s: %s", text, r.problem);
	result_fini(&r);
}

static void
fails(struct repo *repo, const char *text, const char *want)
{
	fails_as(&(struct eval_source){ 0 }, repo, text, want);
}

static void
context(void **state)
{
	(void)state;
	/* All keys, always texts; a plain value takes no context. */
	gives(NULL, "function(ctx) ctx",
	    "{\n   \"branch\": \"main\",\n   \"commit_sha\": "
	    "\"0123456789012345678901234567890123456789\",\n   \"pull_request_id\": \"\",\n   "
	    "\"ref\": \"refs/heads/main\",\n   \"ref_type\": \"branch\",\n   \"tag\": \"\"\n}\n");
	gives(NULL, "function(x=1, ctx) x + ':' + ctx.branch", "\"1:main\"\n");
	gives(NULL, "{ a: 1 }", "{\n   \"a\": 1\n}\n");
	fails(NULL, "function(c) c", FILE_NAME ":1:1: Jsonnet: function has no parameter ctx");
	fails(NULL, "function() 1", FILE_NAME ":1:1: Jsonnet: function has no parameter ctx");
	/* A name is text, whatever it looks like. */
	struct eval_source s = { .ctx = { "branch", "refs/heads/x", "'+\"${x}\\", "", "", "" } };
	struct result r = evaluate_as(&s, NULL, "function(ctx) ctx.branch");
	assert_string_equal(buf_str(&r.out), "\"'+\\\"${x}\\\\\"\n");
	result_fini(&r);
}

static void
imports(void **state)
{
	struct repo r = { .files = {
		              { ".agola/lib/a.libsonnet", "import '../../shared/b.jsonnet'" },
		              { "shared/b.jsonnet", "{ b: importstr 'c d.txt' }" },
		              { "shared/c d.txt", "text" }, { "data.json", "[1]" } } };

	(void)state;
	gives(
	    &r, "(import 'lib/a.libsonnet').b + (import './lib/a.libsonnet').b", "\"texttext\"\n");
	assert_int_equal(r.reads, 4); /* a is asked for under both of its names */
	gives(&r, "import '../data.json'", "[\n   1\n]\n");
}

static void
imports_lead_nowhere_else(void **state)
{
	static const struct {
		const char *path, *why;
	} cases[] = {
		{ "/etc/passwd", "it is absolute" },
		{ "../../etc/passwd", "it leads out of the repository" },
		{ "lib/../../../x", "it leads out of the repository" },
		{ "../.git/config", "it leads into .git" },
		{ "../.GIT/config", "it leads into .git" },
		{ "..", "it is no file" },
		{ "", "it is no file" },
		{ "lib/", "it is no file" },
		{ "missing.libsonnet", "no such file in the commit" },
	};
	struct repo r = { .files = { { "etc/passwd", "1" } } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (int str = 0; str < (i ? 1 : 2); str++) {
			auto_free char *text =
			    xasprintf("\n  import%s '%s'", str ? "str" : "", cases[i].path);
			auto_free char *want = xasprintf(FILE_NAME
			    ":2:3: Jsonnet: couldn't open import \"%s\": %s: %s",
			    cases[i].path, cases[i].path, cases[i].why);

			fails(&r, text, want);
		}
	}
	assert_int_equal(r.reads, 1); /* of the last path */
	fails(&r, "import 'a\\u0001b'", FILE_NAME ":1:1: Jsonnet: couldn't open import");
}

static void
imports_are_counted(void **state)
{
	auto_buf many = BUF_INIT;
	auto_free char *big = xcalloc(1, EVAL_CONTENT_MAX);
	struct repo r = { .files = { { ".agola/x", "1" } } };

	(void)state;
	buf_puts(&many, "std.foldl(function(a, b) a + b, [0");
	for (int i = 0; i <= EVAL_IMPORTS_MAX; i++) {
		buf_puts(&many, ", (import '");
		for (int k = 0; k < i; k++)
			buf_puts(&many, "./");
		buf_puts(&many, "x')");
	}
	buf_puts(&many, "], 0)");
	/* Time enough for a sanitized build. */
	fails_as(&(struct eval_source){ .cpu_s = 60, .wall_ms = 60000 }, &r, buf_str(&many),
	    FILE_NAME ":1:");
	assert_int_equal(r.reads, EVAL_IMPORTS_MAX);
	memset(big, ' ', EVAL_CONTENT_MAX - 1);
	r.files[0].content = big;
	r.reads = 0;
	fails(&r,
	    "std.length(std.join('', [importstr 'x', importstr './x', importstr '././x', "
	    "importstr './././x', importstr '../.agola/x', importstr '../.agola/./x', importstr "
	    "'.././.agola/x', importstr './/x', importstr './/.//x']))",
	    FILE_NAME ":1:");
	assert_int_equal(r.reads, 9);
}

/* The store being away is nobody's mistake. */
static void
import_that_cannot_be_read(void **state)
{
	struct repo r = { .code = ERR_UNAVAILABLE };
	struct eval_source s = { .file = FILE_NAME,
		.text = "import 'x'",
		.len = 10,
		.ctx = { "", "", "", "", "", "" },
		.read = read_repo,
		.arg = &r };
	auto_buf out = BUF_INIT;
	auto_err err = NULL;
	char *problem;

	(void)state;
	assert_int_equal(eval_run(&out, &problem, &s, &err), ERR_UNAVAILABLE);
	assert_null(problem);
	assert_non_null(strstr(err_msg(err), "import .agola/x: no such file"));
}

static void
positions(void **state)
{
	struct repo r = {
		.files = { { ".agola/l.libsonnet", "{ f(x):: std.trim(x),\n  g:: error 'deep' }" },
		    { ".agola/s.libsonnet", "{" } }
	};

	(void)state;
	fails(NULL, "{\n  a: 1,\n  b: \n}", FILE_NAME ":4:1: Jsonnet: ");
	fails(NULL, "local f(x)=error 'no'; {a: f(1)}",
	    FILE_NAME ":1:12: Jsonnet: no\n    at " FILE_NAME
	              ":1:12-22 function <f>\n    at " FILE_NAME
	              ":1:28-32 object <anonymous>\n    at During manifestation");
	/* Inside the library: the place is the user's. */
	fails(NULL, "\n std.substr(1, 2, 3)", FILE_NAME ":2:2: Jsonnet: ");
	/* A supplied function mentioned: places are what they are without it. */
	fails(NULL, "[std.any([]), nope]", FILE_NAME ":1:15: Jsonnet: Unknown variable: nope");
	fails(NULL, "[std.any([]),\n nope]", FILE_NAME ":2:2: Jsonnet: Unknown variable: nope");
	fails(NULL, "[std.any([]), {\n a: }]", FILE_NAME ":2:5: Jsonnet: ");
	fails(NULL, "[std.any([1])]",
	    FILE_NAME ":1:2: Jsonnet: std.any: element 0 is of type number");
	fails(
	    NULL, "[std.sum([]), error 'a\nb\tc'][1]", FILE_NAME ":1:15: Jsonnet: a b c\n    at ");
	fails(&r, "(import 'l.libsonnet').g", ".agola/l.libsonnet:2:7: Jsonnet: deep");
	fails(&r, "(import 'l.libsonnet').f(error 'x')", FILE_NAME ":1:26: Jsonnet: x");
	fails(&r, "import 's.libsonnet'", ".agola/s.libsonnet:1:2: Jsonnet: ");
	fails(NULL, "", FILE_NAME ":1:1: Jsonnet: ");
	/* A message cannot pass for a place. */
	fails(
	    NULL, "error 'x\\n\\t/etc/passwd:1:1\\n\\ty'", "/etc/passwd:1:1: Jsonnet: x\n    at ");
}

static void
newer_library(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "std.all([true, true]) && !std.all([true, false]) && std.all([])", "true" },
		{ "std.any([false, true]) && !std.any([false]) && !std.any([])", "true" },
		{ "std.sum([1, 2, 3.5])", "6.5" },
		{ "std.avg([1, 2, 3])", "2" },
		{ "[std.minArray([3, 1, 2]), std.maxArray([3, 1, 2]), std.minArray([], "
		  "onEmpty='e'), std.maxArray(['a', 'bbb'], keyF=std.length)]",
		    "[\n   1,\n   3,\n   \"e\",\n   \"bbb\"\n]" },
		{ "std.toString([std.contains([1, 2], 2), std.contains([1, [2]], 2)])",
		    "\"[true, false]\"" },
		{ "std.toString([std.remove([1, 2, 1], 1), std.remove([1], 5), std.removeAt([1, "
		  "2, 3], 1)])",
		    "\"[[2, 1], [1], [1, 3]]\"" },
		{ "std.toString(std.flattenDeepArray([1, [2, [3, []]], 'x']))",
		    "\"[1, 2, 3, \\\"x\\\"]\"" },
		{ "std.toString(std.objectRemoveKey({ a: 1, b: 2 }, 'a'))", "\"{\\\"b\\\": 2}\"" },
		{ "std.toString([std.objectKeysValues({ a: 1, b:: 2 }), "
		  "std.length(std.objectKeysValuesAll({ a: 1, b:: 2 }))])",
		    "\"[[{\\\"key\\\": \\\"a\\\", \\\"value\\\": 1}], 2]\"" },
		{ "'<' + std.trim(' \\t\\na b\\r\\u00a0') + '>'", "\"<a b>\"" },
		{ "std.isEmpty('') && !std.isEmpty('x') && std.isNull(null) && !std.isNull(0)",
		    "true" },
		{ "std.equalsIgnoreCase('aBc', 'AbC') && !std.equalsIgnoreCase('a', 'b')", "true" },
		{ "std.toString([std.splitLimitR('a/b/c', '/', 1), std.splitLimitR('a/b/c', "
		  "'/', -1), std.splitLimitR('a', '/', 3)])",
		    "\"[[\\\"a/b\\\", \\\"c\\\"], [\\\"a\\\", \\\"b\\\", \\\"c\\\"], "
		    "[\\\"a\\\"]]\"" },
		{ "std.escapeStringXML('a<b>\"\\'&')", "\"a&lt;b&gt;&quot;&apos;&amp;\"" },
		{ "std.xor(true, false) && !std.xor(true, true) && std.xnor(true, true)", "true" },
		{ "std.isEven(4) && std.isOdd(3) && !std.isOdd(4) && std.isInteger(3) && "
		  "std.isDecimal(1.5) && !std.isDecimal(2)",
		    "true" },
		{ "[std.round(1.5), std.round(-1.2), std.round(2.4)] == [2, -1, 2]", "true" },
		{ "std.round(std.log2(8)) + std.round(std.log10(1000)) + std.hypot(3, 4)", "11" },
		{ "std.round(std.rad2deg(std.pi)) + std.round(100 * std.deg2rad(180))", "494" },
		{ "std.round(1000 * std.atan2(1, -1)) == std.round(750 * std.pi) && "
		  "std.atan2(0, 0) == 0 && std.atan2(-1, 0) < 0",
		    "true" },
		/* As sha1sum and its like have them. */
		{ "std.sha1('abc')", "\"a9993e364706816aba3e25717850c26c9cd0d89d\"" },
		{ "std.sha256('\u00e9')",
		    "\"4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c\"" },
		{ "std.sha512('abc')",
		    "\"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\"" },
		{ "std.sha3('abc')",
		    "\"b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
		    "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0\"" },
		{ "local s = std; s.trim(std.thisFile)", "\"" FILE_NAME "\"" },
	};

	(void)state;
	auto_buf all = BUF_INIT;
	buf_puts(&all, "std.toString(std.find(false, [");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		buf_printf(&all, "(%s) == (%s),\n", cases[i].text, cases[i].want);
	buf_puts(&all, "]))");
	gives(NULL, buf_str(&all), "\"[ ]\"\n"); /* indices of those that are wrong */
	fails(NULL, "std.sha256([1])", FILE_NAME ":1:1: Jsonnet: std.sha256: want a string, got ");
	fails(NULL, "std.sha1('a\\u0000b')", FILE_NAME ":1:1: Jsonnet: want a text without NUL");
}

/* Every name of the table is there, and libjsonnet does not have it by itself: then it would have
 * to go. */
static void
names_of_the_library(void **state)
{
	auto_buf with = BUF_INIT;
	auto_buf without = BUF_INIT;

	(void)state;
	buf_puts(&with, "std.length([");
	buf_puts(&without, "std.length([");
	for (size_t i = 0; i < eval_std_nnames; i++) {
		buf_printf(&with, "std.type(std.%s),", eval_std_names[i]);
		buf_printf(&without, "if std.objectHasAll(std, '%s') then error '%s has it',",
		    eval_std_names[i], eval_std_names[i]);
	}
	buf_puts(&with, "''])");
	buf_puts(&without, "''])");
	auto_free char *want = xasprintf("%zu\n", eval_std_nnames + 1);
	gives(NULL, buf_str(&with), want);
	gives(NULL, buf_str(&without), want);
}

/* A file that is included as text comes as it is, whatever it mentions. */
static void
included_text(void **state)
{
	struct repo r = { .files = { { ".agola/x.sh", "std trim" },
		              { ".agola/y.libsonnet", "std.trim(' y ')" },
		              { ".agola/lib/z.libsonnet", "importstr '../y.libsonnet'" } } };

	(void)state;
	gives(&r, "importstr 'x.sh'", "\"std trim\"\n");
	gives(&r, "import 'y.libsonnet'", "\"y\"\n");
	gives(&r, "import 'lib/z.libsonnet'", "\"std.trim(' y ')\"\n");
}

/* A text with as many characters as the bits say. */
#define EXACTLY(bits)                                                                              \
	"std.foldl(function(s, b) s + s + (if b == '1' then 'x' else ''), "                        \
	"std.stringChars('" bits "'), '')"

static void
limits(void **state)
{
	static const char forever[] = "local f(n) = if n < 0 then 0 else f(n + 1) tailstrict; f(1)";
	struct eval_source s = { .cpu_s = 1 };
	int64_t start = clock_mono_ms();

	(void)state;
	fails_as(&s, NULL, forever,
	    FILE_NAME ":1:1: Jsonnet: the evaluation needs more than 1 s of processor time");
	assert_true(clock_mono_ms() - start < 15000);
	s = (struct eval_source){ .wall_ms = 300 };
	fails_as(&s, NULL, forever, FILE_NAME ":1:1: Jsonnet: the evaluation did not end within");
	/* Deep, but not for ever. */
	fails(NULL, "local f(n) = 1 + f(n + 1); f(0)",
	    FILE_NAME ":1:18: Jsonnet: max stack frames exceeded.");
	fails(NULL, "{ a: self.a }", FILE_NAME ":1:6: Jsonnet: max stack frames exceeded.");
	fails(NULL, EXACTLY("100000000000000000000"),
	    FILE_NAME ":1:1: Jsonnet: the output is too large: ");
	auto_free char *deep = xcalloc(1, 100001);
	memset(deep, '[', 100000);
	fails(NULL, deep, FILE_NAME ":1:");
	if (!EVAL_SANITIZED) {
		s = (struct eval_source){ .memory = 64u << 20 };
		fails_as(&s, NULL,
		    "local f(s) = if std.length(s) < 0 then s else f(s + s) tailstrict; f('x')",
		    FILE_NAME ":1:1: Jsonnet: the evaluation needs more than 64 MiB of memory");
		fails_as(&s, NULL, "std.length(std.range(1, 100000000))",
		    FILE_NAME ":1:1: Jsonnet: the evaluation needs more than 64 MiB of memory");
	}
}

static void
sizes(void **state)
{
	auto_buf b = BUF_INIT;
	struct eval_source s = {
		.file = FILE_NAME, .ctx = { "", "", "", "", "", "" }, .read = read_repo
	};
	auto_buf out = BUF_INIT;
	char *problem = NULL;

	(void)state;
	buf_puts(&b, "1");
	while (b.len < EVAL_CONTENT_MAX)
		buf_putc(&b, ' ');
	s.text = b.data;
	s.len = b.len;
	assert_int_equal(eval_run(&out, &problem, &s, NULL), 0);
	assert_null(problem);
	buf_putc(&b, ' ');
	s.text = b.data;
	s.len = b.len;
	assert_int_equal(eval_run(&out, &problem, &s, NULL), 0);
	assert_string_equal(problem, FILE_NAME ":1:1: Jsonnet: the definition is too large: "
	                                       "1048577 bytes, at most 1048576 are allowed");
	free(steal(&problem));
	s.text = "1\0002";
	s.len = 3;
	assert_int_equal(eval_run(&out, &problem, &s, NULL), 0);
	assert_non_null(strstr(problem, "a NUL character"));
	free(steal(&problem));
	s.ctx.branch = "\xff";
	s.len = 1;
	assert_int_equal(eval_run(&out, &problem, &s, NULL), 0);
	assert_non_null(strstr(problem, "not UTF-8"));
	free(problem);
	/* Exactly as much as is allowed, with its quotes and newline. */
	struct result r =
	    evaluate_as(&(struct eval_source){ 0 }, NULL, EXACTLY("11111111111111111101"));
	assert_null(r.problem);
	assert_int_equal(r.out.len, EVAL_CONTENT_MAX);
	result_fini(&r);
}

/* Nothing of this machine is there, and std.trace() says nothing. */
static void
closed_world(void **state)
{
	(void)state;
	fails(NULL, "std.extVar('HOME')", FILE_NAME ":1:1: Jsonnet: undefined external variable");
	fails(NULL, "std.native('x')(1)", FILE_NAME ":1:1: Jsonnet: ");
	gives(NULL, "std.trace('x', 1)", "1\n");
}

/* Were the evaluator taken over, this is all that it could do. */
static void
what_the_child_may(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (EVAL_SANITIZED)
		skip();
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char sh[] = "sh", *argv[] = { sh, NULL }, *envp[] = { NULL };
		unsigned allowed = 0;

		eval_confine(64u << 20, 5);
		allowed |= open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? 1u : 0;
		allowed |= socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 2u : 0;
		allowed |= fork() >= 0 ? 4u : 0;
		allowed |= execve("/bin/sh", argv, envp) == 0 ? 8u : 0;
		allowed |= kill(getppid(), 0) == 0 ? 16u : 0;
		allowed |= mkdir("/tmp/evaluate", 0700) == 0 ? 32u : 0;
		allowed |= dup(STDOUT_FILENO) >= 0 ? 64u : 0;
		volatile char *memory = malloc(128u << 20);
		allowed |= memory ? 128u : 0;
		_exit((int)allowed);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(int argc, char **argv)
{
	if (eval_is_child(argc, argv))
		return eval_child();

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(context),
		cmocka_unit_test(imports),
		cmocka_unit_test(imports_lead_nowhere_else),
		cmocka_unit_test(imports_are_counted),
		cmocka_unit_test(import_that_cannot_be_read),
		cmocka_unit_test(positions),
		cmocka_unit_test(newer_library),
		cmocka_unit_test(names_of_the_library),
		cmocka_unit_test(included_text),
		cmocka_unit_test(limits),
		cmocka_unit_test(sizes),
		cmocka_unit_test(closed_world),
		cmocka_unit_test(what_the_child_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
