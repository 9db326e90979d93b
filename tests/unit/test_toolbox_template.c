/* Keys of caches as templates, and the checksums in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/mem.h"
#include "toolbox/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files "a" and "b" exist. */
static int
fake_digest(char hex[TB_DIGEST_HEX_MAX], enum tb_digest kind, const char *path, struct tb_err *e)
{
	if (strcmp(path, "a") != 0 && strcmp(path, "b") != 0)
		return tb_fail(e, "cannot read file %s: no such file", path);
	snprintf(hex, TB_DIGEST_HEX_MAX, "%s(%s)", kind == TB_MD5 ? "md5" : "sha256", path);
	return 0;
}

static char name[] = "NAME=va lue", empty[] = "EMPTY=", names[] = "NAMES=other";
static char *env[] = { name, empty, names, NULL };
static const struct tb_template_world world = { .env = env,
	.now = { 1700000000, 5 },
	.local = { .tm_year = 123, .tm_mon = 10, .tm_mday = 4 },
	.digest = fake_digest };

static void
renders(void **state)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "", "" },
		{ "plain } }} text", "plain } }} text" },
		{ "a {b} { c", "a {b} { c" },
		{ "k-{{ md5sum \"a\" }}", "k-md5(a)" },
		{ "{{sha256sum `b`}}", "sha256(b)" },
		{ "{{ env \"NAME\" }}|{{ env \"EMPTY\" }}|{{ env \"NONE\" }}|{{env \"\"}}",
		    "va lue|||" },
		{ "{{ os }}", "linux" },
		{ "{{ year }}-{{ month }}-{{ day }}", "2023-11-04" },
		{ "{{ unixtime }}", "1700000000000000005" },
		/* pipes */
		{ "{{ \"a\" | md5sum }}", "md5(a)" },
		{ "{{ \"NAME\" | env | printf \"%s/%s\" \"x\" }}", "x/va lue" },
		{ "{{ os | print \"on \" }}", "on linux" },
		{ "{{ md5sum (print \"\" \"a\") }}", "md5(a)" },
		{ "{{ ((\"b\")) | md5sum }}", "md5(b)" },
		{ "{{ printf \"%s-%s\" os (md5sum \"a\") }}", "linux-md5(a)" },
		/* values */
		{ "{{ \"q\\\"\\\\\\t\\x41\\101\\u00e9\\U0001F600\" }}",
		    "q\"\\\tAA\xc3\xa9\xf0\x9f\x98\x80" },
		{ "{{ `raw \\n\nline` }}", "raw \\n\nline" },
		{ "{{ 42 }}{{ -7 }}{{ +1 }}", "42-71" },
		{ "{{ print 1 2 \"x\" 3 4 }}", "1 2x3 4" },
		{ "{{ printf \"%d%%%v%v\" 5 \"a\" 6 }}", "5%a6" },
		/* trims and comments */
		{ "a \n {{- os -}} \t b", "alinuxb" },
		{ "a {{- 3 }} b", "a3 b" },
		{ "a {{-3 }} b", "a -3 b" },
		{ "a {{/* c }} */}} b", "a  b" },
		{ "a {{- /* c */ -}} b", "ab" },
		{ "{{ \"a\" -}}   {{- \"b\" }}", "ab" },
		{ "{{ \"}}\" }}", "}}" },
	};
	char out[TB_TEMPLATE_MAX + 1];
	struct tb_err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		e.text[0] = '\0';
		if (tb_template_render(out, table[i].text, &world, &e) != 0)
			fail_msg("%s: %s", table[i].text, e.text);
		assert_string_equal(out, table[i].want);
	}
}

static void
refuses(void **state)
{
	static const struct {
		const char *text, *why;
	} table[] = {
		{ "{{", "byte 3: an action has no }}" },
		{ "x{{ os", "byte 7: an action has no }}" },
		{ "{{ }}", "a value was expected" },
		{ "{{ checksum \"a\" }}",
		    "byte 4: there is no function checksum; known are md5sum" },
		{ "{{ md5sum go.sum }}", "a text must stand in quotes" },
		{ "{{ md5sum a/b }}", "a text must stand in quotes" },
		{ "{{ md5sum }}", "md5sum needs one value" },
		{ "{{ md5sum \"a\" \"b\" }}", "md5sum needs one value" },
		{ "{{ md5sum \"\" }}", "needs the name of a file" },
		{ "{{ md5sum 5 }}", "needs the name of a file" },
		{ "{{ md5sum \"c\" }}", "cannot read file c: no such file" },
		{ "{{ env 1 }}", "env needs the name" },
		{ "{{ os \"a\" }}", "os takes no value" },
		{ "{{ \"a\" | os }}", "os takes no value" },
		{ "{{ os | \"a\" }}", "only a function takes values" },
		{ "{{ \"a\" \"b\" }}", "only a function takes values" },
		{ "{{ print \"a\"\"b\" }}", "a blank is missing" },
		{ "{{ if true }}x{{ end }}", "there is no function if" },
		{ "{{ .Name }}", "a value was expected" },
		{ "{{ $x }}", "a value was expected" },
		{ "{{ \"a }}", "no closing quote" },
		{ "{{ \"a\n\" }}", "no closing quote" },
		{ "{{ `a }}", "no closing `" },
		{ "{{ \"\\q\" }}", "malformed escape" },
		{ "{{ \"\\x4\" }}", "malformed escape" },
		{ "{{ \"\\777\" }}", "malformed escape" },
		{ "{{ \"\\ud800\" }}", "does not exist" },
		{ "{{ \"\\U00110000\" }}", "does not exist" },
		{ "{{ 1.5 }}", "only whole numbers" },
		{ "{{ 1e3 }}", "only whole numbers" },
		{ "{{ 1234567890123456789012 }}", "only whole numbers" },
		{ "{{ (os }}", "a ) is missing" },
		{ "{{ os) }}", "a } or | was expected" },
		{ "{{/* x }}", "a comment has no end" },
		{ "{{/* x */ os }}", "a } or | was expected" },
		{ "{{ printf \"%x\" 1 }}", "printf knows" },
		{ "{{ printf \"%\" }}", "printf knows" },
		{ "{{ printf \"%s\" }}", "too few values" },
		{ "{{ printf \"a\" 1 }}", "more values than" },
		{ "{{ printf \"%d\" \"a\" }}", "%d is not for a text" },
		{ "{{ printf \"%s\" 1 }}", "%s is not for a number" },
		{ "{{ print 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 }}", "more than 16 values" },
		{ "{{ ((((((((((((((((( 1 ))))))))))))))))) }}", "more than 16 parentheses" },
		{ "{{ \"\\x00\" }}", "NUL" },
	};
	char out[TB_TEMPLATE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct tb_err e = { "" };
		if (tb_template_render(out, table[i].text, &world, &e) == 0)
			fail_msg("%s was rendered", table[i].text);
		if (strstr(e.text, table[i].why) == NULL)
			fail_msg("%s: %s", table[i].text, e.text);
	}
}

