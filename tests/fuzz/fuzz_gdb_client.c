/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole connection of the GDB stub: what the input holds is sent on a socket,
 * and the stub serves it to its end. The first byte says whether checksums are
 * made right first. Slower than fuzz_gdb, which has no socket.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gdb_input.h"
#include "gdbstub/stub.h"
#include "tests/unit/gdbstub/fake_target.h"

#define CONNECTION_MAX 4096u /* fits in a socket's buffer */

struct fixture {
	struct fake fake;
	struct gdbstub *stub;
	pthread_t reader;
	sem_t work, done;
	int fd; /* the client's end */
	uint8_t copy[CONNECTION_MAX];
};

static void need(bool truth)
{
	if (!truth)
		abort();
}

/* The client reads what it is sent: waiting for one that does not would be right, and slow. */
static void *fixture_read(void *arg)
{
	struct fixture *x = arg;
	char buf[65536];

	for (;;) {
		while (sem_wait(&x->work) != 0)
			continue;
		while (recv(x->fd, buf, sizeof(buf), 0) > 0)
			continue;
		sem_post(&x->done);
	}
	return NULL;
}

/* One for all inputs of the process. */
static struct fixture *fixture_get(void)
{
	static struct fixture x;

	fake_init(&x.fake);
	x.fake.end = 100; /* a short history is walked fast */
	if (!x.stub) {
		need(gdbstub_attach(&x.stub, -1, &x.fake.target) == RV_OK);
		need(sem_init(&x.work, 0, 0) == 0 && sem_init(&x.done, 0, 0) == 0);
		need(pthread_create(&x.reader, NULL, fixture_read, &x) == 0);
	}
	return &x;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fixture *x;
	enum gdbstub_end end;
	int fd[2];

	if (size == 0)
		return 0;
	x = fixture_get();
	size = size - 1 > CONNECTION_MAX ? CONNECTION_MAX : size - 1;
	memcpy(x->copy, data + 1, size);
	if (data[0] % 2)
		gdb_sums_fix(x->copy, size);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	need(send(fd[0], x->copy, size, MSG_NOSIGNAL) == (ssize_t)size && shutdown(fd[0], SHUT_WR) == 0);
	x->fd = fd[0];
	sem_post(&x->work);
	rsp_link_init(&x->stub->link, fd[1]);
	need(gdbstub_serve(x->stub, NULL, NULL, &end) == RV_OK);
	while (sem_wait(&x->done) != 0)
		continue;
	close(fd[0]);
	need(x->fake.nbreaks == 0 && x->stub->nbreaks == 0 && x->stub->link.fd < 0);
	return 0;
}

bool fuzz_sample(unsigned which, struct bytes *out)
{
	if (which > 1)
		return false;
	bytes_put_u8(out, (uint8_t)which);
	gdb_requests_put(out, true);
	bytes_put(out, "\003-$D#44", 7);
	return true;
}

size_t fuzz_mutate(uint8_t *p, size_t len, uint64_t *rng)
{
	return gdb_mutate(p, len, rng);
}
