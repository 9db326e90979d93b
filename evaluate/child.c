/* The child's side: gives up what it does not need, evaluates, answers. */
#include "common/id.h"
#include "common/mem.h"
#include "evaluate/evaluate.h"
#include "evaluate/message.h"
#include "evaluate/report.h"
#include "evaluate/scan.h"
#include "evaluate/vm.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 10 /* a definition may wait for those who serve others */

struct worker {
	struct buf in;
	char mark[24];
	char *std_path;
	char *file;
	size_t output_max;
	/* directory and path of what is included as text: it gets no prefix */
	struct raw {
		char *dir, *path;
	} * raw;
	size_t nraw;
};

/* --- pipes --- */

static void
say(enum eval_kind kind, const char *const *texts, const char *content, size_t len)
{
	auto_buf b = BUF_INIT;

	eval_message_put(&b, kind, texts, content, len);
	for (size_t at = 0; at < b.len;) {
		ssize_t n = write(STDOUT_FILENO, b.data + at, b.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1); /* the parent is gone */
		at += (size_t)n;
	}
}

/* The next message; it lives until the buffer is consumed. */
static void
hear(struct worker *w, struct eval_message *m)
{
	int rc;

	while ((rc = eval_message_get(m, &w->in, NULL)) == 0) {
		char *at = buf_reserve(&w->in, 65536);
		ssize_t n = read(STDIN_FILENO, at, 65536);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		w->in.len += (size_t)n;
		w->in.data[w->in.len] = '\0';
	}
	if (rc < 0)
		_exit(1);
}

/* --- limits --- */

static void
limit(int what, rlim_t value, rlim_t hard)
{
	struct rlimit r = { value, hard };

	if (setrlimit((__rlimit_resource_t)what, &r) < 0)
		_exit(1);
}

