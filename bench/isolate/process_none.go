//go:build !unix

package isolate

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// process is a running child; there are none on this system.
type process struct{ out, errs *os.File }

func start(*exec.Cmd) (*process, error) {
	return nil, errors.New("this system has no process groups; pass --isolate=false")
}

func (*process) wait(context.Context, limits) ending { return ending{} }

// Gone is not known here.
func Gone(int) bool { return false }

// Running is not known here.
func Running(int, string) int { return 0 }

// Enter does nothing: start makes no children here.
func Enter(*os.File) {}
