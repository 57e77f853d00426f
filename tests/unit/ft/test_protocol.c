/* SPDX-License-Identifier: Apache-2.0 */
/* PROTOCOL.md against the code, and messages there and back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "ft/ft_int.h"

static void test_page(void **state)
{
	static const struct {
		const char *name, *who;
		unsigned number;
	} msg[] = {
#define ROW(name, value, who) { #name + 7, who, value },
		FT_MSG_LIST(ROW)
#undef ROW
	};
	char line[2048], want[128], version[64];
	unsigned rows = 0;
	bool versioned = false;
	char path[512];
	FILE *f;
	(void)state;
	snprintf(path, sizeof(path), "%.*s../../../ft/PROTOCOL.md", (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__);
	f = fopen(path, "r");
	assert_non_null(f);
	snprintf(version, sizeof(version), "Version %u (`FT_VERSION`)", FT_VERSION);
	while (fgets(line, sizeof(line), f)) {
		versioned |= strncmp(line, version, strlen(version)) == 0;
		if (line[0] != '|' || line[2] != '`')
			continue;
		assert_true(rows < RV_ARRAY_LEN(msg));
		for (size_t i = 0; i < RV_ARRAY_LEN(msg); i++) {
			snprintf(want, sizeof(want), "| `%s` | %u | %s |", msg[i].name, msg[i].number, msg[i].who);
			if (strncmp(line, want, strlen(want)) == 0) {
				rows++;
				line[0] = 0;
				break;
			}
		}
		if (line[0])
			fail_msg("PROTOCOL.md: no such message: %s", line);
	}
	fclose(f);
	assert_int_equal(rows, RV_ARRAY_LEN(msg));
	assert_true(versioned);
}

static void test_hello(void **state)
{
	const struct ft_hello h = { .version = FT_VERSION, .term = 77, .semantics = 2, .pair = "a.pair", .program = "0.1.0",
				    .cpu_model = "rv-v2" };
	struct ft_hello got;
	struct bytes b = { 0 };
	(void)state;
	ft_hello_encode(&h, &b);
	assert_true(ft_hello_decode(&got, b.data, b.len));
	assert_int_equal(got.term, 77);
	assert_int_equal(got.semantics, 2);
	assert_string_equal(got.pair, "a.pair");
	assert_string_equal(got.program, "0.1.0");
	assert_string_equal(got.cpu_model, "rv-v2");
	/* Every shorter one, and one with something behind it, is refused. */
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *cut = malloc(len + 1);
		memcpy(cut, b.data, len);
		assert_false(ft_hello_decode(&got, cut, len));
		free(cut);
	}
	bytes_put_u8(&b, 0);
	assert_false(ft_hello_decode(&got, b.data, b.len));
	/* Another version is understood as far as that. */
	le32_put(b.data + 4, FT_VERSION + 1);
	assert_true(ft_hello_decode(&got, b.data, b.len));
	assert_int_equal(got.version, FT_VERSION + 1);
	b.data[0] ^= 1;
	assert_false(ft_hello_decode(&got, b.data, b.len));
	bytes_fini(&b);
}

static void test_welcome(void **state)
{
	uint8_t digests[24];
	struct ft_welcome w = { .version = FT_VERSION, .console = true, .ndisks = 2, .nnets = 3 }, got;
	struct bytes b = { 0 };
	(void)state;
	memset(digests, 7, sizeof(digests));
	w.disk[0] = (struct ft_disk_offer){ 4096, true, false, 2, digests };
	w.disk[1] = (struct ft_disk_offer){ 8, true, true, 1, digests + 16 };
	ft_welcome_encode(&w, &b);
	assert_true(ft_welcome_decode(&got, b.data, b.len));
	assert_int_equal(got.nnets, 3);
	assert_true(got.console);
	assert_int_equal(got.disk[0].nregions, 2);
	assert_true(got.disk[0].commit && !got.disk[0].shared && got.disk[1].shared);
	assert_memory_equal(got.disk[1].digests, digests + 16, 8);
	for (size_t len = 0; len < b.len; len++)
		assert_false(ft_welcome_decode(&got, b.data, len));
	b.data[9] = DISKS_MAX + 1;
	assert_false(ft_welcome_decode(&got, b.data, b.len));
	bytes_fini(&b);
}

