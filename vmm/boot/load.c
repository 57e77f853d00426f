/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

int boot_load(struct guest_mem *mem, const struct boot_image *img, struct cpu_state *bsp,
	      struct rv_err *err)
{
	if (bzimage_probe(img))
		return bzimage_load(mem, img, bsp, err);
	if (pvh_probe(img))
		return pvh_load(mem, img, bsp, err);
	if (multiboot_probe(img))
		return multiboot_load(mem, img, bsp, err);
	return rv_err_set(err, RV_EINVAL,
			  "%s: not a bzImage, PVH or Multiboot kernel; give one of these with --kernel=",
			  img->kernel_name);
}
