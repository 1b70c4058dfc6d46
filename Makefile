# SPDX-License-Identifier: MIT
# A thin front of meson and ninja. `make help` lists what there is; each command installs what it
# needs and is missing (tools/setup.sh), configures, builds and does its job.

BUILD  ?= build
PREFIX ?= /usr/local
export PH_BUILD := $(BUILD)

setup_sh   = sh tools/setup.sh
program    = $(BUILD)/phosphene
# Progress while there is work, not a word when there is none.
ninja_product = ninja -C $(BUILD) -n product | grep -q 'no work to do' || ninja -C $(BUILD) product

.PHONY: all help run test build setup bench install clean asan tsan fuzz soak vm style
all: build

help: ## this list
	@echo 'usage: make COMMAND [NAME=VALUE...]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile
	@echo 'variables:'
	@echo '  INPUT=clip.mp4|/dev/video0|rtsp://...  what `make run` shows (default: the demo)'
	@echo '  PRESET=NAME  PORT=8080  ARGS="..."     more for `make run`'
	@echo '  T="core json..."                       only these suites or programs in `make test`'
	@echo '  BUILD=build  PREFIX=/usr/local  DESTDIR=  SECONDS_EACH=60 (fuzz)  MINUTES=10 (soak)'

run: program ## serve the demo room, or INPUT=..., and print its URL
	@exec $(program) serve $(if $(PRESET),--preset '$(PRESET)') $(if $(PORT),--port '$(PORT)') \
		$(ARGS) $(if $(INPUT),--input '$(INPUT)')

test: ## run every suite; the last line is "N passed, N failed, N skipped"
	@$(setup_sh) build feature run test
	@$(MAKE) -s --no-print-directory $(BUILD)/build.ninja
	@tests/run $(BUILD) $(T)

build: program ## the program (build/phosphene) and the libraries

setup: ## install everything that run, test and bench use
	@$(setup_sh) --again build feature run test bench

bench: ## measure, as a table (ARGS=--json for records, ARGS=GROUP for a part)
	@$(setup_sh) build feature run bench
	@$(MAKE) -s --no-print-directory program-built
	@$(program) bench $(ARGS)

install: program ## install to PREFIX (below DESTDIR)
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@$(ninja_product)
	@meson install -C $(BUILD) --no-rebuild --quiet $(if $(DESTDIR),--destdir '$(abspath $(DESTDIR))')

clean: ## remove the build folder
	rm -rf $(BUILD)

asan: ## every suite under AddressSanitizer and UndefinedBehaviorSanitizer
	@PH_SUMMARY='under the address sanitizer: ' $(MAKE) -s --no-print-directory BUILD=$(BUILD)-asan \
		MESON_ARGS='$(MESON_ARGS) --native-file tools/meson/asan.ini' test

tsan: ## every suite under ThreadSanitizer
	@PH_SUMMARY='under the thread sanitizer: ' $(MAKE) -s --no-print-directory BUILD=$(BUILD)-tsan \
		MESON_ARGS='$(MESON_ARGS) --native-file tools/meson/tsan.ini' test

fuzz: ## each fuzzer for SECONDS_EACH (60)
	@$(setup_sh) build feature ci
	@tools/fuzz.sh $(or $(SECONDS_EACH),60)

soak: program ## a busy server for MINUTES (10), watched for growth
	@tools/soak.sh $(program) $(or $(MINUTES),10)

vm: ## cameras behind Linux' own drivers, in a virtual machine (qemu; fetches 95 MB once)
	@$(setup_sh) build feature run test vm
	@tests/vm/kernel.py $(BUILD)/vm/kernel
	@$(MAKE) -s --no-print-directory test T=vm

style: program ## format, layers, symbols, commit messages
	@tools/check_style $(BUILD)

.PHONY: program program-built
program:
	@$(setup_sh) build feature run
	@$(MAKE) -s --no-print-directory program-built

program-built: $(BUILD)/build.ninja
	@$(ninja_product)
	@ln -sfn cli/phosphene $(program)

# Gone when tools/setup.sh installed something, so that meson looks for libraries again.
$(BUILD)/build.ninja:
	@echo 'configuring $(BUILD)'
	@meson setup $(if $(wildcard $(BUILD)/meson-private/coredata.dat),--reconfigure) \
		$(BUILD) $(MESON_ARGS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/configure.log