/* Pages of address space that the program has now. */
static size_t
address_space(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	/* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit */
	if (!f || fscanf(f, "%lu", &pages) != 1)
		_exit(1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* Only these calls are left; every other one fails with EPERM. */
static void
filter_calls(void)
{
#if defined(ARCH) && !EVAL_SANITIZED
#define ALLOW(name)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (name), 0, 1),                                         \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(__NR_read),
		ALLOW(__NR_write),
		ALLOW(__NR_brk),
		ALLOW(__NR_mmap),
		ALLOW(__NR_munmap),
		ALLOW(__NR_mremap),
		ALLOW(__NR_mprotect),
		ALLOW(__NR_madvise),
		ALLOW(__NR_futex),
		ALLOW(__NR_rt_sigprocmask),
		ALLOW(__NR_rt_sigaction),
		ALLOW(__NR_rt_sigreturn),
		ALLOW(__NR_getpid),
		ALLOW(__NR_gettid),
		ALLOW(__NR_tgkill),
		ALLOW(__NR_exit),
		ALLOW(__NR_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog program = { ARRAY_LEN(code), code };

	/* A kernel without filters leaves the limits below. */
	(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#endif
}

static void
give_up(size_t memory, rlim_t cpu_s)
{
	size_t now = address_space();

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_CPU, cpu_s, cpu_s + 1);
	limit(RLIMIT_FSIZE, 0, 0);
	limit(RLIMIT_NPROC, 0, 0);
	if (!EVAL_SANITIZED) {
		limit(RLIMIT_AS, now + memory, now + memory);
		limit(RLIMIT_NOFILE, 0, 0); /* what is open stays usable */
	}
	filter_calls();
}

/* --- imports --- */

struct note {
	struct worker *w;
	const char *name; /* of the file that includes */
};

static void
note_raw(void *arg, const char *path, size_t len)
{
	const struct note *note = arg;
	struct worker *w = note->w;
	const char *slash = strrchr(note->name, '/');

	w->raw = xreallocarray(w->raw, w->nraw + 1, sizeof(*w->raw));
	w->raw[w->nraw].dir = xstrndup(note->name, slash ? (size_t)(slash - note->name) + 1 : 0);
	w->raw[w->nraw++].path = xstrndup(path, len);
}

static bool
is_raw(const struct worker *w, const char *dir, const char *path)
{
	for (size_t i = 0; i < w->nraw; i++) {
		if (strcmp(w->raw[i].dir, dir) == 0 && strcmp(w->raw[i].path, path) == 0)
			return true;
	}
	return false;
}

/* The source as libjsonnet gets it. */
static void
prepare(
    struct worker *w, char **name, char **source, const char *path, const char *text, size_t len)
{
	auto_buf as = BUF_INIT;
	auto_buf code = BUF_INIT;

	eval_scan_importstr(text, len, note_raw, &(struct note){ w, path });
	if (eval_scan_std(text, len)) {
		eval_prefix(&code, &as, w->mark, path, text, len);
	} else {
		buf_puts(&as, path);
		buf_append(&code, text, len);
	}
	*name = buf_take(&as);
	*source = buf_take(&code);
}

static int
on_import(void *arg, const char *dir, const char *path, char **name, char **content)
{
	struct worker *w = arg;
	struct eval_message m;

	if (strcmp(path, w->std_path) == 0) {
		*name = xstrdup(EVAL_STD);
		*content = xstrdup(eval_std_libsonnet);
		return 0;
	}
	*name = NULL;
	if (strlen(dir) + strlen(path) > EVAL_PATH_MAX) {
		*content = xstrdup("the path is too long");
		return -1;
	}
	say(EVAL_IMPORT, (const char *[]){ dir, path }, "", 0);
	hear(w, &m);
	if (m.kind != EVAL_FILE) {
		*content = xstrndup(m.content, m.len);
	} else if (is_raw(w, dir, path)) {
		*name = xstrdup(m.texts[0]);
		*content = xstrndup(m.content, m.len);
	} else {
		prepare(w, name, content, m.texts[0], m.content, m.len);
	}
	buf_consume(&w->in, m.size);
	return *name ? 0 : -1;
}

/* --- the work --- */

static void
fail_text(const struct worker *w, const char *text)
{
	auto_free char *report = xasprintf("%s:1:1: Jsonnet: %s", w->file, text);

	say(EVAL_FAILED, NULL, report, strlen(report));
}

static void
answer(const struct worker *w, enum eval_vm_end end, const char *out, size_t memory)
{
	auto_buf report = BUF_INIT;
	auto_free char *text = NULL;

	switch (end) {
	case EVAL_VM_MEMORY:
		text = xasprintf("the evaluation needs more than %zu MiB of memory", memory >> 20);
		fail_text(w, text);
		return;
	case EVAL_VM_ERROR:
		eval_report(&report, out, w->mark, w->file);
		say(EVAL_FAILED, NULL, buf_str(&report), report.len);
		return;
	case EVAL_VM_OK:
		break;
	}
	if (strlen(out) > w->output_max) {
		text = xasprintf("the output is too large: %zu bytes, at most %zu are allowed",
		    strlen(out), w->output_max);
		fail_text(w, text);
		return;
	}
	say(EVAL_RESULT, NULL, out, strlen(out));
}

int
eval_child(void)
{
	struct worker w = { 0 };
	struct eval_message m;
	auto_free char *ctx = NULL;
	char *name, *source, *out;
	enum eval_vm_end end;
	size_t memory;

	w.mark[0] = EVAL_MARK;
	id_random_hex(w.mark + 1, 8);
	w.std_path = eval_std_path(w.mark);
	hear(&w, &m);
	if (m.kind != EVAL_START)
		return 1;
	memory = strtoull(m.texts[0], NULL, 10);
	w.output_max = strtoull(m.texts[4], NULL, 10);
	w.file = xstrdup(m.texts[2]);
	ctx = xstrdup(m.texts[3]);
	give_up(memory, strtoull(m.texts[1], NULL, 10));
	prepare(&w, &name, &source, w.file, m.content, m.len);
	buf_consume(&w.in, m.size);
	end = eval_vm_run(&out, name, source, ctx, on_import, &w);
	answer(&w, end, out, memory);
	/* Without destructors and what else libraries leave for the end. */
	_exit(0);
}
