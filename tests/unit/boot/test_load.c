/* SPDX-License-Identifier: Apache-2.0 */
/* Loaders: what ends up where for each format, the messages, and files that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "images.h"

struct fixture {
	struct guest_mem *mem;
	uint8_t image[IMAGE_MAX];
	uint8_t initrd[5000];
	struct boot_image img;
	struct cpu_state bsp;
	struct rv_err err;
};

static struct fixture *begin(uint64_t memory)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_int_equal(mem_create(&f->mem, memory, 0, &f->err), RV_OK);
	f->img.kernel = f->image;
	f->img.kernel_name = "the-kernel";
	f->img.initrd_name = "the-initrd";
	f->img.cmdline = "console=ttyS0 quiet";
	return f;
}

static void end(struct fixture *f)
{
	mem_destroy(f->mem);
	free(f);
}

static int load(struct fixture *f)
{
	memset(&f->err, 0, sizeof(f->err));
	return boot_load(f->mem, &f->img, &f->bsp, &f->err);
}

static void refused(struct fixture *f, const char *text)
{
	assert_int_equal(load(f), RV_EINVAL);
	assert_non_null(strstr(f->err.text, "the-"));
	if (!strstr(f->err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, text);
}

static uint32_t get32(struct fixture *f, gpa_t gpa)
{
	uint8_t raw[4];
	mem_read(f->mem, gpa, raw, 4);
	return le32_get(raw);
}

static uint64_t get64(struct fixture *f, gpa_t gpa)
{
	return get32(f, gpa) | (uint64_t)get32(f, gpa + 4) << 32;
}

static void add_initrd(struct fixture *f)
{
	memset(f->initrd, 0x77, sizeof(f->initrd));
	f->img.initrd = f->initrd;
	f->img.initrd_len = sizeof(f->initrd);
}

/* A state that survives being saved and loaded is one the engines accept. */
static void state_sound(struct fixture *f)
{
	struct bytes b = {0};
	struct bytes_in in;
	struct cpu_state s;
	state_save(&cpu_state_desc, &f->bsp, &b);
	bytes_in_init(&in, b.data, b.len);
	assert_int_equal(state_load(&cpu_state_desc, &s, &in), RV_OK);
	bytes_fini(&b);
	assert_int_equal(f->bsp.rflags, RFLAGS_1);
	assert_int_equal(f->bsp.activity, CPU_RUNNING);
	assert_int_equal(f->bsp.seg[CPU_TR].limit, 0x67);
	assert_int_equal(f->bsp.seg[CPU_TR].attr, 0x8b);
}

static void test_bzimage(void **state)
{
	(void)state;
	struct fixture *f = begin(64 << 20);
	f->img.kernel_len = image_bzimage(f->image);
	add_initrd(f);
	assert_int_equal(load(f), RV_OK);
	state_sound(f);
	assert_int_equal(f->bsp.rip, 0x1000200);
	assert_int_equal(f->bsp.efer, EFER_LME | EFER_LMA);
	assert_true(f->bsp.seg[CPU_CS].attr & SEG_L);
	assert_int_equal(f->bsp.seg[CPU_CS].sel, 0x10);
	assert_int_equal(f->bsp.seg[CPU_DS].sel, 0x18);
	gpa_t zp = f->bsp.gpr[CPU_RSI];
	assert_int_equal(get32(f, 0x1000000), 0xa5a5a5a5);
	assert_int_equal(get32(f, 0x1000ffc), 0xa5a5a5a5);
	assert_int_equal(get32(f, 0x1001000), 0);
	assert_int_equal(get64(f, zp + 0x70), BOOT_ACPI_RSDP);
	assert_int_equal(get32(f, zp + 0x210) & 0xff, 0xff);
	char line[32];
	mem_read(f->mem, get32(f, zp + 0x228), line, sizeof(line));
	assert_string_equal(line, f->img.cmdline);
	/* The initrd: page-aligned, as high as can be. */
	uint32_t at = get32(f, zp + 0x218);
	assert_int_equal(at, (64 << 20) - 8192);
	assert_int_equal(get32(f, zp + 0x21c), sizeof(f->initrd));
	assert_int_equal(get32(f, at), 0x77777777);
	/* The memory map: sorted, and no two ranges meet. */
	unsigned n = get32(f, zp + 0x1e8) & 0xff;
	assert_int_equal(n, 3);
	uint64_t last = 0;
	for (unsigned i = 0; i < n; i++) {
		assert_true(get64(f, zp + 0x2d0 + i * 20) >= last);
		last = get64(f, zp + 0x2d0 + i * 20) + get64(f, zp + 0x2d8 + i * 20);
	}
	assert_int_equal(last, 64 << 20);
	/* The first 4 GiB are mapped one to one. */
	for (uint64_t va = 0; va < 1ull << 32; va += 0x3ff00000) {
		uint64_t pml4 = get64(f, f->bsp.cr3);
		uint64_t pdpte = get64(f, (pml4 & ~0xfffull) + (va >> 30) * 8);
		uint64_t pde = get64(f, (pdpte & ~0xfffull) + (va >> 21 & 511) * 8);
		assert_int_equal(pde, (va & ~0x1fffffull) | 0x83);
	}
	/* An upper bound on the initrd's address. */
	le32_put(f->image + 0x22c, 0x1ffffff);
	assert_int_equal(load(f), RV_OK);
	assert_int_equal(get32(f, zp + 0x218), 0x2000000 - 8192);
	end(f);
}

