/*
 * vm.h - libjsonnet behind C: an exception (memory that is not there) becomes a result.
 */
#ifndef EVALUATE_VM_H
#define EVALUATE_VM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an import gives: *name is what libjsonnet is to call it, both malloc'ed. Not 0: *content is
 * why it cannot be had, *name NULL. */
typedef int eval_import_fn(
    void *arg, const char *dir, const char *path, char **name, char **content);

enum eval_vm_end { EVAL_VM_OK, EVAL_VM_ERROR, EVAL_VM_MEMORY };
/* Evaluates source, named name, with ctx as top-level argument. *out: the output or the error,
 * malloc'ed, NULL after EVAL_VM_MEMORY. Native functions are those of
 * native.h; there are no variables. */
enum eval_vm_end eval_vm_run(char **out, const char *name, const char *source, const char *ctx,
    eval_import_fn *import, void *arg);

#ifdef __cplusplus
}
#endif
#endif
