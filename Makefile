# `make` alone lists the targets.
DENO = $(shell sh scripts/tool.sh deno)
BUN = $(shell sh scripts/tool.sh bun)
TSC = $(shell sh scripts/tool.sh tsc)
SOURCES = $(wildcard mod.ts deps.ts tests examples bench)

.DEFAULT_GOAL = help
.PHONY: help setup build embed test test-deno test-bun test-kernel test-all fmt lint check demo stress bench bench-quick clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'

setup: ## install what is missing: dev packages, gcc, make, liburing
	@sh scripts/setup.sh

build: setup ## compile ffi/shim.c to ffi/build/liburingnet.so
	@sh scripts/build.sh

embed: setup ## write ffi/embedded.ts, the library as text
	@sh scripts/build.sh --embed

test: ## run every check and all tests in both runtimes
	@sh scripts/test.sh

test-deno: build ## run all tests in Deno
	$(DENO) test --allow-ffi --allow-env --allow-net --allow-read --allow-run --allow-write --allow-sys tests/

test-bun: build ## run all tests in Bun
	$(BUN) test tests/

test-kernel: build ## run SUITES on Linux KERNEL=6.1, in an emulator
	@sh scripts/test_kernel.sh $(SUITES)

test-all: ## run `make test`, and more on Linux 6.1 and 6.12
	@sh scripts/test.sh --kernel

fmt: setup ## format the sources
	$(DENO) fmt

lint: setup ## check format and style
	$(DENO) fmt --check
	$(DENO) lint
	$(DENO) lint --rules-include=no-console $(wildcard mod.ts deps.ts src ffi)

check: setup ## check types with Deno's and with TypeScript's compiler
	$(DENO) check $(SOURCES)
	$(TSC) -p tsconfig.json

demo: build ## show it at work
	@sh scripts/demo.sh

stress: build ## run the long stress tests
	@sh scripts/stress.sh

bench: build ## measure against the peers
	@sh scripts/bench.sh

bench-quick: build ## measure a few bars in a minute and a half, less exactly
	@sh scripts/bench.sh --quick

clean: ## remove what was built
	rm -rf ffi/build bench/build types
