# `make` alone lists the targets.
DENO = $(shell sh scripts/tool.sh deno)
BUN = $(shell sh scripts/tool.sh bun)
TSC = $(shell sh scripts/tool.sh tsc)
DENO_TEST = $(DENO) test --allow-ffi --allow-env --allow-net --allow-read --allow-run \
	--allow-write --allow-sys

.DEFAULT_GOAL = help
.PHONY: help setup build embed test test-deno test-bun test-shim test-kernel test-musl \
	test-clients test-fleet test-all \
	fmt lint check publish-check bundle pack demo stress fuzz lifecycle soak soak-clients bench bench-quick \
	bench-sockets bench-scale torture verify clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  %-14s %s\n", $$1, $$2 }'

setup: ## install what is missing: dev packages, gcc, make, liburing
	@sh scripts/setup.sh

build: setup ## compile ffi/shim.c to ffi/build/liburingnet.so
	@sh scripts/build.sh

embed: setup ## write ffi/embedded/*.ts, the library as text for each machine
	@sh scripts/build.sh --embed
	@case $$(uname -m) in x86_64) CC=$$(sh scripts/cross.sh aarch64 compiler) && export CC && \
		OUTPUT=ffi/build/aarch64 sh scripts/build.sh --embed ;; esac

test: ## run every check and all tests in both runtimes
	@sh scripts/test.sh

test-deno: build ## run all tests in Deno
	$(DENO_TEST) tests/

test-bun: build ## run all tests in Bun
	$(BUN) test tests/

test-shim: setup ## check the C sources, test the shim under sanitizers: ROUNDS=100000 SEED=7
	@sh scripts/shim.sh

test-kernel: build ## run SUITES on Linux KERNEL=6.1, in an emulator, MACHINE=aarch64 too
	@sh scripts/test_kernel.sh $(SUITES)

test-musl: build ## run SUITES in Bun's build for musl
	@sh scripts/test_musl.sh $(SUITES)

test-clients: build ## run unmodified clients and servers over the library, and the fleet
	@sh scripts/clients.sh

test-fleet: build ## replace each process of a fleet behind haproxy under load
	@sh scripts/clients.sh --fleet

test-all: ## run `make test`, the clients, and more on Linux 6.1 and 6.12
	@sh scripts/test.sh --all

fmt: setup ## format the sources
	$(DENO) fmt

lint: setup ## check format, style and doc comments
	$(DENO) fmt --check
	$(DENO) lint
	$(DENO) lint --rules-include=no-console $(wildcard mod.ts deps.ts src ffi)
	$(DENO) doc --lint $$(sh scripts/entry_points.sh)

check: setup ## check format, style, types, layers and documents (half a minute)
	@sh scripts/check.sh

publish-check: ## try what `deno publish` would do, without slow types
	@sh scripts/tool.sh deno >/dev/null 2>&1 || sh scripts/setup.sh --packages
	$(DENO) publish --dry-run --allow-dirty

bundle: ## write dist/: one file for each entry point, as the package has them
	@sh scripts/bundle.sh

pack: ## make the tarball that `npm publish` would upload
	npm pack

demo: build ## show it at work
	@sh scripts/demo.sh

stress: build ## run the long stress tests
	@sh scripts/stress.sh

fuzz: setup ## play random scenarios: SEEDS=1000 FIRST=seed RUNTIMES="deno bun"
	@sh scripts/fuzz.sh $(or $(SEEDS),1000) "$(FIRST)" $(RUNTIMES)

lifecycle: build ## terminate WORKERS=1000 workers, end ENDINGS=100 processes
	@sh scripts/lifecycle.sh

soak: build ## mixed traffic for MINUTES=20, in RUNTIME=deno or bun or both
	@sh scripts/soak.sh

soak-clients: build ## HTTP, Redis and PostgreSQL over the library for MINUTES=20
	@SOFTWARE=yes sh scripts/soak.sh

bench: build ## measure against the peers
	@sh scripts/bench.sh

bench-quick: build ## measure a few bars in a minute and a half, less exactly
	@sh scripts/bench.sh --quick

bench-sockets: build ## unmodified software: CASE=http,pg RUNTIME=bun ROUNDS=5 SECONDS=2
	@sh scripts/bench_sockets.sh

bench-scale: build ## what up to a million connections cost: RUNTIME=bun SECONDS=1
	@sh scripts/bench_scale.sh

torture: build ## fail the n-th operation with every errno, n = 1 to 200 (minutes)
	URINGNET_TORTURE=1 $(BUN) test tests/faults/nth_test.ts
	URINGNET_TORTURE=1 $(DENO_TEST) tests/faults/nth_test.ts

verify: build ## echo with faults on, compare every byte: MESSAGES=1000000
	@sh scripts/verify.sh $(or $(MESSAGES),1000000)

clean: ## remove what was built
	rm -rf ffi/build bench/build types dist
