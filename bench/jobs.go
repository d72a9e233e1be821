package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ofpeak/bench/workload"
	"ofpeak/parallel/comm/mpi"
)

// jobs starts cases of several ranks by a launcher such as mpirun, each in a job of its own.
type jobs struct {
	launcher []string
	plain    string // binary for one rank
	status   string // folder where the processes of the job under way keep what they do
}

// command starts a case's child.
func (j *jobs) command(c workload.Case) (*exec.Cmd, error) {
	if c.World() == 1 {
		return exec.Command(j.plain, "case"), nil
	}
	binary := j.plain
	if !mpi.Built {
		binary = filepath.Join(filepath.Dir(j.plain), "ofpeak-mpi")
		if _, err := os.Stat(binary); err != nil {
			return nil, fmt.Errorf("--launcher %q: there is no ofpeak-mpi beside this command; make mpi builds it", strings.Join(j.launcher, " "))
		}
	}
	var err error
	if j.status, err = os.MkdirTemp("", "ofpeak-job-"); err != nil {
		return nil, err
	}
	cmd := exec.Command(j.launcher[0], slices.Concat(j.launcher[1:], []string{binary, "case"})...)
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
	return lastWords(readStatus(j.status), tail)
}

// rankStatus is what a rank wrote last.
type rankStatus struct {
	rank   int
	action string
}

func readStatus(dir string) []rankStatus {
	var found []rankStatus
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		text, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		_, action, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		s := rankStatus{action: action}
		var err error
		if s.rank, err = strconv.Atoi(f.Name()); err == nil {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b rankStatus) int { return cmp.Compare(a.rank, b.rank) })
	return found
}

// diedRank is how Open MPI says which process died. MPICH names one that it has ended itself as readily as the first that died, so its word is not taken.
var diedRank = regexp.MustCompile(`process rank (\d+) with PID .* exited on signal (\d+)`)

// lastWords names the rank that died first, if its launcher tells, and what every rank did last.
func lastWords(ranks []rankStatus, tail []string) string {
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
		parts = append(parts, fmt.Sprintf("rank %d: %s", r.rank, r.action))
	}
	return strings.Join(parts, "; ")
}
