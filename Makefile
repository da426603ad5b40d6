# The whole ritual: make help, make check, make test, make run, make bench. A target's help is the text after ## on its line.

# The version comes from git when there is a checkout; an unpacked archive has none, and says so.
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
FUZZTIME ?= 60s
PARITY   ?= -statements 50000
KEYS     ?= -scripts 20000
SESSIONS ?= -scripts 2000 -sessions 3
SEED     ?= 1
TOOL     := go tool -modfile=tools/go.mod

# The manifests are checked with Kubernetes' own code, which is large; a module of its own keeps it out of the product's go.mod.
MANIFESTS := test/deploy/kubernetes

export FUZZTIME

.DEFAULT_GOAL := help
.PHONY: help build run check format imports vuln tidy test golden fuzz parity keys regress bench soak lost deps clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/tombstone
	go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o bin/tombstone ./cmd/tombstone

run: build ## start the demo: a throwaway PostgreSQL, a small shop, the proxy; Ctrl-C ends it
	bin/tombstone demo

check: format imports vuln tidy ## format, vet, staticcheck, import rules, known vulnerabilities, go.mod
	go vet ./...
	$(TOOL) staticcheck ./...
	go -C tools vet ./...
	go -C $(MANIFESTS) vet ./...

format: ## fail when a Go file is not as gofmt writes it
	@files=$$(find . -name '*.go' -not -path '*/node_modules/*' -exec gofmt -l {} +); \
	if [ -n "$$files" ]; then echo "run gofmt -w on:"; echo "$$files"; exit 1; fi

imports: ## fail when a package imports what its room may not (.depguard.yaml)
	tools/import-rules

vuln: ## fail on a known vulnerability that our code can reach; GOVULNDB=file:///FOLDER names a local database
	tools/vulncheck

tidy: ## fail when a go.mod or go.sum is not what go mod tidy would write
	go mod tidy -diff
	go -C tools mod tidy -diff
	go -C $(MANIFESTS) mod tidy -diff

test: ## run all tests; the session, the admin endpoint and the config also under the race detector
	go test ./... -count=1 -timeout 20m
	go test -race ./proxy/... ./admin/... ./config/... -count=1 -timeout 20m
	go -C tools test ./... -count=1 -timeout 10m
	go -C $(MANIFESTS) test ./... -count=1 -timeout 10m

golden: ## write the expected output in rewrite/testdata again; read the difference before you commit it
	go test $$(grep -rl --include='*_test.go' cockroachdb/datadriven ./rewrite | xargs -n1 dirname | sort -u) -run Golden -count=1 -rewrite

fuzz: ## run each fuzz target for FUZZTIME (default 60s), then send HOSTILE (default 100000) mutated startup sequences
	tools/fuzz

parity: ## compare with a server that really deletes; PARITY holds the flags, such as "-seed 7 -duration 1h"
	go run ./test/parity $(PARITY)

keys: ## play scripts on twins with foreign keys, by one session and by several; KEYS and SESSIONS hold the flags, SEED the number that all chance comes from
	go run ./test/keys -seed $(SEED) $(KEYS)
	go run ./test/keys -seed $(SEED) $(SESSIONS)

regress: ## run PostgreSQL's suites, pgx's and lib/pq's directly and through the proxy, then its scripts on twins; REGRESS, SUITES hold the flags
	go run ./test/suites $(SUITES)
	go run ./test/regress $(REGRESS)

bench: ## run the benchmarks, then the wire side by side with PgBouncer; BENCH holds the flags, such as -quick
	go test ./... -run '^$$' -bench . -benchmem
	go run ./test/bench $(BENCH)

soak: ## run a mixed load with everything that goes wrong in a week, half an hour; SOAK holds the flags, such as "-duration 60s"
	go run ./test/soak $(SOAK)

lost: ## kill tombstone 500 times at everything that it does, and look for every row there ever was; LOST holds the flags, such as "-kills 60"
	go run ./test/lost $(LOST)

deps: ## install what the tests need on a bare Debian with Go and gcc
	tools/deps

clean: ## remove what make build left
	rm -rf bin
