/* SPDX-License-Identifier: GPL-2.0 */
#define XA_CHUNK_SHIFT 6
