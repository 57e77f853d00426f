/* SPDX-License-Identifier: Apache-2.0 */
/* pack and unpack: a trace as one file, to send or to keep. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/types.h"
#include "cli.h"
#include "files.h"
#include "pack.h"
#include "progress.h"
#include "record/evlog.h"
#include "record/trace.h"
#include "sandbox.h"

struct meter {
	bool on, shown;
	uint64_t next_ns;
};

static void meter_show(void *ctx, uint64_t done)
{
	struct meter *m = ctx;
	uint64_t now = progress_now_ns();

	if (!m->on || now < m->next_ns)
		return;
	m->next_ns = now + 250000000u;
	fprintf(stderr, "\r%llu MiB\033[K", (unsigned long long)(done >> 20));
	m->shown = true;
}

static void meter_end(struct meter *m)
{
	if (m->shown)
		fputs("\r\033[K", stderr);
}

/* Log and manifest as a reader finds them: what is packed replays, and what was unpacked is a trace. */
static int check_trace(const char *path, bool *complete, struct rv_err *err)
{
	struct trace *t = NULL;
	struct evlog_reader *r = NULL;
	int rc = trace_open(&t, path, err);

	if (!rc)
		rc = evlog_reader_open(&r, t, err);
	if (!rc)
		*complete = evlog_reader_info(r)->complete;
	evlog_reader_close(r);
	trace_close(t);
	return rc;
}

/* Archives are hostile: from here on only these two places exist. */
static int fence(const char *read, bool is_folder, const char *write, struct rv_err *err)
{
	struct sandbox_path paths[2] = {
		{ open(read, O_PATH | O_CLOEXEC), is_folder ? SANDBOX_ACCESS_READ : SANDBOX_ACCESS_FILE },
		{ files_open_parent(write), SANDBOX_ACCESS_CREATE },
	};
	int rc = sandbox_prepare(paths, 2, SANDBOX_TCP_NONE, err);

	for (unsigned i = 0; i < 2; i++)
		if (paths[i].fd >= 0)
			close(paths[i].fd);
	return rc;
}

static int pack_main(const struct cli_command *self, int argc, char **argv)
{
	struct opts_positional pos[2] = { { .what = "TRACE" }, { .what = "FILE" } };
	struct meter meter = { .on = isatty(STDERR_FILENO) };
	struct rv_err err = { 0 };
	bool complete = false;
	int rc = opts_parse(self->name, NULL, 0, pos, 2, argc, argv, &err);

	if (rc == 1)
		return cli_help(self);
	if (!rc)
		rc = check_trace(pos[0].value, &complete, &err);
	if (!rc)
		rc = fence(pos[0].value, true, pos[1].value, &err);
	if (!rc && !complete)
		fprintf(stderr, "retrovisor: %s: not complete (cut off, or still being recorded): packing what is there\n",
			pos[0].value);
	if (!rc)
		rc = pack_trace(pos[0].value, pos[1].value, meter_show, &meter, &err);
	meter_end(&meter);
	return rc ? cli_fail(&err) : 0;
}

const struct cli_command cmd_pack = {
	.name = "pack",
	.usage = "TRACE FILE",
	.summary = "a recording as one file",
	.text = "Writes a recording into one new file: a tar archive, compressed by zstd, that other\n"
		"tools can look into. What lies outside a trace (the images of its disks) stays there.",
	.main = pack_main,
};

static int unpack_main(const struct cli_command *self, int argc, char **argv)
{
	struct opts_positional pos[2] = { { .what = "FILE" }, { .what = "TRACE" } };
	struct meter meter = { .on = isatty(STDERR_FILENO) };
	struct rv_err err = { 0 };
	bool complete;
	int rc = opts_parse(self->name, NULL, 0, pos, 2, argc, argv, &err);

	if (rc == 1)
		return cli_help(self);
	if (!rc)
		rc = fence(pos[0].value, false, pos[1].value, &err);
	if (!rc)
		rc = unpack_trace(pos[0].value, pos[1].value, meter_show, &meter, &err);
	meter_end(&meter);
	if (!rc)
		rc = check_trace(pos[1].value, &complete, &err);
	return rc ? cli_fail(&err) : 0;
}

const struct cli_command cmd_unpack = {
	.name = "unpack",
	.usage = "FILE TRACE",
	.summary = "the recording in a packed file",
	.text = "Unpacks what pack made into a new directory. A file that holds anything but a\n"
		"recording's own files (other names, links, ..) is refused, and nothing of it stays.",
	.main = unpack_main,
};
