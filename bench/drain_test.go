package bench

import (
	"slices"
	"testing"
)

func TestTurns(t *testing.T) {
	for round, want := range map[int][]string{
		-7: {"tight", "counter", "counter", "counter"},
		0:  {"tight", "counter", "counter", "counter"},
		1:  {"tight", "naive", "counter"},
		2:  {"tight", "counter"},
		3:  {"tight", "counter"},
	} {
		if got := turns(round, Contenders()); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}
