/* What cuda.c calls, which Go defines. Each returns a CUresult. Handles are numbers, 0 none. */
#ifndef OFPEAK_CALLS_H
#define OFPEAK_CALLS_H

#include <cuda.h>

struct sim_device {
	char name[64];
	uint64_t memory;
	int major, minor, multiprocessors, shared;
};

struct sim_function {
	int threads, shared, local;
};

int sim_devices(void); /* how many */
int sim_version(void);
void sim_describe(struct sim_device *device);
int sim_retain(int device, uintptr_t *context);
int sim_release(int device);
int sim_synchronize(uintptr_t context);
int sim_enable_peer(uintptr_t context, uintptr_t peer);
int sim_mem_info(uintptr_t context, size_t *unused, size_t *total);
int sim_alloc(uintptr_t context, uint64_t *at, size_t n);
int sim_free(uintptr_t context, uint64_t at);
int sim_alloc_host(uintptr_t context, uintptr_t *memory, size_t n);
int sim_free_host(uintptr_t context, uintptr_t memory);
int sim_stream(uintptr_t context, uintptr_t *stream);
int sim_event(uintptr_t context, int timing, uintptr_t *event);
int sim_module(uintptr_t context, char *ptx, char *log, size_t size, uintptr_t *module);
int sim_close(uintptr_t handle); /* a stream, an event, a module or a graph of either kind */
int sim_query(uintptr_t handle); /* a stream or an event */
int sim_wait(uintptr_t handle);  /* likewise, of the host */
int sim_wait_event(uintptr_t stream, uintptr_t event);
int sim_record(uintptr_t stream, uintptr_t event);
int sim_elapsed(float *milliseconds, uintptr_t start, uintptr_t end);
int sim_to_device(uintptr_t stream, uint64_t to, uintptr_t from, size_t n);
int sim_to_host(uintptr_t stream, uintptr_t to, uint64_t from, size_t n);
int sim_copy(uintptr_t stream, uint64_t to, uint64_t from, size_t n);
int sim_copy_peer(uintptr_t stream, uint64_t to, uintptr_t from_context, uint64_t from, size_t n);
int sim_fill(uintptr_t stream, uint64_t to, uint32_t value, int size, size_t n);
int sim_function(uintptr_t module, char *name, uintptr_t *function);
int sim_global(uintptr_t module, char *name, uint64_t *at, size_t *n);
int sim_describe_function(uintptr_t function, struct sim_function *description);
int sim_allow_shared(uintptr_t function, int bytes);
int sim_launch(uintptr_t stream, uintptr_t function, unsigned int *shape, unsigned int shared, void **parameters);
int sim_begin_capture(uintptr_t stream);
int sim_end_capture(uintptr_t stream, uintptr_t *graph);
int sim_record_node(uintptr_t stream, uintptr_t event);
int sim_instantiate(uintptr_t graph, uintptr_t *launchable);
int sim_launch_graph(uintptr_t launchable, uintptr_t stream);

#endif