static void test_bzimage_refused(void **state)
{
	(void)state;
	struct fixture *f = begin(64 << 20);
	size_t len = f->img.kernel_len = image_bzimage(f->image);
	le16_put(f->image + 0x206, 0x020b);
	refused(f, "2.11");
	image_bzimage(f->image);
	le16_put(f->image + 0x236, 0);
	refused(f, "64-bit");
	image_bzimage(f->image);
	f->img.kernel_len = len - 100;
	refused(f, "truncated");
	f->img.kernel_len = 0x220;
	refused(f, "truncated");
	f->img.kernel_len = len;
	le32_put(f->image + 0x1f4, UINT32_MAX);
	refused(f, "truncated");
	image_bzimage(f->image);
	le32_put(f->image + 0x1f4, 0);
	refused(f, "empty");
	image_bzimage(f->image);
	le64_put(f->image + 0x258, 0x8000);
	refused(f, "not usable");
	le64_put(f->image + 0x258, UINT64_MAX - 0xfff);
	refused(f, "not usable");
	le64_put(f->image + 0x258, 0x1000000);
	le32_put(f->image + 0x260, 0x7000000);
	refused(f, "--memory=128M");
	le32_put(f->image + 0x260, UINT32_MAX);
	refused(f, "cannot have");
	image_bzimage(f->image);
	le32_put(f->image + 0x238, 5);
	refused(f, "--append=");
	image_bzimage(f->image);
	add_initrd(f);
	le32_put(f->image + 0x22c, 0x1000000);
	refused(f, "too large");
	end(f);
	f = begin(18 << 20);
	f->img.kernel_len = image_bzimage(f->image);
	static uint8_t big[2 << 20];
	f->img.initrd = big;
	f->img.initrd_len = sizeof(big);
	refused(f, "--memory=21M");
	end(f);
}

static void test_pvh(void **state)
{
	(void)state;
	struct fixture *f = begin(64 << 20);
	f->img.kernel_len = image_pvh(f->image);
	add_initrd(f);
	assert_int_equal(load(f), RV_OK);
	state_sound(f);
	assert_int_equal(f->bsp.rip, 0x1000100);
	assert_int_equal(f->bsp.cr0, CR0_PE | CR0_ET);
	assert_int_equal(f->bsp.efer, 0);
	assert_true(f->bsp.seg[CPU_CS].attr & SEG_DB);
	gpa_t info = f->bsp.gpr[CPU_RBX];
	assert_int_equal(get32(f, info), 0x336ec578);
	assert_int_equal(get32(f, info + 4), 1);
	assert_int_equal(get32(f, info + 12), 1);
	gpa_t mod = get64(f, info + 16);
	assert_int_equal(get64(f, mod + 8), sizeof(f->initrd));
	assert_int_equal(get32(f, get64(f, mod)), 0x77777777);
	assert_int_equal(get64(f, info + 32), BOOT_ACPI_RSDP);
	assert_int_equal(get32(f, info + 48), 3);
	assert_int_equal(get32(f, 0x1000000), 0x5a5a5a5a);
	/* An entry point outside the kernel. */
	le32_put(f->image + 548, 0x100);
	refused(f, "entry point");
	end(f);
}

