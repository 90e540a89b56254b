package kafkaio

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/compress/snappy"
)

// compressed is a batch whose records are what it says, in whatever form.
func compressed(c compress.Compression, plain, records []byte) []byte {
	b := append(bytes.Clone(plain[:batchHeader]), records...)
	binary.BigEndian.PutUint32(b[offLength:], uint32(len(b)-offLeaderEpoch))
	binary.BigEndian.PutUint16(b[offAttributes:], uint16(c))
	return seal(b)
}

// TestNextReadsUnframedSnappy: librdkafka writes snappy without the Java library's frames.
func TestNextReadsUnframedSnappy(t *testing.T) {
	plain := logged{values: []string{"hello", "hello", "spark"}}.bytes()
	var packed bytes.Buffer
	w := (&snappy.Codec{Framing: snappy.Unframed}).NewWriter(&packed)
	w.Write(plain[batchHeader:])
	w.Close()
	f := &Fetched{rest: compressed(compress.Snappy, plain, packed.Bytes())}
	if got, want := walk(f), []string{"0:hello", "1:hello", "2:spark"}; !slices.Equal(got, want) || f.Err() != nil {
		t.Errorf("got %q, %v, want %q", got, f.Err(), want)
	}
}

// TestInflateBelievesNoSize: sizes that data claims cost no memory.
func TestInflateBelievesNoSize(t *testing.T) {
	plain := logged{values: []string{"hello"}}.bytes()
	frame := append(bytes.Clone(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
	for name, f := range map[string]*Fetched{
		"snappy frame of 2 GB":                   {rest: compressed(compress.Snappy, plain, append(bytes.Clone(frame), 0x7f, 0xff, 0xff, 0xff, 1, 2, 3))},
		"snappy block that inflates to 4 GB":     {rest: compressed(compress.Snappy, plain, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 'a'})},
		"snappy block that inflates to 200 MB":   {rest: compressed(compress.Snappy, plain, append(binary.AppendUvarint(nil, 200_000_000), 0, 'a'))},
		"framed block that inflates to 4 GB":     {rest: compressed(compress.Snappy, plain, append(bytes.Clone(frame), 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 'a'))},
		"snappy frame's header cut":              {rest: compressed(compress.Snappy, plain, frame[:12])},
		"snappy frame's size cut":                {rest: compressed(compress.Snappy, plain, append(bytes.Clone(frame), 0, 0))},
		"zstd frame that says it inflates to EB": {rest: compressed(compress.Zstd, plain, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0})},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := walk(f)
		runtime.ReadMemStats(&after)
		if got != nil || f.Err() == nil {
			t.Errorf("%s: got %q, %v", name, got, f.Err())
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
			t.Errorf("%s: allocated %d bytes", name, grown)
		}
	}
}

// TestInflateHasALimit: what compresses extremely well is refused before it takes all memory.
func TestInflateHasALimit(t *testing.T) {
	defer func(limit int) { maxInflated = limit }(maxInflated)
	maxInflated = 1 << 20
	plain := logged{values: []string{"hello"}}.bytes()
	for _, c := range []compress.Compression{compress.Gzip, compress.Lz4, compress.Snappy} {
		var packed bytes.Buffer
		w := c.Codec().NewWriter(&packed)
		w.Write(make([]byte, maxInflated+1))
		w.Close()
		f := &Fetched{rest: compressed(c, plain, packed.Bytes())}
		if got := walk(f); got != nil || f.Err() == nil || !strings.Contains(f.Err().Error(), "inflate "+c.String()) || len(f.inflated) > maxInflated+1 {
			t.Errorf("%v: got %d records, %v", c, len(got), f.Err())
		}
	}
}
