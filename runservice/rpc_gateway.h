/*
 * rpc_gateway.h - the methods gateways call (proto/gateway.proto).
 */
#ifndef RUNSERVICE_RPC_GATEWAY_H
#define RUNSERVICE_RPC_GATEWAY_H

#include "common/rpc.h"
#include "runservice/runservice.h"

#include <protobuf-c/protobuf-c.h>

#define RS_PEER_GATEWAY "gateway"

/* Leadership, peer and body; the unpacked request, or NULL when the call was answered. */
void *rs_gateway_decode(struct rpc_call *call, const ProtobufCMessageDescriptor *type,
    const uint8_t *body, size_t len, struct rs *rs);

extern const struct rpc_method rs_rpc_gateway[];
extern const size_t rs_rpc_gateway_len;

#endif
