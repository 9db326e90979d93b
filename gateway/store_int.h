/*
 * store_int.h - statement tables, between the store_*.c files only.
 */
#ifndef GATEWAY_STORE_INT_H
#define GATEWAY_STORE_INT_H

#include "common/db.h"

#define GW_STORE_USER_NSTMTS 10
extern const struct db_stmt gw_store_user_stmts[GW_STORE_USER_NSTMTS];

#endif
