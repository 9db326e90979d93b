/* nameset.h - a set of names kept as 128-bit fingerprints: 10 million names in 256 MB. */
#ifndef TOOLBOX_NAMESET_H
#define TOOLBOX_NAMESET_H

#include <stdbool.h>

struct tb_nameset;
struct tb_nameset *tb_nameset_new(void);
void tb_nameset_free(struct tb_nameset *s);
/* False when it was there already. */
bool tb_nameset_add(struct tb_nameset *s, const char *name);

#endif
