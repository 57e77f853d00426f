/* SPDX-License-Identifier: Apache-2.0 */
#include "save.h"

#include <stdlib.h>

/* The callbacks of a flight recording that drops nothing but what was before its begin. */
static uint64_t no_bytes(void *ctx)
{
	(void)ctx;
	return 0;
}

static void not_told(void *ctx, uint32_t number)
{
	(void)ctx;
	(void)number;
}

static int copy_disks(const char *path, const struct save_from *from, struct rv_err *err)
{
	char log[TRACE_PATH_MAX];
	int rc = RV_OK;

	for (unsigned i = 0; rc == RV_OK && i < from->host->ndisks; i++) {
		rc = trace_disk_log_path(path, i, log);
		rc = rc ? rv_err_set(err, rc, "%.300s: the name is too long", path) :
			  disk_file_copy_out(from->host->disk[i], log, err);
	}
	return rc;
}

int save_machine(const char *path, struct trace_manifest *m, const struct save_from *from, struct rv_err *err)
{
	const struct evlog_writer_cfg log_cfg = { .sync = EVLOG_SYNC_1S };
	struct ckpt_writer_cfg cfg = { .begin_here = true,
				       .other_bytes = no_bytes,
				       .full_taken = not_told,
				       .dropped = not_told };
	struct evlog_writer *log = NULL;
	struct ckpt_writer *ckpts = NULL;
	int rc;

	m->keep = true;
	rc = evlog_writer_create(&log, path, m, from->kernel, from->initrd, &log_cfg, err);
	if (rc == RV_OK)
		rc = copy_disks(path, from, err);
	cfg.log = log;
	if (rc == RV_OK)
		rc = ckpt_writer_create(&ckpts, path, m, from->machine, &cfg, err);
	if (rc == RV_OK && (rc = ckpt_writer_take(ckpts, from->sent)) != RV_OK)
		rv_err_set(err, rc, "%.300s: %s", path, rv_status_text(rc));
	if (rc == RV_OK)
		rc = ckpt_writer_finish(ckpts, err);
	ckpt_writer_destroy(ckpts);
	if (rc == RV_OK)
		rc = evlog_writer_finish(log, err);
	evlog_writer_destroy(log);
	return rc;
}

int save_restore(const char *path, struct machine *m, struct output_digest *sent, struct rv_err *err)
{
	struct trace *t = NULL;
	struct evlog_reader *r = NULL;
	struct ckpt_store *store = NULL;
	struct ckpt **list = NULL;
	size_t n = 0;
	int rc = trace_open(&t, path, err);

	if (rc == RV_OK)
		rc = evlog_reader_open(&r, t, err);
	if (rc == RV_OK && (rc = ckpt_store_create(&store, m)) != RV_OK)
		rv_err_set(err, rc, "out of memory for checkpoints");
	if (rc == RV_OK)
		rc = ckpt_load_all(store, t, evlog_reader_info(r)->last, &list, &n, err);
	if (rc == RV_OK && n == 0)
		rc = rv_err_set(err, RV_ENOENT, "%.300s: has no checkpoint to resume from", path);
	if (rc == RV_OK && (rc = ckpt_restore(store, list[n - 1], sent)) != RV_OK)
		rv_err_set(err, rc, "%.300s: its checkpoint cannot be restored: %s", path, rv_status_text(rc));
	while (n)
		ckpt_release(store, list[--n]);
	free(list);
	if (store)
		ckpt_store_destroy(store);
	evlog_reader_close(r);
	trace_close(t);
	return rc;
}
