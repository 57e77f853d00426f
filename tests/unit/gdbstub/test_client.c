/* SPDX-License-Identifier: Apache-2.0 */
/* The stock GDB, in batch mode, against the machine of fake_target.h: what it makes of us. Skipped
 * where there is no gdb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/gdbstub/fake_target.h"

#define CLIENT_ARGS_MAX 64

struct client {
	char dir[32], sock[64], out[64];
	struct fake fake;
	struct gdbstub *stub;
	pid_t pid;
	char text[65536];
};

static bool client_gone(void *ctx)
{
	struct client *c = ctx;
	int status;
	return c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid && (c->pid = -1) < 0;
}

/* Runs gdb with the commands, serves it, and leaves what it printed in text. */
static void client_run(struct client *c, const char *const *commands)
{
	const char *argv[CLIENT_ARGS_MAX] = {"gdb", "-nx", "-batch", "-ex",
					     "set tcp connect-timeout 5"};
	char connect[96];
	enum gdbstub_end end;
	size_t n = 5, len;
	FILE *f;

	snprintf(connect, sizeof(connect), "%s %s", commands[0], c->sock);
	argv[n++] = "-ex";
	argv[n++] = connect;
	for (size_t i = 1; commands[i]; i++) {
		assert_true(n + 3 < CLIENT_ARGS_MAX);
		argv[n++] = "-ex";
		argv[n++] = commands[i];
	}
	argv[n] = NULL;
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		if (!freopen(c->out, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
			_exit(126);
		alarm(100);
		execvp("gdb", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)gdbstub_serve(c->stub, client_gone, c, &end);
	if (c->pid > 0)
		waitpid(c->pid, NULL, 0);
	f = fopen(c->out, "r");
	assert_non_null(f);
	len = fread(c->text, 1, sizeof(c->text) - 1, f);
	c->text[len] = '\0';
	fclose(f);
}

static int client_setup(void **state)
{
	struct client *c = calloc(1, sizeof(*c));
	struct rv_err err;
	char addr[80];

	assert_non_null(c);
	strcpy(c->dir, "/tmp/rv-gdb-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	snprintf(c->sock, sizeof(c->sock), "%s/sock", c->dir);
	snprintf(c->out, sizeof(c->out), "%s/out", c->dir);
	snprintf(addr, sizeof(addr), "unix:%s", c->sock);
	fake_init(&c->fake);
	assert_int_equal(gdbstub_listen(&c->stub, addr, &c->fake.target, &err), RV_OK);
	*state = c;
	return 0;
}

static int client_teardown(void **state)
{
	struct client *c = *state;
	gdbstub_destroy(c->stub);
	unlink(c->out);
	rmdir(c->dir);
	free(c);
	return 0;
}

static void require_gdb(void)
{
	if (system("gdb --version >/dev/null 2>&1") != 0)
		skip();
}

static void wanted(const struct client *c, const char *text)
{
	if (!strstr(c->text, text))
		fail_msg("gdb did not print \"%s\" but:\n%s", text, c->text);
}

static void test_registers_and_memory(void **state)
{
	static const char *const commands[] = {
		"target remote",
		"info registers rip rax eflags cs fs_base gs_base k_gs_base cr0 cr3 efer lstar mxcsr",
		"print $xmm5.v2_int64[0]",
		"print $st0",
		"print $cr8",
		"info threads",
		"thread 2",
		"print/x $rbx",
		"thread 1",
		"set $rax = 0x1234",
		"print/x $rax",
		"set {int}0x601800 = 0x31323334",
		"x/4xb 0x601800",
		"find /b 0x601000, 0x602fff, 0x32, 0x31",
		"x/1i $pc",
		"maintenance packet Qqemu.PhyMemMode:1",
		"x/2xb 0",
		"monitor when",
		"print *(int *)0x1000000000",
		NULL,
	};
	struct client *c = *state;

	require_gdb();
	client_run(c, commands);
	assert_null(strstr(c->text, "description")); /* target.xml was refused, or a part of it */
	assert_null(strstr(c->text, "rchitecture"));
	wanted(c, "0xffffffff81000000");
	wanted(c, "[ ZF ]");
	wanted(c, "gs_base        0xffff888000000000");
	wanted(c, "lstar          0xffffffff81000800");
	wanted(c, "0x1f80");
	wanted(c, "= 81985529216486895");
	wanted(c, "$2 = 1\n");
	wanted(c, "$3 = 0\n");
	wanted(c, "vCPU 1 ring 0");
	wanted(c, "= 0x3333333333333334");
	wanted(c, "= 0x1234\n");
	wanted(c, "0x34\t0x33\t0x32\t0x31");
	wanted(c, "0x601802");
	wanted(c, "nop");
	wanted(c, "0x90\t0x90");
	wanted(c, "icount 0");
	wanted(c, "Cannot access memory at address 0x1000000000");
}

static void test_time_travel(void **state)
{
	static const char *const commands[] = {
		"target remote",
		"set can-use-hw-watchpoints 1",
		"break *0xffffffff81000014",
		"hbreak *0xffffffff81000028 if *(unsigned char *)0x601020 == 0x21",
		"break *0xffffffff81000029 if $rbx == 1",
		"continue",
		"stepi",
		"reverse-stepi",
		"continue",
		"print/x $pc",
		"echo end\\n",
		"continue",
		"echo begin\\n",
		"reverse-continue",
		"reverse-continue",
		"reverse-continue",
		"delete",
		"watch *(char *)0x601010",
		"continue",
		"reverse-continue",
		"reverse-continue",
		"info breakpoints",
		"detach",
		NULL,
	};
	struct client *c = *state;

	require_gdb();
	client_run(c, commands);
	assert_null(strstr(c->text, "Warning"));
	wanted(c, "hit Breakpoint 1, 0xffffffff81000014");
	wanted(c, "$1 = 0xffffffff81000028");
	wanted(c, "end\n\nNo more reverse-execution history");
	wanted(c, "begin\n\nThread 1 hit Breakpoint 2, 0xffffffff81000028");
	wanted(c, "Hardware watchpoint 4: *(char *)0x601010");
	wanted(c, "New value = 17");
	wanted(c, "Old value = 17");
	assert_int_equal(c->fake.nbreaks, 0);
	assert_true(c->fake.tests > 0);
}

static void test_restart(void **state)
{
	static const char *const commands[] = {
		"target extended-remote", "set confirm off",     "set remote exec-file vm",
		"starti 77",              "print/x $pc",         "monitor seek 5",
		"maintenance flush register-cache", "print/x $pc", NULL,
	};
	struct client *c = *state;

	require_gdb();
	client_run(c, commands);
	wanted(c, "= 0xffffffff8100004d");
	wanted(c, "(moved: ");
	wanted(c, "= 0xffffffff81000005");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers_and_memory, client_setup,
						client_teardown),
		cmocka_unit_test_setup_teardown(test_time_travel, client_setup, client_teardown),
		cmocka_unit_test_setup_teardown(test_restart, client_setup, client_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
