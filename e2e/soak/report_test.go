package soak

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	r := Recoveries{"counter joins": {0, 900 * time.Millisecond}, "broker killed and started": {4 * time.Second}}
	for i := range 100 {
		r["counter killed"] = append(r["counter killed"], time.Duration(100-i)*100*time.Millisecond)
	}
	table, missed := r.Table()
	for _, line := range []string{
		"| broker killed and started | 1 | 4.0 s | 4.0 s |  |\n",
		"| counter joins | 2 | 0.0 s | 0.9 s | ≤ 1 s |\n",
		"| counter killed | 100 | 5.0 s | 9.9 s | ≤ 10 s |\n",
	} {
		if !strings.Contains(table, line) {
			t.Errorf("no %q in\n%s", line, table)
		}
	}
	if missed != nil {
		t.Errorf("missed %v", missed)
	}
	r["counter joins"] = append(r["counter joins"], 1100*time.Millisecond)
	if _, missed := r.Table(); len(missed) != 1 || !strings.Contains(missed[0], "counter joins") {
		t.Errorf("missed %v", missed)
	}
}
