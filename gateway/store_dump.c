#include "gateway/store_dump.h"

#include "common/db_dump.h"
#include "gateway/store.h"

static const char *const skip[] = { "audit_log", "maintenance", NULL };
static const struct db_dump_spec spec = {
	.schema = GW_SCHEMA, .service = "configstore", .skip = skip
};

int
gw_store_dump(int *fd, uint64_t *size, struct db *db, const char *dir, struct err **err)
{
	return db_dump_file(fd, size, db, &spec, dir, err);
}

struct load {
	const char *text;
	size_t len;
};

static int
load_tx(struct db *db, void *arg, struct err **err)
{
	const struct load *l = arg;

	return db_load(db, &spec, l->text, l->len, err);
}

int
gw_store_load(struct db *db, const char *text, size_t len, struct err **err)
{
	struct load l = { .text = text, .len = len };

	return db_tx_run(db, load_tx, &l, err);
}
