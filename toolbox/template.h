/*
 * template.h - keys of caches: the part of Go's text/template that keys are written in.
 *
 * Text with actions between {{ and }}; "{{- " and " -}}" trim the white space beside them. An
 * action is a comment or a pipeline of texts ("..." or `...`), whole numbers, (pipelines) and
 * functions: md5sum FILE, sha256sum FILE, env NAME, os, arch, year, month, day, unixtime
 * (nanoseconds), print VALUES, printf FORMAT VALUES (%s %v %d %%). What is piped becomes the last
 * argument. Everything else, if and range and variables among it, is an error that says where.
 *
 * Pure but for what struct tb_template_world hands in. Nothing is allocated beyond the bounds below
 * times the depth.
 */
#ifndef TOOLBOX_TEMPLATE_H
#define TOOLBOX_TEMPLATE_H

#include <time.h>

#include "toolbox/digest.h"

#define TB_TEMPLATE_MAX 4096             /* bytes of a rendered key, and of any value on the way */
#define TB_TEMPLATE_TEXT_MAX (16u << 10) /* bytes of a template */
#define TB_TEMPLATE_DEPTH 16             /* parentheses inside each other */

struct tb_template_world {
	char *const *env; /* NULL-terminated "NAME=value" */
	struct timespec now;
	struct tm local; /* the same, in local time */
	int (*digest)(
	    char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const char *path, struct tb_err *e);
};

/* Renders text into out (NUL-terminated, at most TB_TEMPLATE_MAX bytes, none of them NUL). */
int tb_template_render(char out[TB_TEMPLATE_MAX + 1], const char *text,
    const struct tb_template_world *world, struct tb_err *e);

#endif
