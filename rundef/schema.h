/*
 * schema.h - the language as a JSON Schema (draft 7), for editors: made from the tables that the
 * parser reads by, so that no field can be missing in it.
 *
 * It accepts what the parser accepts without a warning, in the exact spelling of keys. It knows
 * nothing of what is behind a single value (graphs, unique names, version v1 being needed, the
 * expressions themselves), and wants an absent field left out rather than null. Pure.
 */
#ifndef RUNDEF_SCHEMA_H
#define RUNDEF_SCHEMA_H

#include "common/buf.h"

void rundef_schema_print(struct buf *out);

#endif
