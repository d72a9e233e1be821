package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ofpeak/bench/isolate"
	"ofpeak/bench/workload"
	"ofpeak/parallel/comm/mpi"
)

// jobs starts cases of several ranks by a launcher such as mpirun, each in a job of its own.
type jobs struct {
	launcher []string
	plain    string // binary for one rank
	binary   string // that the job under way runs
	status   string // folder where the processes of the job under way keep what they do
}

// command starts a case's child.
func (j *jobs) command(c workload.Case) (*exec.Cmd, error) {
	if c.World() == 1 {
		return exec.Command(j.plain, "case"), nil
	}
	j.binary = j.plain
	if !mpi.Built {
		j.binary = filepath.Join(filepath.Dir(j.plain), "ofpeak-mpi")
		if _, err := os.Stat(j.binary); err != nil {
			return nil, fmt.Errorf("--launcher %q: there is no ofpeak-mpi beside this command; make mpi builds it", strings.Join(j.launcher, " "))
		}
	}
	var err error
	if j.status, err = os.MkdirTemp("", "ofpeak-job-"); err != nil {
		return nil, err
	}
	cmd := exec.Command(j.launcher[0], slices.Concat(j.launcher[1:], []string{j.binary, "case"})...)
	cmd.Env = append(os.Environ(), mpi.StatusEnv+"="+j.status)
	return cmd, nil
}

// after says, when a job has ended without a row, what each of its ranks did last, and forgets the job.
func (j *jobs) after(tail []string, failed bool) string {
	if j.status == "" {
		return ""
	}
	defer func() {
		os.RemoveAll(j.status)
		j.status = ""
	}()
	if !failed {
		return ""
	}
	return lastWords(mpi.ReadStatuses(j.status), tail)
}

// lost names the ranks of the job under way whose processes are gone, as far as they are of this host; "": none. One that was gone before it could say that it is there is missed
// among the launcher's processes.
func (j *jobs) lost(launcher int) string {
	var gone []string
	siblings := 0
	for _, s := range mpi.ReadStatuses(j.status) {
		if s.Place != mpi.Here() {
			continue
		}
		siblings = s.Siblings
		if isolate.Gone(s.PID) {
			gone = append(gone, fmt.Sprintf("rank %d (process %d)", s.Rank, s.PID))
		}
	}
	if len(gone) > 0 {
		return strings.Join(gone, ", ")
	}
	if n := isolate.Running(launcher, j.binary); 0 < n && n < siblings {
		return fmt.Sprintf("%d of the %d ranks of this host", siblings-n, siblings)
	}
	return ""
}

// diedRank is how Open MPI says which process died. MPICH names one that it has ended itself as readily as the first that died, so its word is not taken.
var diedRank = regexp.MustCompile(`process rank (\d+) with PID .* exited on signal (\d+)`)

// lastWords names the rank that died first, if its launcher tells, and what every rank did last.
func lastWords(ranks []mpi.Status, tail []string) string {
	if len(ranks) == 0 {
		return "no rank had joined the job yet"
	}
	var parts []string
	for _, line := range tail {
		if m := diedRank.FindStringSubmatch(line); m != nil {
			parts = append(parts, fmt.Sprintf("rank %s died of signal %s", m[1], m[2]))
			break
		}
	}
	for _, r := range ranks {
		parts = append(parts, fmt.Sprintf("rank %d: %s", r.Rank, r.Action))
	}
	return strings.Join(parts, "; ")
}
