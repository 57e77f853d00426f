/* SPDX-License-Identifier: Apache-2.0 */
/* The request layer against a machine of a few pages: every packet, and every malformed form of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gdbstub/rsp_link.h"
#include "tests/unit/gdbstub/fake_target.h"

struct harness {
	struct fake fake;
	struct gdbstub *stub;
	char reply[RSP_PAYLOAD_MAX + 1];
	size_t len;
};

static int setup(void **state)
{
	struct harness *h = calloc(1, sizeof(*h));
	assert_non_null(h);
	fake_init(&h->fake);
	assert_int_equal(gdbstub_attach(&h->stub, -1, &h->fake.target), RV_OK);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct harness *h = *state;
	gdbstub_destroy(h->stub);
	assert_int_equal(h->fake.nbreaks, 0); /* taken away with the stub */
	free(h);
	return 0;
}

static const char *ask_n(struct harness *h, const void *payload, size_t len)
{
	int n = gdbstub_request(h->stub, payload, len, h->reply, sizeof(h->reply));
	assert_true(n >= 0);
	h->len = (size_t)n;
	return h->reply;
}

static const char *ask(struct harness *h, const char *payload)
{
	h->reply[0] = '\0';
	return ask_n(h, payload, strlen(payload));
}

#define EXPECT(payload, wanted) assert_string_equal(ask(h, payload), wanted)

static void test_queries(void **state)
{
	struct harness *h = *state;

	ask(h, "qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");
	assert_non_null(strstr(h->reply, "PacketSize=10000;"));
	assert_non_null(strstr(h->reply, "ReverseStep+;ReverseContinue+"));
	assert_non_null(strstr(h->reply, "ConditionalBreakpoints+"));
	assert_non_null(strstr(h->reply, "qXfer:features:read+"));
	h->fake.reverse = false;
	assert_null(strstr(ask(h, "qSupported"), "Reverse"));
	EXPECT("bc", "");
	EXPECT("bs", "");
	assert_int_equal(h->fake.resumes, 0);
	EXPECT("qSupportedX", "E01");
	EXPECT("qfThreadInfo", "m1,2");
	EXPECT("qsThreadInfo", "l");
	EXPECT("qC", "QC1");
	EXPECT("qCRC:0,1", "");
	EXPECT("qThreadExtraInfo,2", "7643505520312072696e672030");
	EXPECT("qThreadExtraInfo,3", "E22");
	EXPECT("qThreadExtraInfo,", "E01");
	EXPECT("qAttached", "1");
	EXPECT("qAttached:1", "1");
	EXPECT("qAttached:zz", "E01");
	EXPECT("qAttachedly", "E01");
	EXPECT("QStartNoAckMode", "OK");
	EXPECT("!", "OK");
	EXPECT("vMustReplyEmpty", "");
	EXPECT("vCont?", "vCont;c;C;s;S;r");
	EXPECT("qTStatus", "");
	EXPECT("", "");
	EXPECT("\xff\x01", "");
	EXPECT("Hg2", "OK");
	EXPECT("qC", "QC2");
	EXPECT("Hg0", "OK");
	EXPECT("Hc-1", "OK");
	EXPECT("Hg3", "E22");
	EXPECT("Hgffffffffffffffff", "E22");
	EXPECT("Hgfffffffffffffffff", "E01");
	EXPECT("Hx1", "E01");
	EXPECT("Hg", "E01");
	EXPECT("Hgp1.1", "E01");
	EXPECT("T1", "OK");
	EXPECT("T3", "E22");
	EXPECT("T", "E01");
	EXPECT("D", "OK");
	EXPECT("D;1", "OK");
	EXPECT("Dx", "E01");
	EXPECT("vKill;a410", "OK");
	EXPECT("vKill;", "E01");
	EXPECT("k", "");
}

