/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void mutate_and_run(const struct bytes *in, unsigned rounds, uint64_t *rng)
{
	uint8_t *copy = malloc(in->len);

	if (!copy)
		abort();
	LLVMFuzzerTestOneInput(in->data, in->len);
	for (unsigned i = 0; i < rounds; i++) {
		memcpy(copy, in->data, in->len);
		LLVMFuzzerTestOneInput(copy, fuzz_mutate(copy, in->len, rng));
	}
	free(copy);
}

static bool run_file(const char *path, unsigned rounds, uint64_t *rng)
{
	struct bytes in = { 0 };
	uint8_t buf[4096];
	size_t n;
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return false;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		bytes_put(&in, buf, n);
	fclose(f);
	if (in.failed)
		abort();
	if (in.len)
		mutate_and_run(&in, rounds, rng);
	bytes_fini(&in);
	return true;
}

/* A file, or all files of a directory. */
static bool run_path(const char *path, unsigned rounds, uint64_t *rng)
{
	struct dirent **list;
	struct stat st;
	bool good = true;
	int n;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return run_file(path, rounds, rng);
	n = scandir(path, &list, NULL, alphasort);
	if (n < 0) {
		perror(path);
		return false;
	}
	for (int i = 0; i < n; i++) {
		char name[4096];
		if (list[i]->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%.2000s/%.255s", path, list[i]->d_name);
			good &= run_file(name, rounds, rng);
		}
		free(list[i]);
	}
	free(list);
	return good;
}

static bool write_samples(const char *dir)
{
	struct bytes in = { 0 };
	bool good = true;

	for (unsigned i = 0; good && fuzz_sample(i, &in); i++) {
		char name[4096];
		FILE *f;
		snprintf(name, sizeof(name), "%.4000s/sample%u", dir, i);
		f = fopen(name, "wb");
		good = f && fwrite(in.data, 1, in.len, f) == in.len;
		if (f && fclose(f) != 0)
			good = false;
		if (!good)
			perror(name);
		bytes_fini(&in);
	}
	return good;
}

int main(int argc, char **argv)
{
	const char *text = getenv("RV_TEST_SEED"), *count = getenv("RV_FUZZ_ROUNDS");
	uint64_t rng = text ? strtoull(text, NULL, 0) : 0x5eed;
	unsigned rounds = count ? (unsigned)strtoul(count, NULL, 0) : 10000;
	struct bytes in = { 0 };
	bool good = true;

	if (argc == 3 && !strcmp(argv[1], "-w"))
		return !write_samples(argv[2]);
	printf("seed %#" PRIx64 " (RV_TEST_SEED), %u mutations each (RV_FUZZ_ROUNDS)\n", rng, rounds);
	for (unsigned i = 0; fuzz_sample(i, &in); i++) {
		mutate_and_run(&in, rounds, &rng);
		bytes_fini(&in);
	}
	for (int i = 1; i < argc; i++)
		good &= run_path(argv[i], rounds, &rng);
	return !good;
}
