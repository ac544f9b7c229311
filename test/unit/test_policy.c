/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_policy.c - unit tests of state/policy.c. */
#include "../../state/policy.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* What the text makes of a path: 1 allowed, 0 not, -1 where it is not understood. */
static int verdict(const char *text, const char *path)
{
	char *copy = strdup(text);
	struct policy policy;
	int result = -1;

	if (copy && policy_parse(&policy, copy))
		result = policy_allows(&policy, path);
	free(copy);
	return result;
}

static void test_allowed(void)
{
	ok(verdict("", "/any/where") == 1, "an empty file allows everything");
	ok(verdict("# a comment\n\n  \t\n", "/any/where") == 1, "comments and blank lines too");
	ok(verdict("allow /usr/bin", "/usr/bin/qemu") == 1, "a line without an end counts");
	ok(verdict("\tallow\t /usr/bin/ \r\nallow /opt\n", "/usr/bin/qemu") == 1,
	   "blanks, and slashes at the end, do not");
	ok(verdict("allow /usr/bin\nallow /opt", "/opt/a/b/qemu") == 1, "directories below are allowed");
	ok(verdict("allow /", "/qemu") == 1, "the root directory is everything");
	ok(verdict("allow /usr/bin", "/usr/binary/qemu") == 0, "a name that begins alike is another");
	ok(verdict("allow /usr/bin", "/usr/bin") == 0, "the directory itself is no file in it");
	ok(verdict("allow /usr/bin", "/tmp/qemu") == 0, "what is not named is not allowed");
}

static void test_not_understood(void)
{
	static const char *const texts[] = {
		"allow",	   "allow ",	      "allow relative",
		"allow/usr",	   "Allow /usr",      "allow-command yes",
		"allow /usr//bin", "allow /usr/../x", "allow /usr/./bin",
	};
	char many[POLICY_DIRS * 16 + 16] = "";

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ok(verdict(texts[i], "/usr/bin/qemu") == -1, "not understood: %s", texts[i]);
	for (size_t i = 0; i <= POLICY_DIRS; i++)
		memcpy(many + i * 9, "allow /a\n", 10);
	ok(verdict(many, "/a/b") == -1, "not understood: too many lines");
}

static void test_passed_over(void)
{
	static const struct {
		const char *text, *wrong;
		size_t line;
		bool good;
	} cases[] = {
		{ "allow /usr/bin\n", NULL, 0, true },
		{ "allow /usr/bin\n\n permit /x\nthird\n", "permit", 3, true },
		{ "update-on-upgrade yes\nupdate-on-upgrade maybe\nallow /usr/bin", "update-on-upgrade", 2, true },
		{ "word\nallow /usr/bin", "word", 1, true },
		{ "word\nallow usr/bin\nallow x", "allow", 2, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *copy = strdup(cases[i].text);
		struct policy p;
		bool good = copy && policy_parse(&p, copy);

		ok(copy && good == cases[i].good && p.wrong_line == cases[i].line &&
			   (cases[i].wrong ? p.wrong && !strcmp(p.wrong, cases[i].wrong) : !p.wrong),
		   "the line that is told of, %zu", i);
		ok(!good || (policy_allows(&p, "/usr/bin/qemu") && !policy_allows(&p, "/tmp/qemu")),
		   "the others count, %zu", i);
		free(copy);
	}
}

static void test_upgrade(void)
{
	static const struct {
		const char *text;
		enum policy_upgrade upgrade;
	} cases[] = {
		{ "", POLICY_UPGRADE_LIST },
		{ "update-on-upgrade list\n", POLICY_UPGRADE_LIST },
		{ "allow /usr/bin\n \tupdate-on-upgrade \t yes \r\n", POLICY_UPGRADE_YES },
		{ "update-on-upgrade yes\nupdate-on-upgrade no", POLICY_UPGRADE_NO },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *copy = strdup(cases[i].text);
		struct policy policy;

		ok(copy && policy_parse(&policy, copy) && policy.upgrade == cases[i].upgrade, "upgrade %zu", i);
		free(copy);
	}
}

int main(void)
{
	test_upgrade();
	test_allowed();
	test_not_understood();
	test_passed_over();
	return tap_done();
}
