//go:build linux

package isolate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// behave names the variable that makes this test binary a child which behaves so.
const behave = "OFPEAK_TEST_CHILD"

func TestMain(m *testing.M) {
	if how := os.Getenv(behave); how != "" {
		os.Exit(child(how))
	}
	os.Exit(m.Run())
}

// child is what the tests measure in: it behaves in the way that it is told.
func child(how string) int {
	job, c, err := ParseJob(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if how == "bystander" {
		time.Sleep(time.Hour)
	}
	Enter(os.Stdin)
	w := NewWriter(os.Stdout)
	_ = w.Stage("measuring")
	row := sweep.NewRow(c, machine, sweep.Environment{}, time.Now())
	row.Settle(results.OK, "")
	switch how {
	case "carries":
		var n int
		_ = json.Unmarshal(job.Carry, &n)
		row.WarmupSteps = results.Some(n)
		_ = w.Row(row, fmt.Append(nil, n+1))
		return 0
	case "another case":
		row.Case = "technique=baseline precision=fp32 model=gpt2"
	case "malformed row":
		_ = w.send(Message{Row: "schema,case\n1,2\n"})
		return 0
	case "talks":
		fmt.Println("Loading libraries ... {done}")
		fmt.Println(`{"stage":""}`)
		fmt.Println(strings.Repeat("x", 3<<20))
		fmt.Fprintln(os.Stderr, "warning: beware")
	case "hangs":
		_ = w.Stage("verifying")
		time.Sleep(time.Hour)
	case "stops":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "has a stopped child":
		cmd := exec.Command(os.Args[0], os.Args[1:]...)
		cmd.Env = append(os.Environ(), behave+"=stops")
		cmd.Stdin = os.Stdin
		_ = cmd.Run()
	case "panics":
		panic("index out of range")
	case "says why":
		fmt.Fprintf(os.Stderr, "first\n\nofpeak: the device is gone\n")
		return 3
	case "silent":
		return 0
	case "dies":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "faults":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Minute)
	case "crashes after its row":
		_ = w.Row(row, nil)
		panic("while it closes")
	case "takes all memory":
		_ = syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 4 << 30, Max: 4 << 30})
		for hold := [][]byte{}; ; {
			hold = append(hold, make([]byte, 1<<30))
		}
	case "is in a small cgroup":
		if err := os.WriteFile(filepath.Join(os.Getenv(groupOf), "cgroup.procs"), []byte("0"), 0); err != nil {
			panic(err)
		}
		for hold := [][]byte{}; ; {
			hold = append(hold, bytes.Repeat([]byte{1}, 16<<20))
		}
	case "leaves processes":
		for _, attr := range []*syscall.SysProcAttr{{}, {Setpgid: true}, {Setsid: true}} {
			cmd := exec.Command(os.Args[0], os.Args[1:]...)
			cmd.Env = append(os.Environ(), behave+"=bystander")
			cmd.SysProcAttr = attr
			cmd.Stdout = os.Stdout // holds the pipe
			if err := cmd.Start(); err != nil {
				panic(err)
			}
		}
	}
	_ = w.Row(row, nil)
	return 0
}

var machine = sweep.Machine{Device: results.CPU, Name: "test", Cores: 2}

type here struct{ sweep.Runner }

func (here) Machine() sweep.Machine { return machine }

// token marks what the children of this test process start.
var token = fmt.Sprintf("OFPEAK_TEST_TOKEN=%d", os.Getpid())

// isolated is a runner whose children behave so.
func isolated(t *testing.T, how string) *Runner {
	t.Helper()
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{Runner: here{}, Options: json.RawMessage("{}"), Command: func(workload.Case) (*exec.Cmd, error) {
		cmd := exec.Command(this)
		cmd.Env = append(os.Environ(), behave+"="+how, token)
		return cmd, nil
	}}
}

func tiny(t *testing.T) workload.Case {
	t.Helper()
	m, err := workload.Preset("tiny")
	if err != nil {
		t.Fatal(err)
	}
	return workload.Default(m)
}

func measured(ctx context.Context, t *testing.T, r *Runner) results.Row {
	t.Helper()
	row := sweep.NewRow(tiny(t), machine, sweep.Environment{}, time.Now())
	r.Run(ctx, tiny(t), &row)
	if row.Status != "" {
		if err := row.Validate(); err != nil {
			t.Errorf("the row cannot be written: %v", err)
		}
	}
	return row
}

// However a child ends, its case has a row that says why, and nothing of it is left.
func TestChildEnds(t *testing.T) {
	for _, test := range []struct {
		how     string
		timeout time.Duration
		status  results.Status
		reason  string
	}{
		{"is good", 0, results.OK, ""},
		{"is good", time.Hour, results.OK, ""},
		{"talks", 0, results.OK, ""},
		{"leaves processes", 0, results.OK, ""},
		{"crashes after its row", 0, results.OK, ""},
		{"hangs", 300 * time.Millisecond, results.Failed, "no end within --timeout 300ms"},
		{"panics", 0, results.Failed, "ended with exit status 2 while measuring and no row: panic: index out of range"},
		{"says why", 0, results.Failed, "ended with exit status 3 while measuring and no row: ofpeak: the device is gone"},
		{"silent", 0, results.Failed, "ended with exit status 0 while measuring and no row"},
		{"dies", 0, results.Failed, "killed by SIGKILL while measuring"},
		{"faults", 0, results.Failed, "ended with exit status 2 while measuring and no row: SIGSEGV: segmentation violation"},
		{"takes all memory", 0, results.Failed, "out of memory while measuring: "},
		{"another case", 0, results.Failed, "the case's process: wrote no row of the case"},
		{"malformed row", 0, results.Failed, "the case's process:1: column technique: is missing"},
	} {
		t.Run(test.how, func(t *testing.T) {
			r := isolated(t, test.how)
			r.Timeout = test.timeout
			row := measured(t.Context(), t, r)
			if row.Status != test.status || !strings.HasPrefix(row.Reason, test.reason) {
				t.Errorf("%s: %s", row.Status, row.Reason)
			}
			if left := bearing(token); len(left) > 0 {
				t.Errorf("processes left: %v", left)
			}
		})
	}
}

