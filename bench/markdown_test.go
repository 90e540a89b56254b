package bench

import (
	"strings"
	"testing"
)

// The rounds of a shape are one row. What its lines cost is compared with what the first shape's did right before and behind.
func TestCostTable(t *testing.T) {
	base, other, third := Shape{4, 10, 1}, Shape{1, 10, 1}, Shape{4, 10, 2}
	c := &Cost{Text: "words", Bytes: 1e9, Shapes: []Shape{base, other, third}}
	for _, run := range []struct {
		shape Shape
		ns    Seconds
	}{{base, 100}, {other, 300}, {base, 200}, {third, 300}, {base, 400}, {other, 400}, {base, 600}, {third, 600}, {base, 600}, {other, 300}, {base, 400}} {
		c.Runs = append(c.Runs, CostRun{Shape: run.shape, Lines: 1e9, CPU: run.ns, Wall: run.ns / 2, BrokerCPU: run.ns / 4, Peak: 2e6})
	}
	var got strings.Builder
	m := markdown{w: &got}
	m.cost(c)
	const want = `
| 4 | 100000000 | 1 | 400.00 (100.00–600.00) | 1.00 | 200.00 (50.00–300.00) | 1.00 | 100.00 (25.00–150.00) | 2 |
| 1 | 100000000 | 1 | 300.00 (300.00–400.00) | 0.80 (0.60–2.00) | 150.00 (150.00–200.00) | 0.80 (0.60–2.00) | 75.00 (75.00–100.00) | 2 |
| 4 | 100000000 | 2 | 450.00 (300.00–600.00) | 1.00 (1.00–1.00) | 225.00 (150.00–300.00) | 1.00 (1.00–1.00) | 112.50 (75.00–150.00) | 2 |
`
	if !strings.HasSuffix(got.String(), want) {
		t.Errorf("%s\nwant%s", got.String(), want)
	}
}
