package service

import (
	"errors"
	"fmt"
	"io/fs"
)

// UsageError is a wrong setting: something that the person who started the process must change. The process that returns it
// exits with status 2.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }
func (e *UsageError) Unwrap() error { return e.err }

// Usagef returns a *UsageError with a message as of fmt.Errorf. The message is one line, names the flag and tells what
// would be accepted.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// WrongValue returns the *UsageError for one setting's value: `--flag: "value" is not accepted: want accepted`. flag is the
// flag's name without dashes.
func WrongValue(flag, value, accepted string) error {
	return Usagef("--%s: %q is not accepted: want %s", flag, value, accepted)
}

// unreadable is WrongValue for a file that can't be read.
func unreadable(flag, path string, err error, accepted string) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) { // says the path a second time
		err = pathError.Err
	}
	return Usagef("--%s: %q is not accepted: want %s: %w", flag, path, accepted, err)
}
