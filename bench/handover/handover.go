// Package handover finds out whether an NVIDIA GPU answers without linking CUDA, and hands the process over to the build that does.
//
// There are two builds of the command, because the library that the CUDA build links ends the process where there is no driver or no GPU. The plain one asks the
// other, as a child that may die, and says why if there is no answer.
package handover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Binary is the file name of the CUDA build.
const Binary = "ofpeak-cuda"

// Timeout is how long a probe may take. A driver that has to start many GPUs needs seconds.
const Timeout = 60 * time.Second

// Beside is where the CUDA build of a command lies: in the same folder.
func Beside(executable string) string { return filepath.Join(filepath.Dir(executable), Binary) }

// Probe asks a CUDA build what it finds: one line about the GPUs, or an error with the reason in a few words.
func Probe(ctx context.Context, binary string) (string, error) {
	if _, err := os.Stat(binary); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s beside this command; where there is a C compiler, make cuda builds it", Binary)
	}
	ctx, stop := context.WithTimeout(ctx, Timeout)
	defer stop()
	cmd := exec.CommandContext(ctx, binary, "probe")
	cmd.WaitDelay = time.Second // for children of its own that hold its output
	output, err := cmd.CombinedOutput()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("%s probe gave no answer in %v", Binary, Timeout)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", reason(string(output), err)
	}
	return strings.TrimSpace(string(output)), nil
}

// refused is the line that gorgonia.org/cu leaves when CUDA does not start, up to the name of CUDA's error.
var refused = regexp.MustCompile(`Error in initialization, .*: (\w+)`)

// reason reads the loader's or cu's last words.
func reason(output string, err error) error {
	if strings.Contains(output, "libcuda.so.1") {
		return errors.New("there is no NVIDIA driver (the loader finds no libcuda.so.1); in a container, start it with the GPUs")
	}
	if m := refused.FindStringSubmatch(output); m != nil {
		return refusal(m[1])
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(output), "\n"); line != "" {
		return fmt.Errorf("%s probe failed: %s", Binary, line)
	}
	return fmt.Errorf("%s probe failed: %w", Binary, err)
}

func refusal(cuda string) error {
	visible, set := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	switch {
	case cuda == "NoDevice" && set:
		return fmt.Errorf("CUDA_VISIBLE_DEVICES=%q leaves no GPU", visible)
	case cuda == "NoDevice":
		return errors.New("the NVIDIA driver finds no GPU")
	}
	return fmt.Errorf("the NVIDIA driver does not start: %s", cuda)
}

// Exec makes this process the CUDA build, with the same arguments. It returns only if that fails.
func Exec(binary string, args []string) error {
	err := syscall.Exec(binary, append([]string{binary}, args...), os.Environ())
	return fmt.Errorf("handing over to %s: %w", binary, err)
}
