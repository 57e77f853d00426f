/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cpu/state.h"
#include "mem/mem.h"
#include "trace.pb-c.h"
#include "trace_priv.h"

void trace_manifest_fini(struct trace_manifest *m)
{
	free(m->cmdline);
	m->cmdline = NULL;
	for (unsigned i = 0; i < m->ndisks; i++)
		free(m->disk[i].path);
	m->ndisks = 0;
}

/* Names are shown to people: printable ASCII only. */
static bool text_ok(const char *s, size_t max)
{
	size_t n = 0;
	for (; s[n]; n++)
		if (n + 1 >= max || s[n] < ' ' || s[n] > '~')
			return false;
	return true;
}

static bool disks_sane(const struct trace_manifest *m)
{
	for (unsigned i = 0; i < m->ndisks; i++)
		if (m->disk[i].sectors < 1 || m->disk[i].sectors > TRACE_DISK_SECTORS_MAX ||
		    m->disk[i].path[0] != '/' || strlen(m->disk[i].path) >= TRACE_PATH_MAX)
			return false;
	return true;
}

static bool manifest_sane(const struct trace_manifest *m)
{
	return disks_sane(m) && m->memory % RV_PAGE_SIZE == 0 && m->memory >= MEM_SIZE_MIN &&
	       m->memory <= MEM_SIZE_MAX && m->ncpus >= 1 && m->ncpus <= CPU_MAX &&
	       m->kernel_len >= 1 && m->kernel_len <= TRACE_GUEST_FILE_MAX &&
	       m->initrd_len <= TRACE_GUEST_FILE_MAX &&
	       text_ok(m->cpu_model, sizeof(m->cpu_model)) &&
	       text_ok(m->result_profile, sizeof(m->result_profile)) &&
	       text_ok(m->engine, sizeof(m->engine)) &&
	       text_ok(m->host_cpu, sizeof(m->host_cpu)) &&
	       text_ok(m->version, sizeof(m->version));
}

/* The repeated messages point into `rows`, which the caller keeps until the message is packed. */
struct manifest_rows {
	Rv__Disk disk[DISKS_MAX], *disks[DISKS_MAX];
	Rv__Net net[NETS_MAX], *nets[NETS_MAX];
};

static void manifest_pack_devices(const struct trace_manifest *m, struct manifest_rows *rows,
				  Rv__Manifest *msg)
{
	for (unsigned i = 0; i < m->ndisks; i++) {
		Rv__Disk *d = rows->disks[i] = &rows->disk[i];
		rv__disk__init(d);
		d->path.data = (uint8_t *)m->disk[i].path;
		d->path.len = strlen(m->disk[i].path);
		d->sectors = m->disk[i].sectors;
		d->readonly = m->disk[i].readonly;
		d->commit = m->disk[i].commit;
	}
	for (unsigned i = 0; i < m->nnets; i++) {
		Rv__Net *n = rows->nets[i] = &rows->net[i];
		rv__net__init(n);
		n->mac.data = (uint8_t *)(uintptr_t)m->net[i].mac;
		n->mac.len = sizeof(m->net[i].mac);
		n->mtu = m->net[i].mtu;
	}
	msg->n_disk = m->ndisks;
	msg->disk = rows->disks;
	msg->n_net = m->nnets;
	msg->net = rows->nets;
	msg->console = m->console;
}

static uint32_t manifest_crc(const uint8_t *header, const uint8_t *body, size_t len)
{
	return crc32c(crc32c(0, header, MANIFEST_OFF_CRC), body, len);
}

