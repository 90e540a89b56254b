package service

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// environment gives settings that have no flag on the command line their environment variable's value. Kong could do that,
// but only from the process's own environment, and it would put the whole value of a wrong variable into its error.
type environment struct {
	lookup    func(name string) (string, bool)
	variables map[string]string // flag name → variable, of each setting that has one
	taken     map[string]string // those whose value the variable gave
}

// adopt takes the variables' names out of kong's model, so that kong doesn't look at them itself.
func (e *environment) adopt(k *kong.Kong) error {
	e.variables = make(map[string]string)
	e.taken = make(map[string]string)
	for _, flag := range k.Model.Flags {
		switch envs := flag.Tag.Envs; len(envs) {
		case 0:
		case 1:
			e.variables[flag.Name] = envs[0]
			flag.Tag.Envs, flag.Envs = nil, nil
		default:
			return fmt.Errorf("--%s has several environment variables, %s: one is all there is", flag.Name, strings.Join(envs, ", "))
		}
	}
	return nil
}

// Validate has nothing to check: variables that are nobody's setting are other programs'.
func (e *environment) Validate(*kong.Application) error { return nil }

// Resolve is asked by kong for each flag that isn't on the command line.
func (e *environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	variable, ok := e.variables[flag.Name]
	if !ok {
		return nil, nil
	}
	value, ok := e.lookup(variable)
	if !ok || value == "" && !emptyIsOff(flag.Value) {
		return nil, nil
	}
	e.taken[flag.Name] = variable
	trial := reflect.New(flag.Target.Type()).Elem()
	scan := kong.ScanAsType(kong.FlagValueToken, value)
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, trial); err != nil {
		return nil, err
	}
	return value, nil
}

// emptyIsOff tells whether the empty text is a value that differs from "not set".
func emptyIsOff(value *kong.Value) bool { return value.Tag.Get("off") == "empty" }

var flagInText = regexp.MustCompile(`--[a-z0-9][a-z0-9-]*`)

// blame adds to an error about flags the variables that their values came from.
func (e *environment) blame(err error) error {
	var variables []string
	named := make(map[string]bool)
	for _, flag := range flagInText.FindAllString(err.Error(), -1) {
		variable, ok := e.taken[flag[len("--"):]]
		if ok && !named[variable] {
			named[variable] = true
			variables = append(variables, variable)
		}
	}
	switch len(variables) {
	case 0:
		return err
	case 1:
		return fmt.Errorf("%w (environment variable %s)", err, variables[0])
	}
	return fmt.Errorf("%w (environment variables %s)", err, strings.Join(variables, ", "))
}
