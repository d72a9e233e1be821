/* A libnccl.so.2 between devices of one process or of several of a host. The ranks of a group meet in a hub, which moves and sums their data; what lies on a device is reached by the
 * functions of whatever libcuda.so.1 the process has: the stand-in, or the interpreter. A call returns when its work is done, so that it waits for the other ranks. Like NCCL it
 * refuses a device that is in a group twice, and operands that overlap otherwise than in place. */
#include "hub.h"

#include <cuda.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CALLS 64

struct ncclComm {
	int fd, rank, ranks, aborted;
	int holders; /* the caller, and calls under way */
	CUcontext context;
};

/* job is a call that this thread has begun, and waits for at the end of its group. */
struct job {
	ncclComm_t comm;
	struct message m;
	char *data; /* that the message brings */
	void *dst;
	CUstream stream;
	ncclComm_t *made; /* of a SPLIT */
	int done;
};

static __thread struct job jobs[MAX_CALLS];
static __thread int depth, used;
static __thread ncclResult_t failed; /* the first failure of the group that this thread has begun */

/* Whether a test wants this call to fail, if the stand-in for libcuda is here, which knows. */
__attribute__((weak)) int standin_fails(const char *name);
#define FAILS (standin_fails && standin_fails(__func__))

static size_t size_of(int type) { return type == ncclInt8 || type == ncclUint8 ? 1 : type == ncclFloat64 ? 8 : type == ncclFloat16 || type == ncclBfloat16 ? 2 : 4; }

static void let_go(ncclComm_t c)
{
	if (__atomic_sub_fetch(&c->holders, 1, __ATOMIC_SEQ_CST))
		return;
	close(c->fd);
	free(c);
}

static ncclComm_t member(int fd, int rank, int ranks, CUcontext context)
{
	ncclComm_t c = malloc(sizeof *c);

	*c = (struct ncclComm){.fd = fd, .rank = rank, .ranks = ranks, .holders = 1, .context = context};
	return c;
}

/* hello is how a member of a group presents itself. */
static struct message hello(ncclComm_t c)
{
	return (struct message){.kind = JOIN, .rank = c->rank, .ranks = c->ranks, .process = (uint64_t)getpid(), .seat = (uintptr_t)c->context};
}

/* copy moves bytes between a device and the host behind the stream's work, and waits. */
static CUresult copy(CUstream stream, const void *device, char *host, size_t n, int to_device)
{
	CUdeviceptr at = (CUdeviceptr)(uintptr_t)device;
	CUresult status;
	void *locked;

	if (!n)
		return CUDA_SUCCESS;
	status = cuMemAllocHost(&locked, n);
	if (status)
		return status;
	if (to_device)
		memcpy(locked, host, n);
	status = to_device ? cuMemcpyHtoDAsync(at, locked, n, stream) : cuMemcpyDtoHAsync(locked, at, n, stream);
	if (!status)
		status = cuStreamSynchronize(stream);
	if (!to_device && !status)
		memcpy(host, locked, n);
	cuMemFreeHost(locked);
	return status;
}

static void begin(struct job j)
{
	static uint64_t calls;

	j.m.call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&j.comm->holders, 1, __ATOMIC_SEQ_CST);
	jobs[used++ % MAX_CALLS] = j;
}

/* finish does what an answer leaves to do. */
static ncclResult_t finish(struct job *j, const struct message *m, char *data)
{
	struct message there;

	j->done = 1;
	if (m->status)
		return (ncclResult_t)m->status;
	if (j->dst)
		return copy(j->stream, j->dst, data, m->bytes, 1) ? ncclUnhandledCudaError : ncclSuccess;
	if (m->kind != SPLIT || m->color < 0)
		return ncclSuccess;
	*j->made = member(hub_connect(&m->id), m->rank, m->ranks, j->comm->context);
	there = hello(*j->made);
	return hub_write((*j->made)->fd, &there, NULL) && hub_read((*j->made)->fd, &there, sizeof there) ? (ncclResult_t)there.status : ncclSystemError;
}

