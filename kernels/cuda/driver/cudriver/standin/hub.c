/* A hub is a thread that every rank of a group is connected to, by a socket. It sums in rank order and in double, and passes on what is sent. When a rank is gone without leave, or ranks
 * make calls that do not fit, it hangs up on all. */
#define _GNU_SOURCE /* SOCK_CLOEXEC, accept4 */

#include "hub.h"
#include "numbers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* parcel is data on its way, or a RECV that waits for it. */
struct parcel {
	struct parcel *next;
	struct message m;
	int from, to;
	char *data;
};

struct member {
	int fd, here, left;
	struct message said; /* the call that it waits for */
	char *data;
	int waits;
};

struct hub {
	int fd, ranks, joined; /* ranks are 0 until the first has joined */
	int known;             /* those that come are members already */
	struct member members[MAX_RANKS];
	struct parcel *sent, *wanted;
};

/* numbers are the types as the other libraries name them. */
static const cudaDataType_t numbers[] = {[ncclInt8] = CUDA_R_8I, [ncclUint8] = CUDA_R_8U, [ncclInt32] = CUDA_R_32I, [ncclFloat16] = CUDA_R_16F, [ncclFloat32] = CUDA_R_32F,
	[ncclFloat64] = CUDA_R_64F, [ncclBfloat16] = CUDA_R_16BF};

static socklen_t address(struct sockaddr_un *to, const ncclUniqueId *id)
{
	memset(to, 0, sizeof *to);
	to->sun_family = AF_UNIX; /* the name begins with a zero: it is no file, and goes with its process */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)snprintf(to->sun_path + 1, sizeof to->sun_path - 1, "%.100s", id->internal));
}

int hub_connect(const ncclUniqueId *id)
{
	struct sockaddr_un to;
	socklen_t n = address(&to, id);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, n)) {
		close(fd);
		return -1;
	}
	return fd;
}

int hub_read(int fd, void *to, size_t n)
{
	while (n) {
		ssize_t got = recv(fd, to, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		to = (char *)to + got;
		n -= (size_t)got;
	}
	return 1;
}

static int write_all(int fd, const void *from, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return 0;
		from = (const char *)from + sent;
		n -= (size_t)sent;
	}
	return 1;
}

int hub_write(int fd, const struct message *m, const void *data) { return write_all(fd, m, sizeof *m) && write_all(fd, data, m->bytes); }

/* answer ends a member's call. */
static void answer(struct member *member, struct message m, const void *data)
{
	hub_write(member->fd, &m, data); /* one that is gone is found by its socket */
	free(member->data);
	member->data = NULL;
	member->waits = 0;
}

/* fits tells whether all ranks have made the same call. */
static int fits(const struct hub *h)
{
	const struct message *a = &h->members[0].said;

	for (int r = 1; r < h->ranks; r++) {
		const struct message *b = &h->members[r].said;

		if (b->kind != a->kind || (a->kind != SPLIT && (b->n != a->n || b->type != a->type || b->peer != a->peer)))
			return 0;
	}
	return 1;
}

/* part is what a rank gets of a collective, in memory that the caller frees. */
static char *part(const struct hub *h, int rank, size_t *bytes)
{
	const struct message *m = &h->members[0].said;
	cudaDataType_t type = numbers[m->type];
	size_t n = m->n * number_size(type), from = m->kind == REDUCE_SCATTER ? m->n * (size_t)rank : 0;
	char *to = malloc(n * (size_t)h->ranks + 1);

	*bytes = m->kind == ALL_GATHER ? n * (size_t)h->ranks : n;
	if (m->kind == BROADCAST) {
		memcpy(to, h->members[m->peer].data, n);
	} else if (m->kind == ALL_GATHER) {
		for (int r = 0; r < h->ranks; r++)
			memcpy(to + n * (size_t)r, h->members[r].data, n);
	} else {
		for (size_t i = 0; i < m->n; i++) {
			double sum = 0;

			for (int r = 0; r < h->ranks; r++)
				sum += number_get(h->members[r].data, type, from + i);
			number_put(to, type, i, sum);
		}
	}
	return to;
}

