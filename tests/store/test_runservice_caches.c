/*
 * Caches over the whole runservice: whose they are, who sees them, what stays and what goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/lib/rs_archive.h"

#include <string.h>

#define FORK MILLRACE__TRUST__TRUST_FORK
#define PULL_REQUEST MILLRACE__TRUST__TRUST_PULL_REQUEST
#define BRANCH MILLRACE__TRUST__TRUST_BRANCH
#define SAVE 0u
#define RESTORE 1u

static const struct rs_peer_task caching[] = { { .name = "task", .nsteps = 3, .caches = true } };

/* A task that an executor holds; branch names its run's group. */
static struct rs_offer
held(struct rs_peer *p, int trust, const char *branch)
{
	struct rs_executor *ex = &p->ex[0];
	p->trust = trust;
	rs_peer_run(p, branch, caching, 1, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	return o;
}

static void
over(struct rs_peer *p, const struct rs_offer *o)
{
	assert_int_equal(rs_ex_report(&p->ex[0], o, 1, "success", "ssss"), 0);
}

static void
start(struct rs_peer *p)
{
	assert_int_equal(rs_ex_register(&p->ex[0], NULL, 0), 0);
}

/* The archive's one part goes to the store; text tells caches apart. */
static char *
upload(struct rs_peer *p, const struct rs_offer *o, const char *key, const char *text)
{
	char *id = rs_ex_archive_begin(&p->ex[0], o, SAVE, key, NULL);
	if (*id == '\0')
		return id;
	Millrace__ArchiveUrlsReply *urls = rs_ex_archive_urls(&p->ex[0], o, id, 2, 0);
	assert_int_equal(rs_peer_http(p, "PUT", urls->urls[0], text, strlen(text), NULL), 200);
	millrace__archive_urls_reply__free_unpacked(urls, NULL);
	return id;
}

static int
complete(struct rs_peer *p, const struct rs_offer *o, const char *id, const char *text, bool *lost)
{
	const struct rs_part part = { text, (uint32_t)strlen(text) };
	return rs_ex_archive_complete(&p->ex[0], o, id, SAVE, &part, 1, lost);
}

static void
save(struct rs_peer *p, const struct rs_offer *o, const char *key, const char *text)
{
	auto_free char *id = upload(p, o, key, text);
	assert_int_not_equal(*id, '\0');
	assert_int_equal(complete(p, o, id, text, NULL), 0);
}

static void
save_by(struct rs_peer *p, int trust, const char *branch, const char *key, const char *text)
{
	struct rs_offer o = held(p, trust, branch);
	save(p, &o, key, text);
	over(p, &o);
}

/* Content of the cache that is found; "" for none. */
static char *
restored(struct rs_peer *p, const struct rs_offer *o, const char *keys)
{
	struct rs_executor *ex = &p->ex[0];
	Millrace__CacheFindReply *found = NULL;
	Millrace__ArchiveGetReply *got = NULL;
	auto_buf body = BUF_INIT;
	assert_int_equal(rs_ex_cache_find(ex, o, RESTORE, keys, &found), 0);
	if (found->archive_id) {
		assert_int_equal(rs_ex_archive_get(ex, o, found->archive_id, &got), 0);
		assert_int_equal(got->total_parts, 1);
		assert_int_equal(rs_peer_http(p, "GET", got->parts[0]->url, NULL, 0, &body), 200);
		millrace__archive_get_reply__free_unpacked(got, NULL);
	}
	millrace__cache_find_reply__free_unpacked(found, NULL);
	return xstrdup(buf_str(&body));
}

static void
assert_restored(struct rs_peer *p, const struct rs_offer *o, const char *keys, const char *want)
{
	auto_free char *got = restored(p, o, keys);
	if (strcmp(got, want) != 0)
		fail_msg("%s: found \"%s\", not \"%s\"", keys, got, want);
}

/* --- keys --- */

static void
found_by_key_and_prefix(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	struct rs_offer o = held(p, BRANCH, "main");
	assert_restored(p, &o, "deps-1", "");
	save(p, &o, "deps-1", "one");
	save(p, &o, "deps-1-a", "one a");
	save(p, &o, "deps-1-b", "one b");
	save(p, &o, "other", "other");
	assert_restored(p, &o, "deps-1", "one"); /* exact, though newer ones begin with it */
	assert_restored(p, &o, "deps-1-", "one b");
	assert_restored(p, &o, "deps", "one b");
	assert_restored(p, &o, "eps", "");
	assert_restored(p, &o, "deps-1-bb", "");
	assert_restored(p, &o, "nothing|deps-1-a|other", "one a"); /* keys in order */
	assert_restored(p, &o, "oth|deps-1", "other");
	assert_restored(p, &o, "", "other");
	Millrace__CacheFindReply *found = NULL;
	assert_int_equal(rs_ex_cache_find(&p->ex[0], &o, RESTORE, "x|deps-1-", &found), 0);
	assert_string_equal(found->key, "deps-1-b");
	assert_int_equal(found->which, 1);
	millrace__cache_find_reply__free_unpacked(found, NULL);
}

/* No key reaches out of its scope, means a pattern, or is taken for another one. */
static void
keys_are_only_names(void **state)
{
	static const char *const keys[] = { "../../x", "/x", "a/b", "a%2Fb", "a%2fb", "%", "_", "*",
		"\xc3\xa9", "\xff\xfe", "a\nb", "a b", "a'b", "a\x7f", "$HOME", "." };
	struct rs_peer *p = *state;
	int code = 0;
	start(p);
	struct rs_offer o = held(p, BRANCH, "main");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		save(p, &o, keys[i], keys[i]);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_restored(p, &o, keys[i], keys[i]);
	assert_restored(p, &o, "..", "../../x");
	assert_restored(p, &o, "x", "");
	/* "p1-" and 197 bytes. */
	auto_free char *key = xmalloc(200);
	memset(key, 'k', 199);
	key[197] = '\0';
	save(p, &o, key, "long");
	assert_restored(p, &o, key, "long");
	key[196] = '/'; /* counts as three */
	assert_null(rs_ex_archive_begin(&p->ex[0], &o, SAVE, key, &code));
	assert_int_equal(code, ERR_INVALID);
	assert_int_equal(rs_ex_cache_find(&p->ex[0], &o, RESTORE, key, NULL), ERR_INVALID);
	/* A step that is none of a cache gets none. */
	assert_null(rs_ex_archive_begin(&p->ex[0], &o, RESTORE, "k", &code));
	assert_int_equal(code, ERR_INVALID);
	assert_int_equal(rs_ex_cache_find(&p->ex[0], &o, SAVE, "k", NULL), ERR_INVALID);
	assert_int_equal(rs_ex_cache_find(&p->ex[0], &o, 99, "k", NULL), ERR_INVALID);
}

/* --- immutability --- */

static void
a_saved_cache_never_changes(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	save_by(p, BRANCH, "main", "k", "first");
	struct rs_offer o = held(p, BRANCH, "other");
	auto_free char *id = upload(p, &o, "k", "second");
	assert_string_equal(id, "");
	assert_restored(p, &o, "k", "first");
}

static void
of_concurrent_saves_the_first_stays(void **state)
{
	struct rs_peer *p = *state;
	bool lost = true;
	start(p);
	struct rs_offer a = held(p, BRANCH, "a"), b = held(p, BRANCH, "b");
	auto_free char *of_a = upload(p, &a, "k", "by a");
	auto_free char *of_b = upload(p, &b, "k", "by b");
	assert_restored(p, &a, "k", ""); /* neither is complete */
	assert_int_equal(complete(p, &b, of_b, "by b", &lost), 0);
	assert_false(lost);
	assert_int_equal(complete(p, &a, of_a, "by a", &lost), 0);
	assert_true(lost);
	assert_int_equal(complete(p, &a, of_a, "by a", &lost), 0); /* said again */
	assert_true(lost);
	assert_int_equal(complete(p, &b, of_b, "by b", &lost), 0);
	assert_false(lost);
	assert_restored(p, &a, "k", "by b");
	assert_int_equal(rs_ex_archive_get(&p->ex[0], &a, of_a, NULL), ERR_NOTFOUND);
}

static void
an_attempt_that_is_over_saves_nothing(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	struct rs_offer o = held(p, BRANCH, "main"), reader = held(p, BRANCH, "reader");
	auto_free char *id = upload(p, &o, "k", "late");
	assert_int_equal(rs_ex_report(&p->ex[0], &o, 1, "stopped", "sxnn"), 0);
	assert_int_equal(complete(p, &o, id, "late", NULL), ERR_CONFLICT);
	assert_restored(p, &reader, "k", "");
	/* Nor does it read. */
	save(p, &reader, "k", "good");
	assert_int_equal(rs_ex_cache_find(&p->ex[0], &o, RESTORE, "k", NULL), ERR_CONFLICT);
	/* Another executor cannot speak for it. */
	assert_int_equal(rs_ex_register(&p->ex[1], NULL, 0), 0);
	assert_int_equal(rs_ex_cache_find(&p->ex[1], &reader, RESTORE, "k", NULL), ERR_CONFLICT);
}

/* --- trust --- */

static void
lower_trust_never_reaches_higher(void **state)
{
	static const struct {
		int trust;
		const char *branch;
	} who[] = { { FORK, "pr1" }, { PULL_REQUEST, "pr2" }, { BRANCH, "main" } };
	struct rs_peer *p = *state;
	start(p);
	/* The fork is first with every key, and poisons none. */
	for (size_t i = 0; i < ARRAY_LEN(who); i++) {
		struct rs_offer o = held(p, who[i].trust, who[i].branch);
		assert_restored(p, &o, "k", "");
		save(p, &o, "k-same", who[i].branch);
		save(p, &o, who[i].branch, who[i].branch);
		assert_restored(p, &o, "k-same", who[i].branch);
		over(p, &o);
	}
	for (size_t i = 0; i < ARRAY_LEN(who); i++) {
		struct rs_offer o = held(p, who[i].trust, who[i].branch);
		for (size_t j = 0; j < ARRAY_LEN(who); j++)
			assert_restored(p, &o, who[j].branch, j >= i ? who[j].branch : "");
		over(p, &o);
	}
	/* What a branch saved need not be saved again below. */
	struct rs_offer o = held(p, FORK, "pr9");
	auto_free char *id = upload(p, &o, "main", "poison");
	assert_string_equal(id, "");
}

static void
forks_do_not_share(void **state)
{
	struct rs_peer *p = *state;
	start(p);
	save_by(p, FORK, "pr1", "k", "fork one");
	struct rs_offer one = held(p, FORK, "pr1"), two = held(p, FORK, "pr2");
	assert_restored(p, &one, "k", "fork one");
	assert_restored(p, &two, "k", "");
	/* A run that says nothing of its trust has the lowest. */
	struct rs_offer none = held(p, 0, "main");
	assert_restored(p, &none, "k", "");
	save(p, &none, "n", "unknown");
	assert_restored(p, &two, "n", "");
}

static void
scopes_do_not_share(void **state)
{
	static const struct {
		const char *owner, *group;
	} scopes[] = { { "/project/p1", NULL }, { "/project/p2", NULL }, { "/user/u1", "u1-r1" },
		{ "/user/u1", "u1-r2" }, { "/user/u1", NULL } };
	struct rs_peer *p = *state;
	Millrace__CacheFindReply *found = NULL;
	struct rs_offer o;
	start(p);
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
		p->owner = scopes[i].owner;
		p->cache_group = scopes[i].group;
		o = held(p, BRANCH, scopes[i].group ? scopes[i].group : "main");
		assert_restored(p, &o, "k", "");
		assert_restored(p, &o, "", "");
		save(p, &o, "k", "mine");
		assert_int_equal(rs_ex_cache_find(&p->ex[0], &o, RESTORE, "k", &found), 0);
		over(p, &o);
		if (i + 1 < ARRAY_LEN(scopes)) {
			auto_free char *id = xstrdup(found->archive_id);
			p->owner = scopes[i + 1].owner;
			p->cache_group = scopes[i + 1].group;
			o = held(p, BRANCH, "thief");
			/* The id alone opens nothing. */
			assert_int_equal(rs_ex_archive_get(&p->ex[0], &o, id, NULL), ERR_DENIED);
			over(p, &o);
		}
		millrace__cache_find_reply__free_unpacked(found, NULL);
	}
}