/* answered reads answers until a job's has come. */
static ncclResult_t answered(struct job *j)
{
	while (!j->done) {
		struct job *whose = jobs;
		ncclResult_t status;
		struct message m;
		char *data = NULL;

		if (!hub_read(j->comm->fd, &m, sizeof m) || (m.bytes && (!(data = malloc(m.bytes)) || !hub_read(j->comm->fd, data, m.bytes)))) {
			free(data);
			return ncclRemoteError;
		}
		while (whose < jobs + used - 1 && (whose->comm != j->comm || whose->m.call != m.call))
			whose++;
		status = finish(whose, &m, data);
		free(data);
		if (status)
			return status;
	}
	return ncclSuccess;
}

/* say tells the hubs of those jobs that are sends, or of the others. */
static ncclResult_t say(int sends)
{
	for (int i = 0; i < used; i++)
		if ((jobs[i].m.kind == SEND) == sends && !hub_write(jobs[i].comm->fd, &jobs[i].m, jobs[i].data))
			return ncclRemoteError;
	return ncclSuccess;
}

/* ended carries out all that this thread has begun, unless some of it has failed; then nothing of it is said. If it fails on the way, its groups end. */
static ncclResult_t ended(void)
{
	ncclResult_t status = failed;
	int told;

	if (--depth)
		return status;
	told = !status;
	if (!status)
		status = say(1); /* first, since a hub answers nobody who is not reading */
	if (!status)
		status = say(0);
	for (int i = 0; i < used && !status; i++)
		status = answered(&jobs[i]);
	for (int i = 0; i < used; i++) {
		ncclComm_t c = jobs[i].comm;

		free(jobs[i].data);
		if (status && told) {
			if (__atomic_exchange_n(&c->aborted, 1, __ATOMIC_SEQ_CST) && status == ncclRemoteError)
				status = ncclInternalError; /* by this process */
			shutdown(c->fd, SHUT_RDWR);
		}
		let_go(c);
	}
	used = 0;
	failed = ncclSuccess;
	return status;
}

/* A call outside of a group is a group of its own. */
#define BEGIN(fails)                                          \
	ncclResult_t status = FAILS ? (fails) : ncclSuccess; \
	depth++
#define END()                    \
	if (!failed)             \
		failed = status; \
	return ended()

ncclResult_t ncclGroupStart(void)
{
	if (FAILS)
		return ncclSystemError;
	depth++;
	return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void)
{
	if (FAILS)
		failed = ncclSystemError;
	return ended();
}

ncclResult_t ncclGetVersion(int *version)
{
	*version = 22105;
	return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) { return FAILS ? ncclSystemError : hub_open(id, 0); }

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank)
{
	CUcontext context = NULL;
	int fd;

	BEGIN(ncclUnhandledCudaError);
	*comm = NULL;
	if (!status && (cuCtxGetCurrent(&context) || !context))
		status = ncclUnhandledCudaError;
	if (!status) {
		fd = hub_connect(&id);
		if (fd < 0) {
			status = ncclSystemError;
		} else {
			*comm = member(fd, rank, ranks, context);
			begin((struct job){.comm = *comm, .m = hello(*comm)});
		}
	}
	END();
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *made, ncclConfig_t *config)
{
	(void)config;
	BEGIN(ncclSystemError);
	*made = NULL;
	if (!status)
		begin((struct job){.comm = comm, .m = {.kind = SPLIT, .color = color, .key = key}, .made = made});
	END();
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
	struct message leave = {.kind = LEAVE};

	if (FAILS)
		return ncclSystemError;
	hub_write(comm->fd, &leave, NULL);
	let_go(comm);
	return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
	__atomic_store_n(&comm->aborted, 1, __ATOMIC_SEQ_CST);
	shutdown(comm->fd, SHUT_RDWR);
	let_go(comm);
	return FAILS ? ncclSystemError : ncclSuccess;
}