static void test_pages(void **state)
{
	struct ft_pages *p = calloc(1, sizeof(*p)), *got = calloc(1, sizeof(*got));
	struct bytes b = { 0 };
	(void)state;
	assert_true(p && got);
	p->n = FT_RAM_PAGES;
	for (unsigned i = 0; i < p->n; i++) {
		p->page[i] = 1000 + i;
		for (unsigned k = 0; k < RV_PAGE_SIZE; k++)
			p->contents[i][k] = (uint8_t)(k * i >> 3);
	}
	assert_int_equal(ft_pages_encode(p, &b), RV_OK);
	assert_true(ft_pages_decode(got, 2000, b.data, b.len));
	assert_int_equal(got->n, p->n);
	assert_memory_equal(got->contents, p->contents, sizeof(p->contents));
	assert_false(ft_pages_decode(got, 1000 + FT_RAM_PAGES - 1, b.data, b.len)); /* a page that is not there */
	assert_false(ft_pages_decode(got, 2000, b.data, b.len - 1));
	le16_put(b.data, FT_RAM_PAGES + 1);
	assert_false(ft_pages_decode(got, 2000, b.data, b.len));
	le16_put(b.data, 0);
	assert_false(ft_pages_decode(got, 2000, b.data, b.len));
	bytes_fini(&b);
	free(p);
	free(got);
}

static void test_small_ones(void **state)
{
	const struct ft_ack a = { 1, 2, 3, 4 };
	const struct ft_at at = { .at = { 5, 6 }, .sent = { .sum = { .lo = 7, .hi = 8 }, .bytes = 9 } };
	uint8_t ack[FT_ACK_LEN], pos[FT_AT_LEN];
	char text[FT_TEXT_MAX + 1];
	uint8_t longer[FT_TEXT_MAX + 50];
	struct ft_ack got_ack;
	struct ft_log log;
	struct ft_at got;
	(void)state;
	ft_ack_encode(&a, ack);
	assert_true(ft_ack_decode(&got_ack, ack, sizeof(ack)));
	assert_int_equal(got_ack.replayed, 3);
	assert_int_equal(got_ack.lag_us, 4);
	assert_false(ft_ack_decode(&got_ack, ack, sizeof(ack) - 1));
	ft_at_encode(&at, pos);
	assert_true(ft_at_decode(&got, pos, sizeof(pos)));
	assert_int_equal(got.at.seq, 6);
	assert_int_equal(got.sent.bytes, 9);
	assert_false(ft_at_decode(&got, pos, sizeof(pos) - 1));
	assert_false(ft_log_decode(&log, pos, FT_LOG_HEADER - 1));
	assert_true(ft_log_decode(&log, pos, FT_LOG_HEADER));
	assert_int_equal(log.chunk_len, 0);
	memset(longer, 'x', sizeof(longer));
	longer[1] = '\n';
	ft_text(text, longer, sizeof(longer));
	assert_int_equal(strlen(text), FT_TEXT_MAX);
	assert_int_equal(text[1], '?');
}

static void test_frames(void **state)
{
	static const uint8_t two[] = { 3, 0, 0, 0, 12, 'a', 'b', 1, 0, 0, 0, 10 };
	static const uint8_t none[] = { 0, 0, 0, 0, 1 }, large[] = { 0, 0, 0, 0xf0, 1 };
	struct channel_frame f;
	size_t used = 0;
	(void)state;
	for (size_t len = 0; len < 7; len++)
		assert_int_equal(channel_parse(two, len, &f, &used), 0);
	assert_int_equal(channel_parse(two, sizeof(two), &f, &used), 1);
	assert_int_equal(f.type, 12);
	assert_int_equal(f.len, 2);
	assert_int_equal(used, 7);
	assert_int_equal(channel_parse(two + used, sizeof(two) - used, &f, &used), 1);
	assert_int_equal(f.type, 10);
	assert_int_equal(f.len, 0);
	assert_int_equal(channel_parse(none, sizeof(none), &f, &used), RV_EDAMAGED);
	assert_int_equal(channel_parse(large, sizeof(large), &f, &used), RV_EDAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),	  cmocka_unit_test(test_hello), cmocka_unit_test(test_welcome),
		cmocka_unit_test(test_pages),	  cmocka_unit_test(test_small_ones),
		cmocka_unit_test(test_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