/* --- what goes --- */

static void
clean(struct rs_peer *p)
{
	rs_peer_stop(p);
	rs_peer_start(p); /* a round is made when a runservice begins to lead */
	rs_peer_turn(p, 300);
}

static void
assert_sql(struct rs_peer *p, const char *sql, const char *want)
{
	auto_free char *got = rs_peer_sql(p, sql);
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s, not %s", sql, got, want);
}

static void
retain(struct rs_peer *p)
{
	p->cfg.cache_retention_ms = p->cfg.workspace_retention_ms = 7 * 86400000;
	p->cfg.log_retention_ms = 30 * INT64_C(86400000);
	p->cfg.cleaner_ms = 3600000;
	p->cfg.sweep_ms = 0; /* garbage stays, to be counted */
}

static void
an_old_cache_goes_once_nobody_reads_it(void **state)
{
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	Millrace__CacheFindReply *found = NULL;
	retain(p);
	start(p);
	struct rs_offer o = held(p, BRANCH, "main");
	save(p, &o, "old", "old");
	save(p, &o, "new", "new");
	rs_peer_exec(
	    p, "update caches set created = now() - interval '169 hours' where key = 'old'");
	assert_int_equal(rs_ex_cache_find(ex, &o, RESTORE, "old", &found), 0);
	clean(p);
	assert_int_equal(rs_ex_register(ex, &o, 1), 0);
	assert_restored(p, &o, "old", "");
	assert_restored(p, &o, "new", "new");
	/* Who had found it reads on. */
	Millrace__ArchiveGetReply *got = NULL;
	assert_int_equal(rs_ex_archive_get(ex, &o, found->archive_id, &got), 0);
	assert_int_equal(rs_peer_http(p, "GET", got->parts[0]->url, NULL, 0, NULL), 200);
	millrace__archive_get_reply__free_unpacked(got, NULL);
	/* Its key is free again. */
	save(p, &o, "old", "anew");
	assert_restored(p, &o, "old", "anew");
	rs_peer_exec(p, "update caches set retired = now() - interval '3 hours' "
	                "where retired is not null");
	clean(p);
	assert_int_equal(rs_ex_register(ex, &o, 1), 0);
	assert_int_equal(rs_ex_archive_get(ex, &o, found->archive_id, NULL), ERR_NOTFOUND);
	assert_restored(p, &o, "old", "anew");
	assert_sql(p, "select count(*) from caches", "2");
	auto_free char *sql = xasprintf(
	    "select count(*) from garbage where key like '%%/%s/00000_'", found->archive_id);
	assert_sql(p, sql, "2"); /* parts for which there were URLs */
	millrace__cache_find_reply__free_unpacked(found, NULL);
}

