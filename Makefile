# make bench    measure this machine: table on the terminal, CSV in results/runs (under 4 minutes on two cores)
# make smoke    prove in seconds that every technique runs
# make test     all tests; needs Go and a C compiler (for the race detector); those of scripts/peers run where Python 3 is
# make cuda     build bin/ofpeak-cuda, for hosts with an NVIDIA GPU; needs a C compiler, no CUDA toolkit (docs/cuda.md)
# make mpi      build bin/ofpeak-mpi, for mpirun and srun; needs a C compiler and an MPI with its headers (docs/mpi.md)
# make test-cuda   test that build on a stand-in for the driver, and on the interpreter as one; needs a C compiler, no GPU. A part of make test
# make test-gpu    the same on this host's GPU
# make gpu-bundle   pack what a GPU host without Go or a compiler needs to prove the CUDA build: bin/gpu-bundle.tar.gz, with scripts/gpu-verify.sh
# make test-arm64   the arm64 kernels on another architecture, where qemu-user is; part of make test
# make fuzz     hand each parser and writer of files and flags hostile input for FUZZTIME (10s; 100000x counts inputs instead)
# make lint     gofmt, vet for amd64 and arm64, staticcheck
# make peers    compare the CPU kernels with oneDNN, OpenBLAS, gonum and PyTorch, whichever are there (docs/peers.md; about an hour)
# make ptx      recompile the CUDA kernels to the PTX that is committed; needs NVRTC 11.8, no GPU (scripts/ptx.py)
# make ptx-check   fail if it is not what the sources give
# make generate         rewrite the generated assembly
# make generate-check   fail if it is not what its generators write

GO          ?= go
# ST1005 takes the dims C, NH, T and B at the start of an error for a capitalized word.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Concurrency lives in these packages, so their tests run under the race detector, but for those that train in processes of their own, or hold or draw many
# numbers, which would take minutes there, and those that count allocations, of which the detector adds some. The numeric packages, and bench/rig which trains,
# would take minutes too; results starts no goroutine, and what of it several could use at once is used by bench. Each test runs once.
RACE := ./parallel/paralleltest ./bench ./bench/nvml ./bench/sweep ./parallel/... ./kernels/cpu/team/... ./kernels/cpu/blas
UNRACED := VerifyReference|VerifyFinds|PeakMeasures|TestReport$$|Tutorial|InABrowser|IsAccessible|Killed|UnderMPI|TwoHosts|CutShort|OfIsolated|SimulatedGPUs|Alloc|NoFailureLeaks|Wait|TestReference$$|Graphs|Stale
# Of the others these take longest, so they start first.
LONGEST := ./kernels/cpu ./kernels/cuda
# Per package: five times what they take on two idle cores, since the machine may be busy.
TIMEOUT ?= 30m

# Stamp the commit where git can tell it.
VCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)

ASM := kernels/cpu/_asm

