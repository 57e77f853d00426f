/* SPDX-License-Identifier: Apache-2.0 */
#include "pairing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cpu/model.h"

#define CONNECT_MS 1000
#define HANDSHAKE_MS 2000  /* a caller that says nothing holds up the next no longer */
#define ANSWER_MS 20000    /* the other may first have to read its disks */
#define FILE_MAX (4ull << 30)

enum { FILE_KERNEL, FILE_INITRD };

static void hello_fill(struct ft_hello *h, const char *pair, uint64_t term)
{
	*h = (struct ft_hello){ .version = FT_VERSION, .term = term, .semantics = CPU_SEMANTICS_VERSION };
	strncpy(h->pair, pair, sizeof(h->pair) - 1);
	strncpy(h->program, RV_VERSION, sizeof(h->program) - 1);
	strncpy(h->cpu_model, CPU_MODEL_NAME, sizeof(h->cpu_model) - 1);
}

/* Says why, and gives the call up. */
static int refuse(struct channel *c, struct rv_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct channel *c, struct rv_err *err, const char *fmt, ...)
{
	char text[FT_TEXT_MAX + 1];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (channel_put(c, FT_MSG_REFUSE, text, strlen(text), NULL, 0) == RV_OK)
		(void)channel_flush_wait(c, HANDSHAKE_MS);
	return rv_err_set(err, RV_EINVAL, "%.80s: refused: %s", channel_peer(c), text);
}

/* The next frame, which must be of this type. */
static int expect(struct channel *c, enum ft_msg type, int ms, struct channel_frame *f, struct rv_err *err)
{
	char text[FT_TEXT_MAX + 1];
	int rc = channel_get_wait(c, f, ms);
	if (rc == 1 && f->type == type)
		return RV_OK;
	if (rc == 1 && f->type == FT_MSG_REFUSE) {
		ft_text(text, f->data, f->len);
		return rv_err_set(err, RV_EPERM, "%.80s refuses: %s", channel_peer(c), text);
	}
	if (rc == 1)
		return rv_err_set(err, RV_EDAMAGED, "%.80s: message %u where %u should be", channel_peer(c), f->type, type);
	return rv_err_set(err, RV_EIO, "%.80s: %s", channel_peer(c),
			  rc == RV_EDAMAGED ? "sends what is no message" : "closed the connection, or says nothing");
}

/* ---- primary ---- */

/* Makes a region of the other's image like ours. Whatever our guest writes to it meanwhile is in the block log, which
 * follows. */
static int seed(struct channel *c, const struct ft_node_cfg *cfg, unsigned disk, uint64_t at, uint32_t len)
{
	uint8_t header[9] = { (uint8_t)disk };
	uint8_t *data = malloc(len);
	int rc = data ? cfg->disks.base(cfg->ctx, disk, at, len, data) : RV_ENOMEM;
	le64_put(header + 1, at);
	if (rc == RV_OK)
		rc = channel_put(c, FT_MSG_SEED, header, sizeof(header), data, len);
	if (rc == RV_OK)
		rc = channel_flush_wait(c, ANSWER_MS);
	free(data);
	return rc;
}

/* Region by region. What differs is sent to an image that is to be like ours, else the pair is refused. */
static int compare_regions(struct channel *c, const struct ft_node_cfg *cfg, const struct ft_disk_offer *d, unsigned disk,
			   const struct bytes *own, struct rv_err *err)
{
	const uint64_t size = d->sectors * 512;
	unsigned seeded = 0;
	int rc = RV_OK;
	for (size_t i = 0; rc == RV_OK && i < own->len / 8; i++) {
		const uint64_t at = (uint64_t)i * FT_REGION;
		if (i < d->nregions && !memcmp(own->data + 8 * i, d->digests + 8 * i, 8))
			continue;
		if (!d->commit)
			return refuse(c, err, "the images of disk %u differ, first in the MiB at %llu: copy the image", disk,
				      (unsigned long long)at);
		rc = seed(c, cfg, disk, at, size - at < FT_REGION ? (uint32_t)(size - at) : FT_REGION);
		seeded++;
	}
	if (rc != RV_OK)
		return rv_err_set(err, rc, "%.80s: sending disk %u: %s", channel_peer(c), disk, rv_status_text(rc));
	if (seeded)
		rv_log(RV_LOG_INFO, "ft: %u MiB of disk %u differed at %s and were sent", seeded, disk, channel_peer(c));
	return RV_OK;
}

