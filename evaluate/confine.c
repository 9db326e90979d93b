#include "evaluate/confine.h"

#include "common/mem.h"
#include "evaluate/evaluate.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE 10 /* a definition may wait for those who serve others */

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

void
eval_confine(size_t memory, unsigned long cpu_s)
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
