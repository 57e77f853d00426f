/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Z0-Z4 and z0-z4 (GDB manual, E.2), with conditions. The target keeps a
 * pointer to struct stub_break for as long as the breakpoint is set, so one is
 * never moved; a Z for a breakpoint that is there replaces its conditions.
 */
#include <stdlib.h>

#include "agent.h"
#include "regs.h"
#include "stub.h"

#define BREAKS_MAX 4096u
#define BREAKS_BYTES_MAX (4u << 20) /* of conditions */
#define BREAKS_WATCH_MAX 65536u

struct stub_break {
	struct stub_break *next;
	struct gdbstub *stub;
	enum debug_break_kind kind;
	uint64_t addr, len;
	/* Conditions one after the other, each behind its length in 2 bytes: any that holds will
	 * do. */
	uint8_t *conds;
	size_t conds_len;
};

struct breaks_env {
	struct gdbstub *stub;
	unsigned cpu;
	bool have_state;        /* a condition may look at memory alone */
	struct cpu_state state; /* large: neither cleared nor read before it is needed */
};

static bool breaks_env_reg(void *ctx, unsigned regnum, uint64_t *value)
{
	struct breaks_env *e = ctx;
	uint8_t buf[REGS_SIZE_MAX] = { 0 };
	size_t n;

	if (!e->have_state)
		e->stub->target->ops->regs_get(e->stub->target, e->cpu, &e->state);
	e->have_state = true;
	n = regs_read(&e->state, regnum, buf);
	if (n == 0 || n > 8)
		return false;
	*value = le64_get(buf);
	return true;
}

static bool breaks_env_mem(void *ctx, uint64_t addr, void *out, size_t len)
{
	const struct breaks_env *e = ctx;
	struct debug_target *t = e->stub->target;

	return t->ops->mem_read(t, e->cpu, false, addr, out, len) == RV_OK;
}

/* A condition that fails to have a value does not hold. */
static bool breaks_test(void *ctx, unsigned cpu)
{
	const struct stub_break *b = ctx;
	struct breaks_env env;
	const struct agent_env agent = { breaks_env_reg, breaks_env_mem, &env };

	if (b->conds_len == 0)
		return true;
	env.stub = b->stub;
	env.cpu = cpu;
	env.have_state = false;
	for (size_t at = 0; at < b->conds_len;) {
		size_t len = le16_get(b->conds + at);
		uint64_t value;
		if (agent_run(b->conds + at + 2, len, &agent, &value) == RV_OK && value != 0)
			return true;
		at += 2 + len;
	}
	return false;
}

/* ;Xlen,bytes[;]Xlen,bytes...: GDB sends one semicolon before the first, and none between. */
static int breaks_conds_parse(struct pkt *k, uint8_t **out, size_t *out_len)
{
	uint8_t *buf = malloc(pkt_left(k) + 2); /* two digits a byte: more than enough */
	size_t n = 0;
	int rc;

	if (!buf)
		return RV_ENOMEM;
	while (!pkt_done(k)) {
		uint64_t len;
		(void)pkt_eat(k, ';');
		if (!pkt_eat(k, 'X') || !pkt_hex(k, &len) || !pkt_eat(k, ',') ||
			len > AGENT_CODE_MAX || !pkt_bytes(k, buf + n + 2, (size_t)len)) {
			rc = RV_EINVAL;
			goto fail;
		}
		rc = agent_check(buf + n + 2, (size_t)len);
		if (rc != RV_OK)
			goto fail;
		le16_put(buf + n, (uint16_t)len);
		n += 2 + (size_t)len;
	}
	*out = buf;
	*out_len = n;
	return RV_OK;
fail:
	free(buf);
	return rc;
}