/* Between calls a hub says nothing, unless it hangs up. A signal that interrupts the look is no answer. */
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
	struct pollfd hub = {.fd = comm->fd, .events = POLLIN};

	*error = comm->aborted || FAILS || poll(&hub, 1, 0) > 0 ? ncclRemoteError : ncclSuccess;
	return ncclSuccess;
}

ncclResult_t ncclCommCount(ncclComm_t comm, int *n)
{
	*n = comm->ranks;
	return FAILS ? ncclSystemError : ncclSuccess;
}

ncclResult_t ncclCommUserRank(ncclComm_t comm, int *rank)
{
	*rank = comm->rank;
	return FAILS ? ncclSystemError : ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t status)
{
	static const char *names[] = {"no error", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument", "invalid usage", "remote process exited or there was a network error"};

	return status < sizeof names / sizeof *names ? names[status] : "unknown result code";
}

const char *ncclGetLastError(ncclComm_t comm)
{
	(void)comm;
	return "the stand-in has no more to say";
}

/* in_place tells whether operands lie apart, or as NCCL allows. */
static int in_place(ncclComm_t c, const struct message *m, const char *src, size_t src_n, const char *dst, size_t dst_n)
{
	size_t n = m->n * size_of(m->type);

	if (src + src_n <= dst || dst + dst_n <= src)
		return 1;
	switch (m->kind) {
	case REDUCE_SCATTER:
		return dst == src + n * (size_t)c->rank;
	case ALL_GATHER:
		return src == dst + n * (size_t)c->rank;
	default:
		return src == dst;
	}
}

/* post begins a call with data, which it reads behind the stream's work. */
static ncclResult_t post(ncclComm_t comm, struct message m, const void *src, void *dst, cudaStream_t stream)
{
	size_t n = m.n * size_of(m.type), src_n = m.kind == REDUCE_SCATTER ? n * (size_t)comm->ranks : n, dst_n = m.kind == ALL_GATHER ? n * (size_t)comm->ranks : n;
	char *data = NULL;

	if (m.peer < 0 || m.peer >= comm->ranks)
		return ncclInvalidArgument;
	if (comm->aborted)
		return ncclInvalidUsage;
	if (m.kind == BROADCAST && m.peer != comm->rank)
		src = NULL;
	if (src && dst && !in_place(comm, &m, src, src_n, dst, dst_n))
		return ncclInvalidArgument;
	if (src) {
		data = malloc(src_n + 1);
		m.bytes = src_n;
		if (copy(stream, src, data, src_n, 0)) {
			free(data);
			return ncclUnhandledCudaError;
		}
	}
	begin((struct job){.comm = comm, .m = m, .data = data, .dst = dst, .stream = stream});
	return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *src, void *dst, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = op == ncclSum ? post(comm, (struct message){.kind = ALL_REDUCE, .n = n, .type = (int)type}, src, dst, stream) : ncclInvalidArgument;
	END();
}

ncclResult_t ncclReduceScatter(const void *src, void *dst, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = op == ncclSum ? post(comm, (struct message){.kind = REDUCE_SCATTER, .n = n, .type = (int)type}, src, dst, stream) : ncclInvalidArgument;
	END();
}

ncclResult_t ncclAllGather(const void *src, void *dst, size_t n, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = post(comm, (struct message){.kind = ALL_GATHER, .n = n, .type = (int)type}, src, dst, stream);
	END();
}

ncclResult_t ncclBroadcast(const void *src, void *dst, size_t n, ncclDataType_t type, int root, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = post(comm, (struct message){.kind = BROADCAST, .peer = root, .n = n, .type = (int)type}, src, dst, stream);
	END();
}

ncclResult_t ncclSend(const void *src, size_t n, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = post(comm, (struct message){.kind = SEND, .peer = peer, .n = n, .type = (int)type}, src, NULL, stream);
	END();
}

ncclResult_t ncclRecv(void *dst, size_t n, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = post(comm, (struct message){.kind = RECV, .peer = peer, .n = n, .type = (int)type}, NULL, dst, stream);
	END();
}
