package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
	"github.com/twmb/franz-go/pkg/kgo"

	"wordcount/internal/wire"
)

// On a terminal a table has colours, fits in, and is drawn over the one before; NO_COLOR and TERM=dumb are respected. A hostile
// word's control characters never get there.
func TestTerminal(t *testing.T) {
	cluster, client := startKafka(t)
	end := time.UnixMilli(1769030730000)
	for range 2 {
		start := end.Add(-5 * time.Second)
		word := []byte("\x1bA\a")
		records := []*kgo.Record{
			{Topic: "word-counts", Value: wire.AppendCount(nil, start.UnixMilli(), end.UnixMilli(), word, 3)},
			{Topic: "batches", Value: wire.AppendBatch(nil, wire.Batch{WindowStart: start, WindowEnd: end, Partitions: 1, Lines: 2, Words: 3,
				DistinctWords: 1, ClosedAt: end})},
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		end = end.Add(5 * time.Second)
	}
	const second = "2026-01-21 21:25:35"
	for _, tc := range []struct {
		name               string
		variables          []string
		colours, refreshes bool
	}{
		{"colours", []string{"TERM=xterm-256color", "NO_COLOR="}, true, true},
		{"NO_COLOR", []string{"TERM=xterm-256color", "NO_COLOR=1"}, false, true},
		{"dumb", []string{"TERM=dumb", "NO_COLOR="}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := command(t, []string{"--format=table", "--from-beginning", "--time-zone=UTC", "--brokers=" + cluster.ListenAddrs()[0]}, tc.variables...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			screen, tty, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer screen.Close()
			if err := pty.Setsize(tty, &pty.Winsize{Rows: 20, Cols: 50}); err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = tty
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			tty.Close()
			text := readUntil(t, screen, func(text string) bool {
				_, after, ok := strings.Cut(text, second)
				return ok && strings.Contains(after, "%")
			})
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(screen) // ends with EIO when the program has
			text += string(rest)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v; logs:\n%s", err, &stderr)
			}

			if strings.Contains(text, "\x1bA") || strings.Contains(text, "\a") || !strings.Contains(text, `'\x1bA\x07'`) {
				t.Errorf("the word as it is: %q", text)
			}
			if got := strings.Contains(text, "\x1b[36m█"); got != tc.colours {
				t.Errorf("colours %t: %q", got, text)
			}
			if got := strings.Count(text, "\x1b[H") == 2; got != tc.refreshes || !tc.refreshes && strings.Contains(text, "\x1b") {
				t.Errorf("drawn over %t: %q", got, text)
			}
			for _, sequence := range []string{"\x1b[H", "\x1b[K", "\x1b[J", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[m", "\r"} {
				text = strings.ReplaceAll(text, sequence, "")
			}
			widest := 0
			for line := range strings.Lines(text) {
				widest = max(widest, uniseg.StringWidth(strings.TrimSuffix(line, "\n")))
			}
			if widest != 50 {
				t.Errorf("%d columns of 50 used:\n%s", widest, text)
			}
		})
	}
}

// readUntil reads what appears on a screen until there is enough.
func readUntil(t *testing.T, screen *os.File, enough func(string) bool) string {
	t.Helper()
	var text strings.Builder
	buffer := make([]byte, 4096)
	for !enough(text.String()) {
		n, err := screen.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, text.String())
		}
	}
	return text.String()
}
