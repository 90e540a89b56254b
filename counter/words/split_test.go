package words

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomText has words of all lengths up to longest, and spaces side by side, at the start and at the end.
func randomText(r *rand.Rand, length, longest int) []byte {
	text := make([]byte, 0, length+Slack)
	for len(text) < length {
		for range r.IntN(min(longest, length-len(text)) + 1) {
			text = append(text, "ab\x00\x1f!\x7f\xa0\xff"[r.IntN(8)])
		}
		if len(text) < length {
			text = append(text, ' ')
		}
	}
	behind := text[length : length+Slack] // is not of it
	for i := range behind {
		behind[i] = " x"[r.IntN(2)]
	}
	return text
}

// bytes.Split and a map are the simple version.
func TestAddSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var table Table
	for length := range 400 {
		want := make(map[string]int64)
		for range 10 {
			text := randomText(r, length, 2+r.IntN(30))
			words := bytes.Split(text, []byte(" "))
			if got := table.AddSplit(text); got != len(words) {
				t.Fatalf("%q has %d words, want %d", text, got, len(words))
			}
			for _, word := range words {
				want[string(word)]++
			}
		}
		if got := all(t, &table); !maps.Equal(got, want) {
			t.Fatalf("texts of %d bytes: %v, want %v", length, got, want)
		}
		table.Reset()
	}
}

// What each processor has for itself does what the plain version does, whatever room there is.
func TestSplitIsPlain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	entries := make([]entry, firstSize)
	for length := range 400 {
		text := randomText(r, length, 2+r.IntN(20))
		room := 1 + r.IntN(queued)
		var got, want [queued]addition
		n, next := split(got[:room], text, entries)
		wantN, wantNext := splitPlain(want[:room], text)
		if n != wantN || next != wantNext {
			t.Fatalf("%q, room for %d: %d words, the next one at %d, want %d and %d", text, room, n, next, wantN, wantNext)
		}
		if !slices.Equal(got[:], want[:]) {
			t.Fatalf("%q, room for %d: other additions than the plain version's", text, room)
		}
	}
}

func BenchmarkAddSplit(b *testing.B) {
	for _, vocabulary := range []uint64{1000, 100_000, 5_000_000} {
		text, spans := zipf(vocabulary)
		const line = 8 // words
		b.Run(fmt.Sprintf("words=%d", vocabulary), func(b *testing.B) {
			b.ReportAllocs()
			var table Table
			for i := 0; i < b.N; i += line {
				at := i & (len(spans) - 1)
				table.AddSplit(text[spans[at].Start:spans[at+line-1].End])
			}
		})
	}
}

func FuzzAddSplit(f *testing.F) {
	f.Add("a b  ccccccccccccccccccccccc ")
	f.Fuzz(func(t *testing.T, text string) {
		var table Table
		want := make(map[string]int64)
		for word := range strings.SplitSeq(text, " ") {
			want[word]++
		}
		padded := append([]byte(text), strings.Repeat(" and more", Slack)...)
		if got, want := table.AddSplit(padded[:len(text)]), strings.Count(text, " ")+1; got != want {
			t.Errorf("%d words, want %d", got, want)
		}
		if got := all(t, &table); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
