package soak

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Recoveries are how long it took after each round until no window was overdue any more, by what happened.
type Recoveries map[string][]time.Duration

// goals are the most that the p99 of some should be.
var goals = map[string]time.Duration{
	Round{Faults: []Fault{{Kind: Kill, Target: 0}}}.What():      10 * time.Second,
	Round{Faults: []Fault{{Kind: Join, Target: guest}}}.What():  time.Second,
	Round{Faults: []Fault{{Kind: Leave, Target: guest}}}.What(): time.Second,
}

// Table is the report, in Markdown. It also tells which goals were missed.
func (r Recoveries) Table() (table string, missed []string) {
	var b strings.Builder
	fmt.Fprintln(&b, "| what | times | recovery p50 | p99 | goal |")
	fmt.Fprintln(&b, "|---|--:|--:|--:|--:|")
	var kinds []string
	for kind := range r {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		sorted := slices.Sorted(slices.Values(r[kind]))
		p99 := quantile(sorted, 0.99)
		goal := ""
		if most, has := goals[kind]; has {
			goal = fmt.Sprintf("≤ %.0f s", most.Seconds())
			if p99 > most {
				missed = append(missed, fmt.Sprintf("%s: recovery p99 %.1f s, goal %s", kind, p99.Seconds(), goal))
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %.1f s | %.1f s | %s |\n", kind, len(sorted), quantile(sorted, 0.5).Seconds(), p99.Seconds(), goal)
	}
	return b.String(), missed
}

// quantile is the smallest value that a share q of all does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
