/* SPDX-License-Identifier: Apache-2.0 */
/* Each profile is entered for real in a child process, which then does one thing and lives or dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/types.h"
#include "sandbox.h"

static const enum sandbox_profile profiles[] = { SANDBOX_RUN, SANDBOX_RECORD, SANDBOX_REPLAY,
						 SANDBOX_VERIFY, SANDBOX_RUN_KVM, SANDBOX_RUN_GDB,
						 SANDBOX_RECORD_GDB, SANDBOX_REPLAY_GDB };

/* Runs action in a child under the profile; returns its wait status. */
static int under(enum sandbox_profile profile, int (*action)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		const struct sandbox_path paths[] = {
			{ open("/", O_PATH | O_DIRECTORY), SANDBOX_ACCESS_READ },
			{ open("/tmp", O_PATH | O_DIRECTORY), SANDBOX_ACCESS_CREATE },
		};
		struct rv_err err = { 0 };

		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL);
		if (sandbox_prepare(paths, 2, SANDBOX_TCP_NONE, &err) || sandbox_enter(profile, SANDBOX_FORCE, &err)) {
			fprintf(stderr, "%s\n", err.text);
			_exit(99);
		}
		_exit(action());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int do_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}
static int do_unix_socket(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static int do_connect(void)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };

	return connect(0, &sa, sizeof(sa));
}
static int do_execve(void)
{
	char *const none[] = { NULL };

	return execve("/bin/true", none, none);
}
static int do_fork(void)
{
	return fork() == 0;
}
static int do_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static int do_map_exec(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}
static int do_protect_exec(void)
{
	static char page[8192] __attribute__((aligned(4096)));

	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}
static int do_open_write(void)
{
	return open("/tmp", O_WRONLY | O_TMPFILE, 0600) >= 0;
}
static int do_open_create(void)
{
	return open("/dev/null", O_RDONLY | O_CREAT, 0600) >= 0;
}
static int do_open_read(void)
{
	return open("/dev/null", O_RDONLY) >= 0;
}
/* As the log's reader does to list the segments. */
static int do_list_directory(void)
{
	int fd = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;

	if (!dir)
		return 1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n == 0;
}
/* As its writer does. */
static int do_write_file(void)
{
	char c = 0;
	int fd = open("/tmp", O_RDWR | O_TMPFILE, 0600);

	if (fd < 0)
		return errno != EOPNOTSUPP;
	return write(fd, &c, 1) != 1 || pread(fd, &c, 1, 0) != 1 || fdatasync(fd) || fsync(fd) ||
	       ftruncate(fd, 0) || close(fd);
}
static int do_tiocsti(void)
{
	return ioctl(0, TIOCSTI, "x");
}
static int do_kill(void)
{
	return kill(getppid(), SIGKILL);
}
static int do_memfd(void)
{
	return memfd_create("x", 0) >= 0;
}
static int do_setuid(void)
{
	return setuid(0);
}

/* What a run does all the time. */
static int do_ordinary_work(void)
{
	struct timespec ts = { .tv_nsec = 1000 };
	struct pollfd pfd = { .fd = -1 };
	char *p = malloc(8u << 20);
	int null = 1;

	if (!p)
		return 1;
	memset(p, 1, 8u << 20);
	p = realloc(p, 64u << 20);
	free(p);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	ts = (struct timespec){ .tv_nsec = 1000 };
	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	ppoll(&pfd, 1, &ts, NULL);
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	return write(null, "", 0) != 0;
}

static void forbidden(void **state)
{
	static int (*const actions[])(void) = {
		do_socket, do_unix_socket, do_connect, do_execve, do_fork, do_ptrace, do_map_exec,
		do_protect_exec, do_tiocsti, do_kill, do_memfd, do_setuid,
	};

	(void)state;
	for (size_t p = 0; p < RV_ARRAY_LEN(profiles); p++) {
		for (size_t i = 0; i < RV_ARRAY_LEN(actions); i++) {
			int status = under(profiles[p], actions[i]);

			if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
				fail_msg("%s: action %zu ended with status %#x",
					 sandbox_profile_name(profiles[p]), i, (unsigned)status);
		}
	}
}

static void files(void **state)
{
	(void)state;
	assert_int_equal(WTERMSIG(under(SANDBOX_RUN, do_open_read)), SIGSYS);
	assert_int_equal(WTERMSIG(under(SANDBOX_REPLAY, do_open_write)), SIGSYS);
	assert_int_equal(WTERMSIG(under(SANDBOX_REPLAY, do_open_create)), SIGSYS);
	assert_int_equal(WTERMSIG(under(SANDBOX_VERIFY, do_open_write)), SIGSYS);
	/* Allowed by the filter; what may be opened is Landlock's business. */
	assert_true(WIFEXITED(under(SANDBOX_REPLAY, do_open_read)));
	assert_true(WIFEXITED(under(SANDBOX_RECORD, do_open_write)));
	assert_int_equal(under(SANDBOX_RECORD, do_list_directory), 0);
	assert_int_equal(under(SANDBOX_REPLAY, do_list_directory), 0);
	assert_int_equal(under(SANDBOX_VERIFY, do_list_directory), 0);
	assert_int_equal(under(SANDBOX_RECORD, do_write_file), 0);
}

static void ordinary(void **state)
{
	(void)state;
	for (size_t p = 0; p < RV_ARRAY_LEN(profiles); p++) {
		int status = under(profiles[p], do_ordinary_work);

		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: ordinary work ended with status %#x",
				 sandbox_profile_name(profiles[p]), (unsigned)status);
	}
}

static void *thread_socket(void *arg)
{
	int fd = *(int *)arg;
	char c;

	if (read(fd, &c, 1) == 1)
		socket(AF_INET, SOCK_STREAM, 0);
	return NULL;
}

/* A thread that ran before the filter came is under it too. */
static void threads(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct rv_err err;
		pthread_t t;
		int go[2];

		if (pipe(go) || sandbox_prepare(NULL, 0, SANDBOX_TCP_NONE, &err) ||
		    pthread_create(&t, NULL, thread_socket, &go[0]) ||
		    sandbox_enter(SANDBOX_RUN, SANDBOX_FORCE, &err))
			_exit(99);
		(void)!write(go[1], "x", 1);
		pthread_join(t, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int landlock_child(const char *dir)
{
	struct sandbox_path path = { open(dir, O_PATH | O_DIRECTORY), SANDBOX_ACCESS_CREATE };
	char name[128];
	struct rv_err err;

	snprintf(name, sizeof(name), "%s/sub", dir);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox_landlock(&path, 1, false, &err))
		return 99;
	if (syscall(444, NULL, 0, 1) < 1)
		return 0; /* no Landlock in this kernel: nothing to see */
	if (mkdir(name, 0700) || rmdir(name))
		return 1;
	snprintf(name, sizeof(name), "%s/file", dir);
	if (open(name, O_WRONLY | O_CREAT | O_EXCL, 0600) < 0 || unlink(name))
		return 2;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 3;
	if (open("/tmp/rv-sandbox-outside", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		return 4;
	return 0;
}

static void landlock(void **state)
{
	char dir[] = "/tmp/rv-sandbox-XXXXXX";
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(landlock_child(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(dir);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary),
		cmocka_unit_test(forbidden),
		cmocka_unit_test(files),
		cmocka_unit_test(threads),
		cmocka_unit_test(landlock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
