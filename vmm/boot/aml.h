/* SPDX-License-Identifier: Apache-2.0 */
/* Emitters for the few AML terms the DSDT needs (ACPI 6.4, chapter 20). Names are 4 characters. */
#ifndef RV_BOOT_AML_H
#define RV_BOOT_AML_H

#include "base/bytes.h"

/* NameOp name; the caller emits the object that follows. */
void aml_name(struct bytes *out, const char *name);
void aml_integer(struct bytes *out, uint32_t value);
/* EISA identifier such as "PNP0501" as an integer object. */
void aml_eisaid(struct bytes *out, const char *id);
/* A package of n small integers. */
void aml_package(struct bytes *out, const uint32_t *values, uint8_t n);
/* \name Scope or Device with the terms in body. */
void aml_scope(struct bytes *out, const char *name, const struct bytes *body);
void aml_device(struct bytes *out, const char *name, const struct bytes *body);
/* Buffer object holding a resource template; the end tag is added. */
void aml_resources(struct bytes *out, const struct bytes *items);
void aml_resource_io(struct bytes *out, uint16_t port, uint8_t len);
void aml_resource_irq(struct bytes *out, unsigned irq);
/* A string object. */
void aml_string(struct bytes *out, const char *text);
/* Windows that a bridge forwards, [first, last] (6.4.3.5). */
enum aml_window { AML_MEMORY = 0, AML_IO = 1, AML_BUS = 2 };
void aml_resource_window(struct bytes *out, enum aml_window kind, uint32_t first, uint32_t last);

#endif
