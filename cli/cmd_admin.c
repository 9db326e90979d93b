/* maintenance, export, import, audit: for administrators. */
#include "cli/rest.h"

#include "common/mem.h"

#include <errno.h>
#include <string.h>

#define IMPORT_MAX (512u << 20) /* bytes that a gateway takes; the file is held in memory */

static const struct cli_opt service_opts[] = {
	{ "service", 0, CLI_TEXT, true, NULL,
	    "configstore (users, projects) or runservice (runs)" },
	{ 0 },
};
static const struct cli_opt export_opts[] = {
	{ "service", 0, CLI_TEXT, true, NULL, "configstore or runservice" },
	{ "out", 0, CLI_TEXT, false, "-", "file to write; - is standard output" },
	{ 0 },
};
static const struct cli_opt import_opts[] = {
	{ "service", 0, CLI_TEXT, true, NULL, "configstore or runservice" },
	{ "in", 0, CLI_TEXT, false, "-", "file to read; - is standard input" },
	{ 0 },
};
static const struct cli_opt audit_opts[] = {
	{ "username", 0, CLI_TEXT, false, NULL, "only what this user did" },
	{ "limit", 0, CLI_TEXT, false, "30", "how many" },
	{ 0 },
};

/* --- export --- */

struct copy {
	FILE *out;
	bool ended, failed;
	long status;
	char *error;
};

static void
copy_data(void *arg, const char *p, size_t n)
{
	struct copy *k = arg;

	k->failed |= fwrite(p, 1, n, k->out) != n;
}

static void
copy_end(void *arg, long status, const char *error)
{
	struct copy *k = arg;

	k->ended = true;
	k->status = status;
	k->error = error ? xstrdup(error) : NULL;
}

static int
export_to(struct cli *c, FILE *out, struct err **err)
{
	static const struct cli_stream_ops ops = { copy_data, copy_end };
	auto_free char *path = cli_rest_path(c, "/export/{service}");
	struct copy k = { .out = out };
	struct cli_streams *s = cli_streams_new(c);

	cli_stream_open(s, path, &ops, &k);
	while (!k.ended && !k.failed)
		cli_streams_wait(s, 1000);
	cli_streams_free(s);
	auto_free char *error = k.error;
	if (k.failed || fflush(out) != 0)
		return err_set_errno(err, errno, "write the export");
	if (k.status == 200 && !error)
		return 0;
	if (k.status == 404)
		return err_set(err, ERR_NOTFOUND,
		    "this gateway has no export (it may be older than this program)");
	return k.status && k.status != 200
	           ? err_set(err, ERR_DENIED,
	                 "the gateway refused the export with status %ld: it takes the "
	                 "administrator's token, and --service configstore or runservice",
	                 k.status)
	           : err_set(err, ERR_UNAVAILABLE, "the export broke off, it is not whole: %s",
	                 error ? error : "no answer");
}

static int
export_run(struct cli *c)
{
	struct err *err = NULL;
	const char *name = cli_get(c, "out");
	FILE *out = strcmp(name, "-") == 0 ? stdout : fopen(name, "we");

	if (!out) {
		err_set_errno(&err, errno, "create %s", name);
		return cli_fail(err);
	}
	int rc = export_to(c, out, &err);
	if (out != stdout && fclose(out) != 0 && !rc)
		rc = err_set_errno(&err, errno, "write %s", name);
	return rc ? cli_fail(err) : 0;
}

/* --- import --- */

static int
import_read(struct buf *text, const char *name, struct err **err)
{
	FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");

	if (!f)
		return err_set_errno(err, errno, "open %s", name);
	for (size_t n = 1; n > 0 && text->len <= IMPORT_MAX;) {
		n = fread(buf_reserve(text, 1u << 20), 1, 1u << 20, f);
		text->len += n;
	}
	int failed = ferror(f) ? errno : 0;
	if (f != stdin)
		fclose(f);
	if (failed)
		return err_set_errno(err, failed, "read %s", name);
	return text->len <= IMPORT_MAX
	           ? 0
	           : err_set(err, ERR_INVALID, "%s is larger than %u MiB", name, IMPORT_MAX >> 20);
}

static int
import_run(struct cli *c)
{
	struct err *err = NULL;
	auto_buf text = BUF_INIT;
	auto_free char *path = cli_rest_path(c, "/import/{service}");

	if (import_read(&text, cli_get(c, "in"), &err) ||
	    cli_api_send(c, "POST", path, buf_str(&text), text.len, NULL, &err))
		return cli_fail(err);
	fprintf(stderr, "%s: imported\n", cli_get(c, "service"));
	return 0;
}

/* --- audit --- */

static int
audit_list(struct cli *c)
{
	static const struct cli_rest r = {
		.columns = "TIME=at WHO=who USER=username FROM=address METHOD=method PATH=path "
		           "OUTCOME=outcome"
	};
	struct err *err = NULL;
	uint64_t limit = 0;
	const char *user = cli_get(c, "username");
	auto_free char *path = cli_rest_path(c, user ? "/audit?username={username}" : "/audit");
	auto_json *list = NULL;

	if (cli_number(&limit, cli_get(c, "limit"), 1, "--limit", &err) ||
	    cli_api_list(c, path, limit, &list, &err))
		return cli_fail(err);
	return cli_rest_show(c, &r, list);
}

const struct cli_command cli_admin_commands[] = {
	{ .words = { "maintenance", "enable" },
	    .opts = service_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "PUT",
	        .path = "/maintenance/{service}",
	        .said = "maintenance of {service} begins" },
	    .summary = "put a service into maintenance (administrator)",
	    .example = "millrace maintenance enable --service runservice" },
	{ .words = { "maintenance", "disable" },
	    .opts = service_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "DELETE",
	        .path = "/maintenance/{service}",
	        .said = "maintenance of {service} ends" },
	    .summary = "end a service's maintenance (administrator)",
	    .example = "millrace maintenance disable --service runservice" },
	{ .words = { "maintenance", "status" },
	    .opts = service_opts,
	    .run = cli_rest_run,
	    .rest = &(const struct cli_rest){ .method = "GET",
	        .path = "/maintenance/{service}",
	        .columns = "REQUESTED=RequestedStatus CURRENT=CurrentStatus" },
	    .summary = "is a service in maintenance? (administrator)",
	    .example = "millrace maintenance status --service runservice" },
	{ .words = { "export" },
	    .opts = export_opts,
	    .run = export_run,
	    .summary = "write all data of a service, a JSON object per line (administrator)",
	    .example = "millrace export --service configstore --out configstore.ndjson" },
	{ .words = { "import" },
	    .opts = import_opts,
	    .run = import_run,
	    .summary = "replace all data of a service in maintenance (administrator)",
	    .example = "millrace import --service configstore --in configstore.ndjson" },
	{ .words = { "audit", "list" },
	    .opts = audit_opts,
	    .run = audit_list,
	    .summary = "who did what, when and from where, newest first (administrator)",
	    .example = "millrace audit list --username alice --limit 100" },
	{ .words = { NULL } },
};
