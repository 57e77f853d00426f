/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to bytes and back (PROTOCOL.md). Whatever comes in is hostile. */
#include <lz4.h>
#include <string.h>

#include "ft_int.h"

/* Length and bytes; on the way in terminated, and refused if longer than size - 1 or with a NUL inside. */
static void put_text(struct bytes *out, const char *text)
{
	size_t len = strlen(text);
	bytes_put_u8(out, (uint8_t)len);
	bytes_put(out, text, len);
}

static bool get_text(struct bytes_in *in, char *out, size_t size)
{
	size_t len = bytes_get_u8(in);
	if (len >= size)
		return false;
	bytes_get(in, out, len);
	out[len] = '\0';
	return strlen(out) == len;
}

void ft_hello_encode(const struct ft_hello *h, struct bytes *out)
{
	bytes_put_u32(out, FT_MAGIC);
	bytes_put_u32(out, h->version);
	bytes_put_u64(out, h->term);
	bytes_put_u32(out, h->semantics);
	put_text(out, h->pair);
	put_text(out, h->program);
	put_text(out, h->cpu_model);
}

/* Magic and version stand first for ever, so that versions can refuse each other in words. */
bool ft_hello_decode(struct ft_hello *h, const uint8_t *data, size_t len)
{
	struct bytes_in in;
	memset(h, 0, sizeof(*h));
	bytes_in_init(&in, data, len);
	if (bytes_get_u32(&in) != FT_MAGIC)
		return false;
	h->version = bytes_get_u32(&in);
	if (in.failed || h->version != FT_VERSION)
		return !in.failed;
	h->term = bytes_get_u64(&in);
	h->semantics = bytes_get_u32(&in);
	return get_text(&in, h->pair, sizeof(h->pair)) && get_text(&in, h->program, sizeof(h->program)) &&
	       get_text(&in, h->cpu_model, sizeof(h->cpu_model)) && !in.failed && in.pos == in.len;
}

void ft_welcome_encode(const struct ft_welcome *w, struct bytes *out)
{
	bytes_put_u32(out, FT_MAGIC);
	bytes_put_u32(out, w->version);
	bytes_put_u8(out, w->console);
	bytes_put_u8(out, (uint8_t)w->ndisks);
	bytes_put_u8(out, (uint8_t)w->nnets);
	for (unsigned i = 0; i < w->ndisks; i++) {
		bytes_put_u64(out, w->disk[i].sectors);
		bytes_put_u8(out, (uint8_t)(w->disk[i].commit | w->disk[i].shared << 1));
		bytes_put_u32(out, w->disk[i].nregions);
		bytes_put(out, w->disk[i].digests, 8 * (size_t)w->disk[i].nregions);
	}
}

bool ft_welcome_decode(struct ft_welcome *w, const uint8_t *data, size_t len)
{
	struct bytes_in in;
	uint8_t mode;
	memset(w, 0, sizeof(*w));
	bytes_in_init(&in, data, len);
	if (bytes_get_u32(&in) != FT_MAGIC)
		return false;
	w->version = bytes_get_u32(&in);
	if (in.failed || w->version != FT_VERSION)
		return !in.failed;
	w->console = bytes_get_u8(&in) != 0;
	w->ndisks = bytes_get_u8(&in);
	w->nnets = bytes_get_u8(&in);
	if (w->ndisks > DISKS_MAX || w->nnets > NETS_MAX)
		return false;
	for (unsigned i = 0; i < w->ndisks && !in.failed; i++) {
		struct ft_disk_offer *d = &w->disk[i];
		d->sectors = bytes_get_u64(&in);
		mode = bytes_get_u8(&in);
		d->commit = mode & 1;
		d->shared = mode & 2;
		d->nregions = bytes_get_u32(&in);
		if (in.failed || d->nregions > FT_REGIONS_MAX || in.len - in.pos < 8 * (size_t)d->nregions)
			return false;
		d->digests = in.data + in.pos;
		in.pos += 8 * (size_t)d->nregions;
	}
	return !in.failed && in.pos == in.len;
}

bool ft_log_decode(struct ft_log *l, const uint8_t *data, size_t len)
{
	if (len < FT_LOG_HEADER)
		return false;
	*l = (struct ft_log){ .known = le64_get(data),
			      .stamp = le64_get(data + 8),
			      .chunk = data + FT_LOG_HEADER,
			      .chunk_len = len - FT_LOG_HEADER };
	return true;
}

void ft_ack_encode(const struct ft_ack *a, uint8_t out[FT_ACK_LEN])
{
	le64_put(out, a->known);
	le64_put(out + 8, a->stamp);
	le64_put(out + 16, a->replayed);
	le32_put(out + 24, a->lag_us);
}

bool ft_ack_decode(struct ft_ack *a, const uint8_t *data, size_t len)
{
	if (len != FT_ACK_LEN)
		return false;
	*a = (struct ft_ack){ le64_get(data), le64_get(data + 8), le64_get(data + 16), le32_get(data + 24) };
	return true;
}

void ft_at_encode(const struct ft_at *j, uint8_t out[FT_AT_LEN])
{
	le64_put(out, j->at.icount);
	le64_put(out + 8, j->at.seq);
	le64_put(out + 16, j->sent.sum.lo);
	le64_put(out + 24, j->sent.sum.hi);
	le64_put(out + 32, j->sent.bytes);
}

bool ft_at_decode(struct ft_at *j, const uint8_t *data, size_t len)
{
	if (len != FT_AT_LEN)
		return false;
	j->at = (struct exec_point){ le64_get(data), le64_get(data + 8) };
	j->sent.sum = (struct digest128){ .lo = le64_get(data + 16), .hi = le64_get(data + 24) };
	j->sent.bytes = le64_get(data + 32);
	return true;
}

int ft_pages_encode(const struct ft_pages *p, struct bytes *out)
{
	char lz4[LZ4_COMPRESSBOUND(FT_RAM_PAGES * RV_PAGE_SIZE)];
	int len = LZ4_compress_fast((const char *)p->contents, lz4, (int)(p->n * RV_PAGE_SIZE), (int)sizeof(lz4), 8);
	bytes_put_u16(out, (uint16_t)p->n);
	for (unsigned i = 0; i < p->n; i++)
		bytes_put_u64(out, p->page[i]);
	bytes_put(out, lz4, (size_t)len);
	return len > 0 && !out->failed ? RV_OK : RV_ENOMEM;
}

bool ft_pages_decode(struct ft_pages *p, uint64_t npages, const uint8_t *data, size_t len)
{
	struct bytes_in in;
	int raw;
	bytes_in_init(&in, data, len);
	p->n = bytes_get_u16(&in);
	if (!p->n || p->n > FT_RAM_PAGES)
		return false;
	for (unsigned i = 0; i < p->n; i++) {
		p->page[i] = bytes_get_u64(&in);
		if (p->page[i] >= npages)
			return false;
	}
	if (in.failed || len - in.pos > INT32_MAX)
		return false;
	raw = (int)(p->n * RV_PAGE_SIZE);
	return LZ4_decompress_safe((const char *)data + in.pos, (char *)p->contents, (int)(len - in.pos), raw) == raw;
}

void ft_text(char out[FT_TEXT_MAX + 1], const uint8_t *data, size_t len)
{
	size_t n = len < FT_TEXT_MAX ? len : FT_TEXT_MAX;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(data[i] < ' ' || data[i] > '~' ? '?' : data[i]);
	out[n] = '\0';
}
