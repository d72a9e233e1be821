package mpitest

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// packet is one on its way to the other host.
type packet struct {
	data []byte
	at   time.Time // to arrive
}

// onTheWay is how many packets a direction of the slow link holds before it loses some, as a queue in a switch does.
const onTheWay = 4096

// Delay makes the link "slow": each packet takes so long. It goes through this process, from a tunnel device of one host to that of the other, since the kernel's own delays
// (netem) are not in every kernel.
func (h *Hosts) Delay(each time.Duration) {
	h.t.Helper()
	var ends [2]*os.File
	for i, name := range h.names {
		var err error
		if ends[i], err = tunnel(name, "slow"); err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { ends[i].Close() })
		for _, line := range [][]string{
			{"ip", "-n", name, "addr", "add", addresses["slow"][i] + "/24", "dev", "slow"},
			{"ip", "-n", name, "link", "set", "slow", "mtu", "9000", "up"},
		} {
			if err := command(line...); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	for i := range ends {
		way := make(chan packet, onTheWay)
		go take(ends[i], way, each)
		go give(ends[1-i], way)
	}
}

// take reads packets until the device is closed.
func take(from *os.File, way chan<- packet, each time.Duration) {
	defer close(way)
	for {
		data := make([]byte, 10000)
		n, err := from.Read(data)
		if err != nil {
			return
		}
		select {
		case way <- packet{data[:n], time.Now().Add(each)}:
		default: // lost: TCP sends it again
		}
	}
}

// give delivers packets, each when it is due.
func give(to *os.File, way <-chan packet) {
	for p := range way {
		time.Sleep(time.Until(p.at))
		_, _ = to.Write(p.data) // lost, if the device is down
	}
}

// tunnel makes a device in a namespace whose packets are read and written by this process.
func tunnel(namespace, device string) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		f, err := openTunnel(namespace, device)
		made <- result{f, err}
	}()
	r := <-made
	return r.f, r.err
}

func openTunnel(namespace, device string) (*os.File, error) {
	ns, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter %s: %w", namespace, err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("a tunnel in %s: %w", namespace, err)
	}
	return os.NewFile(uintptr(fd), device), nil // non-blocking, so that Close ends a Read
}
