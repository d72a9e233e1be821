//go:build gpu

#include "collectives.h"

#include <dlfcn.h>

static struct {
#define NCCL_FUNCTION(type, name, parameters) type(*name) parameters;
#include "include/nccl_functions.h"
#undef NCCL_FUNCTION
} nccl;

const char *nccl_open(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return dlerror();
#define NCCL_FUNCTION(type, name, parameters)                                                                                                        \
	if (!(*(void **)&nccl.name = dlsym(library, #name)))                                                                                             \
		return dlerror();
#include "include/nccl_functions.h"
#undef NCCL_FUNCTION
	return NULL;
}

int nccl_version(int *version) { return nccl.ncclGetVersion(version); }

int nccl_id(char id[NCCL_UNIQUE_ID_BYTES]) { return nccl.ncclGetUniqueId((ncclUniqueId *)id); }

/* ended closes a group of calls, of which status is the first failure. */
static int ended(int status)
{
	int end = nccl.ncclGroupEnd();

	return status ? status : end;
}

/* give_up destroys what seats have been given, since others have failed. */
static int give_up(struct nccl_seat *seats, int n, int status)
{
	for (int i = 0; i < n && status; i++) {
		if (seats[i].made)
			nccl.ncclCommAbort(seats[i].made);
		seats[i].made = NULL;
	}
	return status;
}

int nccl_join(const char id[NCCL_UNIQUE_ID_BYTES], int ranks, struct nccl_seat *seats, int n)
{
	int status = nccl.ncclGroupStart();

	if (status)
		return status;
	for (int i = 0; i < n && !status; i++) {
		cuCtxSetCurrent(seats[i].context);
		status = nccl.ncclCommInitRank(&seats[i].made, ranks, *(const ncclUniqueId *)id, seats[i].rank);
	}
	return give_up(seats, n, ended(status));
}

int nccl_split(struct nccl_seat *seats, int n)
{
	int status = nccl.ncclGroupStart();

	if (status)
		return status;
	for (int i = 0; i < n && !status; i++) {
		cuCtxSetCurrent(seats[i].context);
		status = nccl.ncclCommSplit(seats[i].from, seats[i].color < 0 ? NCCL_SPLIT_NOCOLOR : seats[i].color, seats[i].key, &seats[i].made, NULL);
	}
	return give_up(seats, n, ended(status));
}

int nccl_place(ncclComm_t group, int *rank, int *size)
{
	int status = nccl.ncclCommUserRank(group, rank);

	return status ? status : nccl.ncclCommCount(group, size);
}

static int enqueue(ncclComm_t group, const struct nccl_call *c, cudaStream_t stream)
{
	const void *src = (const void *)(uintptr_t)c->src;
	void *dst = (void *)(uintptr_t)c->dst;
	ncclDataType_t type = (ncclDataType_t)c->type;

	switch (c->op) {
	case 0:
		return nccl.ncclAllReduce(src, dst, c->n, type, ncclSum, group, stream);
	case 1:
		return nccl.ncclReduceScatter(src, dst, c->n, type, ncclSum, group, stream);
	case 2:
		return nccl.ncclAllGather(src, dst, c->n, type, group, stream);
	case 3:
		return nccl.ncclBroadcast(src, dst, c->n, type, c->peer, group, stream);
	case 4:
		return nccl.ncclSend(src, c->n, type, c->peer, group, stream);
	case 5:
		return nccl.ncclRecv(dst, c->n, type, c->peer, group, stream);
	}
	return ncclInvalidArgument;
}

int nccl_enqueue(ncclComm_t group, const struct nccl_call *calls, int n, void *stream)
{
	int status;

	if (n == 1)
		return enqueue(group, calls, stream);
	status = nccl.ncclGroupStart();
	if (status)
		return status;
	for (int i = 0; i < n && !status; i++)
		status = enqueue(group, &calls[i], stream);
	return ended(status);
}

int nccl_error(ncclComm_t group)
{
	ncclResult_t error = ncclSuccess;
	int status = nccl.ncclCommGetAsyncError(group, &error);

	return status ? status : (int)error;
}

int nccl_abort(ncclComm_t group) { return nccl.ncclCommAbort(group); }

int nccl_close(ncclComm_t group) { return nccl.ncclCommDestroy(group); }

const char *nccl_text(int status) { return nccl.ncclGetErrorString((ncclResult_t)status); }

const char *nccl_reason(void) { return nccl.ncclGetLastError(NULL); }
