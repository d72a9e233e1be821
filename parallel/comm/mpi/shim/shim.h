/* The few calls of MPI that ofpeak needs, in a form that is the same for every MPI: each has its own mpi.h and binary interface, so shim.c is compiled once for
 * each, and the program opens the one whose launcher started it. Functions return 0, or another number with the reason in why. */
#ifndef OFPEAK_SHIM_H
#define OFPEAK_SHIM_H

#define SHIM_ABI 2
#define SHIM_STOPPED (-1) /* run saw *stop */
#define SHIM_WHY 512

enum { SHIM_ALL_REDUCE, SHIM_REDUCE_SCATTER, SHIM_ALL_GATHER, SHIM_BROADCAST, SHIM_ALL_TO_ALL, SHIM_SEND, SHIM_RECV, SHIM_BARRIER };
enum { SHIM_F64 = 1, SHIM_F32, SHIM_F16, SHIM_BF16, SHIM_I32, SHIM_I8, SHIM_U8 };

/* One call. n counts elements of the smaller buffer. dst may be src, or overlap it as comm.Communicator allows. */
struct shim_call {
	void *dst;
	const void *src;
	long n;
	int op, type, peer;
};

struct shim {
	int abi;
	/* crowded says that each core has several ranks. */
	int (*init)(int crowded, int *rank, int *size, char *library, int len, char *why);
	int (*finalize)(char *why);
	void (*die)(int status);
	/* comm NULL is the world; a negative color gives NULL. */
	int (*split)(void *comm, int color, int key, void **made, int *rank, int *size, char *why);
	int (*close)(void *comm, char *why);
	/* Starts all calls, then waits for them leaving the core to others when so many nanoseconds have passed. */
	int (*run)(void *comm, const struct shim_call *calls, int n, long patience, const int *stop, char *why);
	/* Notes go past all that, from one thread: tell drops one that finds an earlier one of the same kind (0 or 1) to the same rank still on its way; hear takes one that has come, or
	 * gives from = -1. */
	int (*tell)(const void *note, int len, int to, int kind, char *why);
	int (*hear)(void *note, int len, int *from, char *why);
};

const struct shim *ofpeak_shim(void);

#endif
