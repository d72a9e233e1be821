#include "shim.h"

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOTE_TAG = 7, KINDS = 2 };

/* group is a communicator with what a reduce-scatter into its own source needs. */
struct group {
	MPI_Comm comm;
	int rank, size;
};

/* letter is a note on its way. */
struct letter {
	MPI_Request request;
	void *text;
};

static struct group world;
static MPI_Comm notes;
static struct letter *letters; /* by rank and kind */
static MPI_Op sum_bf16, sum_f16;

static int fail(int code, const char *call, char *why)
{
	char text[MPI_MAX_ERROR_STRING];
	int n = 0;
	MPI_Error_string(code, text, &n);
	snprintf(why, SHIM_WHY, "%s: %.*s", call, n, text);
	return code ? code : 1;
}

#define TRY(call) do { int code_ = (call); if (code_ != MPI_SUCCESS) return fail(code_, #call, why); } while (0)

static float f32_of_bits(uint32_t b) { float f; memcpy(&f, &b, 4); return f; }
static uint32_t bits_of_f32(float f) { uint32_t b; memcpy(&b, &f, 4); return b; }

static float from_bf16(uint16_t h) { return f32_of_bits((uint32_t)h << 16); }

static uint16_t to_bf16(float f)
{
	uint32_t b = bits_of_f32(f);
	if ((b & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(b >> 16 | 0x40); /* NaN stays NaN */
	return (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

static float from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
	if (rest >= 0x7c00)
		return f32_of_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
	/* A product by 2^112 moves the exponent, of subnormals too. */
	return f32_of_bits(sign | bits_of_f32(f32_of_bits(rest << 13) * 0x1p112f));
}

static uint16_t to_f16(float f)
{
	uint32_t b = bits_of_f32(f), sign = b >> 16 & 0x8000;
	b &= 0x7fffffff;
	if (b > 0x7f800000)
		return (uint16_t)(sign | 0x7e00);
	if (b >= 0x477ff000)
		return (uint16_t)(sign | 0x7c00); /* 65520 and more round to infinity */
	if (b < 0x38800000) /* subnormal: the sum with 0.5 has its last bit at 2^-24 and rounds there */
		return (uint16_t)(sign | (bits_of_f32(f32_of_bits(b) + 0.5f) - 0x3f000000));
	return (uint16_t)(sign | ((b + 0xfff + (b >> 13 & 1)) - 0x38000000) >> 13);
}

/* MPI hands on 16-bit partial sums, so that each addition, made in float32, is rounded. */
static void add_bf16(void *in, void *inout, int *n, MPI_Datatype *t)
{
	uint16_t *a = in, *b = inout;
	(void)t;
	for (int i = 0; i < *n; i++)
		b[i] = to_bf16(from_bf16(a[i]) + from_bf16(b[i]));
}

static void add_f16(void *in, void *inout, int *n, MPI_Datatype *t)
{
	uint16_t *a = in, *b = inout;
	(void)t;
	for (int i = 0; i < *n; i++)
		b[i] = to_f16(from_f16(a[i]) + from_f16(b[i]));
}

static MPI_Datatype datatype(int type)
{
	switch (type) {
	case SHIM_F64: return MPI_DOUBLE;
	case SHIM_F32: return MPI_FLOAT;
	case SHIM_I32: return MPI_INT32_T;
	case SHIM_I8: return MPI_INT8_T;
	case SHIM_U8: return MPI_UINT8_T;
	}
	return MPI_UINT16_T;
}

static MPI_Op sum(int type) { return type == SHIM_BF16 ? sum_bf16 : type == SHIM_F16 ? sum_f16 : MPI_SUM; }

static int init(int crowded, int *rank, int *size, char *library, int len, char *why)
{
	int threads = 0, n = 0;
	char version[MPI_MAX_LIBRARY_VERSION_STRING];
	/* What MPI itself waits for, such as a split, leaves the core too, where ranks share one. The user's word goes first. */
	setenv("OMPI_MCA_mpi_yield_when_idle", crowded ? "1" : "0", 0);
	if (crowded)
		setenv("MPIR_CVAR_POLLS_BEFORE_YIELD", "10", 0);
	/* By itself Open MPI reduces what is in place, or of less than four ranks, to one of them and broadcasts it. Rabenseifner's is a reduce-scatter and an all-gather. */
	setenv("OMPI_MCA_coll_libnbc_iallreduce_algorithm", "3", 0);
	TRY(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &threads));
	if (threads < MPI_THREAD_MULTIPLE) {
		snprintf(why, SHIM_WHY, "this MPI lets one thread at a time call it (level %d); ofpeak needs MPI_THREAD_MULTIPLE", threads);
		return 1;
	}
	TRY(MPI_Get_library_version(version, &n));
	snprintf(library, len, "%.*s", n, version);
	TRY(MPI_Comm_dup(MPI_COMM_WORLD, &world.comm));
	TRY(MPI_Comm_dup(MPI_COMM_WORLD, &notes));
	TRY(MPI_Comm_set_errhandler(world.comm, MPI_ERRORS_RETURN));
	TRY(MPI_Comm_set_errhandler(notes, MPI_ERRORS_RETURN));
	TRY(MPI_Comm_rank(world.comm, &world.rank));
	TRY(MPI_Comm_size(world.comm, &world.size));
	TRY(MPI_Op_create(add_bf16, 1, &sum_bf16));
	TRY(MPI_Op_create(add_f16, 1, &sum_f16));
	letters = calloc((size_t)world.size * KINDS, sizeof *letters);
	if (!letters) {
		snprintf(why, SHIM_WHY, "out of memory");
		return 1;
	}
	for (int i = 0; i < world.size * KINDS; i++)
		letters[i].request = MPI_REQUEST_NULL;
	*rank = world.rank;
	*size = world.size;
	return 0;
}

static int finalize(char *why)
{
	TRY(MPI_Finalize());
	return 0;
}

static void die(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

static int split(void *from, int color, int key, void **made, int *rank, int *size, char *why)
{
	struct group *parent = from ? from : &world, *g;
	MPI_Comm c;
	*made = NULL;
	TRY(MPI_Comm_split(parent->comm, color < 0 ? MPI_UNDEFINED : color, key, &c));
	if (c == MPI_COMM_NULL)
		return 0;
	g = malloc(sizeof *g);
	if (!g) {
		snprintf(why, SHIM_WHY, "out of memory");
		return 1;
	}
	g->comm = c;
	TRY(MPI_Comm_set_errhandler(c, MPI_ERRORS_RETURN));
	TRY(MPI_Comm_rank(c, &g->rank));
	TRY(MPI_Comm_size(c, &g->size));
	*made = g;
	*rank = g->rank;
	*size = g->size;
	return 0;
}

static int close_comm(void *comm, char *why)
{
	struct group *g = comm;
	TRY(MPI_Comm_free(&g->comm));
	free(g);
	return 0;
}

static int bytes_of(int type)
{
	int n = 0;
	MPI_Type_size(datatype(type), &n);
	return n;
}

/* start begins one call. A reduce-scatter's sums go to *scratch where MPI would not have them in their place. */
static int start(struct group *g, const struct shim_call *k, MPI_Request *q, void **scratch, char *why)
{
	MPI_Datatype t = datatype(k->type);
	int n = (int)k->n;
	size_t part = (size_t)k->n * bytes_of(k->type);
	if (k->n != n) {
		snprintf(why, SHIM_WHY, "%ld elements in one call; MPI counts to 2147483647", k->n);
		return 1;
	}
	switch (k->op) {
	case SHIM_ALL_REDUCE:
		TRY(MPI_Iallreduce(k->dst == k->src ? MPI_IN_PLACE : k->src, k->dst, n, t, sum(k->type), g->comm, q));
		return 0;
	case SHIM_REDUCE_SCATTER:
		if (k->dst == (const char *)k->src + g->rank * part) {
			*scratch = malloc(part + 1);
			if (!*scratch) {
				snprintf(why, SHIM_WHY, "out of memory");
				return 1;
			}
		}
		TRY(MPI_Ireduce_scatter_block(k->src, *scratch ? *scratch : k->dst, n, t, sum(k->type), g->comm, q));
		return 0;
	case SHIM_ALL_GATHER:
		if (k->src == (const char *)k->dst + g->rank * part)
			TRY(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, k->dst, n, t, g->comm, q));
		else
			TRY(MPI_Iallgather(k->src, n, t, k->dst, n, t, g->comm, q));
		return 0;
	case SHIM_BROADCAST:
		TRY(MPI_Ibcast(k->dst, n, t, k->peer, g->comm, q));
		return 0;
	case SHIM_ALL_TO_ALL:
		TRY(MPI_Ialltoall(k->src, n, t, k->dst, n, t, g->comm, q));
		return 0;
	case SHIM_SEND: /* synchronous: it ends when the receiver has come */
		TRY(MPI_Issend(k->src, n, t, k->peer, 0, g->comm, q));
		return 0;
	case SHIM_RECV:
		TRY(MPI_Irecv(k->dst, n, t, k->peer, 0, g->comm, q));
		return 0;
	case SHIM_BARRIER:
		TRY(MPI_Ibarrier(g->comm, q));
		return 0;
	}
	snprintf(why, SHIM_WHY, "no such call");
	return 1;
}

static long nanoseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* rest leaves the core to others the longer a call has been waited for: not at all where it may end any moment, then in growing naps. It does not yield: to the kernel that is to give up the
 * rest of a slice, and a thread that yields again and again among others that do not gets back to its call milliseconds late. */
static void rest(long waited)
{
	struct timespec nap = {0, 20000};
	if (waited < 20000)
		return;
	if (waited > 5000000)
		nap.tv_nsec = 200000;
	if (waited > 200000000)
		nap.tv_nsec = 2000000;
	nanosleep(&nap, NULL);
}

enum { FEW = 16 };

/* wait_all looks for the end of calls, which MPI works on only meanwhile: whoever sleeps between looks holds up the other ranks too. With patience it does not sleep before that has passed. */
static int wait_all(MPI_Request *qs, int n, long patience, const int *stop, char *why)
{
	enum { LOOKS = 16 }; /* between two at the clock */
	int done = 0;
	for (long begin = nanoseconds();;) {
		for (int looks = 0; looks < LOOKS; looks++) {
			TRY(MPI_Testall(n, qs, &done, MPI_STATUSES_IGNORE));
			if (done)
				return 0;
		}
		if (__atomic_load_n(stop, __ATOMIC_ACQUIRE))
			return SHIM_STOPPED;
		rest(nanoseconds() - begin - patience);
	}
}

static int run(void *comm, const struct shim_call *calls, int n, long patience, const int *stop, char *why)
{
	struct group *g = comm ? comm : &world;
	MPI_Request few[FEW], *qs = few;
	void *scratch = NULL;
	int status = 0;
	if (n > FEW && !(qs = malloc(n * sizeof *qs))) {
		snprintf(why, SHIM_WHY, "out of memory");
		return 1;
	}
	for (int i = 0; i < n && status == 0; i++)
		status = start(g, &calls[i], &qs[i], &scratch, why);
	if (status == 0)
		status = wait_all(qs, n, patience, stop, why);
	if (status == 0 && scratch)
		memcpy(calls[0].dst, scratch, (size_t)calls[0].n * bytes_of(calls[0].type));
	if (status == 0) { /* else MPI may still use both */
		free(scratch);
		if (qs != few)
			free(qs);
	}
	return status;
}

static int tell(const void *note, int len, int to, int kind, char *why)
{
	struct letter *l = &letters[to * KINDS + kind];
	int sent = 1;
	if (l->request != MPI_REQUEST_NULL)
		TRY(MPI_Test(&l->request, &sent, MPI_STATUS_IGNORE));
	if (!sent)
		return 0;
	if (!l->text && !(l->text = malloc(len))) {
		snprintf(why, SHIM_WHY, "out of memory");
		return 1;
	}
	memcpy(l->text, note, len);
	TRY(MPI_Isend(l->text, len, MPI_BYTE, to, NOTE_TAG, notes, &l->request));
	return 0;
}

static int hear(void *note, int len, int *from, char *why)
{
	int there = 0;
	MPI_Status s;
	*from = -1;
	TRY(MPI_Iprobe(MPI_ANY_SOURCE, NOTE_TAG, notes, &there, &s));
	if (!there)
		return 0;
	TRY(MPI_Recv(note, len, MPI_BYTE, s.MPI_SOURCE, NOTE_TAG, notes, MPI_STATUS_IGNORE));
	*from = s.MPI_SOURCE;
	return 0;
}

const struct shim *ofpeak_shim(void)
{
	static const struct shim table = {SHIM_ABI, init, finalize, die, split, close_comm, run, tell, hear};
	return &table;
}
