/* SPDX-License-Identifier: Apache-2.0 */
/* record/FORMAT.md against the code: offsets, sizes, limits, numbers of kinds. */
#include "tests/unit/record/trace_util.h"

#include "record/trace_priv.h"

struct field {
	const char *name;
	unsigned off, size;
};

static char *format_read(void)
{
	char path[1024];
	const char *slash = strrchr(__FILE__, '/');
	struct file f;
	snprintf(path, sizeof(path), "%.*s../../../record/FORMAT.md",
		 slash ? (int)(slash + 1 - __FILE__) : 0, __FILE__);
	f = file_read(path);
	f.data[f.len] = 0;
	return (char *)f.data;
}

/* The text between a heading and the next one. */
static char *section(const char *doc, const char *heading)
{
	const char *start = strstr(doc, heading), *end;
	assert_non_null(start);
	end = strstr(start + 3, "\n## ");
	return end ? strndup(start, (size_t)(end - start)) : strdup(start);
}

/* Rows "| offset | size | `name` | ..." are exactly `want`, in order. */
static void check_table(const char *text, const struct field *want, size_t n)
{
	size_t k = 0;
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		unsigned off, size;
		char name[32];
		if (sscanf(line, "| %u | %u | `%31[a-z_]` |", &off, &size, name) != 3)
			continue;
		assert_true(k < n);
		assert_string_equal(name, want[k].name);
		assert_int_equal(off, want[k].off);
		assert_int_equal(size, want[k].size);
		k++;
	}
	assert_int_equal(k, n);
}

static void check_mentions(const char *text, const char *fmt, unsigned long long value)
{
	char want[128];
	snprintf(want, sizeof(want), fmt, value);
	if (!strstr(text, want))
		fail_msg("FORMAT.md does not say: %s", want);
}

static void test_chunk_header(void **state)
{
	static const struct field want[] = {
		{ "magic", EVLOG_OFF_MAGIC, 4 },
		{ "version", EVLOG_OFF_VERSION, 2 },
		{ "flags", EVLOG_OFF_FLAGS, 2 },
		{ "stored_len", EVLOG_OFF_STORED_LEN, 4 },
		{ "raw_len", EVLOG_OFF_RAW_LEN, 4 },
		{ "trace_id", EVLOG_OFF_TRACE_ID, 16 },
		{ "number", EVLOG_OFF_NUMBER, 8 },
		{ "prev_crc", EVLOG_OFF_PREV_CRC, 4 },
		{ "records", EVLOG_OFF_RECORDS, 4 },
		{ "first_icount", EVLOG_OFF_FIRST_ICOUNT, 8 },
		{ "first_seq", EVLOG_OFF_FIRST_SEQ, 8 },
		{ "crc", EVLOG_OFF_CRC, 4 },
	};
	char *doc = format_read(), *text = section(doc, "## Segment and chunk");
	unsigned next = 0;
	(void)state;
	check_table(text, want, RV_ARRAY_LEN(want));
	for (size_t i = 0; i < RV_ARRAY_LEN(want); i++) {
		assert_int_equal(want[i].off, next);
		next += want[i].size;
	}
	assert_int_equal(next, EVLOG_HEADER_SIZE);
	check_mentions(text, "a header of %llu bytes", EVLOG_HEADER_SIZE);
	check_mentions(text, "at most %llu bytes", EVLOG_SEGMENT_MAX);
	check_mentions(text, "bytes of the message; at most %llu", EVLOG_RAW_MAX);
	check_mentions(text, "records in the body; at most %llu", EVLOG_BATCH_RECORDS);
	check_mentions(text, "`version` | %llu |", EVLOG_HEADER_VERSION);
	check_mentions(text, "| %llu: end chunk;", EVLOG_FLAG_END);
	check_mentions(text, "%llu: the body is LZ4", EVLOG_FLAG_LZ4);
	assert_non_null(strstr(text, "`" EVLOG_MAGIC "`"));
	free(text);
	free(doc);
}

static void test_manifest_header(void **state)
{
	static const struct field want[] = {
		{ "magic", MANIFEST_OFF_MAGIC, 4 },
		{ "version", MANIFEST_OFF_VERSION, 4 },
		{ "len", MANIFEST_OFF_LEN, 4 },
		{ "crc", MANIFEST_OFF_CRC, 4 },
	};
	char *doc = format_read(), *text = section(doc, "## Manifest");
	(void)state;
	check_table(text, want, RV_ARRAY_LEN(want));
	check_mentions(text, "| %llu | | `body`", MANIFEST_HEADER_SIZE);
	check_mentions(text, "at most %llu |", MANIFEST_MAX);
	check_mentions(text, "`version` | %llu;", TRACE_FORMAT_VERSION);
	assert_non_null(strstr(text, "`" MANIFEST_MAGIC "`"));
	free(text);
	free(doc);
}

static void test_kinds(void **state)
{
	char *doc = format_read(), *text = section(doc, "## Records"), row[64];
	struct evlog_digest d = { 0 };
	struct evlog_end e = { 0 };
	uint8_t buf[224];
	uint32_t len;
	unsigned rows = 0;
	(void)state;
#define CHECK_KIND(name, value, label)                                                             \
	snprintf(row, sizeof(row), "| `%s` | %u |", label, (unsigned)value);                       \
	assert_non_null(strstr(text, row));                                                        \
	rows++;
	ND_KIND_LIST(CHECK_KIND)
	EVLOG_KIND_LIST(CHECK_KIND)
#undef CHECK_KIND
	for (const char *p = text; (p = strstr(p, "\n| `")); p++)
		rows--;
	assert_int_equal(rows, 0);
	evlog_digest_encode(&d, buf, &len);
	check_mentions(text, "in encoding order: %llu bytes", len);
	evlog_end_encode(&e, buf, &len);
	check_mentions(text, "then a digest payload: %llu bytes", len);
	free(text);
	free(doc);
}

/* A chunk and a manifest as written, read back by hand from the documented offsets. */
static void test_bytes(void **state)
{
	char *dir = scratch_make(), trace[256], name[512];
	struct file f;
	(void)state;
	snprintf(trace, sizeof(trace), "%s/t", dir);
	evlog_writer_destroy(trace_start(trace, 0));
	segment_path(trace, 0, name);
	f = file_read(name);
	assert_memory_equal(f.data, "RVCH\1\0\0\0", 8);
	assert_int_equal(le32_get(f.data + 8), 0);
	assert_int_equal(le32_get(f.data + 12), 0);
	assert_int_equal(f.len, 68);
	assert_int_equal(le32_get(f.data + 64), crc32c(0, f.data, 64));
	free(f.data);
	snprintf(name, sizeof(name), "%s/manifest", trace);
	f = file_read(name);
	assert_memory_equal(f.data, "RVMF\2\0\0\0", 8);
	assert_int_equal(le32_get(f.data + 8), f.len - 16);
	free(f.data);
	scratch_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunk_header),
		cmocka_unit_test(test_manifest_header),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
