/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of the meta records: digests and the end (FORMAT.md, "Payloads"). */
#include "base/bytes.h"
#include "record/evlog.h"
#include "record/recorder.h"

#define DIGEST_LEN 192u
#define END_LEN (8u + DIGEST_LEN)

static void put_digest(uint8_t **p, struct digest128 d)
{
	le64_put(*p, d.lo);
	le64_put(*p + 8, d.hi);
	*p += 16;
}

static struct digest128 get_digest(const uint8_t *p)
{
	return (struct digest128){ .lo = le64_get(p), .hi = le64_get(p + 8) };
}

void evlog_digest_encode(const struct evlog_digest *d, uint8_t out[192], uint32_t *len)
{
	uint8_t *p = out;
	put_digest(&p, d->state);
	put_digest(&p, d->output);
	le64_put(p, d->vns);
	le64_put(p + 8, d->rip);
	le64_put(p + 16, d->rflags);
	le64_put(p + 24, d->cr3);
	p += 32;
	for (unsigned i = 0; i < 16; i++, p += 8)
		le64_put(p, d->gpr[i]);
	*len = DIGEST_LEN;
}

int evlog_digest_decode(const uint8_t *data, uint32_t len, struct evlog_digest *out)
{
	if (len != DIGEST_LEN)
		return RV_EDAMAGED;
	out->state = get_digest(data);
	out->output = get_digest(data + 16);
	out->vns = le64_get(data + 32);
	out->rip = le64_get(data + 40);
	out->rflags = le64_get(data + 48);
	out->cr3 = le64_get(data + 56);
	for (unsigned i = 0; i < 16; i++)
		out->gpr[i] = le64_get(data + 64 + 8 * i);
	return RV_OK;
}

void evlog_end_encode(const struct evlog_end *e, uint8_t out[224], uint32_t *len)
{
	uint32_t n;
	le32_put(out, e->end);
	le32_put(out + 4, e->code);
	evlog_digest_encode(&e->final, out + 8, &n);
	*len = n + 8;
}

int evlog_end_decode(const uint8_t *data, uint32_t len, struct evlog_end *out)
{
	if (len != END_LEN)
		return RV_EDAMAGED;
	out->end = le32_get(data);
	out->code = le32_get(data + 4);
	return evlog_digest_decode(data + 8, len - 8, &out->final);
}

void output_digest_add(struct output_digest *d, icount_t icount, enum out_kind kind,
		       unsigned instance, const void *data, size_t len)
{
	uint8_t link[64];
	struct digest128 payload = digest_bytes(data, len, 0);
	le64_put(link, d->sum.lo);
	le64_put(link + 8, d->sum.hi);
	le64_put(link + 16, icount);
	le32_put(link + 24, (uint32_t)kind);
	le32_put(link + 28, instance);
	le64_put(link + 32, len);
	le64_put(link + 40, payload.lo);
	le64_put(link + 48, payload.hi);
	le64_put(link + 56, d->bytes);
	d->sum = digest_bytes(link, sizeof(link), 0);
	d->bytes += len;
}