static void test_multiboot(void **state)
{
	(void)state;
	struct fixture *f = begin(64 << 20);
	f->img.kernel_len = image_multiboot(f->image);
	add_initrd(f);
	assert_int_equal(load(f), RV_OK);
	state_sound(f);
	assert_int_equal(f->bsp.gpr[CPU_RAX], 0x2badb002);
	assert_int_equal(f->bsp.rip, 0x100010);
	gpa_t info = f->bsp.gpr[CPU_RBX];
	assert_int_equal(get32(f, info + 8), 63 * 1024);
	assert_int_equal(get32(f, info + 20), 1);
	gpa_t mod = get32(f, info + 24);
	assert_int_equal(get32(f, mod + 4) - get32(f, mod), sizeof(f->initrd));
	assert_int_equal(get32(f, info + 44), 3 * 24);
	assert_int_equal(get32(f, get32(f, info + 48)), 20);
	le32_put(f->image + 4100, 7);
	le32_put(f->image + 4104, 0u - (0x1badb002 + 7));
	refused(f, "features");
	f->img.kernel_len = image_flat(f->image);
	assert_int_equal(load(f), RV_OK);
	assert_int_equal(f->bsp.rip, 0x200020);
	assert_int_equal(get32(f, 0x200ffc), 0x90909090);
	le32_put(f->image + 12, 0x100000);
	refused(f, "address fields");
	image_flat(f->image);
	le32_put(f->image + 20, 0x300000);
	refused(f, "address fields");
	image_flat(f->image);
	le32_put(f->image + 24, 0xb0000000);
	refused(f, "--memory=");
	end(f);
}

static void test_not_a_kernel(void **state)
{
	(void)state;
	struct fixture *f = begin(16 << 20);
	memset(f->image, 0x41, sizeof(f->image));
	f->img.kernel_len = sizeof(f->image);
	refused(f, "not a bzImage, PVH or Multiboot kernel");
	f->img.kernel_len = 0;
	refused(f, "not a bzImage");
	f->img.kernel_len = image_pvh(f->image);
	le32_put(f->image + 540, 17);
	refused(f, "not a bzImage");
	end(f);
}

/* Damaged and cut images: never a crash (run with sanitizers), never an unsound state. */
static void test_hostile(void **state)
{
	(void)state;
	static size_t (*const make[])(uint8_t *) = {image_bzimage, image_pvh, image_multiboot,
						    image_flat};
	struct fixture *f = begin(64 << 20);
	add_initrd(f);
	srandom(42);
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = make[i % 4](f->image);
		size_t head = i & 4 ? len : 0x300;
		for (long k = random() % 4; k >= 0; k--) {
			size_t at = (size_t)random() % head;
			long how = random() % 3;
			if (how == 0)
				f->image[at] = (uint8_t)random();
			else if (how == 1 && at + 4 <= len)
				le32_put(f->image + at, UINT32_MAX - (uint32_t)(random() % 64));
			else if (at + 8 <= len)
				le64_put(f->image + at, (uint64_t)random() << (random() % 40));
		}
		size_t cut = i % 5 ? len : (size_t)random() % (len + 1);
		/* An exact allocation, so that a read past the end is seen. */
		uint8_t *copy = malloc(cut ? cut : 1);
		assert_non_null(copy);
		memcpy(copy, f->image, cut);
		f->img.kernel = copy;
		f->img.kernel_len = cut;
		int rc = load(f);
		assert_true(rc == RV_OK || rc == RV_EINVAL);
		if (rc == RV_OK)
			state_sound(f);
		else
			assert_true(f->err.text[0]);
		free(copy);
	}
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bzimage),	 cmocka_unit_test(test_bzimage_refused),
	    cmocka_unit_test(test_pvh),		 cmocka_unit_test(test_multiboot),
	    cmocka_unit_test(test_not_a_kernel), cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
