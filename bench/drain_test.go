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
	if got := turns(0, []string{"kafka-go-writer", producerProgram}); !slices.Equal(got, []string{"kafka-go-writer", "producer", "producer", "producer"}) {
		t.Errorf("producing, before the first round: %v", got)
	}
}
