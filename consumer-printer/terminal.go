package printer

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminal is what standard output is connected to. The zero value is none: a file or a pipe.
type terminal struct {
	fd           int
	isOne        bool
	controllable bool // it moves its cursor and erases when told to
	colours      bool // it shows them, and nobody asked for none
}

// terminalOf looks at what a writer leads to. A writer with the method Fd, as *os.File has it, may be a terminal. Colours are left
// out where NO_COLOR is set (https://no-color.org), control sequences where TERM says that the terminal is a dumb one.
func terminalOf(w io.Writer) terminal {
	file, ok := w.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return terminal{}
	}
	t := terminal{fd: int(file.Fd()), isOne: true, controllable: os.Getenv("TERM") != "dumb"}
	t.colours = t.controllable && os.Getenv("NO_COLOR") == ""
	return t
}

// size returns how many columns and rows there are now, 0 and 0 when nobody knows.
func (t terminal) size() (columns, rows int) {
	if !t.isOne {
		return 0, 0
	}
	columns, rows, err := term.GetSize(t.fd)
	if err != nil {
		return 0, 0
	}
	return columns, rows
}