static int compare_disk(struct channel *c, const struct ft_node_cfg *cfg, const struct ft_welcome *w, unsigned disk,
			struct rv_err *err)
{
	const struct ft_disk_offer *d = &w->disk[disk];
	const struct trace_disk *m = &cfg->manifest->disk[disk];
	struct bytes own = { 0 };
	int rc;
	if (d->sectors != m->sectors)
		return refuse(c, err, "disk %u has %llu sectors there, %llu here", disk, (unsigned long long)d->sectors,
			      (unsigned long long)m->sectors);
	if (d->shared != cfg->disks.shared[disk])
		return refuse(c, err, "disk %u is%s shared there, it is%s here", disk, d->shared ? "" : " not",
			      cfg->disks.shared[disk] ? "" : " not");
	if (d->shared)
		return RV_OK; /* it is the same one */
	if (d->commit != m->commit)
		return refuse(c, err, "disk %u has commit=%s there, commit=%s here", disk, d->commit ? "on" : "off",
			      m->commit ? "on" : "off");
	rc = cfg->disks.digests(cfg->ctx, disk, &own);
	if (rc != RV_OK || own.failed)
		rc = refuse(c, err, "disk %u cannot be read here: %s", disk, rv_status_text(rc));
	else
		rc = compare_regions(c, cfg, d, disk, &own, err);
	bytes_fini(&own);
	return rc;
}

static int compare(struct channel *c, const struct ft_node_cfg *cfg, const struct ft_welcome *w, struct rv_err *err)
{
	const struct trace_manifest *m = cfg->manifest;
	int rc = RV_OK;
	if (w->version != FT_VERSION)
		return refuse(c, err, "protocol version %u there, %u here", w->version, FT_VERSION);
	if (w->ndisks != m->ndisks || w->nnets != m->nnets || w->console != m->console)
		return refuse(c, err, "%u disks, %u networks, %u virtio consoles there; the machine has %u, %u and %u",
			      w->ndisks, w->nnets, w->console, m->ndisks, m->nnets, m->console);
	for (unsigned i = 0; rc == RV_OK && i < w->ndisks; i++)
		rc = compare_disk(c, cfg, w, i, err);
	return rc;
}

static int send_file(struct channel *c, uint8_t which, const uint8_t *data, uint64_t len)
{
	int rc = RV_OK;
	for (uint64_t at = 0; rc == RV_OK && at < len; at += FT_PART) {
		uint64_t n = len - at < FT_PART ? len - at : FT_PART;
		rc = channel_put(c, FT_MSG_FILE, &which, 1, data + at, n);
		if (rc == RV_OK)
			rc = channel_flush_wait(c, ANSWER_MS);
	}
	return rc;
}

static int send_machine(struct channel *c, const struct ft_node_cfg *cfg, const uint8_t session[16],
			struct rv_err *err)
{
	struct bytes manifest = { 0 };
	int rc = manifest_encode(cfg->manifest, &manifest);
	if (rc == RV_OK)
		rc = channel_put(c, FT_MSG_MACHINE, session, 16, manifest.data, manifest.len);
	bytes_fini(&manifest);
	if (rc == RV_OK)
		rc = send_file(c, FILE_KERNEL, cfg->kernel, cfg->manifest->kernel_len);
	if (rc == RV_OK)
		rc = send_file(c, FILE_INITRD, cfg->initrd, cfg->manifest->initrd_len);
	return rc == RV_OK ? RV_OK : rv_err_set(err, rc, "%.80s: %s", channel_peer(c), rv_status_text(rc));
}

