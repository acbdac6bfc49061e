/* SPDX-License-Identifier: GPL-2.0 */
/* See shim/custom.h. */
