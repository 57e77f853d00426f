/* SPDX-License-Identifier: Apache-2.0 */
#include "base/state.h"

#include <string.h>

#include "base/status.h"

static uint64_t state_elem_get(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1:
		return *p;
	case 2: {
		uint16_t v;
		memcpy(&v, p, sizeof(v));
		return v;
	}
	case 4: {
		uint32_t v;
		memcpy(&v, p, sizeof(v));
		return v;
	}
	default: {
		uint64_t v;
		memcpy(&v, p, sizeof(v));
		return v;
	}
	}
}

static uint64_t state_payload_len(const struct state_desc *desc)
{
	uint64_t n = 0;
	for (size_t i = 0; i < desc->nfields; i++)
		n += (uint64_t)desc->fields[i].size * desc->fields[i].count;
	return n;
}

void state_save(const struct state_desc *desc, const void *obj, struct bytes *out)
{
	size_t name_len = strlen(desc->name);
	bytes_put_u8(out, (uint8_t)name_len);
	bytes_put(out, desc->name, name_len);
	bytes_put_u32(out, desc->version);
	bytes_put_u64(out, state_payload_len(desc));
	for (size_t i = 0; i < desc->nfields; i++) {
		const struct state_field *f = &desc->fields[i];
		const uint8_t *p = (const uint8_t *)obj + f->offset;
		/* x86-64 is little-endian, so a contiguous array is its own serialisation. */
		if (f->stride == f->size) {
			bytes_put(out, p, (size_t)f->size * f->count);
			continue;
		}
		for (uint32_t k = 0; k < f->count; k++, p += f->stride) {
			uint8_t raw[8];
			le64_put(raw, state_elem_get(p, f->size));
			bytes_put(out, raw, f->size);
		}
	}
}

int state_load(const struct state_desc *desc, void *obj, struct bytes_in *in)
{
	char name[256];
	uint8_t name_len = bytes_get_u8(in);
	bytes_get(in, name, name_len);
	if (in->failed || name_len != strlen(desc->name) || memcmp(name, desc->name, name_len) != 0)
		return RV_EINVAL;
	if (bytes_get_u32(in) != desc->version)
		return in->failed ? RV_EINVAL : RV_EVERSION;
	if (bytes_get_u64(in) != state_payload_len(desc) || in->failed)
		return RV_EINVAL;
	for (size_t i = 0; i < desc->nfields; i++) {
		const struct state_field *f = &desc->fields[i];
		uint8_t *p = (uint8_t *)obj + f->offset;
		if (f->stride == f->size && !f->is_bool) { /* as in state_save() */
			bytes_get(in, p, (size_t)f->size * f->count);
			continue;
		}
		for (uint32_t k = 0; k < f->count; k++, p += f->stride) {
			uint8_t raw[8];
			bytes_get(in, raw, f->size);
			if (f->is_bool && raw[0] > 1)
				return RV_EINVAL;
			memcpy(p, raw, f->size);
		}
	}
	if (in->failed)
		return RV_EINVAL;
	return desc->post_load ? desc->post_load(obj) : RV_OK;
}
