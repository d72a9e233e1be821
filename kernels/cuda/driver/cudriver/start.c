//go:build gpu

/* Before Go starts, and with it cu, which calls CUDA at once: opens the driver's library, so that the calls find it, or hands over to the build without CUDA. The
 * library is no dependency of the binary, which the loader would refuse where there is no driver. */
#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* plain_build becomes the command ofpeak in the folder of this binary, with the same arguments. It returns if there is none. */
static void plain_build(char **argv)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "ofpeak");
	char *name;

	if (n < 0)
		return;
	path[n] = 0;
	name = strrchr(path, '/') + 1;
	strcpy(name, "ofpeak");
	argv[0] = path;
	execv(path, argv);
}

/* bind_late starts the process anew without LD_BIND_NOW, under which the loader looks for the driver's functions before it is opened, and leaves out all of them. */
static void bind_late(char **argv)
{
	const char *now = getenv("LD_BIND_NOW");

	if (!now || !*now)
		return;
	unsetenv("LD_BIND_NOW");
	execv("/proc/self/exe", argv);
}

__attribute__((constructor)) static void start(int argc, char **argv)
{
	CUresult (*init)(unsigned int) = NULL;
	int probe = argc > 1 && !strcmp(argv[1], "probe");
	const char *why = "CUDA finds no GPU";
	void *driver;

	bind_late(argv);
	driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_GLOBAL);
	if (driver)
		init = (CUresult(*)(unsigned int))dlsym(driver, "cuInit");
	else
		why = dlerror();
	if (init && (probe || init(0) == CUDA_SUCCESS))
		return; /* a probe's answer is cu's */
	if (probe) {
		fprintf(stderr, "%s\n", why);
		_exit(127);
	}
	plain_build(argv);
	fprintf(stderr, "ofpeak-cuda: %s; the CPU is measured by ofpeak, which does not lie beside this command\n", why);
	_exit(1);
}