# Where gorgonia.org/cu finds cuda.h and libcuda; the checksum makes it compile anew when a header changes. Lazy binding, since the driver is opened only
# after the start, and may lack functions that are never called. All of its functions and NVML's are weak, or a loader that is told to bind at once (LD_BIND_NOW) would refuse the binary.
CUDRIVER := kernels/cuda/driver/cudriver
CUDA_H := $(wildcard $(CUDRIVER)/include/*.h)
WITH_CUDA = CGO_ENABLED=1 CGO_CFLAGS="-O2 -g -Wno-deprecated-declarations -I$(CURDIR)/$(CUDRIVER)/include -include $(CURDIR)/bin/stub/weak.h -DCUDA_H_SUM=$(firstword $(shell cat $(CUDA_H) | cksum))" \
	CGO_LDFLAGS="-L$(CURDIR)/bin/stub -Wl,-z,lazy,-z,dynamic-undefined-weak"
STUBS := bin/stub/libcuda.so bin/stub/weak.h
CUDA_TESTED = ./bench ./bench/nvml ./$(CUDRIVER) ./parallel/comm/nccl
MPI_TESTED = ./bench ./parallel/comm/mpi/...

.PHONY: build cuda gpu-bundle mpi bench smoke test test-arm64 test-cuda test-gpu fuzz lint peers ptx ptx-check mutants mutants-sample compilers generate generate-check clean

build:
	CGO_ENABLED=0 $(GO) build -buildvcs=$(VCS) -o bin/ofpeak ./bench

cuda: $(STUBS)
	$(WITH_CUDA) $(GO) build -tags gpu,mpi -buildvcs=$(VCS) -o bin/ofpeak-cuda ./bench

# The command opens its shim, and that its MPI, when a launcher has started it.
mpi:
	scripts/mpi-shims.sh bin
	CGO_ENABLED=1 $(GO) build -tags mpi -buildvcs=$(VCS) -o bin/ofpeak-mpi ./bench

bin/stub/libcuda.so: $(CUDRIVER)/stub/stub.c $(CUDA_H)
	mkdir -p $(@D)
	$(CC) -shared -fPIC -Wl,-soname,libdl.so.2 -o $@ $<

bin/stub/weak.h: $(CUDA_H) go.mod
	mkdir -p $(@D)
	nvml=$$($(GO) list -f '{{.Dir}}' github.com/NVIDIA/go-nvml/pkg/nvml)/nvml.h && sed -n 's/^CUDA_FUNCTION(\([A-Za-z0-9_]*\),.*/#pragma weak \1/p' $(CUDRIVER)/include/cuda_functions.h >$@ && \
	grep -o 'nvml[A-Z][A-Za-z0-9_]* *(' $$nvml | tr -d ' (' | sort -u | sed 's/^/#pragma weak /' >>$@

STANDINS := $(addprefix bin/standin/,libcuda.so.1 libcublasLt.so.12 libcusparseLt.so.0 libnccl.so.2 libnvidia-ml.so.1)
STANDIN_CC = $(CC) -shared -fPIC -O1 -Wall -Wextra -Werror -pthread -I$(CUDRIVER)/include -Wl,-soname,$(@F) -o $@

bin/standin/libcuda.so.1: $(wildcard $(CUDRIVER)/standin/*) $(CUDA_H)
	mkdir -p $(@D)
	$(STANDIN_CC) $(addprefix $(CUDRIVER)/standin/,device.c graph.c memory.c missing.c module.c)

bin/standin/libcublasLt.so.12: $(CUDRIVER)/standin/cublaslt.c $(wildcard $(CUDRIVER)/standin/*.h) $(CUDA_H)
	mkdir -p $(@D)
	$(STANDIN_CC) $< -lm

bin/standin/libcusparseLt.so.0: $(CUDRIVER)/standin/cusparselt.c $(wildcard $(CUDRIVER)/standin/*.h) $(CUDA_H)
	mkdir -p $(@D)
	$(STANDIN_CC) $< -lm

bin/standin/libnccl.so.2: $(wildcard $(CUDRIVER)/standin/*) $(CUDA_H)
	mkdir -p $(@D)
	$(STANDIN_CC) $(addprefix $(CUDRIVER)/standin/,nccl.c hub.c) -lm

bin/standin/libnvidia-ml.so.1: $(CUDRIVER)/standin/nvml.c $(CUDA_H)
	mkdir -p $(@D)
	$(STANDIN_CC) $<

# The interpreter as a libcuda.so.1, a Go library in a Go process: -Bsymbolic keeps each runtime to its own symbols.
LIBCUDA := kernels/cuda/driver/ptxsim/libcuda
bin/simulated/libcuda.so.1: $(wildcard $(LIBCUDA)/* kernels/cuda/driver/*.go kernels/cuda/driver/ptxsim/*.go kernels/cuda/driver/ptxsim/*/*.go) $(CUDA_H)
	CGO_ENABLED=1 $(GO) build -tags gpu -buildmode=c-shared -ldflags=-extldflags=-Wl,-Bsymbolic,-soname,$(@F) -o $@ ./$(LIBCUDA)

# A GPU is measured where a C compiler can build for it and it answers; ofpeak says which it is.
bench: build
	@if command -v $(firstword $(CC)) >/dev/null; then $(MAKE) cuda || echo "going on without bin/ofpeak-cuda" >&2; fi
	bin/ofpeak run

smoke: build
	rm -f bin/smoke.csv
	bin/ofpeak run --suite smoke --out bin/smoke.csv

test:
	@if command -v python3 >/dev/null || [ -n "$$OFPEAK_REQUIRE" ]; then python3 -m unittest discover scripts/peers; fi
	$(GO) -C $(ASM) test ./...
	CGO_ENABLED=1 $(GO) test -timeout $(TIMEOUT) -race -skip '$(UNRACED)' $(RACE)
	$(GO) test -timeout $(TIMEOUT) -run '$(UNRACED)' $(RACE)
	$(GO) test -timeout $(TIMEOUT) $(LONGEST) $$($(GO) list ./... | grep -vxF "$$($(GO) list $(RACE))")
	$(MAKE) test-cuda
	$(MAKE) test-arm64

ARM64 := ./kernels/cpu/isa ./kernels/cpu/team ./kernels/cpu/vec ./kernels/cpu/gemm ./kernels/cpu/blas ./kernels/cpu/peak

test-arm64:
	@if ! command -v qemu-aarch64 >/dev/null && [ -z "$$OFPEAK_REQUIRE" ]; then echo "test-arm64 skipped: no qemu-aarch64; apt install qemu-user"; exit 0; fi; \
	set -x; CGO_ENABLED=0 GOARCH=arm64 $(GO) test -short -exec qemu-aarch64 $(ARM64) && \
	CGO_ENABLED=0 GOARCH=arm64 $(GO) test -short -exec qemu-aarch64 -run Conformance ./kernels/cpu

test-cuda: build cuda $(STANDINS) bin/simulated/libcuda.so.1
	OFPEAK_SIMULATED=$(CURDIR)/bin/simulated OFPEAK_STANDIN=$(CURDIR)/bin/standin OFPEAK_STANDIN_DEVICES=2 LD_LIBRARY_PATH=$(CURDIR)/bin/standin $(WITH_CUDA) \
		$(GO) test -count=1 -tags gpu -run TestGPU $(CUDA_TESTED)
	OFPEAK_STANDIN_DEVICES=2 LD_LIBRARY_PATH=$(CURDIR)/bin/simulated $(WITH_CUDA) $(GO) test -count=1 -tags gpu -run TestGPU ./kernels/cuda ./$(CUDRIVER)

# What the interpreter computes, for gpu-verify.sh to count where a GPU differs; minutes.
bin/sim.golden: $(wildcard kernels/cuda/*.go kernels/cuda/src/*.ptx kernels/verify/*.go) | build
	bin/ofpeak verify --device sim --record $@

gpu-bundle: build cuda bin/sim.golden
	$(WITH_CUDA) $(GO) test -c -tags gpu -ldflags "-s -w" -o bin/cudriver.test ./$(CUDRIVER)
	tar czf bin/gpu-bundle.tar.gz bin/ofpeak bin/ofpeak-cuda bin/cudriver.test bin/sim.golden scripts/gpu-verify.sh scripts/peers/gpu.py scripts/peers/pytorch.py

test-gpu: cuda
	$(WITH_CUDA) $(GO) test -count=1 -tags gpu -run TestGPU ./bench ./kernels/cuda ./$(CUDRIVER) ./parallel/comm/nccl

FUZZTIME ?= 10s
FUZZERS := ./results:FuzzParse ./results/chips:FuzzParse ./results/compare:FuzzCompare ./results/export:FuzzBenchFmt ./bench:FuzzRunFlags ./bench:FuzzRunList \
	./bench/workload:FuzzParseCase ./bench/workload:FuzzParseModels ./bench/importer:FuzzParse

# Go fuzzes one function at a time. -parallel 1 leaves the machine usable; FUZZERS=./results:FuzzParse takes one. Looking long for the smallest interesting row of
# a hundred columns would leave no time for others.
fuzz:
	set -e; for f in $(FUZZERS); do echo "$$f"; $(GO) test -run '^$$' -fuzz "^$${f##*:}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x -parallel 1 "$${f%:*}"; done

lint: $(STUBS)
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) -C $(ASM) vet ./...
	CGO_ENABLED=0 GOARCH=arm64 $(GO) vet ./...
	$(WITH_CUDA) $(GO) vet -tags gpu $(CUDA_TESTED) ./kernels/cuda ./$(LIBCUDA)
	CGO_ENABLED=1 $(GO) vet -tags mpi $(MPI_TESTED)
	$(GO) run $(STATICCHECK) -checks inherit,-ST1005 ./...
	$(WITH_CUDA) $(GO) run $(STATICCHECK) -checks inherit,-ST1005 -tags gpu $(CUDA_TESTED) ./kernels/cuda ./$(LIBCUDA)
	CGO_ENABLED=1 $(GO) run $(STATICCHECK) -checks inherit,-ST1005 -tags mpi $(MPI_TESTED)

peers:
	python3 scripts/peers/peers.py

ptx:
	python3 scripts/ptx.py

ptx-check:
	python3 scripts/ptx.py --check

# The tests notice each of the ways to break a kernel; mutants-sample takes some of the quick ones, others for each commit.
mutants:
	python3 scripts/mutants.py

mutants-sample:
	python3 scripts/mutants.py --sample 8

# The kernels' tests on what other compilers make of them; scripts/compilers.py says what that needs.
compilers:
	python3 scripts/compilers.py

generate:
	$(GO) generate ./...

GENERATED = find . -name '*_gen_*' -type f -exec sha256sum {} + | sort -k 2

generate-check:
	@before=$$($(GENERATED)); $(GO) generate ./... && after=$$($(GENERATED)); \
	if [ "$$before" != "$$after" ]; then echo "generated files were stale; commit what make generate has written"; exit 1; fi

clean:
	rm -rf bin
