/*
 * store_int.h - statement tables and paged lists, between the store_*.c files only.
 */
#ifndef GATEWAY_STORE_INT_H
#define GATEWAY_STORE_INT_H

#include "common/db.h"
#include "common/mem.h"
#include "gateway/page.h"

/* Both directions of a list by a text key. $1: key to begin behind ("" = from the end), $2: how
 * many (0 = all); further parameters are the select's, nparams counts all of them. */
#define STORE_PAGED(name_, select_, key_, nparams_)                                                \
	{ name_ "_asc",                                                                            \
		select_ " and ($1 = '' or " key_ " collate \"C\" > $1) order by " key_             \
		        " collate \"C\" limit nullif($2::bigint, 0)",                              \
		nparams_ },                                                                        \
	{                                                                                          \
		name_ "_desc",                                                                     \
		    select_ " and ($1 = '' or " key_ " collate \"C\" < $1) order by " key_         \
		            " collate \"C\" desc limit nullif($2::bigint, 0)",                     \
		    nparams_                                                                       \
	}

#define STORE_EXTRA_MAX 4 /* parameters beyond $2 */
/* Runs the statement of the page's direction. *n rows are the page's, *more: others follow. */
int gw_store_paged(struct db_result **out, size_t *n, bool *more, struct db *db, const char *list,
    const struct gw_page *page, const struct db_param *extra, size_t nextra,
    struct err **err) MUSTCHECK;

#define GW_STORE_USER_NSTMTS 17
extern const struct db_stmt gw_store_user_stmts[GW_STORE_USER_NSTMTS];
#define GW_STORE_ORG_NSTMTS 18
extern const struct db_stmt gw_store_org_stmts[GW_STORE_ORG_NSTMTS];
#define GW_STORE_GROUP_NSTMTS 10
extern const struct db_stmt gw_store_group_stmts[GW_STORE_GROUP_NSTMTS];
#define GW_STORE_PROJECT_NSTMTS 7
extern const struct db_stmt gw_store_project_stmts[GW_STORE_PROJECT_NSTMTS];
#define GW_STORE_REMOTE_NSTMTS 12
extern const struct db_stmt gw_store_remote_stmts[GW_STORE_REMOTE_NSTMTS];
#define GW_STORE_DROPPED_NSTMTS 2
extern const struct db_stmt gw_store_dropped_stmts[GW_STORE_DROPPED_NSTMTS];
#define GW_STORE_AUDIT_NSTMTS 5
extern const struct db_stmt gw_store_audit_stmts[GW_STORE_AUDIT_NSTMTS];

#endif
