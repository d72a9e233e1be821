/* The hub of a group of the stand-in for NCCL: where its ranks meet, of this process or of others of this host. */
#ifndef STANDIN_HUB_H
#define STANDIN_HUB_H

#include "../include/nccl.h"

#define MAX_RANKS 64

enum { JOIN, LEAVE, SPLIT, ALL_REDUCE, REDUCE_SCATTER, ALL_GATHER, BROADCAST, SEND, RECV };

/* message is what a rank says to the hub, with bytes of data behind it, and the hub's answer, which LEAVE has none of. */
struct message {
	int kind, status;
	int peer;               /* of SEND, RECV and BROADCAST */
	int type;               /* ncclDataType_t */
	int rank, ranks;        /* of JOIN, and of the answer to SPLIT */
	int color, key;         /* of SPLIT */
	uint64_t process, seat; /* of JOIN: the context, which may be in a group once */
	uint64_t call;          /* which the answer repeats */
	uint64_t n, bytes;
	ncclUniqueId id;        /* in the answer to SPLIT */
};

/* hub_open starts a hub in this process, for so many ranks that are known to come, or 0: those that join. Its name is new. */
ncclResult_t hub_open(ncclUniqueId *id, int ranks);

/* hub_connect gives a connection to the hub of a name, or -1. */
int hub_connect(const ncclUniqueId *id);

/* hub_write and hub_read move all of it, and tell whether they could. */
int hub_write(int fd, const struct message *m, const void *data);
int hub_read(int fd, void *to, size_t n);

#endif
