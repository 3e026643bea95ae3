# The building's commands. `make demo` and `make test` do all set-up themselves.
export CGO_ENABLED := 0
export GOTOOLCHAIN := local
VERSION := $(shell cat VERSION)
GO      := go
FLAGS   := -trimpath -buildvcs=false -ldflags "-s -w -X sallyport/internal/cli.Version=$(VERSION) -X sallyport/internal/courier.Version=$(VERSION) -buildid="
ALIASES := stella stellaops-cli exportctl
TOOLS   := build/tools

.PHONY: build demo test check race bench crash fuzz interop gen tools cross fault clean stock stock-browser templ generate browser screenshots

build: ## static binaries and alias links in build/
	@mkdir -p build
	$(GO) build $(FLAGS) -o build/ ./cmd/sallyport ./cmd/mirror
	@for a in $(ALIASES); do ln -sf sallyport build/$$a; done

cross: ## mirror for the other machines it runs on
	@mkdir -p build/cross
	GOOS=linux GOARCH=arm64 $(GO) build $(FLAGS) -o build/cross/mirror-linux-arm64 ./cmd/mirror
	GOOS=windows GOARCH=amd64 $(GO) build $(FLAGS) -o build/cross/mirror-windows-amd64.exe ./cmd/mirror
	GOOS=linux GOARCH=arm64 $(GO) build $(FLAGS) -o build/cross/sallyport-linux-arm64 ./cmd/sallyport

fault: ## binaries with fault points, for tests only
	@mkdir -p build/fault
	$(GO) build -tags faultpoints $(FLAGS) -o build/fault/ ./cmd/sallyport ./cmd/mirror

demo: build ## the main job on real input, in one temporary directory
	build/sallyport demo --data "$${SALLYPORT_DATA:-../shared/data}"

stock: ## the stock tools the tests judge us by
	@missing=; for p in zstd:zstd age:age openssl:openssl tar:tar sha256sum:coreutils; do \
	  command -v $${p%%:*} >/dev/null 2>&1 || missing="$$missing $${p##*:}"; done; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing$$missing"; (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing) >/dev/null || echo "could not install$$missing: the tests that need them will say so"; fi

stock-browser: ## Debian's Chromium and the two npm packages that drive and judge it, for tests only
	@missing=; for p in chromium:chromium node:nodejs npm:npm; do \
	  command -v $${p%%:*} >/dev/null 2>&1 || missing="$$missing $${p##*:}"; done; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing$$missing"; (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing) >/dev/null || echo "could not install$$missing: the tests that need them will say so"; fi
	@cmp -s testdata/browser/package-lock.json testdata/browser/node_modules/.ours || \
	  { (cd testdata/browser && npm ci --silent --no-audit --no-fund --ignore-scripts && cp package-lock.json node_modules/.ours) || echo "could not install playwright-core and axe-core: the tests that need them will say so"; }

browser: stock-browser ## the console in Chromium, each page in six ways: axe, requests, content policy, flows
	SALLYPORT_WAYS=all $(GO) test -count=1 -timeout 90m -run Browser ./ui/... ./internal/...

screenshots: stock-browser ## the same, with a picture of every page in every state, into build/screens
	rm -rf build/screens
	SALLYPORT_WAYS=all SALLYPORT_SCREENS=$(CURDIR)/build/screens $(GO) test -count=1 -timeout 90m -run Browser ./ui/... ./internal/...

test: stock stock-browser build cross fault check ## everything
	$(GO) test -timeout 15m ./...

tools:
	@mkdir -p $(TOOLS)
	@cd testdata/tools && $(GO) build -o $(CURDIR)/$(TOOLS)/ mvdan.cc/gofumpt honnef.co/go/tools/cmd/staticcheck github.com/a-h/templ/cmd/templ

templ: tools generate ## Go from the pages; what is generated is committed
	@$(TOOLS)/templ fmt ui

generate:
	@for d in ui/kit ui/page; do $(TOOLS)/templ generate -path $$d >build/templ.log 2>&1 || { cat build/templ.log; exit 1; }; done

check: tools ## formatting, lint, and pages generated from what they say
	@was=$$(cat ui/*/*_templ.go | sha256sum); $(MAKE) -s generate; [ "$$was" = "$$(cat ui/*/*_templ.go | sha256sum)" ] || { echo "generated pages were old; they are new now: commit them"; exit 1; }
	@out=$$($(TOOLS)/gofumpt -l cmd internal $$(test -d ui && echo ui)); [ -z "$$out" ] || { echo "not formatted:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags faultpoints ./...
	$(TOOLS)/staticcheck ./...

race: ## the same tests under the race detector (needs gcc)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...

bench: build ## speed and memory beside the reference tools, into testdata/results/bench.md
	$(GO) run ./internal/bench/run -out testdata/results/bench.md

crash: ## kills, failed steps, a disk cut off, a disk that is full, random histories, into testdata/results/crash.md; CELLS=1200,1800 plays a part
	SALLYPORT_CAMPAIGN=1 SALLYPORT_CELLS=$(CELLS) $(GO) test -count=1 -timeout 300m -run '^TestCrash$$' ./internal/crash/ -v
	SALLYPORT_CAMPAIGN=1 $(GO) test -count=1 -timeout 120m -run '^TestCrashDisk$$' ./internal/crash/ -v
	SALLYPORT_CAMPAIGN=1 $(GO) test -count=1 -timeout 60m -run '^TestDiskFullAtEveryStage$$' ./internal/daemon/ -v
	SALLYPORT_CAMPAIGN=1 SALLYPORT_HISTORIES=$${HISTORIES:-200} $(GO) test -count=1 -timeout 180m -run '^TestHistory$$' ./internal/history/ -v

fuzz: ## each fuzz target for FUZZTIME (default 10m), into testdata/results/fuzz.md; RESUME=1 goes on with an earlier run
	$(GO) run ./internal/hostile/fuzz -time $${FUZZTIME:-10m} $${RESUME:+-resume} -out testdata/results/fuzz.md

interop: build ## stock cosign at fixed versions judges our signatures, without a network
	testdata/interop/run

gen: templ ## pages, the commands of the manual, vectors, hostile cases and the evidence of the demonstration, each from its generator
	$(GO) test ./internal/canon ./internal/attest ./internal/root ./internal/bundle -update
	$(GO) test ./internal/hostile ./internal/demo -run 'TestGenerate|TestEvidence' -update
	$(GO) test ./internal/cli -run TestManualReference -update

clean:
	rm -rf build