static void test_target_xml(void **state)
{
	struct harness *h = *state;
	char all[32768];
	size_t len = 0;
	unsigned regs = 0;

	for (;;) {
		char request[64];
		snprintf(request, sizeof(request), "qXfer:features:read:target.xml:%zx,400", len);
		ask(h, request);
		assert_true(h->reply[0] == 'm' || h->reply[0] == 'l');
		memcpy(all + len, h->reply + 1, h->len - 1);
		len += h->len - 1;
		if (h->reply[0] == 'l')
			break;
		assert_int_equal(h->len, 0x401);
	}
	all[len] = '\0';
	for (const char *p = all; (p = strstr(p, "<reg ")) != NULL; p++)
		regs++;
	assert_int_equal(regs, 73);
	assert_non_null(strstr(all, "<architecture>i386:x86-64</architecture>"));
	assert_non_null(strstr(all, "org.gnu.gdb.i386.segments"));
	assert_non_null(strstr(all, "\"k_gs_base\""));
	assert_non_null(strstr(all, "</target>\n"));
	EXPECT("qXfer:features:read:other.xml:0,100", "E00");
	EXPECT("qXfer:features:read:target.xml:", "E01");
	EXPECT("qXfer:features:read:target.xml:0", "E01");
	EXPECT("qXfer:features:read:target.xml:0,", "E01");
	EXPECT("qXfer:features:read:target.xml:ffffff,10", "E01");
	EXPECT("qXfer:features:read:target.xml:0,10x", "E01");
	ask(h, "qXfer:features:read:target.xml:0,ffffffffffffffff");
	assert_int_equal(h->reply[0], 'l');
}

static void test_registers(void **state)
{
	struct harness *h = *state;
	struct cpu_state before;
	char all[4096];

	EXPECT("p0", "0000000000000000");
	EXPECT("p1", "3333333333333333"); /* rbx */
	EXPECT("p10", "00000081ffffffff");
	EXPECT("p11", "42000000");
	EXPECT("p12", "10000000");
	EXPECT("p18", "0000000000000080ff3f"); /* st0 */
	EXPECT("p19", "00000000000000000000");
	EXPECT("p20", "7f030000");
	EXPECT("p2d", "efcdab8967452301" "1032547698badcfe");
	EXPECT("p38", "801f0000");
	EXPECT("p3a", "0000000080" "88ffff");
	EXPECT("p3f", "2000000000000000"); /* cr4 */
	EXPECT("p40", "0000000000000000"); /* cr8 */
	EXPECT("p42", "00080081ffffffff"); /* lstar */
	EXPECT("p49", "E01");
	EXPECT("p", "E01");
	EXPECT("p0x", "E01");
	EXPECT("pffffffffffffffffff", "E01");
	EXPECT("P0=8877665544332211", "OK");
	assert_int_equal(h->fake.cpu[0].gpr[CPU_RAX], 0x1122334455667788ull);
	EXPECT("Hg2", "OK");
	EXPECT("P5=0100000000000000", "OK");
	assert_int_equal(h->fake.cpu[1].gpr[CPU_RDI], 1);
	assert_int_equal(h->fake.cpu[0].gpr[CPU_RDI], 0x7777777777777777ull);
	EXPECT("Hg1", "OK");
	EXPECT("P0=88776655443322", "E01");
	EXPECT("P0=887766554433221100", "E01");
	EXPECT("P0", "E01");
	EXPECT("P0=zz77665544332211", "E01");
	EXPECT("Pff=00", "E01");
	EXPECT("P10=0000000000008000", "E22"); /* not canonical */
	EXPECT("P11=ffffffff", "OK");
	assert_int_equal(h->fake.cpu[0].rflags, 0x3d7fd7);
	EXPECT("P12=33000000", "E22");
	EXPECT("P12=10000000", "OK");
	EXPECT("P3c=0000000000000000", "E22"); /* cr0 */
	EXPECT("P3e=efffffffffffffff", "OK");  /* cr3: reserved bits dropped */
	assert_int_equal(h->fake.cpu[0].cr3, 0xfffffff008ull & ~0x7ull);
	EXPECT("P3a=0000000000008000", "E22"); /* gs_base */
	EXPECT("P40=0100000000000000", "E22"); /* cr8 */
	EXPECT("P38=ffffffff", "OK");
	assert_int_equal(h->fake.cpu[0].mxcsr, 0xffff);
	EXPECT("P20=00000000", "OK"); /* fctrl: nothing masked, bit 6 stays */
	assert_int_equal(h->fake.cpu[0].fcw, 0x40);

	ask(h, "g");
	assert_int_equal(h->len, 2 * (17 * 8 + 4 + 24 + 80 + 32 + 256 + 4 + 16 + 14 * 8));
	all[0] = 'G';
	memcpy(all + 1, h->reply, h->len + 1);
	before = h->fake.cpu[0];
	EXPECT(all, "OK");
	assert_memory_equal(&before, &h->fake.cpu[0], sizeof(before));
	/* ST(0) and a new TOP together: the value goes where the new TOP points */
	memcpy(all + 1 + 2 * (17 * 8 + 4 + 24), "efbeadde000000000000", 20);
	memcpy(all + 1 + 2 * (17 * 8 + 4 + 24 + 80 + 4), "00280000", 8);
	EXPECT(all, "OK");
	assert_int_equal(h->fake.cpu[0].st[5].mant, 0xdeadbeef);
	all[strlen(all) - 1] = '\0';
	EXPECT(all, "E01");
	EXPECT("G", "E01");
	EXPECT("G00", "E01");
	EXPECT("g0", "E01");

	h->fake.cpu[0].cr0 = 0; /* real mode */
	EXPECT("P14=34120000", "OK");
	assert_int_equal(h->fake.cpu[0].seg[CPU_DS].base, 0x12340);
	EXPECT("P14=00000100", "E22");
}

