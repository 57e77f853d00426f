/* SPDX-License-Identifier: Apache-2.0 */
/* The byte layout of ckpt/NNNNNN.rvc (record/FORMAT.md, "Checkpoints"). */
#ifndef RV_RECORD_CKPT_FILE_H
#define RV_RECORD_CKPT_FILE_H

#include "ckpt_priv.h"
#include "trace_priv.h"

#define CKPT_MAGIC "RVCKPT01"
#define CKPT_HEADER 128u
#define CKPT_ENTRY 28u /* page u64, stored length u32, key 2 x u64; then the data */
#define CKPT_DIR TRACE_CKPT

/* Offsets in the header. */
#define CKPT_AT_VERSION 8u
#define CKPT_AT_CRC 12u /* ckpt_crc(): of the body, the version, the header behind this field */
#define CKPT_AT_ID 16u
#define CKPT_AT_NUMBER 32u
#define CKPT_AT_ICOUNT 40u
#define CKPT_AT_SEQ 48u
#define CKPT_AT_VNS 56u
#define CKPT_AT_OUT_LO 64u
#define CKPT_AT_OUT_HI 72u
#define CKPT_AT_OUT_BYTES 80u
#define CKPT_AT_STATE_STORED 88u
#define CKPT_AT_STATE_RAW 92u
#define CKPT_AT_PAGES 96u
#define CKPT_AT_LENGTH 104u /* of the whole file */
#define CKPT_AT_PREV_CRC 112u

#define CKPT_AT_FLAGS 116u
#define CKPT_AT_SEGMENT 120u /* with CKPT_FLAG_FULL: the log segment that begins here */

#define CKPT_FLAG_FULL 1u /* needs no earlier file */
#define CKPT_VERSION 3u
#define CKPT_SAME UINT32_MAX /* stored length: contents with this key are in this or an earlier file */
#define CKPT_STATE_MAX (640u << 20) /* disk requests in flight with their data: at most 128 MiB a disk */

/* CRC32C, continued from that of the body, over all of the header but magic and CRC. */
static inline uint32_t ckpt_crc(uint32_t body_crc, const uint8_t *header)
{
	uint32_t crc = crc32c(body_crc, header + CKPT_AT_VERSION, 4);
	return crc32c(crc, header + CKPT_AT_ID, CKPT_HEADER - CKPT_AT_ID);
}

void ckpt_file_name(char out[16], uint32_t number); /* "NNNNNN.rvc" */
bool ckpt_file_parse(const char *name, uint32_t *number);

#endif
