package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/config"
)

// Which flags mean nothing stands with the flags themselves, as annotations: those
// that mean nothing without another one, and those that mean nothing beside one.
// Where such a flag was typed, whoever typed it expects what does not happen, and
// the command is refused. What the environment or the file says may be meant for
// other commands, and is left alone.
const (
	meansWithout = "shenscan.means-nothing-without"
	meansBeside  = "shenscan.means-nothing-beside"
)

// needs says that flags mean nothing without one of others, of which each is a
// flag or, with $ before it, a variable of the environment. Of several calls for
// one flag all hold.
func needs(set *pflag.FlagSet, others []string, names ...string) {
	for _, name := range names {
		flag := set.Lookup(name)
		annotate(flag, meansWithout, strings.Join(others, " "))
		if !slices.ContainsFunc(others, func(other string) bool { return strings.Contains(flag.Usage, "--"+other) }) {
			with := "; only with "
			if strings.Contains(flag.Usage, with) {
				with = " and "
			}
			flag.Usage += with + flagList(others, " or ")
		}
	}
}

// idle says that flags mean nothing beside another one, and why.
func idle(set *pflag.FlagSet, beside, why string, names ...string) {
	for _, name := range names {
		annotate(set.Lookup(name), meansBeside, beside+" "+why)
	}
}

func annotate(flag *pflag.Flag, key, value string) {
	if flag.Annotations == nil {
		flag.Annotations = map[string][]string{}
	}
	flag.Annotations[key] = append(flag.Annotations[key], value)
}

// flagList names flags as they are typed.
func flagList(names []string, or string) string {
	var out []string
	for _, name := range names {
		if !strings.HasPrefix(name, "$") {
			out = append(out, "--"+name)
		}
	}
	return strings.Join(out, or)
}

// inForce says whether a flag asks for something, whoever set it.
func inForce(set *pflag.FlagSet, name string) bool {
	if variable, ok := strings.CutPrefix(name, "$"); ok {
		return os.Getenv(variable) != ""
	}
	flag := set.Lookup(name)
	return flag != nil && !slices.Contains([]string{"", "false", "[]", "0", "0s"}, flag.Value.String())
}

func numeric(kind string) bool {
	return slices.Contains([]string{"int", "int64", "float64", "duration"}, kind)
}

// checkMeant refuses numbers and times below zero, wherever they were set, and typed flags
// that mean nothing as the others are.
func checkMeant(cmd *cobra.Command) error {
	set := cmd.Flags()
	var errs []error
	set.VisitAll(func(flag *pflag.Flag) {
		if value := flag.Value.String(); numeric(flag.Value.Type()) && strings.HasPrefix(value, "-") {
			errs = append(errs, fmt.Errorf("--%s %s: no setting is less than zero", flag.Name, value))
			return
		}
		if !config.Typed(set, flag.Name) || flag.Value.Type() == "bool" && flag.Value.String() == "false" {
			return
		}
		said := len(errs)
		for _, entry := range flag.Annotations[meansBeside] {
			if beside, why, _ := strings.Cut(entry, " "); inForce(set, beside) {
				errs = append(errs, fmt.Errorf("--%s means nothing beside --%s, %s: leave one of them away", flag.Name, beside, why))
			}
		}
		if len(errs) > said { // what else it needs is no help then
			return
		}
		for _, others := range flag.Annotations[meansWithout] {
			if list := strings.Fields(others); !slices.ContainsFunc(list, func(other string) bool { return inForce(set, other) }) {
				errs = append(errs, fmt.Errorf("--%s means nothing without %s: give that too, or leave --%s away", flag.Name, flagList(list, " or "), flag.Name))
			}
		}
	})
	if len(errs) == 0 {
		return nil
	}
	return usage(errors.Join(errs...))
}