/* divide tells each rank which group it is in now: its place among those of its color, by key and then by rank. */
static int divide(struct hub *h, struct message *answers)
{
	for (int r = 0; r < h->ranks; r++) {
		const struct message *a = &h->members[r].said;
		int first = r;

		answers[r] = *a;
		if (a->color < 0)
			continue;
		answers[r].rank = answers[r].ranks = 0;
		for (int i = h->ranks - 1; i >= 0; i--) {
			const struct message *b = &h->members[i].said;

			if (b->color != a->color)
				continue;
			first = i;
			answers[r].ranks++;
			answers[r].rank += b->key < a->key || (b->key == a->key && i < r);
		}
		if (first < r)
			answers[r].id = answers[first].id;
		else if (hub_open(&answers[r].id, answers[r].ranks))
			return 0;
	}
	return 1;
}

/* meet carries out the call that all ranks have made by now. */
static int meet(struct hub *h)
{
	struct message answers[MAX_RANKS];
	char *data[MAX_RANKS] = {0};
	int kind = h->members[0].said.kind;

	if (!fits(h) || (kind == SPLIT && !divide(h, answers)))
		return 0;
	for (int r = 0; r < h->ranks && kind != SPLIT; r++) {
		size_t bytes;

		data[r] = part(h, r, &bytes);
		answers[r] = h->members[r].said;
		answers[r].bytes = bytes;
	}
	for (int r = 0; r < h->ranks; r++) {
		answer(&h->members[r], answers[r], data[r]);
		free(data[r]);
	}
	return 1;
}

/* deliver hands over what was sent to those that wait for it, in the order in which it was sent. */
static int deliver(struct hub *h)
{
	for (struct parcel **w = &h->wanted, *want; (want = *w);) {
		struct parcel **s = &h->sent, *got;

		while ((got = *s) && (got->from != want->from || got->to != want->to))
			s = &got->next;
		if (!got) {
			w = &want->next;
			continue;
		}
		if (got->m.n != want->m.n || got->m.type != want->m.type)
			return 0;
		want->m.bytes = got->m.bytes;
		hub_write(h->members[want->to].fd, &want->m, got->data);
		got->m.bytes = 0;
		hub_write(h->members[got->from].fd, &got->m, NULL);
		*w = want->next;
		*s = got->next;
		free(got->data);
		free(got);
		free(want);
	}
	return 1;
}

/* keep puts a parcel at the end of a list. */
static void keep(struct parcel **list, struct parcel p)
{
	while (*list)
		list = &(*list)->next;
	*list = malloc(sizeof p);
	**list = p;
}

/* take does what a rank has said; 0 ends the group. */
static int take(struct hub *h, int rank, struct message m, char *data)
{
	struct member *member = &h->members[rank];

	switch (m.kind) {
	case LEAVE:
		member->left = 1;
		return 1;
	case SEND:
		keep(&h->sent, (struct parcel){.m = m, .from = rank, .to = m.peer, .data = data});
		return deliver(h);
	case RECV:
		keep(&h->wanted, (struct parcel){.m = m, .from = m.peer, .to = rank});
		return deliver(h);
	}
	if (member->waits)
		return 0;
	member->said = m;
	member->data = data;
	member->waits = 1;
	for (int r = 0; r < h->ranks; r++)
		if (!h->members[r].waits)
			return 1;
	return meet(h);
}

