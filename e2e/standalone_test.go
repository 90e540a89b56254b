package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"wordcount/e2e/oracle"
)

// What `make run` starts, stopped as with Ctrl-C in the middle of it: what it says it sent is what it has shown.
func TestStandalone(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := programs.Start(t, nil, "standalone", "--broker-addr", "127.0.0.1:"+port, "--metrics-addr", "", "--http", "", "--file", labFile(t), "--rate", "10",
		"--batch-interval", "1s", "--num", "0")
	s.Stdout.Wait(t, 20*time.Second, "two batches with words", func(text string) bool { return strings.Count(text, "('hello', ") >= 2 })
	s.Stop()

	sent, shown := make(map[string]int64), make(map[string]int64)
	row := regexp.MustCompile(`^\('(.*)', (\d+)\)$`)
	for line := range strings.Lines(s.Stdout.String()) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "[producer] sent -> "); ok {
			for _, word := range oracle.Space(text) {
				sent[word]++
			}
		} else if match := row.FindStringSubmatch(line); match != nil {
			n, _ := strconv.ParseInt(match[2], 10, 64)
			shown[match[1]] += n
		}
	}
	if len(sent) == 0 || !maps.Equal(sent, shown) {
		t.Errorf("sent %v, shown %v:\n%s", sent, shown, s.Stdout)
	}
}

// Two cannot serve at one address.
func TestStandaloneAddressInUse(t *testing.T) {
	address := embeddedBroker(t)
	s := programs.Start(t, nil, "standalone", "--broker-addr", address, "--metrics-addr", "", "--http", "", "--file", labFile(t))
	if status := s.Exit(10 * time.Second); status != 1 {
		t.Errorf("status %d, not 1", status)
	}
	if last := s.Stderr.last(1); !strings.Contains(last, fmt.Sprintf("%s is in use", address)) || !strings.Contains(last, "--broker-addr") {
		t.Errorf("it said %q", last)
	}
}
