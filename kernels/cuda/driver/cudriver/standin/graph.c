/* Work, which runs as it is enqueued, and graphs of it: what was captured runs at each launch in the order in which it was captured, one of those that events leave open. */
#include "standin.h"

#include <time.h>

#define MAX_STREAMS 16

struct CUgraph_st {
	CUstream streams[MAX_STREAMS]; /* captured; the first began it */
	int open[MAX_STREAMS];         /* work came since the stream was last recorded for one that waits */
	int count, invalid;
	struct work *work;
	size_t length;
	struct CUgraph_st *next;
};

struct CUgraphExec_st {
	CUcontext context;
	struct work *work;
	size_t length;
};

static CUgraph captures; /* under way */

static int place(CUgraph g, CUstream stream)
{
	for (int i = 0; i < g->count; i++)
		if (g->streams[i] == stream)
			return i;
	return -1;
}

CUresult standin_enqueue(CUstream stream, struct work work)
{
	CUgraph g = stream->capture;

	if (!g) {
		stream->busy = 1;
		return work.run(&work);
	}
	if (g->invalid)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	g->work = realloc(g->work, (g->length + 1) * sizeof *g->work);
	g->work[g->length++] = work;
	g->open[place(g, stream)] = 1;
	return CUDA_SUCCESS;
}

CUresult standin_idle(CUcontext context)
{
	CUresult status = CUDA_SUCCESS;

	for (CUgraph g = captures; g; g = g->next)
		for (int i = 0; i < g->count; i++)
			if (g->streams[i]->context == context) {
				g->invalid = 1;
				status = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
			}
	return status;
}

static void take(CUgraph g, CUstream stream)
{
	g->open[g->count] = 1;
	g->streams[g->count++] = stream;
	stream->capture = g;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
	CUgraph g;

	ENTER();
	if (stream->capture || mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	g = calloc(1, sizeof *g);
	g->next = captures;
	captures = g;
	take(g, stream);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
	CUgraph g = stream->capture;
	CUresult status = CUDA_SUCCESS;

	ENTER();
	if (!g || g->streams[0] != stream)
		LEAVE(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
	for (CUgraph *p = &captures; *p; p = &(*p)->next)
		if (*p == g) {
			*p = g->next;
			break;
		}
	for (int i = 0; i < g->count; i++) {
		g->streams[i]->capture = NULL;
		if (i && g->open[i])
			status = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
	}
	if (g->invalid)
		status = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	*graph = status ? NULL : g;
	if (status) {
		free(g->work);
		free(g);
	}
	LEAVE(status);
}

/* A stream that waits for an event of a capture becomes part of that, and the event's is joined to it; the work itself is in order. */
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
	CUgraph g;

	ENTER();
	if (!event || flags)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	g = event->capture;
	stream->busy |= !g;
	if (!g && !stream->capture)
		LEAVE(CUDA_SUCCESS);
	if (!g) {
		stream->capture->invalid = 1;
		LEAVE(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
	}
	if (stream->capture && stream->capture != g) {
		stream->capture->invalid = g->invalid = 1;
		LEAVE(CUDA_ERROR_STREAM_CAPTURE_MERGE);
	}
	if (!stream->capture)
		take(g, stream);
	g->open[place(g, stream)] = 1;
	g->open[place(g, event->stream)] = 0;
	LEAVE(CUDA_SUCCESS);
}

static CUresult record(const struct work *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	w->event->milliseconds = (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
	w->event->recorded = 1;
	return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
	ENTER();
	if (event->context != stream->context)
		LEAVE(CUDA_ERROR_INVALID_HANDLE);
	event->capture = stream->capture;
	event->stream = stream;
	LEAVE(stream->capture ? CUDA_SUCCESS : record(&(struct work){.event = event}));
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
	ENTER();
	if (event->context != stream->context)
		LEAVE(CUDA_ERROR_INVALID_HANDLE);
	if (flags != CU_EVENT_RECORD_EXTERNAL || !stream->capture)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	event->capture = NULL;
	LEAVE(standin_enqueue(stream, (struct work){.run = record, .event = event}));
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *launchable, CUgraph graph, unsigned long long flags)
{
	ENTER();
	if (flags)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	if (standin_fails("cuGraphInstantiateWithFlags"))
		LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
	*launchable = calloc(1, sizeof **launchable);
	(*launchable)->context = graph->streams[0]->context;
	(*launchable)->length = graph->length;
	(*launchable)->work = malloc(graph->length * sizeof *graph->work + 1);
	memcpy((*launchable)->work, graph->work, graph->length * sizeof *graph->work);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuGraphDestroy(CUgraph graph)
{
	ENTER();
	free(graph->work);
	free(graph);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuGraphLaunch(CUgraphExec launchable, CUstream stream)
{
	CUresult status = CUDA_SUCCESS;

	ENTER();
	stream->busy = 1;
	for (size_t i = 0; i < launchable->length && !status; i++)
		status = launchable->work[i].run(&launchable->work[i]);
	LEAVE(status);
}

CUresult cuGraphExecDestroy(CUgraphExec launchable)
{
	ENTER();
	free(launchable->work);
	free(launchable);
	LEAVE(CUDA_SUCCESS);
}