/* join takes in a rank, or refuses it. The last lets all go. */
static int join(struct hub *h, int fd)
{
	struct message m;
	struct member *member;

	if (!hub_read(fd, &m, sizeof m) || m.kind != JOIN || m.ranks < 1 || m.ranks > MAX_RANKS || m.rank < 0 || m.rank >= m.ranks) {
		close(fd);
		return 1;
	}
	if (!h->ranks)
		h->ranks = m.ranks;
	member = &h->members[m.rank];
	m.status = h->ranks != m.ranks || member->here ? ncclInvalidArgument : ncclSuccess;
	for (int r = 0; r < h->ranks && !m.status; r++)
		if (h->members[r].here && h->members[r].said.process == m.process && h->members[r].said.seat == m.seat)
			m.status = ncclInvalidUsage;
	if (m.status) {
		hub_write(fd, &m, NULL);
		close(fd);
		return 0;
	}
	*member = (struct member){.fd = fd, .here = 1, .said = m};
	if (h->known) {
		h->joined++;
		return hub_write(fd, &m, NULL);
	}
	if (++h->joined == h->ranks)
		for (int r = 0; r < h->ranks; r++)
			answer(&h->members[r], h->members[r].said, NULL);
	return 1;
}

/* listen_to handles what one rank says, or that it is gone. */
static int listen_to(struct hub *h, int rank)
{
	struct member *member = &h->members[rank];
	struct message m;
	char *data = NULL;

	if (!hub_read(member->fd, &m, sizeof m) || (m.bytes && (!(data = malloc(m.bytes)) || !hub_read(member->fd, data, m.bytes)))) {
		free(data);
		return 0;
	}
	return take(h, rank, m, data);
}

static void hang_up(struct hub *h)
{
	for (int r = 0; r < h->ranks; r++) {
		if (h->members[r].here)
			close(h->members[r].fd);
		free(h->members[r].data);
	}
	for (struct parcel *p = h->sent, *next; p; p = next) {
		next = p->next;
		free(p->data);
		free(p);
	}
	for (struct parcel *p = h->wanted, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	close(h->fd);
	free(h);
}

static int all_left(const struct hub *h)
{
	for (int r = 0; r < h->ranks; r++)
		if (!h->members[r].left)
			return 0;
	return h->ranks > 0;
}

static void *serve(void *of)
{
	struct hub *h = of;
	int goes_on = 1;

	while (goes_on && !all_left(h)) {
		struct pollfd ready[MAX_RANKS + 1] = {{.fd = h->joined == h->ranks && h->ranks ? -1 : h->fd, .events = POLLIN}};
		int n = h->ranks; /* one more may join below */

		for (int r = 0; r < n; r++)
			ready[1 + r] = (struct pollfd){.fd = h->members[r].here && !h->members[r].left ? h->members[r].fd : -1, .events = POLLIN};
		if (poll(ready, (nfds_t)n + 1, -1) < 0)
			continue;
		for (int r = 0; r < n && goes_on; r++)
			if (ready[1 + r].revents)
				goes_on = listen_to(h, r);
		if (goes_on && ready[0].revents)
			goes_on = join(h, accept4(h->fd, NULL, NULL, SOCK_CLOEXEC));
	}
	hang_up(h);
	return NULL;
}

ncclResult_t hub_open(ncclUniqueId *id, int ranks)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static unsigned long names;
	struct hub *h = calloc(1, sizeof *h);
	struct sockaddr_un at;
	struct timespec now;
	pthread_t thread;
	socklen_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&mutex);
	memset(id, 0, sizeof *id);
	snprintf(id->internal, sizeof id->internal, "ofpeak stand-in %d %ld%09ld %lu", (int)getpid(), (long)now.tv_sec, now.tv_nsec, ++names);
	pthread_mutex_unlock(&mutex);
	n = address(&at, id);
	h->ranks = ranks;
	h->known = ranks > 0;
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->fd < 0 || bind(h->fd, (struct sockaddr *)&at, n) || listen(h->fd, MAX_RANKS) || pthread_create(&thread, NULL, serve, h))
		return ncclSystemError;
	pthread_detach(thread);
	return ncclSuccess;
}
