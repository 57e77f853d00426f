/* SPDX-License-Identifier: Apache-2.0 */
#include "pair_opts.h"

#include <string.h>

#include "base/types.h"
#include "machine_opts.h"
#include "parse.h"

enum { OPT_BACKUP, OPT_LISTEN, OPT_PSK, OPT_CERT, OPT_KEY, OPT_CA, OPT_ARBITER, OPT_PAIR, OPT_TIMEOUT, OPT_MAX_LAG,
	OPT_METRICS, OPT_FENCE };

#define TIMEOUT_MIN 50u
#define TIMEOUT_MAX 60000u

const struct opt_spec pair_opt_specs[PAIR_OPTS] = {
	{ "backup", 0, "HOST:PORT", OPT_BACKUP, "where the other half listens" },
	{ "psk", 0, "FILE", OPT_PSK, "the key both halves share: IDENTITY:HEX, mode 0600" },
	{ "cert", 0, "FILE", OPT_CERT, "instead of --psk: our certificate (PEM)" },
	{ "key", 0, "FILE", OPT_KEY, "its private key" },
	{ "ca", 0, "FILE", OPT_CA, "who signs the other half's certificate" },
	{ "arbiter", 0, "SPEC", OPT_ARBITER, "who decides when the halves lose each other: file:PATH or etcd:URL" },
	{ "pair", 0, "NAME", OPT_PAIR, "of the pair, the same on both halves (default: retrovisor)" },
	{ "timeout", 0, "MS", OPT_TIMEOUT, "silence after which the other half counts as lost (500)" },
	{ "max-lag", 0, "MS", OPT_MAX_LAG, "how far a backup may be behind before the guest is held up (100)" },
	{ "fence", 0, "CMD", OPT_FENCE, "with shared disks: cuts the other half off them; must end with 0" },
	{ "metrics", 0, "ADDR", OPT_METRICS, "serve OpenMetrics at unix:PATH or a port of loopback" },
	{ "listen", 0, "HOST:PORT", OPT_LISTEN, "where a primary may call" },
};

void pair_opts_init(struct pair_opts *o)
{
	*o = (struct pair_opts){ .pair = "retrovisor", .timeout_ms = 500, .max_lag_ms = 100 };
}

static int set_ms(unsigned *out, const char *name, const char *value, struct rv_err *err)
{
	uint64_t ms;

	if (!parse_u64(value, &ms) || ms < TIMEOUT_MIN || ms > TIMEOUT_MAX)
		return rv_err_set(err, RV_EUSAGE, "--%s=%.80s: must be from %u to %u milliseconds", name, value,
				  TIMEOUT_MIN, TIMEOUT_MAX);
	*out = (unsigned)ms;
	return 0;
}

int pair_opts_set(void *pair_opts, int id, const char *value, struct rv_err *err)
{
	struct pair_opts *o = pair_opts;
	const char **const text[] = { [OPT_BACKUP] = &o->backup, [OPT_LISTEN] = &o->listen, [OPT_PSK] = &o->auth.psk,
				      [OPT_CERT] = &o->auth.cert, [OPT_KEY] = &o->auth.key, [OPT_CA] = &o->auth.ca,
				      [OPT_ARBITER] = &o->arbiter, [OPT_PAIR] = &o->pair,
				      [OPT_METRICS] = &o->metrics, [OPT_FENCE] = &o->fence };

	if (id == OPT_TIMEOUT)
		return set_ms(&o->timeout_ms, "timeout", value, err);
	if (id == OPT_MAX_LAG)
		return set_ms(&o->max_lag_ms, "max-lag", value, err);
	*text[id] = value;
	return 0;
}

int pair_opts_check(const struct pair_opts *o, const struct machine_opts *m, bool primary, struct rv_err *err)
{
	const char *command = primary ? "primary" : "backup";

	if (primary && !o->backup)
		return rv_err_set(err, RV_EUSAGE, "primary: --backup=HOST:PORT is missing: where the backup listens");
	if (!primary && !o->listen)
		return rv_err_set(err, RV_EUSAGE, "backup: --listen=HOST:PORT is missing: where the primary may call");
	if (!o->arbiter)
		return rv_err_set(err, RV_EUSAGE, "%s: --arbiter is missing: without one, halves that lose each other "
				  "could both be live; use file:PATH on storage that both see, or etcd:URL", command);
	if (!(m->engine->caps & ENGINE_CAP_EXACT) || m->gdb || m->clock == LIVE_CLOCK_VIRTUAL)
		return rv_err_set(err, RV_EUSAGE, "%s: needs --engine=exact and --clock=host, and no --gdb", command);
	for (unsigned i = 0; i < m->devices.nnets; i++)
		if (strncmp(m->devices.net[i].spec, "tap:", 4) != 0)
			return rv_err_set(err, RV_EUSAGE, "%s: --net=%.60s: its connections would die with this host; "
					  "use tap:NAME", command, m->devices.net[i].spec);
	for (unsigned i = 0; i < m->devices.ndisks; i++)
		if (m->devices.disk[i].shared && !o->fence)
			return rv_err_set(err, RV_EUSAGE, "%s: --disk=%.200s: shared needs --fence=CMD: without one a half that "
					  "is only hung could write after the other took over", command, m->devices.disk[i].path);
	return 0;
}
