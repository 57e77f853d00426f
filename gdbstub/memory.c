/* SPDX-License-Identifier: Apache-2.0 */
/* m M x X, qSearch:memory, and QEMU's switch to physical addresses. */
#include "stub.h"

#define MEMORY_READ_MAX (RSP_PAYLOAD_MAX / 2 - 8)
#define MEMORY_SEARCH_CHUNK RSP_PAYLOAD_MAX

/* The mapped prefix of [addr, addr + len): a mapping begins and ends with a page. */
static size_t memory_read_prefix(struct gdbstub *s, uint64_t addr, uint8_t *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t at = addr + done;
		size_t n = RV_PAGE_SIZE - (size_t)(at % RV_PAGE_SIZE);
		if (n > len - done)
			n = len - done;
		if (at < addr)
			break; /* the end of the address space */
		if (s->target->ops->mem_read(s->target, s->cpu_g, s->phys, at, out + done, n) !=
			RV_OK)
			break;
		done += n;
	}
	return done;
}

/* addr,len */
static bool memory_range_parse(struct pkt *k, uint64_t *addr, uint64_t *len)
{
	return pkt_hex(k, addr) && pkt_eat(k, ',') && pkt_hex(k, len);
}

static bool memory_read_request(struct gdbstub *s, struct pkt *k, size_t *got)
{
	uint64_t addr, len;

	if (!memory_range_parse(k, &addr, &len) || !pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return false;
	}
	/* More than fits is answered in part, as the protocol allows. */
	if (len > MEMORY_READ_MAX)
		len = MEMORY_READ_MAX;
	*got = memory_read_prefix(s, addr, s->scratch, (size_t)len);
	if (*got == 0 && len > 0) {
		reply_error(&s->reply, STUB_ERR_MEMORY);
		return false;
	}
	return true;
}

void memory_handle_m(struct gdbstub *s, struct pkt *k)
{
	size_t got;

	if (memory_read_request(s, k, &got))
		reply_hex(&s->reply, s->scratch, got);
}

/* The form of GDB 16 (`binary-upload`): a letter b, so that data cannot look like an error. */
void memory_handle_x(struct gdbstub *s, struct pkt *k)
{
	size_t got;

	if (memory_read_request(s, k, &got)) {
		reply_text(&s->reply, "b");
		reply_put(&s->reply, s->scratch, got);
	}
}

static void memory_write(struct gdbstub *s, uint64_t addr, const void *data, size_t len)
{
	int rc = RV_OK;

	if (len > 0 && addr > UINT64_MAX - (len - 1))
		rc = RV_ENOENT;
	else if (len > 0)
		rc = s->target->ops->mem_write(s->target, s->cpu_g, s->phys, addr, data, len);
	if (rc == RV_ENOTSUP)
		reply_error(&s->reply, STUB_ERR_FORM);
	else
		reply_status(&s->reply, rc);
}

void memory_handle_M(struct gdbstub *s, struct pkt *k)
{
	uint64_t addr, len;

	if (!memory_range_parse(k, &addr, &len) || !pkt_eat(k, ':') || pkt_left(k) % 2 ||
		pkt_left(k) / 2 != len || !pkt_bytes(k, s->scratch, (size_t)len))
		reply_error(&s->reply, STUB_ERR_FORM);
	else
		memory_write(s, addr, s->scratch, (size_t)len);
}

void memory_handle_X(struct gdbstub *s, struct pkt *k)
{
	uint64_t addr, len;

	if (!memory_range_parse(k, &addr, &len) || !pkt_eat(k, ':') || pkt_left(k) != len)
		reply_error(&s->reply, STUB_ERR_FORM);
	else
		memory_write(s, addr, k->p, (size_t)len);
}

/*
 * addr;len;pattern. A guest can map a few pages over all of its address space,
 * so the search asks for an interrupt at every chunk. A part that is not
 * mapped ends it with an error, as in GDB's own search.
 */
void memory_handle_search(struct gdbstub *s, struct pkt *k)
{
	uint64_t addr, len;
	const char *pattern;
	size_t want, keep = 0;

	if (!pkt_hex(k, &addr) || !pkt_eat(k, ';') || !pkt_hex(k, &len) || !pkt_eat(k, ';') ||
		pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	pattern = k->p;
	want = pkt_left(k);
	if (len > 0 && addr > UINT64_MAX - (len - 1))
		len = UINT64_MAX - addr + 1;
	while (len > 0) {
		size_t n = len > MEMORY_SEARCH_CHUNK ? MEMORY_SEARCH_CHUNK : (size_t)len;
		const uint8_t *hit;

		if (stub_poll(s)) {
			s->link.interrupt = false;
			reply_error(&s->reply, STUB_ERR_FORM);
			return;
		}
		if (memory_read_prefix(s, addr, s->scratch + keep, n) < n) {
			reply_error(&s->reply, STUB_ERR_MEMORY);
			return;
		}
		hit = memmem(s->scratch, keep + n, pattern, want);
		if (hit) {
			reply_text(
				&s->reply, "1,%llx",
				(unsigned long long)(addr - keep + (uint64_t)(hit - s->scratch)));
			return;
		}
		addr += n;
		len -= n;
		n += keep;
		keep = n < want - 1 ? n : want - 1;
		memmove(s->scratch, s->scratch + n - keep, keep);
	}
	reply_text(&s->reply, "0");
}

void memory_handle_phys_set(struct gdbstub *s, struct pkt *k)
{
	bool on = pkt_eat(k, '1');

	if ((!on && !pkt_eat(k, '0')) || !pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_VALUE);
		return;
	}
	s->phys = on;
	reply_text(&s->reply, "OK");
}

void memory_handle_phys_get(struct gdbstub *s, struct pkt *k)
{
	(void)k;
	reply_text(&s->reply, "%d", s->phys ? 1 : 0);
}
