# `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
export CGO_ENABLED = 0

.PHONY: help build test test-race test-servers test-argo quickstart check fmt lint vuln stale generate demo bench bench-carry bench-graft bench-logstash bench-pipelines bench-go fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary: ./naru; TAGS=nokube leaves the operator and the plugin of Argo Rollouts out, and is half the size
	$(GO) build -buildvcs=auto -trimpath -tags "$(TAGS)" -ldflags "-s -w" -o naru .

test: ## every test, then the engine's under the race detector where there is a C compiler
	$(GO) test -timeout 30m ./...
	@if command -v cc >/dev/null; then \
		CGO_ENABLED=1 $(GO) test -race -timeout 20m ./flow/... ./migrate/... ./connect; \
	else echo "no C compiler: nothing was run under the race detector"; fi

test-race: ## everything that runs concurrently under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 60m ./flow/... ./connect/... ./migrate/... ./blob/... ./cli

test-servers: ## the long test: real Elasticsearch, OpenSearch and Kafka, read and written, killed, full
	NARU_SERVERS=$${NARU_SERVERS:-all} NARU_TEST_KILLS=$${NARU_TEST_KILLS:-100} \
		$(GO) test -tags servers -v -count=1 -timeout 6h -run 'TestServers|TestKillNine|SideBySide' ./internal/testbed ./connect/opensearch/... ./connect/kafka ./estate/... ./migrate/... ./logstash/... ./operator/... ./cli

# What shows in under a minute that Argo CD takes what is here.
ARGO_SHORT := ^(TestArgoBringsACommitToTheCluster|TestArgoCDUnderstandsTheCustomizations)$$

test-argo: ## the operator with the real Argo CD and Argo Rollouts, which it builds first (a quarter of an hour); ARGO=warm builds nothing, and skips; ARGO=short: two tests of it, with what is built
	@if [ "$(ARGO)" != warm ] && [ "$(ARGO)" != short ]; then internal/testbed/argo/build.sh; elif ! CHECK=built internal/testbed/argo/build.sh; then \
		echo "what needs Argo CD or Argo Rollouts is skipped: they are not in the cache, and ARGO=$(ARGO) builds nothing"; fi
	$(GO) test -tags argo -v -count=1 -timeout 60m -run '$(if $(filter short,$(ARGO)),$(ARGO_SHORT),TestArgo)' \
		./internal/testbed/gitops ./deploy/... $(if $(filter short,$(ARGO)),,./operator/... ./examples/...)

check: fmt lint vuln stale ## what CI requires beside the tests
	$(GO) test ./internal/arch

fmt: ## gofmt and vet, also of what other systems compile
	@out="$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go'))"; \
	if [ -n "$$out" ]; then echo "not formatted (gofmt -w them):"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	for os in windows darwin; do GOOS=$$os $(GO) vet ./... || exit 1; done

lint: ## golangci-lint, pinned in tools/go.mod
	$(TOOL) golangci-lint run ./...

vuln: ## govulncheck, pinned in tools/go.mod
	tools/vuln

stale: ## fails when a generated file is not what `make generate` writes
	$(GO) test -run 'TestTheReferenceIsWhatTheCommandsSay' ./cli
	$(GO) test -run 'TestTheReferenceOf.*TheySay' ./logstash
	tools/crds --check

generate: ## docs/reference.md, docs/filters.md, docs/inputs-outputs.md, the CRDs and what deploy/ has of charts and scripts, from the commands, the configuration's types, the plugins, the kinds and the charts
	$(GO) run . reference > docs/reference.md.new
	mv docs/reference.md.new docs/reference.md
	$(GO) test ./logstash -run 'TestTheReferenceOf.*TheySay' -update
	tools/crds
	$(GO) test ./deploy -run 'AreMadeOfTheLuaFiles|RendersAsBefore|InstallsWhatTheChartDoes' -update

quickstart: ## Kubernetes, Argo CD and the example of docs/gitops-quickstart.md on this machine, until Ctrl-C
	@internal/testbed/argo/build.sh >/dev/null
	QUICKSTART=1 $(GO) test -tags argo -v -count=1 -timeout 0 -run 'TestQuickstart$$' ./examples/gitops

demo: build ## carries a small real repository into an archive, verifies it, shows the report; no server
	tools/demo

bench: ## live documents out of a large repository, beside Lucene's own reader; then bench-graft, bench-logstash, bench-pipelines (needs Java, Maven, python3)
	bench/bench.sh
	bench/graft.sh
	bench/logstash.sh
	bench/pipelines.sh

bench-carry: ## a million documents into OpenSearch, beside _bulk alone, _reindex and elasticdump (needs Java, Maven, python3, npm)
	bench/carry.sh

bench-graft: ## a million documents grafted into OpenSearch, beside naru carry and _reindex (needs Java, Maven, python3)
	bench/graft.sh

bench-logstash: ## Logstash pipelines, beside gogstash (needs python3)
	bench/logstash.sh

bench-pipelines: ## Kafka, Beats, files, HTTP: events per CPU second, rebalances and restarts, beside gogstash (needs Java, Maven, python3, strace)
	bench/pipelines.sh

bench-go: ## benchmarks of the packages: MB/s and allocations
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

fuzz: ## each fuzz target for FUZZTIME (10s)
	tools/fuzz

clean: ## removes the binary and the caches of this checkout
	rm -f naru
	chmod -R u+w .cache 2>/dev/null || true
	rm -rf .cache
