/* A libnccl.so.2 between the stand-in's devices, in one process. It moves the data and sums them, in rank order and in double; a call returns when the other ranks have made theirs, and its
 * work is done then. Like NCCL it refuses a device that is in a group twice, and operands that overlap otherwise than in place. */
#include "../include/nccl.h"
#include "numbers.h"
#include "standin.h"

#include <stdio.h>

#define MAX_CALLS 64

enum { ALL_REDUCE, REDUCE_SCATTER, ALL_GATHER, BROADCAST, SEND, RECV };

struct call {
	int op, peer;
	const void *src;
	void *dst;
	size_t n;
	ncclDataType_t type;
	int posted;
};

/* clique is a group: those who joined by one name, or one color of a split. */
struct clique {
	struct clique *next;
	ncclUniqueId id;
	int ranks, joined, holders, aborted, generation;
	ncclComm_t members[MAX_DEVICES];
	struct call calls[MAX_DEVICES];              /* of the collective that is to come */
	struct call sends[MAX_DEVICES][MAX_DEVICES]; /* from, to */
	struct call recvs[MAX_DEVICES][MAX_DEVICES]; /* likewise */
	int asked, colors[MAX_DEVICES], keys[MAX_DEVICES], splits;
	ncclComm_t *made[MAX_DEVICES];
};

struct ncclComm {
	struct clique *clique;
	CUcontext context;
	int rank;
};

