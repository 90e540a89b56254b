package oracle

import (
	"maps"
	"testing"
	"time"
)

func TestTake(t *testing.T) {
	o := NewOutput(time.Second, 2)
	if err := feed(o, right()...); err != nil {
		t.Fatal(err)
	}
	w, late, err := o.Take(time.UnixMilli(2000))
	if err != nil || late != 0 || w.Lines != 1 || !maps.Equal(w.Counts, map[string]int64{inPartition0: 1, inPartition1: 2}) {
		t.Errorf("%+v, %d late, %v", w, late, err)
	}
	if err := feed(o, counted(2, 0, inPartition0, 1)); err == nil {
		t.Error("a row of a window that was taken came again, and was not refused")
	}
	if o.Rest() == nil {
		t.Error("two windows are left, and Rest does not say so")
	}
	words, lines, _, err := o.Totals()
	if err != nil || lines != 1 || !maps.Equal(words, map[string]int64{inPartition1: 1}) {
		t.Errorf("the others: %d lines, %v, %v", lines, words, err)
	}
	if err := o.Rest(); err != nil {
		t.Error(err)
	}
}

func TestTakeTorn(t *testing.T) {
	for name, steps := range map[string][]step{
		"a row is missing":         {reported(2, 0, 1, 1, 1), reported(2, 1, 1, 0, 0)},
		"a batch record":           {reported(2, 0, 1, 0, 0)},
		"other numbers of lines":   {reported(2, 0, 1, 0, 0), reported(2, 1, 2, 0, 0)},
		"a row that is not said":   {counted(2, 0, inPartition0, 1), reported(2, 0, 1, 0, 0), reported(2, 1, 1, 0, 0)},
		"a row with another count": {counted(2, 0, inPartition0, 2), reported(2, 0, 1, 1, 1), reported(2, 1, 1, 0, 0)},
	} {
		o := NewOutput(time.Second, 2)
		if err := feed(o, steps...); err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.Take(time.UnixMilli(2000)); err == nil {
			t.Errorf("%s, and Take does not say so", name)
		}
	}
	o := NewOutput(time.Second, 2)
	if err := feed(o, counted(2, 0, inPartition0, 1)); err != nil || o.Rest() == nil {
		t.Errorf("a row without a batch: %v, %v", err, o.Rest())
	}
}

// Of a run of empty windows the first are reported; the rest may be left out, and nothing else.
func TestOutputMaxEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		steps []step
		right bool
	}{
		"left out behind enough":   {[]step{reported(1, 0, 1, 0, 0), reported(2, 0, 0, 0, 0), reported(3, 0, 0, 0, 0), reported(7, 0, 1, 0, 0)}, true},
		"none left out":            {[]step{reported(1, 0, 1, 0, 0), reported(2, 0, 0, 0, 0), reported(3, 0, 0, 0, 0), reported(4, 0, 1, 0, 0)}, true},
		"left out behind too few":  {[]step{reported(1, 0, 1, 0, 0), reported(2, 0, 0, 0, 0), reported(7, 0, 1, 0, 0)}, false},
		"one too many":             {[]step{reported(1, 0, 0, 0, 0), reported(2, 0, 0, 0, 0), reported(3, 0, 0, 0, 0)}, false},
		"left out behind lines":    {[]step{reported(1, 0, 0, 0, 0), reported(2, 0, 0, 0, 0), reported(3, 0, 1, 0, 0), reported(5, 0, 1, 0, 0)}, false},
		"back behind those before": {[]step{reported(4, 0, 0, 0, 0), reported(5, 0, 0, 0, 0), reported(3, 0, 1, 0, 0)}, false},
	} {
		o := NewOutput(time.Second, 2)
		o.MaxEmpty = 2
		if err := feed(o, c.steps...); (err == nil) != c.right {
			t.Errorf("%s: %v", name, err)
		}
	}
}