static void
what_was_never_readable_goes(void **state)
{
	struct rs_peer *p = *state;
	bool lost = false;
	retain(p);
	start(p);
	struct rs_offer a = held(p, BRANCH, "a"), b = held(p, BRANCH, "b");
	auto_free char *winner = upload(p, &a, "k", "by a");
	auto_free char *loser = upload(p, &b, "k", "by b");
	auto_free char *open = upload(p, &b, "open", "open");
	assert_int_equal(complete(p, &a, winner, "by a", NULL), 0);
	assert_int_equal(complete(p, &b, loser, "by b", &lost), 0);
	rs_peer_exec(p, "update archives set urls_at = now() - interval '3 hours'");
	clean(p);
	assert_sql(p, "select count(*) from archives", "3"); /* b may still be at work */
	assert_int_equal(rs_ex_register(&p->ex[0], (struct rs_offer[]){ a, b }, 2), 0);
	over(p, &b);
	clean(p);
	assert_sql(p, "select count(*) from archives", "1");
	assert_sql(p, "select count(*) from garbage", "4");
	assert_sql(p,
	    "select count(*) from garbage g join archives a on g.key like '%' || a.id || '%'", "0");
	assert_int_equal(rs_ex_register(&p->ex[0], &a, 1), 0);
	assert_restored(p, &a, "k", "by a");
	(void)open;
}

