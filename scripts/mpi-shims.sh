#!/usr/bin/env bash
# mpi-shims.sh FOLDER: builds ofpeak-mpi-openmpi.so and ofpeak-mpi-mpich.so there, as far as their compilers are found: mpicc by its names on Debian, or
# as MPICC says. Fails if there is none.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)/parallel/comm/mpi/shim/shim.c
folder=$1
mkdir -p "$folder"
built=
for cc in ${MPICC:-mpicc.openmpi mpicc.mpich mpicc}; do
	command -v "$cc" >/dev/null || continue
	flavor=$(printf '#include <mpi.h>\n#if defined(OPEN_MPI)\nflavor openmpi\n#else\nflavor mpich\n#endif\n' | "$cc" -E -x c - | awk '$1 == "flavor" { print $2 }')
	case " $built " in *" $flavor "*) continue ;; esac
	# MPICH's MPI_STATUSES_IGNORE is the address 1, which gcc takes for an array of nothing.
	"$cc" -shared -fPIC -O2 -Wall -Wextra -Werror -Wno-stringop-overflow -o "$folder/ofpeak-mpi-$flavor.so" "$source"
	built="$built $flavor"
done
if [ -z "$built" ]; then
	echo "no MPI compiler found (mpicc.openmpi, mpicc.mpich, mpicc); apt install libopenmpi-dev or libmpich-dev, or set MPICC" >&2
	exit 1
fi
