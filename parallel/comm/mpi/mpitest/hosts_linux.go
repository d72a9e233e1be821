package mpitest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Hosts are two network namespaces of this machine that take the part of hosts: each has a name, an address and one link, to the other.
type Hosts struct {
	t     *testing.T
	names [2]string
	agent string // starts a command on the host whose address is its first argument
}

// addresses are those of the hosts' links: a pair of virtual Ethernet devices, and one whose packets take their time.
var addresses = map[string][2]string{"fast": {"10.77.0.1", "10.77.0.2"}, "slow": {"10.78.0.1", "10.78.0.2"}}

// NewHosts makes them until the test ends. Where it cannot the test is skipped, or fails where OFPEAK_REQUIRE is set.
func NewHosts(t *testing.T) *Hosts {
	t.Helper()
	h := &Hosts{t: t}
	need := func(err error) {
		t.Helper()
		switch {
		case err == nil:
		case os.Getenv("OFPEAK_REQUIRE") != "":
			t.Fatalf("no two hosts: %v", err)
		default:
			t.Skipf("no two hosts: %v; needs root, ip and tc (apt install iproute2)", err)
		}
	}
	for i := range h.names {
		h.names[i] = fmt.Sprintf("ofpeak-%d-%c", os.Getpid(), 'a'+i)
		need(command("ip", "netns", "add", h.names[i]))
		t.Cleanup(func() { _ = command("ip", "netns", "del", h.names[i]) })
	}
	need(command("ip", "link", "add", "fast", "netns", h.names[0], "type", "veth", "peer", "name", "fast", "netns", h.names[1]))
	for i, name := range h.names {
		need(command("ip", "-n", name, "addr", "add", addresses["fast"][i]+"/24", "dev", "fast"))
		need(command("ip", "-n", name, "link", "set", "lo", "up"))
		need(command("ip", "-n", name, "link", "set", "fast", "up"))
	}
	h.agent = filepath.Join(t.TempDir(), "agent")
	script := "#!/bin/sh\nhost=$1\nshift\ncase $host in\n"
	for i, name := range h.names {
		script += fmt.Sprintf("*.%d) exec %s \"$*\" ;;\n", i+1, strings.Join(h.on(name), " "))
	}
	need(os.WriteFile(h.agent, []byte(script+"esac\nexit 1\n"), 0o755))
	need(command("tc", "-V"))
	return h
}

// on starts a shell on a host; what it is to do follows.
func (h *Hosts) on(name string) []string {
	return []string{"ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", fmt.Sprintf(`'hostname %s; eval "$0"'`, name)}
}

// Limit makes both directions of the fast link carry so many megabits a second.
func (h *Hosts) Limit(megabits int) {
	h.t.Helper()
	for _, name := range h.names {
		rate := fmt.Sprintf("%dmbit", megabits)
		if err := command("tc", "-n", name, "qdisc", "replace", "dev", "fast", "root", "tbf", "rate", rate, "burst", "64k", "latency", "400ms"); err != nil {
			h.t.Fatal(err)
		}
	}
}

// Run starts Open MPI's launcher on the first host with so many processes on each, connected by one of the links, and returns what they printed.
func (h *Hosts) Run(limit time.Duration, m MPI, each int, link, binary string, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	at := addresses[link]
	line := append([]string{m.Launcher, "--oversubscribe", "--mca", "plm_rsh_agent", h.agent, "--mca", "btl", "tcp,vader,self", "--mca", "btl_tcp_if_include", link,
		"--host", fmt.Sprintf("%s:%d,%s:%d", at[0], each, at[1], each), "-np", fmt.Sprint(2 * each), binary}, args...)
	for i, word := range line {
		line[i] = "'" + word + "'"
	}
	cmd := exec.CommandContext(ctx, h.agent, at[0], strings.Join(line, " "))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = Env()
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("no end after %v", limit)
	}
	return string(out), err
}

// Sent is how many bytes have left the first host by a link.
func (h *Hosts) Sent(link string) int64 {
	h.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", h.names[0], "cat", "/sys/class/net/"+link+"/statistics/tx_bytes").Output()
	var n int64
	if err == nil {
		_, err = fmt.Sscan(string(out), &n)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func command(line ...string) error {
	out, err := exec.Command(line[0], line[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w %s", strings.Join(line, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
