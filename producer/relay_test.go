package producer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// However acknowledgements of the lanes follow each other, the lines come in the order chosen.
func TestRelayKeepsTheOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for lanes := 1; lanes <= 5; lanes++ {
		var got, want strings.Builder
		r := newRelay(lanes, func(lines []byte) { got.Write(lines) })
		batches := make([][]string, lanes) // that are under way
		for n := range 1000 {
			line := fmt.Sprintf("line %d\n", n)
			if n%7 == 0 {
				line = "\n"
			}
			want.WriteString(line)
			lane := n % lanes
			if len(batches[lane]) == 0 || random.IntN(3) == 0 {
				batches[lane] = append(batches[lane], "")
			}
			batches[lane][len(batches[lane])-1] += line
		}
		for left := true; left; {
			left = false
			for range lanes {
				if lane := random.IntN(lanes); len(batches[lane]) > 0 {
					r.acknowledged(int32(lane), []byte(batches[lane][0]))
					batches[lane] = batches[lane][1:]
				}
			}
			for _, b := range batches {
				left = left || len(b) > 0
			}
		}
		if got.String() != want.String() {
			t.Errorf("%d lanes: %.200q, want %.200q", lanes, got.String(), want.String())
		}
	}
}
