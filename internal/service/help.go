package service

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

const helpWidth = 100 // columns, whatever the terminal has: the text is the same everywhere

// groups returns the groups of --help in the order in which they are shown: first what a service has of its own.
func groups(name string) []kong.Group {
	return []kong.Group{
		{Key: "own", Title: "Settings of " + name + ":"},
		{Key: "kafka", Title: "Kafka:"},
		{Key: "security", Title: "Kafka, TLS and SASL:"},
		{Key: "process", Title: "Process:"},
		{Key: "questions", Title: "Questions:"},
	}
}

// arrange sorts the flags by group, and gives those without a group one. Groups that a service names itself follow its
// settings without a group, in the order of the struct.
func arrange(k *kong.Kong) error {
	known := groups(k.Model.Name)
	for _, flag := range k.Model.Flags {
		switch {
		case flag == k.Model.HelpFlag:
			flag.Group = &known[len(known)-1]
			flag.Help = "Show this text and exit."
		case flag.Group == nil:
			flag.Group = &known[0]
		}
	}
	var order []string
	for _, flag := range k.Model.Flags {
		if !slices.Contains(order, flag.Group.Key) && !slices.ContainsFunc(known, func(g kong.Group) bool { return g.Key == flag.Group.Key }) {
			order = append(order, flag.Group.Key)
		}
	}
	order = slices.Insert(order, 0, known[0].Key)
	for _, group := range known[1:] {
		order = append(order, group.Key)
	}
	slices.SortStableFunc(k.Model.Flags, func(a, b *kong.Flag) int {
		return slices.Index(order, a.Group.Key) - slices.Index(order, b.Group.Key)
	})
	return nil
}

// printHelp lists every flag: what it does, and of settings the default and the variable. It shows no values that were set.
func (s *settings) printHelp(w io.Writer) error {
	var text strings.Builder
	model := s.kong.Model
	fmt.Fprintf(&text, "Usage: %s [flags]\n", model.Name)
	if model.Help != "" {
		fmt.Fprintf(&text, "\n%s\n", strings.Join(wrap(model.Help, helpWidth), "\n"))
	}
	left := 0
	for _, flag := range model.Flags {
		left = max(left, len(flag.String()))
	}
	group := ""
	for _, flag := range model.Flags {
		if flag.Hidden {
			continue
		}
		if flag.Group.Key != group {
			group = flag.Group.Key
			fmt.Fprintf(&text, "\n%s\n", flag.Group.Title)
		}
		name := flag.String()
		for _, line := range append(wrap(flag.Help, helpWidth-left-4), s.origin(flag)...) {
			fmt.Fprintf(&text, "  %-*s  %s\n", left, name, line)
			name = ""
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// origin tells where a setting's value comes from when there is no flag. Flags that are no settings have no such line. The
// tag unset is for a pointer, which has no default: what its nil means.
func (s *settings) origin(flag *kong.Flag) []string {
	variable, ok := s.environment.variables[flag.Name]
	if !ok {
		return nil
	}
	initial := flag.Default
	switch {
	case flag.IsBool() && initial == "":
		initial = "false"
	case initial == "" && emptyIsOff(flag.Value):
		initial = "off"
	case initial == "":
		initial = cmp.Or(flag.Tag.Get("unset"), "none")
	}
	return []string{fmt.Sprintf("[default: %s; env: %s]", initial, variable)}
}

// wrap breaks text between words into lines of at most width bytes, where the words allow it.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
