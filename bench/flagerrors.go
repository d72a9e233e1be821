package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noArgs refuses arguments of a command that has flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes flags only, not %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
}

// files demands the files that a command reads.
func files(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most == 0 || len(args) <= most) {
			return nil
		}
		what := "one file"
		switch {
		case least > 1:
			what = fmt.Sprintf("%d files or more", least)
		case most == 0:
			what = "one file or more"
		}
		return fmt.Errorf("%s reads %s, not %d; give them as in %s", cmd.CommandPath(), what, len(args), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
}

// kinds say what a flag's value must be, by the name that pflag has for its type.
var kinds = map[string]string{
	"int": "a whole number", "int64": "a whole number", "uint64": "a whole number from 0 on", "intSlice": "a whole number or a list of them such as 2,4",
	"float64": "a number", "duration": "a time such as 30s or 10m", "bool": "true or false", "boolSlice": "true, false or true,false",
}

// flagError words pflag's errors: the flag, what is wrong, the way out.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	help := "see " + cmd.CommandPath() + " --help"
	switch {
	case errors.As(err, &value):
		kind := kinds[value.GetFlag().Value.Type()]
		if kind == "" {
			return fmt.Errorf("--%s %s: %w; %s", value.GetFlag().Name, value.GetValue(), errors.Unwrap(value), help)
		}
		return fmt.Errorf("--%s %q is not understood; pass %s", value.GetFlag().Name, value.GetValue(), kind)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s has no such flag: %s; %s", cmd.CommandPath(), strings.TrimPrefix(err.Error(), "unknown flag: "), help)
	case errors.As(err, &missing):
		return fmt.Errorf("--%s has no value; pass one, or %s", missing.GetFlag().Name, help)
	}
	return fmt.Errorf("%w; %s", err, help)
}