/* job is what a group of calls of one thread has begun. */
struct job {
	struct clique *clique;
	int rank, generation; /* that is to pass */
	struct call *pending; /* a Send or Recv that is to be matched */
	int joining;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct clique *cliques;
static __thread struct job jobs[MAX_CALLS];
static __thread int depth, used;
static __thread ncclResult_t failed; /* the first failure of the group that this thread has begun */
static unsigned long names;

/* number is a type as the other libraries name it. */
static cudaDataType_t number(ncclDataType_t type)
{
	static const cudaDataType_t numbers[] = {[ncclInt8] = CUDA_R_8I, [ncclUint8] = CUDA_R_8U, [ncclInt32] = CUDA_R_32I, [ncclFloat16] = CUDA_R_16F,
		[ncclFloat32] = CUDA_R_32F, [ncclFloat64] = CUDA_R_64F, [ncclBfloat16] = CUDA_R_16BF};

	return numbers[type];
}

static size_t size_of(ncclDataType_t type) { return number_size(number(type)); }

/* memory is that of an operand, NULL where it is not all allocated. */
static void *memory(const struct clique *q, int rank, const void *at, size_t bytes)
{
	return standin_memory(q->members[rank]->context, (CUdeviceptr)(uintptr_t)at, bytes);
}

/* src_parts and dst_parts are how many times n elements an operand has. */
static int src_parts(const struct clique *q, int op) { return op == REDUCE_SCATTER ? q->ranks : 1; }
static int dst_parts(const struct clique *q, int op) { return op == ALL_GATHER ? q->ranks : 1; }

/* in_place tells whether operands lie apart, or as NCCL allows. */
static int in_place(const struct clique *q, int rank, const struct call *c)
{
	size_t n = c->n * size_of(c->type);
	const char *src = c->src, *dst = c->dst;
	size_t src_n = n * (size_t)src_parts(q, c->op), dst_n = n * (size_t)dst_parts(q, c->op);

	if (c->op == BROADCAST && rank != c->peer)
		return 1; /* which has no source */
	if (src + src_n <= dst || dst + dst_n <= src)
		return 1;
	switch (c->op) {
	case REDUCE_SCATTER:
		return dst == src + n * (size_t)rank;
	case ALL_GATHER:
		return src == dst + n * (size_t)rank;
	default:
		return src == dst;
	}
}

/* exchange does the collective that all ranks have posted. Sources are read before anything is written. */
static ncclResult_t exchange(struct clique *q)
{
	const struct call *c = &q->calls[0];
	size_t unit = size_of(c->type), n = c->n, i;
	char *all[MAX_DEVICES], *dst[MAX_DEVICES];
	int r, s;

	for (r = 0; r < q->ranks; r++) {
		const struct call *k = &q->calls[r];
		int reads = k->op != BROADCAST || r == k->peer;

		if (k->op != c->op || k->n != n || k->type != c->type || k->peer != c->peer || !in_place(q, r, k))
			return ncclInvalidArgument;
		all[r] = reads ? memory(q, r, k->src, n * unit * (size_t)src_parts(q, k->op)) : NULL;
		dst[r] = memory(q, r, k->dst, n * unit * (size_t)dst_parts(q, k->op));
		if ((reads && !all[r]) || !dst[r])
			return ncclUnhandledCudaError;
	}
	for (r = 0; r < q->ranks; r++) {
		char *copy;
		size_t bytes = n * unit * (size_t)src_parts(q, c->op);

		if (!all[r])
			continue;
		copy = malloc(bytes);
		memcpy(copy, all[r], bytes);
		all[r] = copy;
	}
	for (r = 0; r < q->ranks; r++) {
		size_t from = c->op == REDUCE_SCATTER ? n * (size_t)r : 0;

		if (c->op == BROADCAST) {
			memcpy(dst[r], all[c->peer], n * unit);
		} else if (c->op == ALL_GATHER) {
			for (s = 0; s < q->ranks; s++)
				memcpy(dst[r] + n * unit * (size_t)s, all[s], n * unit);
		} else {
			for (i = 0; i < n; i++) {
				double sum = 0;

				for (s = 0; s < q->ranks; s++)
					sum += number_get(all[s], number(c->type), from + i);
				number_put(dst[r], number(c->type), i, sum);
			}
		}
	}
	for (r = 0; r < q->ranks; r++)
		free(all[r]);
	return ncclSuccess;
}

/* match copies what was sent from one rank to another, if both have come. */
static ncclResult_t match(struct clique *q, int from, int to)
{
	struct call *s = &q->sends[from][to], *r = &q->recvs[from][to];
	size_t bytes = s->n * size_of(s->type);
	void *src, *dst;

	if (!s->posted || !r->posted)
		return ncclSuccess;
	s->posted = r->posted = 0;
	pthread_cond_broadcast(&changed);
	src = memory(q, from, s->src, bytes);
	dst = memory(q, to, r->dst, bytes);
	if (s->n != r->n || s->type != r->type)
		return ncclInvalidArgument;
	if (!src || !dst)
		return ncclUnhandledCudaError;
	memmove(dst, src, bytes);
	return ncclSuccess;
}

static ncclComm_t member(struct clique *q, int rank, CUcontext context)
{
	ncclComm_t c = calloc(1, sizeof *c);

	*c = (struct ncclComm){q, context, rank};
	q->members[rank] = c;
	q->holders++;
	return c;
}

/* divide makes the groups of a split that all ranks have asked for. */
static void divide(struct clique *q)
{
	for (int r = 0; r < q->ranks; r++) {
		struct clique *child;
		int i, first = 1;

		for (i = 0; i < r; i++)
			first = first && q->colors[i] != q->colors[r];
		if (q->colors[r] < 0 || !first)
			continue;
		child = calloc(1, sizeof *child);
		for (i = 0; i < q->ranks; i++) {
			int place = 0;

			if (q->colors[i] != q->colors[r])
				continue;
			for (int j = 0; j < q->ranks; j++)
				if (q->colors[j] == q->colors[i])
					place += q->keys[j] < q->keys[i] || (q->keys[j] == q->keys[i] && j < i);
			*q->made[i] = member(child, place, q->members[i]->context);
			child->ranks++;
		}
		child->joined = child->ranks;
	}
	q->asked = 0;
	q->splits++;
}

static int done(const struct job *j)
{
	if (j->joining)
		return j->clique->joined == j->clique->ranks;
	return j->pending ? !j->pending->posted : j->generation != j->clique->generation + j->clique->splits;
}

ncclResult_t ncclGroupStart(void)
{
	if (standin_fails(__func__))
		return ncclSystemError;
	depth++;
	return ncclSuccess;
}

/* ended waits until the other ranks have come to all that this thread has begun, unless some of it has failed; then nothing of it is done. */
static ncclResult_t ended(void)
{
	ncclResult_t status = failed;

	if (--depth)
		return status;
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < used; i++) {
		if (status)
			jobs[i].clique->aborted = 1;
		while (!done(&jobs[i]) && !jobs[i].clique->aborted)
			pthread_cond_wait(&changed, &mutex);
		if (!done(&jobs[i]) && !status)
			status = ncclInternalError;
	}
	used = 0;
	failed = ncclSuccess;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	return status;
}

