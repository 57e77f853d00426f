/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One description of a struct's saved state, used for saving, for loading and
 * for digests, so that the three cannot disagree. A description stands beside
 * the struct it describes. Fields are written in table order, little-endian.
 * Loaded bytes are hostile: the generic loader checks lengths and versions,
 * post_load() checks meaning (indices, ranges) and recomputes derived fields.
 */
#ifndef RV_BASE_STATE_H
#define RV_BASE_STATE_H

#include "base/bytes.h"

struct state_field {
	const char *name;
	size_t offset;
	uint8_t size;    /* of one element: 1, 2, 4 or 8 bytes; bool counts as 1 and loads as 0 or 1 */
	bool is_bool;
	uint32_t count;  /* elements, contiguous */
	size_t stride;   /* distance between elements; equals size for plain arrays */
};

struct state_desc {
	const char *name;  /* unique in a machine, part of the saved header */
	uint32_t version;  /* another version is refused with RV_EVERSION */
	const struct state_field *fields;
	size_t nfields;
	/* Optional. Returns 0, or RV_EINVAL when the loaded values make no sense. */
	int (*post_load)(void *obj);
};

#define STATE_FIELD_AT(type, field, sz, n, str, b)                                                 \
	{ .name = #field, .offset = offsetof(type, field), .size = (uint8_t)(sz), .is_bool = (b),  \
	  .count = (uint32_t)(n), .stride = (str) }
/* A scalar member. */
#define STATE_FIELD(type, field)                                                                   \
	STATE_FIELD_AT(type, field, sizeof(((type *)0)->field), 1,                                 \
		       sizeof(((type *)0)->field), false)
#define STATE_BOOL(type, field) STATE_FIELD_AT(type, field, sizeof(bool), 1, sizeof(bool), true)
/* A one-dimensional array member of scalars. */
#define STATE_ARRAY(type, field)                                                                   \
	STATE_FIELD_AT(type, field, sizeof(((type *)0)->field[0]),                                 \
		       sizeof(((type *)0)->field) / sizeof(((type *)0)->field[0]),                 \
		       sizeof(((type *)0)->field[0]), false)
/* One scalar (or bool) member of each element of an array of structs: STATE_EACH(struct hpet, timer, cmp). */
#define STATE_EACH(type, array, member)                                                            \
	{ .name = #array "." #member,                                                              \
	  .offset = offsetof(type, array) + offsetof(__typeof__(((type *)0)->array[0]), member),   \
	  .size = (uint8_t)sizeof(((type *)0)->array[0].member),                                   \
	  .is_bool = __builtin_types_compatible_p(__typeof__(((type *)0)->array[0].member), bool), \
	  .count = (uint32_t)(sizeof(((type *)0)->array) / sizeof(((type *)0)->array[0])),         \
	  .stride = sizeof(((type *)0)->array[0]) }

/* Appends obj as described by desc: name, version, payload length, fields. */
void state_save(const struct state_desc *desc, const void *obj, struct bytes *out);
/* Reads what state_save() wrote. Returns 0, RV_EINVAL or RV_EVERSION. On failure obj may be half loaded. */
int state_load(const struct state_desc *desc, void *obj, struct bytes_in *in);

#endif