int manifest_encode(const struct trace_manifest *m, struct bytes *out)
{
	Rv__Manifest msg = RV__MANIFEST__INIT;
	struct manifest_rows rows;
	uint8_t header[MANIFEST_HEADER_SIZE];
	size_t cmdline_len = m->cmdline ? strlen(m->cmdline) : 0, len;
	uint8_t *body;

	if (!manifest_sane(m) || cmdline_len > TRACE_CMDLINE_MAX)
		return RV_EINVAL;
	/* protobuf-c takes no const; it only reads. */
	msg.id.data = (uint8_t *)(uintptr_t)m->id;
	msg.id.len = sizeof(m->id);
	msg.cpu_model = (char *)(uintptr_t)m->cpu_model;
	msg.semantics_version = m->semantics_version;
	msg.result_profile = (char *)(uintptr_t)m->result_profile;
	msg.engine = (char *)(uintptr_t)m->engine;
	msg.host_cpu = (char *)(uintptr_t)m->host_cpu;
	msg.version = (char *)(uintptr_t)m->version;
	msg.memory = m->memory;
	msg.ncpus = m->ncpus;
	msg.clock_rate = m->clock_rate;
	msg.clock_virtual = m->clock_virtual;
	msg.date = m->date;
	msg.seed = m->seed;
	msg.reboot = m->reboot;
	msg.digest_every = m->digest_every;
	msg.cmdline.data = (uint8_t *)m->cmdline;
	msg.cmdline.len = cmdline_len;
	msg.kernel_digest_lo = m->kernel_digest.lo;
	msg.kernel_digest_hi = m->kernel_digest.hi;
	msg.initrd_digest_lo = m->initrd_digest.lo;
	msg.initrd_digest_hi = m->initrd_digest.hi;
	msg.kernel_len = m->kernel_len;
	msg.initrd_len = m->initrd_len;
	msg.chaos = m->chaos;
	msg.keep = m->keep;
	manifest_pack_devices(m, &rows, &msg);

	len = rv__manifest__get_packed_size(&msg);
	body = malloc(len);
	if (!body)
		return RV_ENOMEM;
	rv__manifest__pack(&msg, body);
	memcpy(header + MANIFEST_OFF_MAGIC, MANIFEST_MAGIC, 4);
	le32_put(header + MANIFEST_OFF_VERSION, TRACE_FORMAT_VERSION);
	le32_put(header + MANIFEST_OFF_LEN, (uint32_t)len);
	le32_put(header + MANIFEST_OFF_CRC, manifest_crc(header, body, len));
	bytes_put(out, header, sizeof(header));
	bytes_put(out, body, len);
	free(body);
	return out->failed ? RV_ENOMEM : RV_OK;
}

static bool copy_text(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);
	if (len >= size)
		return false;
	memcpy(dst, src, len + 1);
	return true;
}

static int manifest_unpack_devices(const Rv__Manifest *msg, struct trace_manifest *m)
{
	if (msg->n_disk > DISKS_MAX || msg->n_net > NETS_MAX)
		return RV_EDAMAGED;
	for (size_t i = 0; i < msg->n_disk; i++) {
		const Rv__Disk *d = msg->disk[i];
		struct trace_disk *out = &m->disk[i];
		if (d->base.n_unknown_fields || memchr(d->path.data, 0, d->path.len))
			return RV_EDAMAGED;
		out->path = strndup((const char *)d->path.data, d->path.len);
		if (!out->path)
			return RV_ENOMEM;
		out->sectors = d->sectors;
		out->readonly = d->readonly;
		out->commit = d->commit;
		m->ndisks++;
	}
	for (size_t i = 0; i < msg->n_net; i++) {
		const Rv__Net *n = msg->net[i];
		if (n->base.n_unknown_fields || n->mac.len != sizeof(m->net[i].mac) ||
		    n->mtu < TRACE_MTU_MIN || n->mtu > UINT16_MAX)
			return RV_EDAMAGED;
		memcpy(m->net[i].mac, n->mac.data, sizeof(m->net[i].mac));
		m->net[i].mtu = (uint16_t)n->mtu;
		m->nnets++;
	}
	m->console = msg->console;
	return RV_OK;
}

