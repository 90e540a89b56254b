package kafkaio

import (
	"encoding/binary"
	"maps"
	"slices"
)

// The flexible versions of Kafka's wire format (KIP-482).

// noTags ends a header or a structure: we send no tagged fields.
const noTags byte = 0

func appendCompactString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s)+1)), s...)
}

func appendCompactPartitions(b []byte, partitions map[string][]int32) []byte {
	b = binary.AppendUvarint(b, uint64(len(partitions)+1))
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		b = appendCompactString(b, topic)
		b = binary.AppendUvarint(b, uint64(len(partitions[topic])+1))
		for _, p := range partitions[topic] {
			b = appendInt32(b, p)
		}
		b = append(b, noTags)
	}
	return b
}

// flexible begins to read a response.
func flexible(response []byte) *cursor {
	r := &cursor{b: response}
	r.tags()
	return r
}

// compactString reads a nullable string; null is empty.
func (c *cursor) compactString() string { return string(c.take(max(int(c.uvarint())-1, 0))) }

// compactCount reads the length of a nullable array; an impossible one sets short.
func (c *cursor) compactCount() int { return max(int(c.uvarint())-1, 0) }

// tags skips tagged fields.
func (c *cursor) tags() {
	for n := c.uvarint(); n > 0 && !c.short; n-- {
		c.uvarint() // tag
		c.take(int(c.uvarint()))
	}
}

// uvarint reads a length; an impossible one sets short.
func (c *cursor) uvarint() uint64 {
	n, size := binary.Uvarint(c.b)
	if size <= 0 || n > uint64(len(c.b)) {
		c.b, c.short = nil, true
		return 0
	}
	c.b = c.b[size:]
	return n
}
