/* main() of a target in `make check`: every file of the directories given, once. */
#include "fuzz.h"

#include "common/buf.h"
#include "common/mem.h"

#include <dirent.h>
#include <stdio.h>

#define INPUT_MAX (4u << 20)

static size_t
run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t *all = xmalloc(INPUT_MAX);
	size_t n = f != NULL ? fread(all, 1, INPUT_MAX, f) : 0;
	/* Exactly as large as the input, so that a read past its end is seen. */
	uint8_t *exact = xmalloc(n > 0 ? n : 1);

	FUZZ_MUST(f != NULL && n < INPUT_MAX);
	memcpy(exact, all, n);
	free(all);
	fclose(f);
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

static size_t
run_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	while (
	    d != NULL && (e = readdir(d)) != NULL) { /* NOLINT(concurrency-mt-unsafe): one thread */
		auto_free char *file = xasprintf("%s/%s", path, e->d_name);

		if (e->d_name[0] != '.')
			n += run_file(file);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

int
main(int argc, char **argv)
{
	size_t n = 0;

	for (int i = 1; i < argc; i++)
		n += run_dir(argv[i]);
	printf("%s 1 - %zu inputs\n1..1\n", n > 0 ? "ok" : "not ok", n);
	return n > 0 ? 0 : 1;
}
