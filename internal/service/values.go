package service

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Kong's own parsing of values speaks to programmers ("expected a valid 64 bit int"), quotes what follows a flag without a
// value, be it a password, and passes strings through JSON, which changes bytes that are not UTF-8. So the kinds of
// values that settings have are parsed here. Each error says the value and what is accepted; kong puts the flag before it.
func valueParsers() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.String, textValue(func(text string, target reflect.Value) error {
			target.SetString(text)
			return nil
		})),
		kong.KindMapper(reflect.Bool, switchValue{}),
		kong.KindMapper(reflect.Int, textValue(parseInt)),
		kong.KindMapper(reflect.Int32, textValue(parseInt)),
		kong.KindMapper(reflect.Int64, textValue(parseInt)),
		kong.KindMapper(reflect.Float64, textValue(parseFloat)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), textValue(parseDuration)),
		kong.TypeMapper(reflect.TypeFor[[]string](), textValue(parseList)),
	}
}

// valueError is what is wrong with a flag's value.
type valueError struct{ text string }

func (e *valueError) Error() string { return e.text }

var errNoValue = &valueError{"want a value after it; one that begins with - is written with =, as in --flag=-1"}

// textValue parses the one text that a flag takes.
type textValue func(text string, target reflect.Value) error

func (parse textValue) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("")
	if err != nil {
		return errNoValue
	}
	return parse(token.Value.(string), target)
}

// switchValue parses a flag that may stand alone: --tls is --tls=true.
type switchValue struct{}

func (switchValue) IsBool() bool { return true }

func (switchValue) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		target.SetBool(true)
		return nil
	}
	text := ctx.Scan.Pop().Value.(string)
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		target.SetBool(true)
	case "false", "0", "no", "off":
		target.SetBool(false)
	default:
		return notAccepted(text, "true or false")
	}
	return nil
}

func parseInt(text string, target reflect.Value) error {
	n, err := strconv.ParseInt(text, 10, target.Type().Bits())
	if errors.Is(err, strconv.ErrRange) {
		return notAccepted(text, fmt.Sprintf("a whole number of %d bits", target.Type().Bits()))
	}
	if err != nil {
		return notAccepted(text, "a whole number")
	}
	target.SetInt(n)
	return nil
}

func parseFloat(text string, target reflect.Value) error {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return notAccepted(text, "a number")
	}
	target.SetFloat(x)
	return nil
}

func parseDuration(text string, target reflect.Value) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return notAccepted(text, "a duration such as 250ms, 30s, 10m, 1h30m")
	}
	target.SetInt(int64(d))
	return nil
}

// parseList appends what is between the commas; a flag given twice lists more. Space around an element and empty
// elements don't count.
func parseList(text string, target reflect.Value) error {
	for element := range strings.SplitSeq(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			target.Set(reflect.Append(target, reflect.ValueOf(element)))
		}
	}
	return nil
}

func notAccepted(value, accepted string) error {
	return &valueError{fmt.Sprintf("%q is not accepted: want %s", value, accepted)}
}
