/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/types.h"
#include "cli.h"
#include "machine/machine.h"
#include "parse.h"
#include "record/evlog.h"
#include "text.h"

enum { OPT_FROM };

static const struct opt_spec dump_options[] = {
	{ "from", 0, "ICOUNT", OPT_FROM, "leave out what was before" },
};

static int dump_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	(void)id; /* there is one option */
	if (!parse_u64(value, ctx))
		return rv_err_set(err, RV_EUSAGE, "--from=%.80s: not a number", value);
	return 0;
}

static void print_digest(const struct evlog_digest *d)
{
	char state[33], output[33];

	digest_hex(d->state, state);
	digest_hex(d->output, output);
	printf(" vns=%" PRIu64 " state=%s output=%s rip=%#" PRIx64, d->vns, state, output, d->rip);
}

/* A frame's first words; all of it is what `export --pcap` is for. */
static void print_frame(const uint8_t *f, uint32_t len)
{
	printf(" bytes=%" PRIu32, len);
	if (len < 14)
		return;
	printf(" dst=%02x:%02x:%02x:%02x:%02x:%02x src=%02x:%02x:%02x:%02x:%02x:%02x type=%02x%02x", f[0],
	       f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12], f[13]);
}

static void print_payload(const struct evlog_record *rec)
{
	struct evlog_digest digest;
	struct evlog_end end;

	switch (rec->kind) {
	case ND_TIME:
		if (rec->len != 16)
			break;
		printf(" vns=%" PRIu64 " rate=%#" PRIx64, le64_get(rec->data), le64_get(rec->data + 8));
		return;
	case EVLOG_DIGEST:
		if (evlog_digest_decode(rec->data, rec->len, &digest))
			break;
		print_digest(&digest);
		return;
	case EVLOG_END:
		if (evlog_end_decode(rec->data, rec->len, &end))
			break;
		printf(" reason=\"%s\" code=%" PRIu32,
		       end.end == 255 ? "host error" : machine_end_text((enum machine_end)end.end),
		       end.code);
		print_digest(&end.final);
		return;
	case ND_DISK:
		if (rec->len != 2)
			break;
		printf(" tag=%u %s", rec->data[0], rec->data[1] == ND_DISK_OK ? "ok" : "error");
		return;
	case ND_NET:
		print_frame(rec->data, rec->len);
		return;
	case EVLOG_BASE:
		if (rec->len < 16)
			break;
		printf(" block=%" PRIu64 " blocks=%" PRIu32, le64_get(rec->data), rec->len / 8 - 1);
		return;
	default:
		break;
	}
	if (rec->len) {
		fputs(" \"", stdout);
		text_print_escaped(stdout, rec->data, rec->len);
		fputc('"', stdout);
	}
}

static void print_record(const struct evlog_record *rec)
{
	const char *kind = rec->kind < EVLOG_DIGEST ? nd_kind_text((enum nd_kind)rec->kind) :
						      evlog_kind_text(rec->kind);

	printf("%" PRIu64 ":%" PRIu64 " ", rec->at.icount, rec->at.seq);
	if (kind[0] == '?')
		printf("kind%" PRIu32, rec->kind);
	else
		fputs(kind, stdout);
	if (rec->instance)
		printf(" instance=%" PRIu32, rec->instance);
	if (rec->in_halt)
		printf(" halted-until=%" PRIu64, rec->vns);
	print_payload(rec);
	putchar('\n');
}

static int dump_main(const struct cli_command *self, int argc, char **argv)
{
	icount_t from = 0;
	struct opt_group group = { dump_options, RV_ARRAY_LEN(dump_options), dump_set, &from };
	struct opts_positional path = { .what = "TRACE" };
	struct evlog_reader *reader = NULL;
	struct evlog_record rec;
	struct trace *trace = NULL;
	struct rv_err err = { 0 };
	int rc;

	rc = opts_parse(self->name, &group, 1, &path, 1, argc, argv, &err);
	if (rc == 1)
		return cli_help(self);
	if (rc)
		return cli_fail(&err);
	rc = trace_open(&trace, path.value, &err);
	if (!rc)
		rc = evlog_reader_open(&reader, trace, &err);
	while (!rc) {
		rc = evlog_reader_next(reader, &rec, &err);
		if (rc <= 0)
			break;
		rc = 0;
		if (rec.at.icount >= from)
			print_record(&rec);
		if (ferror(stdout))
			break; /* head has seen enough, or the disk is full: told below */
	}
	evlog_reader_close(reader);
	trace_close(trace);
	return rc ? cli_fail(&err) : cli_finish_stdout(0);
}

const struct cli_command cmd_dump = {
	.name = "dump",
	.usage = "TRACE [--from=ICOUNT]",
	.summary = "print the events of a recording, one a line",
	.text = "One event a line: ICOUNT:SEQ KIND [instance=N] [halted-until=VNS] PAYLOAD, with\n"
		"control bytes escaped. Digests and the end record are printed as well.",
	.options = dump_options,
	.noptions = RV_ARRAY_LEN(dump_options),
	.main = dump_main,
};
