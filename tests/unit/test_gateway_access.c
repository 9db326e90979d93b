/*
 * Who may what: the whole space of facts against rules stated another way, and the table of the
 * specification row by row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "gateway/access.h"

#include <string.h>

enum caller { ANONYMOUS, ADMIN_TOKEN, ADMIN_USER, OWNING_USER, ORG_OWNER, ORG_MEMBER, STRANGER };

/* Facts of a caller about an object of a user or of an organization. */
static struct gw_facts
facts(enum caller c, bool org, bool hidden, bool members_run)
{
	return (struct gw_facts){ .admin = c == ADMIN_TOKEN || c == ADMIN_USER,
		.user = c != ANONYMOUS && c != ADMIN_TOKEN,
		.self = c == OWNING_USER && !org,
		.org = org,
		.member = !org              ? GW_MEMBER_NONE
		          : c == ORG_OWNER  ? GW_MEMBER_OWNER
		          : c == ORG_MEMBER ? GW_MEMBER_MEMBER
		                            : GW_MEMBER_NONE,
		.hidden = hidden,
		.members_run = members_run };
}

#define A GW_ALLOW
#define R GW_REFUSE
#define U GW_REFUSE_USER
#define H GW_HIDE

static void
the_table(void **state)
{
	static const struct {
		enum gw_role role;
		bool org, hidden, members_run;
		enum gw_verdict want[7]; /* by enum caller */
	} rows[] = {
		/*                              anon tok adm own oow mem str */
		{ GW_ROLE_SEE, false, false, false, { A, A, A, A, A, A, A } },
		{ GW_ROLE_SEE, false, true, false, { R, A, A, A, R, R, R } },
		{ GW_ROLE_SEE, true, false, false, { A, A, A, A, A, A, A } },
		{ GW_ROLE_SEE, true, true, false, { R, A, A, H, A, A, H } },
		{ GW_ROLE_OWNER, false, false, false, { R, A, A, A, R, R, R } },
		{ GW_ROLE_OWNER, true, false, false, { R, A, A, R, A, R, R } },
		{ GW_ROLE_OWNER, true, true, true, { R, A, A, R, A, R, R } },
		{ GW_ROLE_OWNER_USER, false, false, false, { U, U, A, A, R, R, R } },
		{ GW_ROLE_OWNER_USER, true, true, true, { U, U, A, R, A, R, R } },
		{ GW_ROLE_RUN, false, false, true, { R, A, A, A, R, R, R } },
		{ GW_ROLE_RUN, true, false, false, { R, A, A, R, A, R, R } },
		{ GW_ROLE_RUN, true, true, true, { R, A, A, R, A, A, R } },
		{ GW_ROLE_USER, true, true, true, { U, U, A, A, A, A, A } },
		{ GW_ROLE_ADMIN, true, true, true, { R, A, A, R, R, R, R } },
		{ GW_ROLE_ANY, true, true, true, { A, A, A, A, A, A, A } },
		{ GW_ROLE_SELF, false, true, false, { R, A, A, A, R, R, R } },
		{ GW_ROLE_SELF_USER, false, true, false, { U, U, A, A, R, R, R } },
		{ GW_ROLE_HIMSELF, false, true, false, { U, U, R, A, R, R, R } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int c = ANONYMOUS; c <= STRANGER; c++) {
			struct gw_facts f =
			    facts(c, rows[i].org, rows[i].hidden, rows[i].members_run);

			if (gw_access(rows[i].role, &f) != rows[i].want[c])
				fail_msg(
				    "row %zu, caller %d: %d", i, c, gw_access(rows[i].role, &f));
		}
	}
}

/* Every combination of facts, sensible or not. */
static void
each(void (*check)(const struct gw_facts *f))
{
	for (unsigned bits = 0; bits < 64; bits++) {
		for (int m = GW_MEMBER_NONE; m <= GW_MEMBER_OWNER; m++) {
			struct gw_facts f = { .admin = bits & 1,
				.user = bits & 2,
				.self = bits & 4,
				.org = bits & 8,
				.hidden = bits & 16,
				.members_run = bits & 32,
				.member = m };

			check(&f);
		}
	}
}

static bool
allowed(enum gw_role role, const struct gw_facts *f)
{
	return gw_access(role, f) == GW_ALLOW;
}

static void
invariants_of(const struct gw_facts *f)
{
	struct gw_facts more;

	/* Owners act on runs, who acts on runs of what is hidden sees it. */
	assert_true(!allowed(GW_ROLE_OWNER, f) || allowed(GW_ROLE_RUN, f));
	assert_true(!allowed(GW_ROLE_RUN, f) || allowed(GW_ROLE_SEE, f));
	assert_true(!allowed(GW_ROLE_OWNER_USER, f) || allowed(GW_ROLE_OWNER, f));
	assert_true(!allowed(GW_ROLE_HIMSELF, f) || allowed(GW_ROLE_SELF_USER, f));
	assert_true(!allowed(GW_ROLE_SELF_USER, f) || allowed(GW_ROLE_SELF, f));
	/* Only what is an organization's hides, and only from users. */
	assert_true(gw_access(GW_ROLE_SEE, f) != GW_HIDE || (f->org && f->user && f->hidden));
	/* Somebody who is nothing may nothing that changes something. */
	if (!f->admin && !f->self && f->member == GW_MEMBER_NONE)
		assert_false(allowed(GW_ROLE_OWNER, f) || allowed(GW_ROLE_RUN, f));
	/* A user's object has no members. */
	if (!f->org && !f->admin && !f->self)
		assert_false(allowed(GW_ROLE_RUN, f) || allowed(GW_ROLE_OWNER, f));
	/* Being administrator, or showing the object, never takes something away. */
	for (int role = GW_ROLE_ANY; role <= GW_ROLE_RUN; role++) {
		more = *f;
		more.admin = true;
		assert_true(!allowed(role, f) || allowed(role, &more));
		more = *f;
		more.hidden = false;
		assert_true(!allowed(role, f) || allowed(role, &more));
	}
}

static void
invariants(void **state)
{
	(void)state;
	each(invariants_of);
}

static void
words(void **state)
{
	(void)state;
	assert_int_equal(gw_member_of("owner"), GW_MEMBER_OWNER);
	assert_int_equal(gw_member_of("member"), GW_MEMBER_MEMBER);
	assert_int_equal(gw_member_of(""), GW_MEMBER_NONE);
	assert_int_equal(gw_member_of("Owner"), GW_MEMBER_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table),
		cmocka_unit_test(invariants),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