/* Sixteen piped values and one more do not overflow the list of arguments. */
static void
bounds(void **state)
{
	auto_free char *text = xmalloc(TB_TEMPLATE_TEXT_MAX + 2);
	char out[TB_TEMPLATE_MAX + 1];
	struct tb_err e = { "" };

	(void)state;
	memset(text, 'x', TB_TEMPLATE_TEXT_MAX + 1);
	text[TB_TEMPLATE_MAX] = '\0';
	assert_int_equal(tb_template_render(out, text, &world, &e), 0);
	assert_int_equal(strlen(out), TB_TEMPLATE_MAX);
	text[TB_TEMPLATE_MAX] = 'x';
	text[TB_TEMPLATE_MAX + 1] = '\0';
	assert_int_equal(tb_template_render(out, text, &world, &e), -1);
	assert_non_null(strstr(e.text, "longer than 4096"));
	text[TB_TEMPLATE_MAX + 1] = 'x';
	text[TB_TEMPLATE_TEXT_MAX + 1] = '\0';
	assert_int_equal(tb_template_render(out, text, &world, &e), -1);
	assert_non_null(strstr(e.text, "template is longer"));
	e.text[0] = '\0';
	assert_int_equal(
	    tb_template_render(out, "{{ os | print 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 }}", &world, &e),
	    -1);
	assert_non_null(strstr(e.text, "print needs"));
}

static void
digests(void **state)
{
	static const struct {
		const char *text, *md5, *sha;
	} table[] = {
		{ "", "d41d8cd98f00b204e9800998ecf8427e",
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "900150983cd24fb0d6963f7d28e17f72",
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		/* 56 and 64 bytes: the length needs a block of its own */
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "8215ef0796a20bcaaae116d3876c664a",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "1234567890123456789012345678901234567890123456789012345678901234",
		    "eb6c4179c0a7c82cc2828c1e6338e165",
		    "676491965ed3ec50cb7a63ee96315480a95c54426b0b72bca8a0d4ad1285ad55" },
	};
	char hex[TB_DIGEST_HEX_MAX], path[] = "/tmp/digest.XXXXXX";
	struct tb_err e = { "" };
	int fd = mkstemp(path);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		tb_digest_bytes(hex, TB_MD5, table[i].text, strlen(table[i].text));
		assert_string_equal(hex, table[i].md5);
		tb_digest_bytes(hex, TB_SHA256, table[i].text, strlen(table[i].text));
		assert_string_equal(hex, table[i].sha);
	}
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(tb_digest_file(hex, TB_SHA256, path, &e), 0);
	assert_string_equal(hex, table[1].sha);
	assert_int_equal(ftruncate(fd, TB_DIGEST_FILE_MAX + 1), 0);
	assert_int_equal(tb_digest_file(hex, TB_MD5, path, &e), -1);
	assert_non_null(strstr(e.text, "larger than 64 MiB"));
	close(fd);
	unlink(path);
	assert_int_equal(tb_digest_file(hex, TB_MD5, path, &e), -1);
	assert_non_null(strstr(e.text, "No such file"));
	assert_int_equal(tb_digest_file(hex, TB_MD5, "/tmp", &e), -1);
	assert_int_equal(mkfifo(path, 0600), 0); /* must not block */
	assert_int_equal(tb_digest_file(hex, TB_MD5, path, &e), -1);
	assert_non_null(strstr(e.text, "no regular file"));
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renders),
		cmocka_unit_test(refuses),
		cmocka_unit_test(bounds),
		cmocka_unit_test(digests),
	};
	return cmocka_run_group_tests_name("toolbox_template", tests, NULL, NULL);
}
