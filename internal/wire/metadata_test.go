package wire

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// What stands beside committed offsets. A change here is a new version, unless counters without it can do as well: the metadata of
// a group that is running would not be understood any more.
func TestMetadataGolden(t *testing.T) {
	combine := CombineState{Watermark: start, Partitions: 4}
	if got, want := combine.Encode(), `{"v":1,"watermark":1769030725000,"lines_partitions":4}`; got != want {
		t.Errorf("combine\n got %s\nwant %s", got, want)
	}
	combine.Lines = end
	if got, want := combine.Encode(), `{"v":1,"watermark":1769030725000,"lines_until":1769030730000,"lines_partitions":4}`; got != want {
		t.Errorf("combine\n got %s\nwant %s", got, want)
	}
	reduce := ReduceState{Closed: end, LastNonEmpty: 353806145, Interval: 5000, Partitions: 4, LinesPartitions: 8}
	if got, want := reduce.Encode(), `{"v":1,"closed":1769030730000,"last_non_empty":353806145,"interval_ms":5000,"partitions":4,"lines_partitions":8}`; got != want {
		t.Errorf("reduce\n got %s\nwant %s", got, want)
	}
	reduce.Settings = "abc"
	if got := reduce.Encode(); !strings.HasSuffix(got, `,"lines_partitions":8,"settings":"abc"}`) {
		t.Errorf("reduce\n got %s", got)
	}
	// Kafka takes 4096 characters.
	largest := ReduceState{Closed: math.MinInt64, LastNonEmpty: math.MinInt64, Interval: math.MaxInt64, Partitions: math.MaxInt, LinesPartitions: math.MaxInt}
	if n := len(largest.Encode()); n > 4096 {
		t.Errorf("the longest metadata has %d characters", n)
	}
}

func TestMetadataRoundTrip(t *testing.T) {
	for _, s := range []CombineState{{}, {Watermark: start, Lines: end, Partitions: 4}, {Watermark: NoWatermark, Partitions: math.MaxInt}} {
		got, err := ParseCombineState(s.Encode())
		if got.Version != 1 {
			t.Errorf("version %d", got.Version)
		}
		got.Version = 0
		if err != nil || got != s {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
	}
	for _, s := range []ReduceState{
		{Interval: 1, Partitions: 1},
		{Closed: end, LastNonEmpty: math.MaxInt64, Interval: 5000, Partitions: 4, LinesPartitions: 8},
		{Closed: -5, LastNonEmpty: -1, Interval: math.MaxInt64, Partitions: math.MaxInt, LinesPartitions: math.MaxInt},
	} {
		got, err := ParseReduceState(s.Encode())
		got.Version = 0
		if err != nil || got != s {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
	}
}

func TestParseMetadataRefuses(t *testing.T) {
	reduce := ReduceState{Interval: 5000, Partitions: 4}.Encode()
	for _, c := range []struct {
		name, metadata string
		none           bool // is taken for an offset that no counter committed
	}{
		{"nothing", "", true},
		{"another tool's", "committed by hand", true},
		{"a number", "7", true},
		{"cut short", reduce[:len(reduce)-3], true},
		{"a number that is too large", `{"v":1,"watermark":1e30,"closed":1e30,"interval_ms":5000,"partitions":4}`, true},
		{"no version", `{"watermark":5,"interval_ms":5000,"partitions":4}`, false},
		{"null", "null", false},
		{"version 2", strings.Replace(reduce, `"v":1`, `"v":2`, 1), false},
	} {
		_, err := ParseReduceState(c.metadata)
		if err == nil || errors.Is(err, ErrNoMetadata) != c.none {
			t.Errorf("%s as reduce state: %v", c.name, err)
		}
		if _, err = ParseCombineState(c.metadata); err == nil || errors.Is(err, ErrNoMetadata) != c.none {
			t.Errorf("%s as combine state: %v", c.name, err)
		}
	}
	for _, metadata := range []string{`{"v":1}`, `{"v":1,"interval_ms":5000}`, `{"v":1,"partitions":4}`, `{"v":1,"interval_ms":-1,"partitions":4}`} {
		if _, err := ParseReduceState(metadata); err == nil {
			t.Errorf("%s was taken", metadata)
		}
	}
	if _, err := ParseReduceState(strings.Replace(reduce, `"v":1`, `"v":2`, 1)); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("version 2: %v does not name it", err)
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add(CombineState{Watermark: start, Partitions: 4}.Encode())
	f.Add(ReduceState{Closed: end, Interval: 5000, Partitions: 4}.Encode())
	f.Add("")
	f.Add(`{"v":1,"v":2}`)
	f.Fuzz(func(t *testing.T, metadata string) {
		if s, err := ParseCombineState(metadata); err == nil {
			if again, err := ParseCombineState(s.Encode()); err != nil || again != s {
				t.Errorf("%+v became %+v, %v", s, again, err)
			}
		}
		if s, err := ParseReduceState(metadata); err == nil {
			if again, err := ParseReduceState(s.Encode()); err != nil || again != s {
				t.Errorf("%+v became %+v, %v", s, again, err)
			}
		}
	})
}