static void test_memory(void **state)
{
	struct harness *h = *state;
	const char search[] = "qSearch:memory:601000;2000;ab}c";

	EXPECT("m601000,4", "00000000");
	EXPECT("M601000,4:61626364", "OK");
	EXPECT("m601000,4", "61626364");
	EXPECT("x601000,4", "babcd");
	EXPECT("x601000,0", "b");
	EXPECT("m601000,0", "");
	EXPECT("X601002,3:ab}", "OK");
	EXPECT("X601005,1:c", "OK");
	EXPECT("X601000,0:", "OK");
	assert_memory_equal(h->fake.mem + 2 * RV_PAGE_SIZE, "abab}c", 6);
	assert_string_equal(ask_n(h, search, sizeof(search) - 1), "1,601002");
	EXPECT("qSearch:memory:601003;ffd;ab", "0");
	EXPECT("qSearch:memory:601000;3000;zz", "E14");
	EXPECT("qSearch:memory:fffffffffffff000;ffffffffffffffff;zz", "0");
	EXPECT("qSearch:memory:0;0;zz", "0");
	EXPECT("qSearch:memory:0;1;", "E01");
	EXPECT("qSearch:memory:0;1", "E01");
	EXPECT("qSearch:memory:", "E01");
	EXPECT("M602fff,1:99", "OK");
	EXPECT("m602fff,4", "99"); /* the mapped prefix */
	EXPECT("m603000,4", "E14");
	EXPECT("m8000000000000000,1", "E14");
	EXPECT("mffffffffffffffff,10", "00"); /* ends with the address space */
	EXPECT("Mffffffffffffffff,2:0000", "E14");
	EXPECT("M602fff,2:0000", "E14");
	EXPECT("m602fff,1", "99");
	ask(h, "m601000,ffffffffffffffff");
	assert_int_equal(h->len, 2 * 2 * RV_PAGE_SIZE);
	EXPECT("m601000", "E01");
	EXPECT("m601000,", "E01");
	EXPECT("m,1", "E01");
	EXPECT("m601000,1z", "E01");
	EXPECT("m11111111111111111,1", "E01");
	EXPECT("x", "E01");
	EXPECT("M601000,4:616263", "E01");
	EXPECT("M601000,3:61626", "E01");
	EXPECT("M601000,2:616263", "E01");
	EXPECT("M601000,1:zz", "E01");
	EXPECT("M601000,8000000000000001:61", "E01");
	EXPECT("X601000,4:abc", "E01");
	EXPECT("X601000,2", "E01");

	EXPECT("qqemu.PhyMemMode", "0");
	EXPECT("m0,1", "E14");
	EXPECT("Qqemu.PhyMemMode:1", "OK");
	EXPECT("qqemu.PhyMemMode", "1");
	EXPECT("m0,1", "90");
	EXPECT("m601000,1", "E14");
	EXPECT("Qqemu.PhyMemMode:0", "OK");
	EXPECT("m0,1", "E14");
	EXPECT("Qqemu.PhyMemMode:2", "E22");
	EXPECT("Qqemu.PhyMemMode:", "E22");
}

/* A pattern over the border of two pieces of the search. */
static void test_search_overlap(void **state)
{
	struct harness *h = *state;
	char request[64 + 5000];
	int n = snprintf(request, sizeof(request), "qSearch:memory:%llx;2000;", FAKE_CODE);

	memset(request + n, 0x90, 5000);
	request[n + 4999] = 0x33;
	assert_string_equal(ask_n(h, request, (size_t)n + 5000), "0");
	h->fake.mem[6000] = 0x33;
	assert_string_equal(ask_n(h, request, (size_t)n + 5000), "1,ffffffff810003e9");
}

