/*
 * rpc_gateway.h - the methods gateways call (proto/gateway.proto).
 */
#ifndef RUNSERVICE_RPC_GATEWAY_H
#define RUNSERVICE_RPC_GATEWAY_H

#include "common/rpc.h"

#define RS_PEER_GATEWAY "gateway"

extern const struct rpc_method rs_rpc_gateway[];
extern const size_t rs_rpc_gateway_len;

#endif
