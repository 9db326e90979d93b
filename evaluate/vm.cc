#include "evaluate/vm.h"

#include "evaluate/native.h"

extern "C" {
#include <libjsonnet.h>
}

#include <cstdlib>
#include <cstring>
#include <exception>
#include <list>
#include <new>

static const unsigned stack_max = 500; /* as Agola */
static const unsigned trace_max = 10;  /* lines */

namespace
{
struct importer {
	JsonnetVm *vm;
	eval_import_fn *fn;
	void *arg;
};

/* In memory of libjsonnet's own. */
char *
handed_over(JsonnetVm *vm, char *text)
{
	size_t n = strlen(text) + 1;
	char *out = jsonnet_realloc(vm, nullptr, n);

	memcpy(out, text, n);
	free(text);
	return out;
}

char *
on_import(void *arg, const char *dir, const char *path, char **found, int *success)
{
	importer *im = static_cast<importer *>(arg);
	char *name = nullptr, *content = nullptr;

	*success = im->fn(im->arg, dir, path, &name, &content) == 0;
	if (*success)
		*found = handed_over(im->vm, name);
	return handed_over(im->vm, content);
}

struct native {
	JsonnetVm *vm;
	const eval_native *what;
};

JsonnetJsonValue *
on_native(void *arg, const JsonnetJsonValue *const *argv, int *success)
{
	const native *n = static_cast<native *>(arg);
	const char *text = jsonnet_json_extract_string(n->vm, argv[0]);
	double length = 0;
	char out[EVAL_NATIVE_TEXT];

	*success = text != nullptr && jsonnet_json_extract_number(n->vm, argv[1], &length) &&
	           eval_native_digest(out, n->what, text, length);
	return jsonnet_json_make_string(
	    n->vm, *success ? out : "want a text without NUL characters");
}
} // namespace

enum eval_vm_end
eval_vm_run(char **out, const char *name, const char *source, const char *ctx,
    eval_import_fn *import, void *arg)
{
	*out = nullptr;
	try {
		JsonnetVm *vm = jsonnet_make();
		static const char *const params[] = { "text", "length", nullptr };
		std::list<native> natives;
		importer im = { vm, import, arg };
		int failed = 0;

		jsonnet_max_stack(vm, stack_max);
		jsonnet_max_trace(vm, trace_max);
		jsonnet_import_callback(vm, on_import, &im);
		jsonnet_tla_code(vm, "ctx", ctx);
		for (size_t i = 0; eval_natives[i].name; i++) {
			natives.push_back({ vm, &eval_natives[i] });
			jsonnet_native_callback(
			    vm, eval_natives[i].name, on_native, &natives.back(), params);
		}
		char *text = jsonnet_evaluate_snippet(vm, name, source, &failed);
		*out = strdup(text);
		jsonnet_realloc(vm, text, 0);
		jsonnet_destroy(vm);
		return *out == nullptr ? EVAL_VM_MEMORY : failed ? EVAL_VM_ERROR : EVAL_VM_OK;
	} catch (const std::bad_alloc &) {
		return EVAL_VM_MEMORY;
	} catch (const std::exception &e) {
		*out = strdup(e.what());
		return *out == nullptr ? EVAL_VM_MEMORY : EVAL_VM_ERROR;
	}
}
