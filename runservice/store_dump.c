#include "runservice/store_dump.h"

#include "common/db_dump.h"
#include "runservice/store.h"

static const char *const skip[] = { "leader", NULL };
static const struct db_dump_spec spec = {
	.schema = "runservice", .service = "runservice", .skip = skip
};

int
rs_store_dump(int *fd, uint64_t *size, struct db *db, const char *dir, struct err **err)
{
	return db_dump_file(fd, size, db, &spec, dir, err);
}

struct load {
	int64_t epoch;
	const char *text;
	size_t len;
};

static int
load_tx(struct db *db, void *arg, struct err **err)
{
	const struct load *l = arg;
	int rc = rs_store_assert_epoch(db, l->epoch, err);
	return rc == 0 ? db_load(db, &spec, l->text, l->len, err) : rc;
}

int
rs_store_load(struct db *db, int64_t epoch, const char *text, size_t len, struct err **err)
{
	struct load l = { .epoch = epoch, .text = text, .len = len };
	return db_tx_run(db, load_tx, &l, err);
}
