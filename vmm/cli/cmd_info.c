/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "cli.h"
#include "machine/machine.h"
#include "record/evlog.h"
#include "text.h"

enum { OPT_JSON };

static const struct opt_spec info_options[] = {
	{ "json", 0, NULL, OPT_JSON, "one JSON object" },
};

static int info_set(void *ctx, int id, const char *value, struct rv_err *err)
{
	(void)id; /* there is one option */
	(void)value;
	(void)err;
	*(bool *)ctx = true;
	return 0;
}

/* What the records say, gathered in one pass. */
struct summary {
	bool have_digest, have_end;
	icount_t digest_icount;
	struct evlog_digest digest; /* the last one */
	struct evlog_end end;
	struct exec_point last;
	vns_t vns; /* the last one that any record names */
};

static int summary_read(struct summary *sum, struct evlog_reader *reader, struct rv_err *err)
{
	struct evlog_record rec;
	int rc;

	*sum = (struct summary){ .last = evlog_reader_info(reader)->start.at };
	while ((rc = evlog_reader_next(reader, &rec, err)) > 0) {
		sum->last = rec.at;
		if (rec.in_halt)
			sum->vns = rec.vns;
		if (rec.kind == ND_TIME && rec.len == 16)
			sum->vns = le64_get(rec.data);
		if (rec.kind == EVLOG_DIGEST && !evlog_digest_decode(rec.data, rec.len, &sum->digest)) {
			sum->have_digest = true;
			sum->digest_icount = rec.at.icount;
			sum->vns = sum->digest.vns;
		}
		if (rec.kind == EVLOG_END && !evlog_end_decode(rec.data, rec.len, &sum->end)) {
			sum->have_end = true;
			sum->vns = sum->end.final.vns;
		}
	}
	return rc;
}

static const char *end_text(const struct summary *sum)
{
	if (!sum->have_end)
		return "cut off";
	return sum->end.end == 255 ? "host error" : machine_end_text((enum machine_end)sum->end.end);
}

/* Checkpoint files by name; whether they are sound is for verify to say. */
static unsigned count_checkpoints(const char *path)
{
	char name[4096];
	const struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	snprintf(name, sizeof(name), "%s/ckpt", path);
	dir = opendir(name);
	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		size_t len = strlen(e->d_name);
		n += len > 4 && !strcmp(e->d_name + len - 4, ".rvc");
	}
	closedir(dir);
	return n;
}

static void print_devices_json(const struct trace_manifest *m)
{
	printf(", \"disks\": [");
	for (unsigned i = 0; i < m->ndisks; i++) {
		printf("%s{\"path\": ", i ? ", " : "");
		text_print_json(stdout, m->disk[i].path);
		printf(", \"bytes\": %" PRIu64 ", \"readonly\": %s, \"commit\": %s}",
		       m->disk[i].sectors * 512, m->disk[i].readonly ? "true" : "false",
		       m->disk[i].commit ? "true" : "false");
	}
	printf("], \"nets\": [");
	for (unsigned i = 0; i < m->nnets; i++) {
		const uint8_t *a = m->net[i].mac;

		printf("%s{\"mac\": \"%02x:%02x:%02x:%02x:%02x:%02x\", \"mtu\": %u}", i ? ", " : "", a[0],
		       a[1], a[2], a[3], a[4], a[5], m->net[i].mtu);
	}
	printf("], \"console\": %s, \"chaos\": %" PRIu64, m->console ? "true" : "false", m->chaos);
}

static void print_json(const struct trace *t, const struct evlog_info *info, const struct summary *sum)
{
	const struct trace_manifest *m = trace_manifest(t);
	const char *comma = "";
	char hex[33];

	printf("{\"icount\": %" PRIu64 ", \"vns\": %" PRIu64 ", ", sum->last.icount, sum->vns);
	if (sum->have_end) {
		digest_hex(sum->end.final.state, hex);
		printf("\"final_digest\": \"%s\", ", hex);
	} else {
		printf("\"final_digest\": null, ");
	}
	if (sum->have_digest) {
		digest_hex(sum->digest.state, hex);
		printf("\"last_digest\": {\"icount\": %" PRIu64 ", \"digest\": \"%s\"}, ",
		       sum->digest_icount, hex);
	}
	if (sum->have_end) {
		digest_hex(sum->end.final.output, hex);
		printf("\"output_digest\": \"%s\", ", hex);
	}
	printf("\"from\": {\"icount\": %" PRIu64 ", \"checkpoint\": %s}, ", info->start.at.icount,
	       info->start.from_ckpt ? "true" : "false");
	printf("\"engine\": ");
	text_print_json(stdout, m->engine);
	printf(", \"cpu_model\": ");
	text_print_json(stdout, m->cpu_model);
	printf(", \"semantics_version\": %" PRIu32 ", \"result_profile\": ", m->semantics_version);
	text_print_json(stdout, m->result_profile);
	printf(", \"host_cpu\": ");
	text_print_json(stdout, m->host_cpu);
	printf(", \"version\": ");
	text_print_json(stdout, m->version);
	printf(", \"log_bytes\": %" PRIu64 ", \"checkpoints\": %u, \"events\": {", info->log_bytes,
	       count_checkpoints(trace_path(t)));
#define PRINT_EVENTS(name, number, text)                                                           \
	printf("%s\"" text "\": %" PRIu64, comma, info->count[number]);                             \
	comma = ", ";
	ND_KIND_LIST(PRINT_EVENTS)
#undef PRINT_EVENTS
	printf("}, \"marks\": %" PRIu64, info->count[EVLOG_MARK]);
	printf(", \"digests\": %" PRIu64 ", \"complete\": %s, \"end\": ", info->count[EVLOG_DIGEST],
	       info->complete ? "true" : "false");
	text_print_json(stdout, end_text(sum));
	if (sum->have_end && sum->end.end == MACHINE_END_DEBUG_EXIT)
		printf(", \"debug_exit_code\": %" PRIu32, sum->end.code);
	printf(", \"memory\": %" PRIu64 ", \"cpus\": %" PRIu32 ", \"clock\": \"%s\", \"date_ns\": %" PRId64
	       ", \"seed\": %" PRIu64 ", \"digest_every\": %" PRIu64 ", \"cmdline\": ",
	       m->memory, m->ncpus, m->clock_virtual ? "virtual" : "host", m->date, m->seed,
	       m->digest_every);
	text_print_json(stdout, m->cmdline);
	digest_hex(m->kernel_digest, hex);
	printf(", \"kernel\": {\"bytes\": %" PRIu64 ", \"digest\": \"%s\"}, \"initrd\": ", m->kernel_len,
	       hex);
	digest_hex(m->initrd_digest, hex);
	if (m->initrd_len)
		printf("{\"bytes\": %" PRIu64 ", \"digest\": \"%s\"}", m->initrd_len, hex);
	else
		printf("null");
	print_devices_json(m);
	printf("}\n");
}