// A case of which a process is stopped ends after a while, and a limit that is not reached changes nothing.
func TestStoppedChild(t *testing.T) {
	for how, stops := range map[string]bool{"stops": true, "has a stopped child": true, "is good": false} {
		r := isolated(t, how)
		r.Stopped = 200 * time.Millisecond
		row := measured(t.Context(), t, r)
		if bad := row.Status == results.Failed; bad != stops || bad && !strings.Contains(row.Reason, " was stopped by a signal for 200ms while measuring") {
			t.Errorf("%s: %s: %s", how, row.Status, row.Reason)
		}
		if left := bearing(token); len(left) > 0 {
			t.Errorf("%s: processes left: %v", how, left)
		}
	}
}

// groupOf names the variable with the control group that a child is to enter.
const groupOf = "OFPEAK_TEST_CGROUP"

// smallGroup makes a control group whose processes have 64 MiB, or skips.
func smallGroup(t *testing.T) string {
	t.Helper()
	for _, at := range []struct{ parent, limit string }{{"/sys/fs/cgroup", "memory.max"}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}} {
		dir := filepath.Join(at.parent, fmt.Sprintf("ofpeak-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
		if limit, err := os.OpenFile(filepath.Join(dir, at.limit), os.O_WRONLY, 0); err == nil { // not created where it is no control group
			_, err = limit.WriteString("67108864")
			limit.Close()
			if err == nil {
				return dir
			}
		}
	}
	t.Skip("no control group with a memory limit can be made here (needs root, and a cgroup file system that is writable)")
	return ""
}

// The kernel's own killer, in a control group, costs the case its row and no other.
func TestKilledForMemory(t *testing.T) {
	t.Setenv(groupOf, smallGroup(t))
	row := measured(t.Context(), t, isolated(t, "is in a small cgroup"))
	if want := "out of memory while measuring: the kernel killed the process; take a smaller --model or batch"; row.Status != results.Failed || row.Reason != want {
		t.Errorf("%s: %s", row.Status, row.Reason)
	}
	if row := measured(t.Context(), t, isolated(t, "is good")); row.Status != results.OK {
		t.Errorf("the next case: %s: %s", row.Status, row.Reason)
	}
}

func TestCommandThatDoesNotStart(t *testing.T) {
	r := isolated(t, "is good")
	r.Command = func(workload.Case) (*exec.Cmd, error) { return exec.Command("/no/such/binary"), nil }
	if row := measured(t.Context(), t, r); row.Status != results.Failed || !strings.Contains(row.Reason, "does not start: fork/exec /no/such/binary") {
		t.Errorf("%s: %s", row.Status, row.Reason)
	}
	r.Command = func(workload.Case) (*exec.Cmd, error) { return nil, errors.New("no launcher") }
	if row := measured(t.Context(), t, r); row.Status != results.Failed || row.Reason != "no launcher" {
		t.Errorf("%s: %s", row.Status, row.Reason)
	}
}

// What one child found out, the next gets; a child that crashes loses nothing.
func TestCarry(t *testing.T) {
	r := isolated(t, "carries")
	crashing := isolated(t, "panics").Command
	for want := range 3 {
		if row := measured(t.Context(), t, r); row.WarmupSteps.Or(-1) != want {
			t.Errorf("child %d was told %v", want, row.WarmupSteps)
		}
		command := r.Command
		r.Command = crashing
		measured(t.Context(), t, r)
		r.Command = command
	}
}

// The end of the context ends the child at once, and leaves the row unsettled.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stages []string
	ctx = sweep.OnStage(ctx, func(stage string) {
		if stages = append(stages, stage); stage == "verifying" {
			cancel()
		}
	})
	row := measured(ctx, t, isolated(t, "hangs"))
	if row.Status != "" || strings.Join(stages, ", ") != "measuring, verifying" {
		t.Errorf("status %q after the stages %q", row.Status, stages)
	}
	if left := bearing(token); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

// The end of the pipe from the sweep ends the child's whole group.
func TestEnter(t *testing.T) {
	cmd, err := isolated(t, "hangs").Command(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = append(cmd.Args, `{"case":"model=tiny"}`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	err = cmd.Wait()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != unix.SIGKILL {
		t.Errorf("the child ended with %v", err)
	}
}

func TestParseJob(t *testing.T) {
	for argument, want := range map[string]string{
		"":                      "the argument is no job",
		"{":                     "the argument is no job",
		`{"case":7}`:            "the argument is no job",
		`{"case":""}`:           "no model",
		`{"case":"model=none"}`: "--model none is unknown",
	} {
		if _, _, err := ParseJob(argument); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", argument, err)
		}
	}
}

func TestReasonOfTheKernelsKill(t *testing.T) {
	e := ending{signal: "SIGKILL", oomKilled: true}
	if got := reason(e, "measuring", nil, limits{}); got != "out of memory while measuring: the kernel killed the process; take a smaller --model or batch" {
		t.Error(got)
	}
	e.oomKilled = false
	if got := reason(e, "", []string{"last words"}, limits{}); got != "killed by SIGKILL: last words" {
		t.Error(got)
	}
}
