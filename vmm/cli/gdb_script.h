/* SPDX-License-Identifier: Apache-2.0 */
/* contrib/gdb/retrovisor.gdb, as a string: the build makes it. */
#ifndef RV_CLI_GDB_SCRIPT_H
#define RV_CLI_GDB_SCRIPT_H

extern const char gdb_script[];

#endif
