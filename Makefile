# SPDX-License-Identifier: GPL-2.0
# The front door. `make` prints the targets; the work is done in harness/.

O ?= build
export TOP := $(abspath $(O))
export JOBS ?= $(shell nproc)
export MACHINES := $(M)
export TESTS := $(T)
export KERNELS := $(K)
export VERBOSE := $(V)
export BASE LINUX PAGES DEBUG SIGNOFF WIP PROFILE RUNS ACCEPT ALL PART
export SEED N FILES STAGE CONFIGS

H := $(CURDIR)/harness

.DEFAULT_GOAL := help
.PHONY: help
help:
	@sed 1d $(H)/help.txt

# One script of the same name per target.
TARGETS := setup tree series bases configs each kernel stock modular deb deb-check \
	   initramfs selftests run demo doctor \
	   test test-stock bench bench-check bench-disk figures shell gdb style mutants fuzz rerun clean \
	   distclean
.PHONY: $(TARGETS)
$(TARGETS):
	@$(H)/make.sh $@
