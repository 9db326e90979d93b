#include "gateway/badge.h"

#include "common/mem.h"

#include <string.h>

#define LABEL_WIDTH 30
#define CHARACTER_WIDTH 7
#define PADDING 12

/* The first row whose words match; NULL matches everything. */
static const struct {
	const char *phase, *result;
	struct gw_badge badge;
} rows[] = {
	{ "setuperror", NULL, { "error", "#dfb317" } },
	{ "cancelled", NULL, { "failed", "#e05d44" } },
	{ NULL, "success", { "success", "#4c1" } },
	{ NULL, "failed", { "failed", "#e05d44" } },
	{ NULL, "stopped", { "failed", "#e05d44" } },
	{ "queued", NULL, { "inprogress", "#007ec6" } },
	{ "running", NULL, { "inprogress", "#007ec6" } },
};
static const struct gw_badge unknown = { "unknown", "#9f9f9f" };

const struct gw_badge *
gw_badge_of(const char *phase, const char *result)
{
	for (size_t i = 0; phase && i < ARRAY_LEN(rows); i++) {
		if ((!rows[i].phase || strcmp(rows[i].phase, phase) == 0) &&
		    (!rows[i].result || strcmp(rows[i].result, result) == 0))
			return &rows[i].badge;
	}
	return &unknown;
}

char *
gw_badge_svg(const struct gw_badge *b)
{
	int right = (int)strlen(b->text) * CHARACTER_WIDTH + PADDING;
	int width = LABEL_WIDTH + right;

	return xasprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"20\" "
	                 "role=\"img\" aria-label=\"run: %s\">"
	                 "<rect width=\"%d\" height=\"20\" fill=\"#555\"/>"
	                 "<rect x=\"%d\" width=\"%d\" height=\"20\" fill=\"%s\"/>"
	                 "<g fill=\"#fff\" text-anchor=\"middle\" "
	                 "font-family=\"Verdana,Geneva,DejaVu Sans,sans-serif\" font-size=\"11\">"
	                 "<text x=\"%d\" y=\"14\">run</text>"
	                 "<text x=\"%d\" y=\"14\">%s</text></g></svg>",
	    width, b->text, LABEL_WIDTH, LABEL_WIDTH, right, b->colour, LABEL_WIDTH / 2,
	    LABEL_WIDTH + right / 2, b->text);
}
