/*
 * yaml_file.h - files of values that commands take: YAML, and so JSON as well; "-" is standard
 * input. Values may be secrets: no error repeats one.
 */
#ifndef CLI_YAML_FILE_H
#define CLI_YAML_FILE_H

#include "common/err.h"
#include "common/json.h"
#include "common/yaml_doc.h"

#define CLI_YAML_MAX (1u << 20) /* bytes of a file; a larger one is an error */

/* Errors name file, line and column. */
int cli_yaml_read(struct yaml_doc **out, const char *name, struct err **err) MUSTCHECK;
/* ERR_INVALID that names the place of n. */
int cli_yaml_wrong(const char *name, const struct yaml_node *n, const char *what, struct err **err);
/* A scalar's source text as to's member. */
int cli_yaml_text(json_t *to, const char *key, const struct yaml_node *v, const char *name,
    struct err **err) MUSTCHECK;
/* A mapping of names to texts, added to what is there; an empty file adds nothing. */
int cli_yaml_texts(json_t *to, const char *name, struct err **err) MUSTCHECK;

#endif