int ft_call(struct channel **out, const struct ft_node_cfg *cfg, uint64_t term, const uint8_t session[16],
	    struct rv_err *err)
{
	struct channel *c = NULL;
	struct channel_frame f;
	struct bytes b = { 0 };
	struct ft_hello h;
	struct ft_welcome w;
	int rc = channel_connect(&c, cfg->auth, cfg->peer, CONNECT_MS, err);
	if (rc != RV_OK)
		return rc;
	hello_fill(&h, cfg->pair, term);
	ft_hello_encode(&h, &b);
	rc = b.failed ? RV_ENOMEM : channel_put(c, FT_MSG_HELLO, b.data, b.len, NULL, 0);
	bytes_fini(&b);
	if (rc == RV_OK)
		rc = channel_flush_wait(c, HANDSHAKE_MS);
	if (rc != RV_OK)
		rv_err_set(err, rc, "%.80s: %s", channel_peer(c), rv_status_text(rc));
	else
		rc = expect(c, FT_MSG_WELCOME, ANSWER_MS, &f, err);
	if (rc == RV_OK && !ft_welcome_decode(&w, f.data, f.len))
		rc = rv_err_set(err, RV_EDAMAGED, "%.80s: its welcome makes no sense", channel_peer(c));
	if (rc == RV_OK)
		rc = compare(c, cfg, &w, err);
	if (rc == RV_OK)
		rc = send_machine(c, cfg, session, err);
	if (rc != RV_OK) {
		channel_destroy(c);
		return rc;
	}
	*out = c;
	return RV_OK;
}

/* ---- backup ---- */

static int check_hello(struct channel *c, const struct ft_hello *h, const char *pair, struct rv_err *err)
{
	struct ft_hello own;
	if (h->version != FT_VERSION)
		return refuse(c, err, "protocol version %u there, %u here", h->version, FT_VERSION);
	hello_fill(&own, pair, 0);
	if (strcmp(h->pair, own.pair) != 0)
		return refuse(c, err, "this is half of pair '%s'", own.pair);
	if (strcmp(h->cpu_model, own.cpu_model) != 0 || h->semantics != own.semantics)
		return refuse(c, err, "CPU model %s, semantics %u here; both halves need the same program", own.cpu_model,
			      own.semantics);
	return RV_OK;
}

static int send_welcome(struct channel *c, const struct ft_offer *o, struct rv_err *err)
{
	struct ft_welcome w = { .version = FT_VERSION, .console = o->console, .ndisks = o->ndisks, .nnets = o->nnets };
	struct bytes b = { 0 };
	int rc;
	for (unsigned i = 0; i < o->ndisks; i++)
		w.disk[i] = (struct ft_disk_offer){ o->sectors[i], o->commit[i], o->shared[i], (uint32_t)(o->digests[i].len / 8),
						    o->digests[i].data };
	ft_welcome_encode(&w, &b);
	rc = b.failed ? RV_ENOMEM : channel_put(c, FT_MSG_WELCOME, b.data, b.len, NULL, 0);
	bytes_fini(&b);
	if (rc == RV_OK)
		rc = channel_flush_wait(c, ANSWER_MS);
	return rc == RV_OK ? RV_OK : rv_err_set(err, rc, "%.80s: %s", channel_peer(c), rv_status_text(rc));
}

static int receive_file(struct ft_pairing *p, uint8_t which, uint8_t **out, uint64_t len, struct rv_err *err)
{
	struct channel_frame f;
	uint64_t at = 0;
	if (len > FILE_MAX)
		return rv_err_set(err, RV_EDAMAGED, "%.80s: a guest file of %llu bytes", channel_peer(p->channel),
				  (unsigned long long)len);
	*out = malloc(len ? len : 1);
	if (!*out)
		return rv_err_set(err, RV_ENOMEM, "out of memory for the guest's files");
	while (at < len) {
		int rc = expect(p->channel, FT_MSG_FILE, ANSWER_MS, &f, err);
		if (rc != RV_OK)
			return rc;
		if (f.len < 2 || f.data[0] != which || f.len - 1 > len - at)
			return rv_err_set(err, RV_EDAMAGED, "%.80s: not the file that was announced",
					  channel_peer(p->channel));
		memcpy(*out + at, f.data + 1, f.len - 1);
		at += f.len - 1;
	}
	return RV_OK;
}

