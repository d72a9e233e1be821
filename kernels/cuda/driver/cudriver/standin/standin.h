/* What the stand-in's files share. */
#ifndef STANDIN_H
#define STANDIN_H

#include <cuda.h>

#include <pthread.h>
#include <string.h>

#define MAX_DEVICES 8

/* A primary context. */
struct CUctx_st {
	CUdevice device;
	int retained;
	int peers; /* bit mask */
	size_t used;
	CUresult lost;
};

struct CUstream_st {
	CUcontext context;
	int busy; /* something was enqueued since the last query */
	struct CUgraph_st *capture; /* NULL: none */
};

struct CUevent_st {
	CUcontext context;
	unsigned int flags;
	int recorded;
	double milliseconds;
	struct CUgraph_st *capture; /* that it was last recorded in; NULL: none */
	struct CUstream_st *stream; /* where */
};

/* One piece of work of a context: what runs, and its operands, as far as it has them. */
struct work {
	CUresult (*run)(const struct work *);
	CUcontext context;
	CUdeviceptr to, from;
	CUcontext from_context;
	void *host;
	size_t n;
	unsigned int value, size;
	CUevent event;
};

/* Run a piece of work, or keep it for the graph that its stream is captured for. */
CUresult standin_enqueue(CUstream stream, struct work work);

/* Fail, with the captures of a context's streams, a call that is not permitted while there are any. */
CUresult standin_idle(CUcontext context);

extern pthread_mutex_t standin_mutex;
extern __thread CUcontext standin_current;
extern struct CUctx_st standin_contexts[MAX_DEVICES];

int standin_devices(void);

/* Start and end of each function that needs a context: returns its error from the calling function, or holds the mutex. */
#define ENTER()                                           \
	if (!standin_current || !standin_current->retained) \
		return CUDA_ERROR_INVALID_CONTEXT;          \
	if (standin_current->lost)                          \
		return standin_current->lost;               \
	pthread_mutex_lock(&standin_mutex)
#define IDLE()                                                \
	do {                                                  \
		CUresult refused = standin_idle(standin_current); \
		if (refused)                                  \
			LEAVE(refused);                       \
	} while (0)
#define LEAVE(status)                                  \
	do {                                           \
		CUresult left = (status);              \
		pthread_mutex_unlock(&standin_mutex);  \
		return left;                           \
	} while (0)

/* The memory behind a device address, if n bytes there belong to one allocation that a context may reach; else NULL. */
void *standin_memory(CUcontext context, CUdeviceptr at, size_t n);

/* Whether a test wants this call of a function to fail: OFPEAK_STANDIN_FAIL=NAME:N is the nth call of NAME since that was set. */
int standin_fails(const char *name);

CUresult standin_alloc(CUcontext context, CUdeviceptr *at, size_t n);
CUresult standin_free(CUdeviceptr at);

#endif
