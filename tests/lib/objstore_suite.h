/*
 * objstore_suite.h - what holds for every back end of the object store.
 *
 * Cases for cmocka; *state is a struct objstore_suite. Keys begin with a text of the suite's own,
 * so that a store which holds other things can be tested.
 */
#ifndef TESTS_LIB_OBJSTORE_SUITE_H
#define TESTS_LIB_OBJSTORE_SUITE_H

#include "common/objstore.h"

struct objstore_suite {
	struct objstore *store;
	char prefix[48]; /* "suite-<id>/" */
};

void objstore_suite_init(struct objstore_suite *s, struct objstore *store);
/* <prefix><key>, malloc'ed. */
char *objstore_suite_key(const struct objstore_suite *s, const char *key);
int objstore_suite_put(const struct objstore_suite *s, const char *key, const char *text);
/* offset, at most max bytes; fails unless these are the bytes and the total. */
void objstore_suite_expect(const struct objstore_suite *s, const char *key, uint64_t offset,
    size_t max, const char *want, uint64_t total);

void objstore_case_put_get_delete(void **state);
void objstore_case_never_overwritten(void **state);
void objstore_case_bad_keys(void **state);
void objstore_case_large(void **state);   /* a whole part, read in pieces */
void objstore_case_threads(void **state); /* many at once; of many writers of one key one wins */

#define OBJSTORE_CASES(setup_, teardown_)                                                          \
	cmocka_unit_test_setup_teardown(objstore_case_put_get_delete, setup_, teardown_),          \
	    cmocka_unit_test_setup_teardown(objstore_case_never_overwritten, setup_, teardown_),   \
	    cmocka_unit_test_setup_teardown(objstore_case_bad_keys, setup_, teardown_),            \
	    cmocka_unit_test_setup_teardown(objstore_case_large, setup_, teardown_),               \
	    cmocka_unit_test_setup_teardown(objstore_case_threads, setup_, teardown_)

#endif