static void print_text_field(const char *name, const char *value)
{
	printf("%-14s ", name);
	text_print_escaped(stdout, value, strlen(value));
	putchar('\n');
}

static void print_devices(const struct trace_manifest *m)
{
	for (unsigned i = 0; i < m->ndisks; i++) {
		printf("%-14s ", "disk");
		text_print_escaped(stdout, m->disk[i].path, strlen(m->disk[i].path));
		fputs(", ", stdout);
		text_print_size(stdout, m->disk[i].sectors * 512);
		printf("%s%s\n", m->disk[i].readonly ? ", read-only" : "",
		       m->disk[i].commit ? ", commit=on" : "");
	}
	for (unsigned i = 0; i < m->nnets; i++) {
		const uint8_t *a = m->net[i].mac;

		printf("%-14s %02x:%02x:%02x:%02x:%02x:%02x, mtu %u\n", "network", a[0], a[1], a[2], a[3],
		       a[4], a[5], m->net[i].mtu);
	}
	if (m->chaos)
		printf("%-14s seed %" PRIu64 "\n", "chaos", m->chaos);
}

static void print_human(const struct trace *t, const struct evlog_info *info, const struct summary *sum)
{
	const struct trace_manifest *m = trace_manifest(t);
	char hex[33];

	print_text_field("trace", trace_path(t));
	printf("%-14s %s%s\n", "complete", info->complete ? "yes" : "no",
	       info->complete ? "" : " (cut off; it replays up to the last record)");
	printf("%-14s %s\n", "end", end_text(sum));
	if (sum->have_end && sum->end.end == MACHINE_END_DEBUG_EXIT)
		printf("%-14s %" PRIu32 "\n", "exit code", sum->end.code);
	if (info->start.from_ckpt)
		printf("%-14s icount %" PRIu64 ", at a checkpoint: what was before is dropped\n", "begins",
		       info->start.at.icount);
	printf("%-14s %" PRIu64 "\n", "icount", sum->last.icount);
	printf("%-14s %" PRIu64 ".%09" PRIu64 " s\n", "virtual time", sum->vns / 1000000000,
	       sum->vns % 1000000000);
	if (sum->have_end) {
		digest_hex(sum->end.final.state, hex);
		printf("%-14s %s\n", "final digest", hex);
	}
	printf("%-14s ", "events");
#define PRINT_EVENTS(name, number, text) printf("%s %" PRIu64 ", ", text, info->count[number]);
	ND_KIND_LIST(PRINT_EVENTS)
#undef PRINT_EVENTS
	printf("digests %" PRIu64 ", marks %" PRIu64 "\n", info->count[EVLOG_DIGEST], info->count[EVLOG_MARK]);
	printf("%-14s %" PRIu64 " bytes\n", "log", info->log_bytes);
	printf("%-14s %u\n", "checkpoints", count_checkpoints(trace_path(t)));
	printf("%-14s ", "memory");
	text_print_size(stdout, m->memory);
	printf("\n%-14s %s, from ", "clock", m->clock_virtual ? "virtual" : "host");
	text_print_date(stdout, m->date);
	printf("\n%-14s %" PRIu32 "\n", "vCPUs", m->ncpus);
	print_devices(m);
	print_text_field("command line", m->cmdline);
	print_text_field("engine", m->engine);
	print_text_field("cpu model", m->cpu_model);
	print_text_field("recorded by", m->version);
	print_text_field("recorded on", m->host_cpu);
}

static int info_main(const struct cli_command *self, int argc, char **argv)
{
	bool json = false;
	struct opt_group group = { info_options, RV_ARRAY_LEN(info_options), info_set, &json };
	struct opts_positional path = { .what = "TRACE" };
	struct evlog_reader *reader = NULL;
	struct trace *trace = NULL;
	struct summary sum;
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
	if (!rc)
		rc = summary_read(&sum, reader, &err);
	if (!rc && json)
		print_json(trace, evlog_reader_info(reader), &sum);
	else if (!rc)
		print_human(trace, evlog_reader_info(reader), &sum);
	evlog_reader_close(reader);
	trace_close(trace);
	return rc ? cli_fail(&err) : cli_finish_stdout(0);
}

const struct cli_command cmd_info = {
	.name = "info",
	.usage = "TRACE [--json]",
	.summary = "what a recording holds",
	.text = "Prints what a recording holds, for a person or as one JSON object.",
	.options = info_options,
	.noptions = RV_ARRAY_LEN(info_options),
	.main = info_main,
};