/* Regions of our images that differ from the primary's, up to the message behind them. */
static int receive_seeds(struct ft_pairing *p, const struct ft_offer *o, struct channel_frame *f, struct rv_err *err)
{
	for (;;) {
		int rc = channel_get_wait(p->channel, f, ANSWER_MS);
		if (rc == 1 && f->type != FT_MSG_SEED)
			return RV_OK;
		if (rc == 1) {
			const unsigned disk = f->len > 9 ? f->data[0] : DISKS_MAX;
			const uint64_t at = f->len > 9 ? le64_get(f->data + 1) : 0;
			if (disk >= o->ndisks || !o->commit[disk] || o->shared[disk] || f->len - 9 > FT_REGION || at % FT_REGION)
				return rv_err_set(err, RV_EDAMAGED, "%.80s: not a region of a disk", channel_peer(p->channel));
			rc = o->seed(o->ctx, disk, at, (uint32_t)(f->len - 9), f->data + 9);
			if (rc != RV_OK)
				return rv_err_set(err, rc, "writing to disk %u: %s", disk, rv_status_text(rc));
			continue;
		}
		return rv_err_set(err, RV_EIO, "%.80s: closed the connection, or says nothing", channel_peer(p->channel));
	}
}

static int receive_machine(struct ft_pairing *p, const struct ft_offer *o, struct rv_err *err)
{
	struct trace_manifest *m = &p->manifest;
	struct channel_frame f;
	char text[FT_TEXT_MAX + 1];
	int rc = receive_seeds(p, o, &f, err);
	if (rc == RV_OK && f.type == FT_MSG_REFUSE) {
		ft_text(text, f.data, f.len);
		rc = rv_err_set(err, RV_EPERM, "%.80s refuses: %s", channel_peer(p->channel), text);
	} else if (rc == RV_OK && (f.type != FT_MSG_MACHINE || f.len < 16)) {
		rc = rv_err_set(err, RV_EDAMAGED, "%.80s: no manifest", channel_peer(p->channel));
	}
	if (rc != RV_OK)
		return rc;
	memcpy(p->session, f.data, 16);
	rc = manifest_decode(f.data + 16, f.len - 16, channel_peer(p->channel), m, err);
	if (rc == RV_OK)
		rc = receive_file(p, FILE_KERNEL, &p->kernel, m->kernel_len, err);
	if (rc == RV_OK && m->initrd_len)
		rc = receive_file(p, FILE_INITRD, &p->initrd, m->initrd_len, err);
	return rc;
}

int ft_accept(struct ft_pairing **out, struct channel_auth *auth, int listen_fd, const struct ft_offer *offer,
	      struct rv_err *err)
{
	struct ft_pairing *p = calloc(1, sizeof(*p));
	struct channel_frame f;
	struct ft_hello h;
	int rc;
	if (!p)
		return rv_err_set(err, RV_ENOMEM, "out of memory");
	rc = channel_accept(&p->channel, auth, listen_fd, HANDSHAKE_MS, err);
	if (rc == RV_OK)
		rc = expect(p->channel, FT_MSG_HELLO, HANDSHAKE_MS, &f, err);
	if (rc == RV_OK && !ft_hello_decode(&h, f.data, f.len))
		rc = rv_err_set(err, RV_EDAMAGED, "%.80s: its hello makes no sense", channel_peer(p->channel));
	if (rc == RV_OK)
		rc = check_hello(p->channel, &h, offer->pair, err);
	if (rc == RV_OK)
		rc = send_welcome(p->channel, offer, err);
	if (rc == RV_OK)
		rc = receive_machine(p, offer, err);
	if (rc != RV_OK) {
		ft_pairing_destroy(p);
		return rc;
	}
	p->term = h.term;
	*out = p;
	return RV_OK;
}

void ft_pairing_destroy(struct ft_pairing *p)
{
	if (!p)
		return;
	channel_destroy(p->channel);
	trace_manifest_fini(&p->manifest);
	free(p->kernel);
	free(p->initrd);
	free(p);
}

const struct trace_manifest *ft_pairing_manifest(const struct ft_pairing *p)
{
	return &p->manifest;
}

const void *ft_pairing_kernel(const struct ft_pairing *p)
{
	return p->kernel;
}

const void *ft_pairing_initrd(const struct ft_pairing *p)
{
	return p->initrd;
}
