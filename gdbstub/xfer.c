/* SPDX-License-Identifier: Apache-2.0 */
/* qXfer:features:read and target.xml (GDB manual, appendix G), written from the table of registers.
 */
#include <stdarg.h>
#include <stdio.h>

#include "regs.h"
#include "stub.h"

/* org.gnu.gdb.* names mean something to GDB; the system registers are an ordinary feature. */
static const char *const xfer_features[REGS_NFEATURE] = {
	[REGS_CORE] = "org.gnu.gdb.i386.core",
	[REGS_SSE] = "org.gnu.gdb.i386.sse",
	[REGS_SEGMENTS] = "org.gnu.gdb.i386.segments",
	[REGS_SYSTEM] = "org.retrovisor.i386.system",
};

struct xfer_flag {
	const char *name;
	unsigned start, end;
};

static const struct xfer_flag xfer_eflags[] = {
	{ "CF", 0, 0 },	  { "", 1, 1 },	    { "PF", 2, 2 },   { "AF", 4, 4 },	{ "ZF", 6, 6 },
	{ "SF", 7, 7 },	  { "TF", 8, 8 },   { "IF", 9, 9 },   { "DF", 10, 10 }, { "OF", 11, 11 },
	{ "NT", 14, 14 }, { "RF", 16, 16 }, { "VM", 17, 17 }, { "AC", 18, 18 }, { "VIF", 19, 19 },
	{ "VIP", 20, 20 }, { "ID", 21, 21 },
};
static const struct xfer_flag xfer_mxcsr[] = {
	{ "IE", 0, 0 }, { "DE", 1, 1 },	  { "ZE", 2, 2 },   { "OE", 3, 3 },   { "UE", 4, 4 },
	{ "PE", 5, 5 }, { "DAZ", 6, 6 },  { "IM", 7, 7 },   { "DM", 8, 8 },   { "ZM", 9, 9 },
	{ "OM", 10, 10 }, { "UM", 11, 11 }, { "PM", 12, 12 }, { "FZ", 15, 15 },
};

static void xfer_put(struct bytes *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void xfer_put(struct bytes *out, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		out->failed = true;
	else
		bytes_put(out, line, (size_t)n);
}

static void xfer_put_flags(struct bytes *out, const char *id, const struct xfer_flag *f, size_t n)
{
	xfer_put(out, "<flags id=\"%s\" size=\"4\">\n", id);
	for (size_t i = 0; i < n; i++)
		xfer_put(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", f[i].name,
			 f[i].start, f[i].end);
	xfer_put(out, "</flags>\n");
}

static void xfer_put_vec128(struct bytes *out)
{
	static const struct {
		const char *id, *type, *field;
		unsigned count;
	} vectors[] = {
		{ "v4f", "ieee_single", "v4_float", 4 }, { "v2d", "ieee_double", "v2_double", 2 },
		{ "v16i8", "int8", "v16_int8", 16 },	 { "v8i16", "int16", "v8_int16", 8 },
		{ "v4i32", "int32", "v4_int32", 4 },	 { "v2i64", "int64", "v2_int64", 2 },
	};

	for (size_t i = 0; i < RV_ARRAY_LEN(vectors); i++)
		xfer_put(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].id,
			 vectors[i].type, vectors[i].count);
	xfer_put(out, "<union id=\"vec128\">\n");
	for (size_t i = 0; i < RV_ARRAY_LEN(vectors); i++)
		xfer_put(out, "<field name=\"%s\" type=\"%s\"/>\n", vectors[i].field,
			 vectors[i].id);
	xfer_put(out, "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n");
}

int xfer_xml_build(struct bytes *out)
{
	const struct regs_desc *d;
	unsigned regnum = 0;

	xfer_put(out, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
		      "<target version=\"1.0\">\n<architecture>i386:x86-64</architecture>\n");
	for (unsigned f = 0; f < REGS_NFEATURE; f++) {
		xfer_put(out, "<feature name=\"%s\">\n", xfer_features[f]);
		if (f == REGS_CORE)
			xfer_put_flags(out, "i386_eflags", xfer_eflags, RV_ARRAY_LEN(xfer_eflags));
		if (f == REGS_SSE) {
			xfer_put_vec128(out);
			xfer_put_flags(out, "i386_mxcsr", xfer_mxcsr, RV_ARRAY_LEN(xfer_mxcsr));
		}
		for (; (d = regs_desc_get(regnum)) != NULL && d->feature == f; regnum++)
			xfer_put(out,
				 "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>\n",
				 d->name, d->size * 8u, d->type, regnum,
				 f == REGS_SYSTEM ? " group=\"system\"" : "");
		xfer_put(out, "</feature>\n");
	}
	xfer_put(out, "</target>\n");
	return out->failed ? RV_ENOMEM : RV_OK;
}

/* annex:offset,length */
void xfer_handle_features(struct gdbstub *s, struct pkt *k)
{
	uint64_t off, len;

	if (!pkt_eat_text(k, "target.xml:")) {
		reply_error(&s->reply, 0); /* E00: no such annex (E.4) */
		return;
	}
	if (!pkt_hex(k, &off) || !pkt_eat(k, ',') || !pkt_hex(k, &len) || !pkt_done(k) ||
		off > s->xml.len) {
		reply_error(&s->reply, STUB_ERR_FORM);
		return;
	}
	if (len > RSP_PAYLOAD_MAX / 2)
		len = RSP_PAYLOAD_MAX / 2;
	if (len >= s->xml.len - off) {
		len = s->xml.len - off;
		reply_text(&s->reply, "l");
	} else {
		reply_text(&s->reply, "m");
	}
	reply_put(&s->reply, s->xml.data + off, (size_t)len);
}
