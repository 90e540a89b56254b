package producer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"wordcount/internal/service"
)

func TestSequential(t *testing.T) {
	path := write(t, "\n a \r\n \t\nb  c\n\u3000last")
	s, err := openSequential(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lines, err := rest(t.Context(), s)
	if got := fmt.Sprintf("%q", lines); got != `["a" "b  c" "last"]` || err != io.EOF {
		t.Errorf("%s, %v", got, err)
	}
}

// The lines are those that random choice has, in order, again and again.
func TestSequentialLoops(t *testing.T) {
	content := numbered(20_000) + " \n" + strings.Repeat("long ", 100_000) + "\n"
	s, err := openSequential(t.Context(), write(t, content), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := all(t, texts(t, content, 16)["by index"])
	for round := range 3 {
		var got []string
		for len(got) < len(want) {
			n := min(len(want)-len(got), 1+len(got)%50)
			lines, err := s.Next(t.Context(), n)
			if err != nil || len(lines) > n {
				t.Fatal(len(lines), err)
			}
			for _, line := range lines {
				got = append(got, string(line))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: %d lines %.100q", round, len(got), got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx, 1); err != context.Canceled {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestSequentialWrongFiles(t *testing.T) {
	for name, path := range map[string]string{"no such file": "/does/not/exist", "at least one line": write(t, " \n"), "a folder": t.TempDir()} {
		_, err := openSequential(t.Context(), path, false)
		var usage *service.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	s, err := openSequential(t.Context(), write(t, "a\n\n123456789\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Limit(9); err != nil {
		t.Error(err)
	}
	if err := s.Limit(8); err == nil || !strings.Contains(err.Error(), "line 3 has 9 bytes") {
		t.Errorf("error %v", err)
	}
}

func TestSequentialFileThatShrinks(t *testing.T) {
	path := write(t, numbered(100_000))
	s, err := openSequential(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if lines, err := rest(t.Context(), s); !errors.Is(err, errFileChanged) || !strings.Contains(err.Error(), path) {
		t.Errorf("%d lines, error %v", len(lines), err)
	}
}