ncclResult_t ncclGroupEnd(void)
{
	if (standin_fails(__func__))
		failed = ncclSystemError;
	return ended();
}

/* BEGIN and END stand around the part of a call that posts it; outside of a group the call is a group of its own. */
#define BEGIN(fails)                                                 \
	ncclResult_t status = standin_fails(__func__) ? fails : ncclSuccess; \
	depth++;                                                     \
	pthread_mutex_lock(&mutex)
#define END()                         \
	pthread_mutex_unlock(&mutex); \
	if (!failed)                  \
		failed = status;      \
	return ended()

static void begin(struct job j) { jobs[used++ % MAX_CALLS] = j; }

ncclResult_t ncclGetVersion(int *version)
{
	*version = 22105;
	return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
	if (standin_fails(__func__))
		return ncclSystemError;
	memset(id, 0, sizeof *id);
	pthread_mutex_lock(&mutex);
	snprintf(id->internal, sizeof id->internal, "stand-in %lu", ++names);
	pthread_mutex_unlock(&mutex);
	return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int ranks, ncclUniqueId id, int rank)
{
	struct clique *q;

	BEGIN(ncclUnhandledCudaError);
	*comm = NULL;
	for (q = cliques; q && memcmp(&q->id, &id, sizeof id); q = q->next)
		;
	if (!q) {
		q = calloc(1, sizeof *q);
		*q = (struct clique){.next = cliques, .id = id, .ranks = ranks};
		cliques = q;
	}
	if (status)
		;
	else if (ranks < 1 || ranks > MAX_DEVICES || q->ranks != ranks || rank < 0 || rank >= ranks || q->members[rank])
		status = ncclInvalidArgument;
	else if (!standin_current || !standin_current->retained)
		status = ncclUnhandledCudaError;
	for (int r = 0; r < ranks && !status; r++)
		if (q->members[r] && q->members[r]->context == standin_current)
			status = ncclInvalidUsage;
	if (!status) {
		*comm = member(q, rank, standin_current);
		q->joined++;
		begin((struct job){.clique = q, .joining = 1});
		pthread_cond_broadcast(&changed);
	}
	END();
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *made, ncclConfig_t *config)
{
	struct clique *q = comm->clique;
	int r = comm->rank;

	(void)config;
	BEGIN(ncclSystemError);
	*made = NULL;
	if (!status) {
		q->colors[r] = color;
		q->keys[r] = key;
		q->made[r] = made;
		begin((struct job){.clique = q, .generation = q->generation + q->splits});
		if (++q->asked == q->ranks) {
			divide(q);
			pthread_cond_broadcast(&changed);
		}
	}
	END();
}

/* leave frees a member, and the clique with its last. */
static void leave(ncclComm_t comm)
{
	struct clique *q = comm->clique;

	if (--q->holders)
		return; /* members are freed with the clique: others may be waiting in it */
	for (struct clique **p = &cliques; *p; p = &(*p)->next) {
		if (*p == q) {
			*p = q->next;
			break;
		}
	}
	for (int r = 0; r < q->ranks; r++)
		free(q->members[r]);
	free(q);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
	if (standin_fails(__func__))
		return ncclSystemError;
	pthread_mutex_lock(&mutex);
	leave(comm);
	pthread_mutex_unlock(&mutex);
	return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
	pthread_mutex_lock(&mutex);
	comm->clique->aborted = 1;
	pthread_cond_broadcast(&changed);
	leave(comm);
	pthread_mutex_unlock(&mutex);
	return standin_fails(__func__) ? ncclSystemError : ncclSuccess;
}

