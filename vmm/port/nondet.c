/* SPDX-License-Identifier: Apache-2.0 */
#include "port/nondet.h"

const char *nd_kind_text(enum nd_kind kind)
{
	switch (kind) {
#define ND_KIND_TEXT(name, value, text)                                                            \
	case name:                                                                                 \
		return text;
		ND_KIND_LIST(ND_KIND_TEXT)
#undef ND_KIND_TEXT
	default:
		return "?";
	}
}
