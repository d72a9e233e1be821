/* NCCL, which is opened at run time. */
#ifndef OFPEAK_COLLECTIVES_H
#define OFPEAK_COLLECTIVES_H

#include "include/nccl.h"

#include <cuda.h>

/* nccl_seat is a rank of this process that joins a group, or takes part in the split of one. */
struct nccl_seat {
	CUcontext context;
	int32_t rank;       /* of a join */
	int32_t color, key; /* of a split */
	ncclComm_t from;    /* likewise */
	ncclComm_t made;    /* the answer; NULL of a negative color */
};

struct nccl_call {
	int32_t op;   /* as driver.CollectiveOp */
	int32_t type; /* ncclDataType_t */
	int32_t peer;
	uint64_t dst, src; /* device addresses */
	uint64_t n;
};

/* nccl_open loads the library; NULL, or the loader's line. */
const char *nccl_open(const char *name);

/* Each returns an ncclResult_t. Join and split are of all seats at once, on this thread, whose context they change. */
int nccl_version(int *version);
int nccl_id(char id[NCCL_UNIQUE_ID_BYTES]);
int nccl_join(const char id[NCCL_UNIQUE_ID_BYTES], int ranks, struct nccl_seat *seats, int n);
int nccl_split(struct nccl_seat *seats, int n);
int nccl_place(ncclComm_t group, int *rank, int *size);
int nccl_enqueue(ncclComm_t group, const struct nccl_call *calls, int n, void *stream);
int nccl_error(ncclComm_t group);
int nccl_abort(ncclComm_t group);
int nccl_close(ncclComm_t group);

/* nccl_text is the name of a status, nccl_reason what NCCL says of the last failure. */
const char *nccl_text(int status);
const char *nccl_reason(void);

#endif