/* Once a rank has aborted, the others are told here. */
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
	pthread_mutex_lock(&mutex);
	*error = comm->clique->aborted || standin_fails(__func__) ? ncclRemoteError : ncclSuccess;
	pthread_mutex_unlock(&mutex);
	return ncclSuccess;
}

ncclResult_t ncclCommCount(ncclComm_t comm, int *n)
{
	*n = comm->clique->ranks;
	return standin_fails(__func__) ? ncclSystemError : ncclSuccess;
}

ncclResult_t ncclCommUserRank(ncclComm_t comm, int *rank)
{
	*rank = comm->rank;
	return standin_fails(__func__) ? ncclSystemError : ncclSuccess;
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

/* collective posts a call of all ranks; the last to come does the work. */
static ncclResult_t collective(ncclComm_t comm, struct call c, cudaStream_t on)
{
	struct clique *q = comm->clique;

	if (q->aborted || q->calls[comm->rank].posted || ((CUstream)on)->context != comm->context)
		return ncclInvalidUsage;
	((CUstream)on)->busy = 1;
	c.posted = 1;
	q->calls[comm->rank] = c;
	begin((struct job){.clique = q, .generation = q->generation + q->splits});
	for (int r = 0; r < q->ranks; r++)
		if (!q->calls[r].posted)
			return ncclSuccess;
	pthread_mutex_lock(&standin_mutex);
	ncclResult_t status = exchange(q);
	pthread_mutex_unlock(&standin_mutex);
	for (int r = 0; r < q->ranks; r++)
		q->calls[r].posted = 0;
	if (status)
		q->aborted = 1;
	else
		q->generation++;
	pthread_cond_broadcast(&changed);
	return status;
}

ncclResult_t ncclAllReduce(const void *src, void *dst, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = op == ncclSum ? collective(comm, (struct call){.op = ALL_REDUCE, .src = src, .dst = dst, .n = n, .type = type}, stream) : ncclInvalidArgument;
	END();
}

ncclResult_t ncclReduceScatter(const void *src, void *dst, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = op == ncclSum ? collective(comm, (struct call){.op = REDUCE_SCATTER, .src = src, .dst = dst, .n = n, .type = type}, stream) : ncclInvalidArgument;
	END();
}

ncclResult_t ncclAllGather(const void *src, void *dst, size_t n, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = collective(comm, (struct call){.op = ALL_GATHER, .src = src, .dst = dst, .n = n, .type = type}, stream);
	END();
}

ncclResult_t ncclBroadcast(const void *src, void *dst, size_t n, ncclDataType_t type, int root, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = collective(comm, (struct call){.op = BROADCAST, .peer = root, .src = src, .dst = dst, .n = n, .type = type}, stream);
	END();
}

/* transfer posts one side of a pair. */
static ncclResult_t transfer(ncclComm_t comm, struct call c, cudaStream_t on)
{
	struct clique *q = comm->clique;
	int from = c.op == SEND ? comm->rank : c.peer, to = c.op == SEND ? c.peer : comm->rank;
	struct call *slot;
	ncclResult_t status;

	if (c.peer < 0 || c.peer >= q->ranks)
		return ncclInvalidArgument;
	slot = c.op == SEND ? &q->sends[from][to] : &q->recvs[from][to];
	if (q->aborted || slot->posted || ((CUstream)on)->context != comm->context)
		return ncclInvalidUsage;
	((CUstream)on)->busy = 1;
	c.posted = 1;
	*slot = c;
	begin((struct job){.clique = q, .pending = slot});
	pthread_mutex_lock(&standin_mutex);
	status = match(q, from, to);
	pthread_mutex_unlock(&standin_mutex);
	if (status)
		q->aborted = 1;
	return status;
}

ncclResult_t ncclSend(const void *src, size_t n, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = transfer(comm, (struct call){.op = SEND, .peer = peer, .src = src, .n = n, .type = type}, stream);
	END();
}

ncclResult_t ncclRecv(void *dst, size_t n, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
	BEGIN(ncclSystemError);
	if (!status)
		status = transfer(comm, (struct call){.op = RECV, .peer = peer, .dst = dst, .n = n, .type = type}, stream);
	END();
}
