package wire

import (
	"encoding/json"
	"errors"
	"fmt"
)

// CombineState is the metadata that a combine task commits with the offset of each of its lines partitions.
type CombineState struct {
	Version    int   `json:"v"`
	Watermark  int64 `json:"watermark"`             // of the slot, ms since the epoch
	Lines      int64 `json:"lines_until,omitempty"` // end of the newest window in which the slot has counted lines, ms since the epoch; 0: none
	Partitions int   `json:"lines_partitions"`      // of the lines topic, as the task saw it
}

// ReduceState is the metadata that a reduce task commits with the safe offset of its shuffle partition.
type ReduceState struct {
	Version         int   `json:"v"`
	Closed          int64 `json:"closed"`           // every window that ends at or before is closed; ms since the epoch
	LastNonEmpty    int64 `json:"last_non_empty"`   // number of the last window that had lines; one before the first window at the start
	Interval        int64 `json:"interval_ms"`      // ms
	Partitions      int   `json:"partitions"`       // of the shuffle topic
	LinesPartitions int   `json:"lines_partitions"` // every slot has committed offsets of its partitions below this number

	// Settings stands for what else all counters of a group must share; opaque, the same for the same settings.
	Settings string `json:"settings,omitempty"`
}

// metadataVersion is the version of both states.
const metadataVersion = 1

// ErrNoMetadata: an offset was committed without what the counter notes with it, so by something else than a counter.
var ErrNoMetadata = errors.New("the offset was committed without metadata, so not by a counter")

// Encode returns the state as committed metadata.
func (s CombineState) Encode() string { s.Version = metadataVersion; return encodeMetadata(s) }

// Encode returns the state as committed metadata.
func (s ReduceState) Encode() string { s.Version = metadataVersion; return encodeMetadata(s) }

// ParseCombineState decodes committed metadata: ErrNoMetadata when there is none.
func ParseCombineState(metadata string) (s CombineState, err error) {
	err = parseMetadata(metadata, &s, &s.Version)
	return s, err
}

// ParseReduceState decodes committed metadata: ErrNoMetadata when there is none.
func ParseReduceState(metadata string) (s ReduceState, err error) {
	if err = parseMetadata(metadata, &s, &s.Version); err == nil && (s.Interval <= 0 || s.Partitions <= 0) {
		err = fmt.Errorf("committed metadata %q: no interval or partitions", metadata)
	}
	return s, err
}

func encodeMetadata(state any) string {
	b, err := json.Marshal(state)
	if err != nil {
		panic(err) // a struct of numbers
	}
	return string(b)
}

func parseMetadata(metadata string, state any, version *int) error {
	if metadata == "" {
		return ErrNoMetadata
	}
	if err := json.Unmarshal([]byte(metadata), state); err != nil {
		return fmt.Errorf("%w (%q): %w", ErrNoMetadata, metadata, err)
	}
	if *version != metadataVersion {
		return fmt.Errorf("committed metadata %q is of version %d, this counter knows %d: a newer one wrote it", metadata, *version, metadataVersion)
	}
	return nil
}