static void
workspaces_and_logs_go_with_age(void **state)
{
	static const struct rs_peer_task tasks[] = {
		{ .name = "first", .nsteps = 1, .save = true },
		{ .name = "second", .nsteps = 1, .after = "first" },
	};
	static const struct rs_part part = { "saved", 5 };
	struct rs_peer *p = *state;
	struct rs_executor *ex = &p->ex[0];
	int code = 0;
	retain(p);
	start(p);
	uint64_t number = rs_peer_run(p, "main", tasks, 2, NULL);
	struct rs_offer o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	assert_int_equal(rs_ex_begin(ex, &o), 0);
	assert_int_equal(rs_ex_log(ex, &o, 0, 0, "text", 4, true, NULL, NULL), 0);
	auto_free char *id = rs_ex_archive_begin(ex, &o, 0, NULL, NULL);
	Millrace__ArchiveUrlsReply *urls = rs_ex_archive_urls(ex, &o, id, 1, 0);
	assert_int_equal(rs_peer_http(p, "PUT", urls->urls[0], "saved", 5, NULL), 200);
	millrace__archive_urls_reply__free_unpacked(urls, NULL);
	assert_int_equal(rs_ex_archive_complete(ex, &o, id, 0, &part, 1, NULL), 0);
	assert_int_equal(rs_ex_report(ex, &o, 1, "success", "ss"), 0);
	rs_peer_exec(p, "update archives set created = now() - interval '8 days'");
	rs_peer_exec(p, "update log_segments set created = now() - interval '31 days'");
	clean(p);
	/* The run goes on: its second task needs them. */
	assert_sql(p, "select count(*) from archives", "1");
	auto_free char *log = rs_peer_log(p, number, o.task_id, 0, &code);
	assert_string_equal(log, "text");
	struct rs_offer second = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &second, NULL), 0);
	assert_int_equal(rs_ex_archive_get(ex, &second, id, NULL), 0);
	rs_ex_do(ex, &second, 1);
	assert_string_equal(rs_peer_state(p, number), "finished success");
	clean(p);
	assert_sql(p, "select count(*) from archives", "0");
	assert_sql(p, "select count(*) from log_segments", "0");
	assert_sql(p, "select count(*) from garbage", "2");
	assert_null(rs_peer_log(p, number, o.task_id, 0, &code));
	assert_int_equal(code, ERR_NOTFOUND);
	/* With 0 everything stays. */
	p->cfg.cache_retention_ms = 0;
	p->trust = BRANCH;
	rs_peer_run(p, "main", caching, 1, NULL);
	o = rs_ex_offer(ex);
	assert_int_equal(rs_ex_accept(ex, &o, NULL), 0);
	save(p, &o, "k", "kept");
	rs_peer_exec(p, "update caches set created = now() - interval '9 years'");
	clean(p);
	assert_sql(p, "select count(*) from caches where retired is null", "1");
}

int
main(void)
{
#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, rs_peer_setup, rs_peer_teardown)
	const struct CMUnitTest tests[] = {
		TEST(found_by_key_and_prefix),
		TEST(keys_are_only_names),
		TEST(a_saved_cache_never_changes),
		TEST(of_concurrent_saves_the_first_stays),
		TEST(an_attempt_that_is_over_saves_nothing),
		TEST(lower_trust_never_reaches_higher),
		TEST(forks_do_not_share),
		TEST(scopes_do_not_share),
		TEST(an_old_cache_goes_once_nobody_reads_it),
		TEST(what_was_never_readable_goes),
		TEST(workspaces_and_logs_go_with_age),
	};
	return cmocka_run_group_tests_name("runservice_caches", tests, NULL, NULL);
}
