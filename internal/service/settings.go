package service

import (
	"errors"
	"fmt"
	"maps"

	"github.com/alecthomas/kong"
)

// action is what the command line asks for.
type action int

const (
	runService action = iota
	showHelp
	showVersion
	checkHealth
)

// questions are the flags that ask something instead of running the service. They are no settings and have no variables.
type questions struct {
	Healthcheck bool `group:"questions" help:"Ask /healthz of the process that serves --metrics-addr on this machine, and exit with status 0 when it is alive, else 1."`
	Version     bool `group:"questions" help:"Show the version and exit."`
}

// settings are a program's flags and variables, ready to parse.
type settings struct {
	kong        *kong.Kong
	environment *environment
	questions   *questions
}

// newSettings reads the tags of p.config. A wrong tag is a programmer's mistake, and the error is for them.
func newSettings(p program, lookupEnv func(string) (string, bool)) (*settings, error) {
	s := &settings{environment: &environment{lookup: lookupEnv}, questions: &questions{}}
	variables := kong.Vars{}
	maps.Copy(variables, p.defaults)
	options := append(valueParsers(),
		kong.Name(p.name),
		kong.Description(p.description),
		variables,
		kong.Embed(s.questions),
		kong.ExplicitGroups(groups(p.name)),
		kong.Resolvers(s.environment),
		kong.PostBuild(s.environment.adopt),
		kong.PostBuild(arrange),
	)
	var err error
	if s.kong, err = kong.New(p.config, options...); err != nil {
		return nil, fmt.Errorf("settings of %s: %w", p.name, err)
	}
	return s, nil
}

// parse fills the program's config and tells what is asked for. Only for runService has everything been validated, so that
// neither help nor health depends on settings that they don't use. Errors are *UsageErrors.
func (s *settings) parse(args []string) (action, error) {
	trace, err := kong.Trace(s.kong, args)
	if err == nil {
		err = trace.Error
	}
	if err != nil {
		var wrong *valueError
		if errors.As(err, &wrong) {
			return 0, &UsageError{err}
		}
		return 0, Usagef("%w; see %s --help", err, s.kong.Model.Name)
	}
	for _, path := range trace.Path {
		if path.Flag != nil && path.Flag == s.kong.Model.HelpFlag {
			return showHelp, nil
		}
	}
	steps := []func() error{trace.Reset, trace.Resolve, func() error { _, err := trace.Apply(); return err }}
	for _, step := range steps {
		if err := step(); err != nil {
			return 0, &UsageError{s.environment.blame(err)}
		}
	}
	switch {
	case s.questions.Version:
		return showVersion, nil
	case s.questions.Healthcheck:
		return checkHealth, nil
	}
	if err := trace.Validate(); err != nil {
		return 0, &UsageError{s.environment.blame(err)}
	}
	return runService, nil
}
