package bench

import (
	"strings"
	"testing"
)

// The rounds of a shape are one row, compared with the first shape's.
func TestCostTable(t *testing.T) {
	base, other := Shape{4, 10, 1}, Shape{1, 10, 1}
	c := &Cost{Text: "words", Bytes: 1e9, Shapes: []Shape{base, other}}
	for round, ns := range []Seconds{100, 300, 200} {
		c.Runs = append(c.Runs, CostRun{Shape: base, Round: round + 1, Lines: 1e9, CPU: ns, Wall: ns / 2, BrokerCPU: ns / 4, Peak: 2e6},
			CostRun{Shape: other, Round: round + 1, Lines: 1e9, CPU: 2 * ns, Wall: ns, BrokerCPU: ns, Peak: 3e6})
	}
	var got strings.Builder
	m := markdown{w: &got}
	m.cost(c)
	const want = `
| 4 | 100000000 | 1 | 200.00 (100.00–300.00) | 1.00 | 100.00 (50.00–150.00) | 1.00 | 50.00 (25.00–75.00) | 2 |
| 1 | 100000000 | 1 | 400.00 (200.00–600.00) | 2.00 | 200.00 (100.00–300.00) | 2.00 | 200.00 (100.00–300.00) | 3 |
`
	if !strings.HasSuffix(got.String(), want) {
		t.Errorf("%s\nwant%s", got.String(), want)
	}
}