static void test_motion(void **state)
{
	struct harness *h = *state;
	struct fake *f = &h->fake;

	ask(h, "qSupported:swbreak+;hwbreak+");
	EXPECT("?", "T05thread:1;");
	EXPECT("s", "T05thread:1;");
	assert_int_equal(f->pos, 1);
	EXPECT("vCont;s", "T05thread:1;");
	EXPECT("vCont;s:2;c", "T05thread:2;");
	assert_int_equal(f->last_cpu, 1);
	EXPECT("vCont;c:1;s:1", "T05thread:1;");
	assert_int_equal(f->last_motion, DEBUG_STEP);
	EXPECT("S05", "T05thread:1;");
	EXPECT("vCont;S05:1", "T05thread:1;");
	assert_int_equal(f->pos, 6);
	EXPECT("bs", "T05thread:1;");
	assert_int_equal(f->pos, 5);
	EXPECT("Z0,ffffffff81000014,1", "OK");
	EXPECT("Z1,ffffffff81000028,1", "OK");
	EXPECT("c", "T05thread:1;swbreak:;");
	EXPECT("?", "T05thread:1;swbreak:;");
	EXPECT("vCont;c", "T05thread:1;hwbreak:;");
	assert_int_equal(f->pos, 0x28);
	EXPECT("vCont;C05:-1", "T05thread:1;replaylog:end;");
	EXPECT("bc", "T05thread:1;hwbreak:;");
	EXPECT("bc", "T05thread:1;swbreak:;");
	EXPECT("bc", "T05thread:1;replaylog:begin;");
	EXPECT("bs", "T05thread:1;replaylog:begin;");
	/* in a range: to its end, or to a breakpoint in it */
	EXPECT("vCont;rffffffff81000000,ffffffff81000010:1", "T05thread:1;");
	assert_int_equal(f->pos, 0x10);
	EXPECT("vCont;rffffffff81000000,ffffffff81000020:1", "T05thread:1;");
	assert_int_equal(f->pos, 0x14);
	EXPECT("vCont;r0,0", "T05thread:1;");
	assert_int_equal(f->pos, 0x15);
	EXPECT("z0,ffffffff81000014,1", "OK");
	EXPECT("z1,ffffffff81000028,1", "OK");
	EXPECT("z1,ffffffff81000028,1", "OK");

	EXPECT("Z2,601020,1", "OK");
	EXPECT("c", "T05thread:1;watch:601020;");
	assert_int_equal(f->pos, 0x21);
	EXPECT("bc", "T05thread:1;watch:601020;");
	assert_int_equal(f->pos, 0x20);
	EXPECT("z2,601020,1", "OK");
	EXPECT("Z3,601060,8", "OK");
	EXPECT("c", "T05thread:1;rwatch:601060;");
	EXPECT("z3,601060,8", "OK");
	EXPECT("Z4,601022,2", "OK");
	EXPECT("c", "T05thread:1;awatch:601022;");
	EXPECT("z4,601022,2", "OK");
	assert_int_equal(f->nbreaks, 0);

	f->fail = RV_EDIVERGED;
	EXPECT("c", "T06thread:1;");
	f->fail = RV_EINTR;
	EXPECT("c", "T02thread:1;");
	f->fail = 0;
	f->exits = true;
	EXPECT("c", "W00");
	EXPECT("?", "W00");
	f->resumes = 0;
	EXPECT("vCont;", "E01");
	EXPECT("vCont;x", "E01");
	EXPECT("vCont;t", "E01");
	EXPECT("vCont;s:", "E01");
	EXPECT("vCont;s:9", "E22");
	EXPECT("vCont;s:1,", "E01");
	EXPECT("vCont;s;", "E01");
	EXPECT("vCont;C", "E01");
	EXPECT("vCont;C5", "E01");
	EXPECT("vCont;r1", "E01");
	EXPECT("vCont;r1,", "E01");
	EXPECT("C", "E01");
	EXPECT("Cx1", "E01");
	EXPECT("C05x", "E01");
	EXPECT("Szz", "E01");
	EXPECT("cg", "E01");
	EXPECT("s12345678123456789", "E01");
	EXPECT("c0000800000000000", "E22");
	EXPECT("bc1", "");
	assert_int_equal(f->resumes, 0);
	f->exits = false;
	fake_move(f, 0);
	EXPECT("sffffffff81000100", "T05thread:1;");
	assert_int_equal(f->resumes, 1);
}