static int manifest_unpack(const Rv__Manifest *msg, struct trace_manifest *m)
{
	int rc;
	if (msg->base.n_unknown_fields || msg->id.len != sizeof(m->id) ||
	    msg->cmdline.len > TRACE_CMDLINE_MAX ||
	    (msg->cmdline.len && memchr(msg->cmdline.data, 0, msg->cmdline.len)))
		return RV_EDAMAGED;
	memcpy(m->id, msg->id.data, sizeof(m->id));
	if (!copy_text(m->cpu_model, sizeof(m->cpu_model), msg->cpu_model) ||
	    !copy_text(m->result_profile, sizeof(m->result_profile), msg->result_profile) ||
	    !copy_text(m->engine, sizeof(m->engine), msg->engine) ||
	    !copy_text(m->host_cpu, sizeof(m->host_cpu), msg->host_cpu) ||
	    !copy_text(m->version, sizeof(m->version), msg->version))
		return RV_EDAMAGED;
	m->semantics_version = msg->semantics_version;
	m->memory = msg->memory;
	m->ncpus = msg->ncpus;
	m->clock_rate = msg->clock_rate;
	m->clock_virtual = msg->clock_virtual;
	m->date = msg->date;
	m->seed = msg->seed;
	m->reboot = msg->reboot;
	m->digest_every = msg->digest_every;
	m->kernel_digest = (struct digest128){ msg->kernel_digest_lo, msg->kernel_digest_hi };
	m->initrd_digest = (struct digest128){ msg->initrd_digest_lo, msg->initrd_digest_hi };
	m->kernel_len = msg->kernel_len;
	m->initrd_len = msg->initrd_len;
	m->chaos = msg->chaos;
	m->keep = msg->keep;
	rc = manifest_unpack_devices(msg, m);
	if (rc != RV_OK)
		return rc;
	if (!manifest_sane(m))
		return RV_EDAMAGED;
	m->cmdline = calloc(1, msg->cmdline.len + 1);
	if (!m->cmdline)
		return RV_ENOMEM;
	if (msg->cmdline.len)
		memcpy(m->cmdline, msg->cmdline.data, msg->cmdline.len);
	return RV_OK;
}

int manifest_decode(const uint8_t *data, size_t len, const char *name, struct trace_manifest *out,
		    struct rv_err *err)
{
	Rv__Manifest *msg;
	uint32_t version;
	int rc;

	memset(out, 0, sizeof(*out));
	/* The CRC comes before the version: a flipped bit is damage, not a later version. */
	if (len < MANIFEST_HEADER_SIZE || len > MANIFEST_HEADER_SIZE + MANIFEST_MAX ||
	    memcmp(data + MANIFEST_OFF_MAGIC, MANIFEST_MAGIC, 4) != 0 ||
	    le32_get(data + MANIFEST_OFF_LEN) != len - MANIFEST_HEADER_SIZE ||
	    le32_get(data + MANIFEST_OFF_CRC) != manifest_crc(data, data + MANIFEST_HEADER_SIZE,
							      len - MANIFEST_HEADER_SIZE))
		return rv_err_set(err, RV_EDAMAGED, "%s: the trace's manifest is damaged", name);
	version = le32_get(data + MANIFEST_OFF_VERSION);
	if (version > TRACE_FORMAT_VERSION)
		return rv_err_set(err, RV_EVERSION,
				  "%s: made by a later version (trace format %u, this program reads %u)",
				  name, version, TRACE_FORMAT_VERSION);
	if (version < TRACE_FORMAT_VERSION)
		return rv_err_set(err, RV_EVERSION,
				  "%s: made by an earlier version (trace format %u, this program reads %u)",
				  name, version, TRACE_FORMAT_VERSION);
	msg = rv__manifest__unpack(NULL, len - MANIFEST_HEADER_SIZE, data + MANIFEST_HEADER_SIZE);
	if (!msg)
		return rv_err_set(err, RV_EDAMAGED, "%s: the manifest's message is damaged", name);
	rc = manifest_unpack(msg, out);
	rv__manifest__free_unpacked(msg, NULL);
	if (rc != RV_OK) {
		trace_manifest_fini(out);
		return rv_err_set(err, rc, "%s: the manifest holds impossible values", name);
	}
	return RV_OK;
}
