/* The collectives of an MPI by themselves, blocking as OSU's micro-benchmarks have them: median time of a call on float32, the slowest rank's of each. Prints CSV lines of
 * the columns of ofpeak peak --collectives. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 21 };

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void call(int op, float *a, float *b, int n, int p, int r)
{
	switch (op) {
	case 0: MPI_Allreduce(MPI_IN_PLACE, a, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); break;
	case 1: MPI_Reduce_scatter_block(a, b, n / p, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); break;
	case 2: MPI_Allgather(b, n / p, MPI_FLOAT, a, n / p, MPI_FLOAT, MPI_COMM_WORLD); break;
	case 3: MPI_Bcast(a, n, MPI_FLOAT, 0, MPI_COMM_WORLD); break;
	case 4: MPI_Alltoall(a, n / p, MPI_FLOAT, b, n / p, MPI_FLOAT, MPI_COMM_WORLD); break;
	case 5:
		if (r % 2 == 0 && r + 1 < p)
			MPI_Send(a, n, MPI_FLOAT, r + 1, 0, MPI_COMM_WORLD);
		else if (r % 2 == 1)
			MPI_Recv(a, n, MPI_FLOAT, r - 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	}
}

int main(int argc, char **argv)
{
	const char *names[] = {"all-reduce", "reduce-scatter", "all-gather", "broadcast", "all-to-all", "send-recv"};
	int p, r;
	MPI_Init(&argc, &argv);
	MPI_Comm_size(MPI_COMM_WORLD, &p);
	MPI_Comm_rank(MPI_COMM_WORLD, &r);
	double share = (double)(p - 1) / p, factors[] = {2 * share, share, share, 1, share, 1};
	for (int op = 0; op < 6; op++)
		for (long bytes = 1 << 10; bytes <= 64 << 20; bytes *= 16) {
			int n = bytes / 4 / p * p;
			float *a = calloc(n, 4), *b = calloc(n, 4);
			double t[CALLS + 1];
			for (int i = 0; i <= CALLS; i++) {
				MPI_Barrier(MPI_COMM_WORLD);
				double mine = MPI_Wtime();
				call(op, a, b, n, p, r);
				mine = MPI_Wtime() - mine;
				MPI_Allreduce(&mine, &t[i], 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
			}
			qsort(t + 1, CALLS, sizeof *t, ascending); /* without the first, which touches the memory */
			double s = t[1 + CALLS / 2];
			if (r == 0)
				printf("%s (blocking C),%s,%d,%d,%.1f,%.3g,%.3g\n", argc > 1 ? argv[1] : "MPI", names[op], p, n * 4, s * 1e6, n * 4 / s / 1e9, n * 4 / s / 1e9 * factors[op]);
			free(a);
			free(b);
		}
	MPI_Finalize();
}