static void test_restart(void **state)
{
	struct harness *h = *state;

	EXPECT("vRun;;313030", "T05thread:1;");
	assert_string_equal(h->fake.last_monitor, "seek 100");
	assert_int_equal(h->fake.pos, 100);
	EXPECT("vRun;76;;31", "E01");
	EXPECT("vRun;766d", "T05thread:1;");
	assert_string_equal(h->fake.last_monitor, "seek 0");
	EXPECT("vRun;", "T05thread:1;");
	EXPECT("vRun;7", "E01");
	EXPECT("vRun;;7", "E01");
	EXPECT("vRun;;2020", "E01");
	EXPECT("vRun;;39393939", "E22");
	EXPECT("R00", "");
	EXPECT("R", "E01");
	h->fake.reverse = false; /* a live machine has no seek */
	EXPECT("vRun;", "E22");
}

static void test_breaks(void **state)
{
	struct harness *h = *state;
	struct fake *f = &h->fake;
	char request[128];

	EXPECT("Z0,ffffffff81000032,1;X6,260000223213" "27", "E01"); /* a byte too many */
	EXPECT("Z0,ffffffff81000032,1;X2,2201",
	       "OK"); /* runs out of code: no value, does not hold */
	EXPECT("Z0,ffffffff81000032,1;X3,220027", "OK");
	EXPECT("c", "T05thread:1;replaylog:end;");
	assert_int_equal(f->tests, 1);
	EXPECT("vRun;", "T05thread:1;");
	EXPECT("Z0,ffffffff81000032,1;X3,220027X3,220127", "OK"); /* replaced: any will do */
	assert_int_equal(f->nbreaks, 1);
	EXPECT("c", "T05thread:1;");
	assert_int_equal(f->pos, 0x32);
	/* *(uint8_t *)(FAKE_DATA + 0x10) == 0x51, which is so from position 0x51 on */
	for (uint64_t p = 0x33; p < 0x60; p++) {
		snprintf(request, sizeof(request), "Z0,%llx,1;X9,2400601010172251" "13" "27",
			 (unsigned long long)(FAKE_CODE + p));
		assert_string_equal(ask(h, request), "E01");
		snprintf(request, sizeof(request), "Z0,%llx,1;Xa,2400601010172251" "1327",
			 (unsigned long long)(FAKE_CODE + p));
		if (f->nbreaks < FAKE_BREAKS)
			assert_string_equal(ask(h, request), "OK");
	}
	EXPECT("c", "T05thread:1;");
	assert_int_equal(f->pos, 0x51);
	/* a division by zero and a register that is none: never */
	EXPECT("Z0,ffffffff810000f0,1;X6,220122000527", "E01");
	/* the target is full: the set fails, and leaves nothing */
	EXPECT("Z1,ffffffff810000f0,1", "E01");
	for (uint64_t p = 0x32; p < 0x60; p++) {
		snprintf(request, sizeof(request), "z0,%llx,1",
			 (unsigned long long)(FAKE_CODE + p));
		assert_string_equal(ask(h, request), "OK");
	}
	assert_int_equal(f->nbreaks, 0);
	EXPECT("Z0,ffffffff810000f0,1;X6,220122000527", "OK");
	EXPECT("Z1,ffffffff810000f1,1;X4,26002827", "OK"); /* xmm */
	EXPECT("Z1,ffffffff810000f2,1;X4,2600ff27", "OK"); /* no such register */
	EXPECT("c", "T05thread:1;replaylog:end;");

	EXPECT("Z", "E01");
	EXPECT("Z0", "E01");
	EXPECT("Z5,0,1", "E01");
	EXPECT("Z0,0", "E01");
	EXPECT("Z0,0,", "E01");
	EXPECT("Z0,0,1x", "E01");
	EXPECT("Z0,0,1;", "E01");
	EXPECT("Z0,0,1;X", "E01");
	EXPECT("Z0,0,1;X3", "E01");
	EXPECT("Z0,0,1;X3,", "E01");
	EXPECT("Z0,0,1;X3,2201", "E01");
	EXPECT("Z0,0,1;X3,2201zz", "E01");
	EXPECT("Z0,0,1;X0,", "E01");
	EXPECT("Z0,0,1;Xffffffffffffffff,27", "E01");
	EXPECT("Z0,0,1;X1,ff", "E01");
	EXPECT("Z0,0,1;X3,0c0127", "E01"); /* trace */
	EXPECT("Z0,0,1;cmds:1,X1,27", "E01");
	EXPECT("Z2,0,0", "E01");
	EXPECT("Z2,0,ffffffffffffffff", "E01");
	EXPECT("Z2,ffffffffffffffff,2", "E01");
	EXPECT("z", "E01");
	EXPECT("z9,0,1", "E01");
	EXPECT("z0,0,1;X1,27", "E01");
	EXPECT("z0,0,1", "OK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_queries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_target_xml, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_search_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_motion, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_breaks, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
