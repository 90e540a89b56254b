package short

import (
	"bytes"
	"testing"
)

func TestAppend(t *testing.T) {
	text := []byte("a text that is longer than what is copied at once")
	for n := range 20 {
		for capacity := n; capacity < 40; capacity++ {
			for room := range 40 {
				dst := append(make([]byte, 0, 3+room), "abc"...)
				if got, want := Append(dst, text[:n:capacity]), "abc"+string(text[:n]); string(got) != want {
					t.Fatalf("%q, want %q", got, want)
				}
			}
		}
	}
	overlapping := bytes.Clone(text)
	if got := Append(overlapping[:2:40], overlapping[5:12:30]); string(got[2:]) != string(text[5:12]) {
		t.Errorf("%q", got)
	}
}
