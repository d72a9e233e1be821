// Command ofpeak measures what share of a chip's peak each large-model training technique reaches on this machine.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/bench/sweep"
	"ofpeak/results/render"
)

func main() {
	unbind()
	os.Exit(run(os.Stdout, os.Stderr, os.Args[1:]))
}

// run is the command as a function: it returns the exit status.
func run(stdout, stderr io.Writer, args []string) int {
	return execute(newRootCmd(stdout, stderr, openRunner), stderr, args)
}

// execute runs the command. An error becomes one line on stderr.
func execute(root *cobra.Command, stderr io.Writer, args []string) int {
	root.SetArgs(args)
	err := root.Execute()
	if err == nil || errors.Is(err, errFallenBack) {
		return 0
	}
	message := strings.ReplaceAll(err.Error(), "\n", `\n`) // one line, whatever was typed
	if strings.HasPrefix(message, "unknown command") {
		message += "; see ofpeak --help"
	}
	fmt.Fprintln(stderr, "ofpeak:", message)
	return exitStatus(err)
}

// exitStatus is what the error asks for, 130 after ctrl-C as a shell expects, otherwise 1.
func exitStatus(err error) int {
	var own interface{ ExitCode() int }
	switch {
	case errors.As(err, &own):
		return own.ExitCode()
	case errors.Is(err, sweep.ErrInterrupted):
		return 130
	}
	return 1
}

func newRootCmd(stdout, stderr io.Writer, open openFunc) *cobra.Command {
	root := &cobra.Command{
		Use:           "ofpeak",
		Short:         "Measure what share of a chip's peak each training technique reaches on this machine",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.DisableSuggestions = true // errors stay on one line
	root.SetVersionTemplate("ofpeak {{.Version}}\n")
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(fitted(root.UsageTemplate(), render.Width(stdout)))
	root.AddCommand(
		newRunCmd(stdout, stderr, open),
		newCompareCmd(stdout),
		newReportCmd(stdout),
		newExportCmd(stdout),
		newImportCmd(stdout),
		newExplainCmd(stdout),
		newTraceCmd(stdout),
		newChipsCmd(stdout),
		newDoctorCmd(stdout),
		newPeakCmd(stdout, stderr),
		newBubbleCmd(stdout),
		newVerifyCmd(stdout),
		newProbeCmd(stdout),
		newCaseCmd(stdout, stderr, open),
	)
	completeFlags(root)
	return root
}

// fitted is cobra's template with the flags' descriptions wrapped to a terminal's width; 0: no terminal.
func fitted(template string, width int) string {
	if width == 0 {
		return template
	}
	return strings.ReplaceAll(template, "FlagUsages ", fmt.Sprintf("FlagUsagesWrapped %d ", width))
}

// version is the release, if the binary is one, with the commit that it was built from.
func version() string {
	env := sweep.ThisEnvironment()
	parts := []string{env.ToolVersion, env.Commit}
	if env.ToolVersion == "" {
		parts[0] = "unreleased"
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		parts = append(parts, info.GoVersion)
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}
