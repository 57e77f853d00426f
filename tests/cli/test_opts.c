/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/types.h"
#include "opts.h"

enum { OPT_KERNEL, OPT_STATS, OPT_OUT, OPT_APPEND };

static const struct opt_spec specs[] = {
	{ "kernel", 0, "F", OPT_KERNEL, "" },
	{ "stats", 0, NULL, OPT_STATS, "" },
	{ "output", 'o', "TRACE", OPT_OUT, "" },
	{ "append", 0, "S", OPT_APPEND, "" },
};

struct seen {
	const char *kernel, *out, *append;
	unsigned stats;
};

static int set(void *ctx, int id, const char *value, struct rv_err *err)
{
	struct seen *s = ctx;

	(void)err;
	switch (id) {
	case OPT_KERNEL:
		s->kernel = value;
		break;
	case OPT_OUT:
		s->out = value;
		break;
	case OPT_APPEND:
		s->append = value;
		break;
	default:
		s->stats++;
	}
	return 0;
}

static int parse(struct seen *seen, struct opts_positional *pos, size_t npos, struct rv_err *err,
		 const char *args)
{
	struct opt_group group = { specs, RV_ARRAY_LEN(specs), set, seen };
	static char copy[256];
	char *argv[16] = { (char *)"cmd" };
	int argc = 1;

	*seen = (struct seen){ 0 };
	strcpy(copy, args);
	for (char *p = strtok(copy, ","); p; p = strtok(NULL, ","))
		argv[argc++] = p;
	return opts_parse("cmd", &group, 1, pos, npos, argc, argv, err);
}

static void forms(void **state)
{
	struct opts_positional pos = { .what = "TRACE" };
	struct seen s;
	struct rv_err err;

	(void)state;
	assert_int_equal(parse(&s, NULL, 0, &err, "--kernel=k,--stats,-o,t"), 0);
	assert_string_equal(s.kernel, "k");
	assert_string_equal(s.out, "t");
	assert_int_equal(s.stats, 1);
	assert_int_equal(parse(&s, NULL, 0, &err, "--kernel,k,-ot,--append="), 0);
	assert_string_equal(s.kernel, "k");
	assert_string_equal(s.out, "t");
	assert_string_equal(s.append, "");
	assert_int_equal(parse(&s, &pos, 1, &err, "--stats,dir"), 0);
	assert_string_equal(pos.value, "dir");
	assert_int_equal(parse(&s, &pos, 1, &err, "--,--stats"), 0);
	assert_string_equal(pos.value, "--stats");
	assert_int_equal(parse(&s, &pos, 1, &err, "--kernel=a=b,x"), 0);
	assert_string_equal(s.kernel, "a=b");
	assert_int_equal(parse(&s, NULL, 0, &err, "--kernel=a,--kernel=b"), 0);
	assert_string_equal(s.kernel, "b"); /* the last one counts */
	assert_int_equal(parse(&s, NULL, 0, &err, "--help,--bogus"), 1);
}

static void refusals(void **state)
{
	static const char *const bad[] = { "--bogus", "--kern=x", "--kernel", "--kernel=", "--stats=1",
					   "-x", "-o", "extra", "--kernel,--stats", "--", "-", "--=x" };
	struct opts_positional pos = { .what = "TRACE" };
	struct seen s;
	struct rv_err err;

	(void)state;
	for (size_t i = 0; i < RV_ARRAY_LEN(bad); i++) {
		err.text[0] = 0;
		if (!strcmp(bad[i], "--")) {
			assert_int_equal(parse(&s, &pos, 1, &err, bad[i]), RV_EUSAGE);
		} else {
			assert_int_equal(parse(&s, NULL, 0, &err, bad[i]), RV_EUSAGE);
		}
		assert_non_null(strstr(err.text, "cmd"));
		assert_null(strchr(err.text, '\n'));
	}
	assert_int_equal(parse(&s, NULL, 0, &err, "--kernle=x"), RV_EUSAGE);
	assert_non_null(strstr(err.text, "--kernel?"));
}

static void nearest(void **state)
{
	static const char *const words[] = { "run", "record", "replay" };

	(void)state;
	assert_string_equal(opts_nearest("recrod", words, 3), "record");
	assert_string_equal(opts_nearest("repla", words, 3), "replay");
	assert_null(opts_nearest("frobnicate", words, 3));
	assert_null(opts_nearest("", words, 3));
	assert_null(opts_nearest("a-word-that-is-longer-than-any-option-can-be", words, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(refusals),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