/* type,addr,kind */
static bool breaks_parse(struct pkt *k, enum debug_break_kind *kind, uint64_t *addr, uint64_t *len)
{
	static const enum debug_break_kind kinds[] = {DEBUG_BREAK_SW, DEBUG_BREAK_HW,
						      DEBUG_WATCH_WRITE, DEBUG_WATCH_READ,
						      DEBUG_WATCH_ACCESS};
	uint64_t type;

	if (!pkt_hex(k, &type) || !pkt_eat(k, ',') || !pkt_hex(k, addr) || !pkt_eat(k, ',') ||
		!pkt_hex(k, len) || type >= RV_ARRAY_LEN(kinds))
		return false;
	*kind = kinds[type];
	if (*kind == DEBUG_BREAK_SW || *kind == DEBUG_BREAK_HW)
		*len =
			1; /* "kind" is the length of the breakpoint instruction, and there is none */
	return *len > 0 && *len <= BREAKS_WATCH_MAX && *addr <= UINT64_MAX - (*len - 1);
}

static struct stub_break **breaks_find(struct gdbstub *s, enum debug_break_kind kind, uint64_t addr,
				       uint64_t len)
{
	struct stub_break **at = &s->breaks;

	while (*at && ((*at)->kind != kind || (*at)->addr != addr || (*at)->len != len))
		at = &(*at)->next;
	return at;
}

static void breaks_remove(struct gdbstub *s, struct stub_break **at)
{
	struct stub_break *b = *at;

	*at = b->next;
	s->nbreaks--;
	s->break_bytes -= b->conds_len;
	free(b->conds);
	free(b);
}

void breaks_handle_Z(struct gdbstub *s, struct pkt *k)
{
	struct stub_break **at, *b;
	enum debug_break_kind kind;
	uint64_t addr, len;
	uint8_t *conds;
	size_t conds_len;
	int rc;

	if (!breaks_parse(k, &kind, &addr, &len) || (!pkt_done(k) && *k->p != ';') ||
		breaks_conds_parse(k, &conds, &conds_len) != RV_OK) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	at = breaks_find(s, kind, addr, len);
	b = *at;
	if (conds_len > BREAKS_BYTES_MAX - s->break_bytes || (!b && s->nbreaks == BREAKS_MAX)) {
		free(conds);
		reply_error(&s->reply, STUB_ERR_VALUE);
		return;
	}
	if (b) {
		free(b->conds);
		s->break_bytes -= b->conds_len;
	} else {
		b = calloc(1, sizeof(*b));
		if (!b) {
			free(conds);
			reply_error(&s->reply, STUB_ERR_FORM);
			return;
		}
		b->stub = s;
		b->kind = kind;
		b->addr = addr;
		b->len = len;
	}
	b->conds = conds;
	b->conds_len = conds_len;
	s->break_bytes += conds_len;
	rc = RV_OK;
	if (!*at) {
		*at = b;
		s->nbreaks++;
		rc = s->target->ops->break_set(s->target, kind, addr, len,
					       &(struct debug_cond){ breaks_test, b });
		if (rc != RV_OK)
			breaks_remove(s, at);
	}
	reply_status(&s->reply, rc);
}

void breaks_handle_z(struct gdbstub *s, struct pkt *k)
{
	struct stub_break **at;
	enum debug_break_kind kind;
	uint64_t addr, len;
	int rc = RV_OK;

	if (!breaks_parse(k, &kind, &addr, &len) || !pkt_done(k)) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	/* Both packets are idempotent (E.2): taking away what is not there is no error. */
	at = breaks_find(s, kind, addr, len);
	if (*at) {
		rc = s->target->ops->break_clear(s->target, kind, addr, len);
		breaks_remove(s, at);
	}
	reply_status(&s->reply, rc);
}

void breaks_clear(struct gdbstub *s)
{
	while (s->breaks) {
		const struct stub_break *b = s->breaks;
		(void)s->target->ops->break_clear(s->target, b->kind, b->addr, b->len);
		breaks_remove(s, &s->breaks);
	}
}

bool breaks_at(const struct gdbstub *s, uint64_t rip)
{
	for (const struct stub_break *b = s->breaks; b; b = b->next)
		if (b->addr == rip && (b->kind == DEBUG_BREAK_SW || b->kind == DEBUG_BREAK_HW))
			return true;
	return false;
}
