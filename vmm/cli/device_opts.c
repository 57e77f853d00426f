/* SPDX-License-Identifier: Apache-2.0 */
#include "device_opts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "parse.h"

#define MTU_DEFAULT 1500u
#define MTU_MIN 576u /* what libslirp and an IPv4 host must take (RFC 791) */
#define MTU_MAX 65521u

/* The next part of a list with commas, copied; false at its end. */
static bool next_part(const char **at, char *out, size_t size, bool *fits)
{
	size_t n;

	if (!*at)
		return false;
	n = strcspn(*at, ",");
	*fits = n < size;
	memcpy(out, *at, *fits ? n : size - 1);
	out[*fits ? n : size - 1] = 0;
	*at = (*at)[n] ? *at + n + 1 : NULL;
	return true;
}

static int disk_part(struct disk_opt *d, const char *value, const char *part, struct rv_err *err)
{
	if (!strcmp(part, "ro"))
		d->readonly = true;
	else if (!strcmp(part, "commit=on"))
		d->commit = true;
	else if (!strcmp(part, "commit=off"))
		d->commit = false;
	else if (!strcmp(part, "shared"))
		d->commit = d->shared = true;
	else
		return rv_err_set(err, RV_EUSAGE,
				  "--disk=%.200s: '%.40s' is unknown; use ro, commit=on|off or shared", value,
				  part);
	return 0;
}

int device_opts_disk(struct device_opts *o, const char *value, struct rv_err *err)
{
	struct disk_opt *d = &o->disk[o->ndisks];
	const char *at = value;
	char part[64];
	bool fits;
	int rc = 0;

	if (o->ndisks == DISKS_MAX)
		return rv_err_set(err, RV_EUSAGE, "--disk: at most %u disks", DISKS_MAX);
	*d = (struct disk_opt){ .commit = false };
	if (!next_part(&at, d->path, sizeof(d->path), &fits) || !fits || !d->path[0])
		return rv_err_set(err, RV_EUSAGE, "--disk=%.200s: needs the name of an image file", value);
	while (!rc && next_part(&at, part, sizeof(part), &fits))
		rc = disk_part(d, value, part, err);
	if (!rc && d->readonly && d->commit)
		rc = rv_err_set(err, RV_EUSAGE, "--disk=%.200s: ro and commit=on exclude each other",
				value);
	if (!rc)
		o->ndisks++;
	return rc;
}

static int net_mac(struct net_opt *n, const char *value, const char *text, struct rv_err *err)
{
	unsigned b[6];
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &used) != 6 ||
	    text[used] || strlen(text) != 17)
		return rv_err_set(err, RV_EUSAGE, "--net=%.200s: mac= needs XX:XX:XX:XX:XX:XX", value);
	if (b[0] & 1)
		return rv_err_set(err, RV_EUSAGE, "--net=%.200s: mac=%.40s is a multicast address", value,
				  text);
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = (uint8_t)b[i];
	n->mac_given = true;
	return 0;
}

static int net_mtu(struct net_opt *n, const char *value, const char *text, struct rv_err *err)
{
	uint64_t mtu;

	if (!parse_u64(text, &mtu) || mtu < MTU_MIN || mtu > MTU_MAX)
		return rv_err_set(err, RV_EUSAGE, "--net=%.200s: mtu= must be from %u to %u", value,
				  MTU_MIN, MTU_MAX);
	n->mtu = (uint16_t)mtu;
	return 0;
}

int device_opts_net(struct device_opts *o, const char *value, struct rv_err *err)
{
	struct net_opt *n = &o->net[o->nnets];
	const char *at = value;
	char part[256];
	size_t len = 0;
	bool fits;
	int rc = 0;

	if (!strcmp(value, "none"))
		return 0;
	if (o->nnets == NETS_MAX)
		return rv_err_set(err, RV_EUSAGE, "--net: at most %u networks", NETS_MAX);
	*n = (struct net_opt){ .mtu = MTU_DEFAULT };
	while (!rc && next_part(&at, part, sizeof(part), &fits)) {
		if (!fits)
			rc = rv_err_set(err, RV_EUSAGE, "--net=%.200s: too long", value);
		else if (!strncmp(part, "mac=", 4))
			rc = net_mac(n, value, part + 4, err);
		else if (!strncmp(part, "mtu=", 4))
			rc = net_mtu(n, value, part + 4, err);
		else if (len + strlen(part) + 2 > sizeof(n->spec))
			rc = rv_err_set(err, RV_EUSAGE, "--net=%.200s: too long", value);
		else
			len += (size_t)snprintf(n->spec + len, sizeof(n->spec) - len, "%s%s",
						len ? "," : "", part);
	}
	if (!rc && !len)
		rc = rv_err_set(err, RV_EUSAGE, "--net=%.200s: use user, tap:NAME or none", value);
	if (!rc)
		o->nnets++;
	return rc;
}

int device_opts_finish(struct device_opts *o, uint64_t seed, struct rv_err *err)
{
	for (unsigned i = 0; i < o->ndisks; i++) {
		char *path = realpath(o->disk[i].path, NULL);

		if (!path)
			return rv_err_set(err, rv_status_from_errno(errno), "--disk=%.300s: %s",
					  o->disk[i].path, strerror(errno));
		snprintf(o->disk[i].path, sizeof(o->disk[i].path), "%s", path);
		free(path);
	}
	for (unsigned i = 0; i < o->nnets; i++) {
		uint8_t raw[16];
		uint64_t bits;

		if (o->net[i].mac_given)
			continue;
		/* Locally administered (IEEE 802, bit 1 of the first byte), and the same for the same seed. */
		le64_put(raw, seed);
		le64_put(raw + 8, i);
		bits = digest_bytes(raw, sizeof(raw), 0).lo;
		o->net[i].mac[0] = 0x52;
		o->net[i].mac[1] = 0x54;
		for (unsigned k = 2; k < 6; k++)
			o->net[i].mac[k] = (uint8_t)(bits >> 8 * k);
	}
	return 0;
}
