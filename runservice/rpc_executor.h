/*
 * rpc_executor.h - the methods executors call (proto/executor.proto). Each request is checked to
 * come from the executor that holds the attempt it names.
 */
#ifndef RUNSERVICE_RPC_EXECUTOR_H
#define RUNSERVICE_RPC_EXECUTOR_H

#include "common/rpc.h"

#define RS_ATTEMPTS_MAX 1000 /* in one request */

extern const struct rpc_method rs_rpc_executor[];
extern const size_t rs_rpc_executor_len;

#endif
