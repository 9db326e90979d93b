/*
 * store_int.h - statement tables, between the store_*.c files only.
 */
#ifndef GATEWAY_STORE_INT_H
#define GATEWAY_STORE_INT_H

#include "common/db.h"

extern const struct db_stmt gw_store_user_stmts[];
extern const size_t gw_store_user_nstmts;

#endif
