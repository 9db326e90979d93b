/*
 * transfer.h - exports and imports for a gateway, in pieces over RPC, with a nameless file in
 * data_dir between: one export and one import at a time, each forgotten RS_TRANSFER_MS after it was
 * last asked for. Loop thread.
 */
#ifndef RUNSERVICE_TRANSFER_H
#define RUNSERVICE_TRANSFER_H

#include "runservice/runservice.h"

#define RS_TRANSFER_MS 300000
#define RS_TRANSFER_PIECE (256u << 10)           /* bytes of one answer */
#define RS_TRANSFER_WRITE_MAX (1u << 20)         /* bytes of one load.write */
#define RS_TRANSFER_LOAD_MAX (UINT64_C(8) << 30) /* bytes of an import */

struct rs_transfer *rs_transfer_new(struct rs *rs);
void rs_transfer_free(struct rs_transfer *t);

/* dump.read, load.write, load.commit: what a gateway asks. After a commit a new term begins: all
 * that was in memory is read anew. */
extern const struct rpc_method rs_rpc_transfer[];
extern const size_t rs_rpc_transfer_len;

#endif
