#include "common/daemon.h"

#include "common/crypto.h"
#include "common/log.h"
#include "common/mem.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS 65536u

/* Up to ACT_COMMAND they need the configuration. */
enum action { ACT_RUN, ACT_CHECK, ACT_COMMAND, ACT_KEYS, ACT_VERSION, ACT_HELP };

struct arguments {
	enum action action;
	const char *config;
	const char *command; /* its argument */
	bool debug;
};

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check-config", no_argument, NULL, 'C' },
	{ "print-config-keys", no_argument, NULL, 'k' },
	{ "version", no_argument, NULL, 'v' },
	{ "debug", no_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
};

const char *
daemon_version(void)
{
	return MILLRACE_VERSION;
}

static void
usage(FILE *out, const struct daemon_spec *spec)
{
	const char *name = spec->name;

	fprintf(out,
	    "usage: %s --config FILE [--debug]\n"
	    "       %s --check-config --config FILE\n"
	    "\n"
	    "  --config FILE        configuration, YAML\n"
	    "  --check-config       read and check it, then exit: 0 when it is valid\n"
	    "  --print-config-keys  every key with its type, default and meaning\n"
	    "  --debug              log more\n"
	    "  --version            print the version\n"
	    "  --help               print this\n",
	    name, name);
	if (spec->command != NULL)
		fprintf(out, "  --%s %s  %s\n", spec->command->option, spec->command->arg,
		    spec->command->help);
}

static bool
parse(struct arguments *a, int argc, char **argv, const struct daemon_command *command)
{
	struct option list[ARRAY_LEN(options) + 2] = { 0 };
	int c;

	memcpy(list, options, sizeof(options));
	if (command != NULL)
		list[ARRAY_LEN(options)] =
		    (struct option){ command->option, required_argument, NULL, 'X' };

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before any thread */
	while ((c = getopt_long(argc, argv, "c:h", list, NULL)) != -1) {
		switch (c) {
		case 'c':
			a->config = optarg;
			break;
		case 'C':
			a->action = ACT_CHECK;
			break;
		case 'X':
			a->action = ACT_COMMAND;
			a->command = optarg;
			break;
		case 'k':
			a->action = ACT_KEYS;
			break;
		case 'v':
			a->action = ACT_VERSION;
			break;
		case 'd':
			a->debug = true;
			break;
		case 'h':
			a->action = ACT_HELP;
			break;
		default:
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument \"%s\"\n", argv[0], argv[optind]);
		return false;
	}
	if (a->config == NULL && a->action <= ACT_COMMAND) {
		fprintf(stderr, "%s: --config FILE is missing\n", argv[0]);
		return false;
	}
	return true;
}

static int
load(void *cfg, const struct daemon_spec *spec, const char *file, struct err **err)
{
	int rc = config_load(cfg, spec->keys, spec->nkeys, file, err);

	if (rc == 0 && spec->check != NULL) {
		rc = spec->check(cfg, err);
		if (rc != 0)
			err_wrap(err, "%s", file);
	}
	return rc;
}

/* The second one ends the process at once, should an ordered stop hang. */
static void
on_stop_signal(int signum, void *arg)
{
	log_info("stopping", LOG_STR("signal", sigabbrev_np(signum)));
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	loop_quit(arg);
}

struct running {
	const struct daemon_spec *spec;
	void *state;
};

static void
on_dump_signal(int signum, void *arg)
{
	const struct running *r = arg;
	auto_free char *text = r->spec->dump(r->state);
	auto_free char *line = xasprintf("%s\n", text);

	(void)signum;
	for (size_t done = 0, n = strlen(line); done < n;) {
		ssize_t some = write(STDERR_FILENO, line + done, n - done);

		if (some <= 0)
			break;
		done += (size_t)some;
	}
}

static int
run(const struct daemon_spec *spec, void *cfg)
{
	struct loop *loop = loop_new();
	void *state = NULL;
	struct running running = { .spec = spec };
	auto_err err = NULL;
	int status = 0;

	loop_on_signal(loop, SIGTERM, on_stop_signal, loop);
	loop_on_signal(loop, SIGINT, on_stop_signal, loop);
	if (spec->start(&state, loop, cfg, &err) != 0) {
		fprintf(stderr, "%s: cannot start: %s\n", spec->name, err_msg(err));
		status = 1;
	} else {
		log_info("started", LOG_STR("version", daemon_version()));
		running.state = state;
		if (spec->dump != NULL)
			loop_on_signal(loop, SIGUSR1, on_dump_signal, &running);
		loop_run(loop);
	}
	if (state != NULL)
		spec->stop(state);
	loop_free(loop);
	if (status == 0)
		log_info("stopped");
	return status;
}

static int
run_with_config(const struct daemon_spec *spec, const struct arguments *a)
{
	void *cfg = xcalloc(1, spec->config_size);
	auto_err err = NULL;
	int status = 0;

	if (load(cfg, spec, a->config, &err) != 0) {
		fprintf(stderr, "%s\n", err_msg(err));
		status = 1;
	} else if (a->action == ACT_CHECK) {
		printf("%s: valid\n", a->config);
	} else if (a->action == ACT_COMMAND) {
		if (spec->command->run(cfg, a->command, &err) != 0) {
			fprintf(stderr, "%s: %s\n", spec->name, err_msg(err));
			status = 1;
		}
	} else {
		status = run(spec, cfg);
	}
	config_free(cfg, spec->keys, spec->nkeys);
	free(cfg);
	return status;
}

/* The soft limit of 1024 is kept small for programs with select(); we have none. */
static void
raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= DESCRIPTORS)
		return;
	r.rlim_cur = r.rlim_max < DESCRIPTORS ? r.rlim_max : DESCRIPTORS;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

int
daemon_main(int argc, char **argv, const struct daemon_spec *spec)
{
	struct arguments a = { .action = ACT_RUN };

	if (!parse(&a, argc, argv, spec->command)) {
		usage(stderr, spec);
		return 2;
	}
	switch (a.action) {
	case ACT_HELP:
		usage(stdout, spec);
		return 0;
	case ACT_VERSION:
		printf("%s %s\n", spec->name, daemon_version());
		return 0;
	case ACT_KEYS:
		config_print_keys(spec->keys, spec->nkeys);
		return 0;
	case ACT_RUN:
	case ACT_CHECK:
	case ACT_COMMAND:
		break;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	log_init(spec->name, a.debug ? LOG_DEBUG : LOG_INFO);
	crypto_init();
	return run_with_config(spec, &a);
}
