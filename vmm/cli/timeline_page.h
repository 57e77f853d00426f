/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RV_CLI_TIMELINE_PAGE_H
#define RV_CLI_TIMELINE_PAGE_H

/* timeline.html, as it is in the source; made when it is built. */
extern const char timeline_page[];

#endif
