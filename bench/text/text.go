// Package text makes the lines that the benchmarks count: English prose, and words of a wide vocabulary. The same seed gives the
// same lines.
package text

// Text is an endless stock of lines.
type Text interface {
	// Lines returns one stream of lines. Streams of different numbers differ, and may be used concurrently.
	Lines(seed, number uint64) Lines
	// Describe says in a few words what it is, for reports.
	Describe() string
}

// Lines is a stream of lines without line ends.
type Lines interface {
	// Next returns the next line, valid until the next call. It is never empty.
	Next() []byte
}
