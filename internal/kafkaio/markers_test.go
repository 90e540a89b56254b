package kafkaio

import (
	"testing"
	"time"
)

// TestPartitionOfGroup: as Kafka finds them, whatever the sign of the hash.
func TestPartitionOfGroup(t *testing.T) {
	for group, want := range map[string]int32{
		"":                   0,
		"g":                  3,  // 103
		"wordcount-counter":  36, // -855473036
		"polygenelubricants": 0,  // -2147483648
		"\U0001f600":         49, // two units of UTF-16: 1772899
	} {
		if got := partitionOfGroup(group, 50); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
}

func TestNote(t *testing.T) {
	for _, n := range []note{{committed, -1}, {aborted, -1}, {unknown, 0}, {unknown, 1023}} {
		if got := noteOf(n.timeout()); got != n {
			t.Errorf("%v became %v", n, got)
		}
	}
	for _, n := range []note{noNote, {unknown, 1024}} {
		if got := noteOf(n.timeout()); n.live < 0 && got != noNote || n.live >= 0 && !got.liveIn(n.live) {
			t.Errorf("%v became %v", n, got)
		}
	}
	for _, foreign := range []int64{0, 1, 900_000, 60_001, 60_000 - 65536 - 1} {
		if got := noteOf(time.Duration(foreign) * time.Millisecond); got != noNote {
			t.Errorf("a timeout of %d ms is taken for %v", foreign, got)
		}
	}
}
