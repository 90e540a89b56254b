package kafkaio

import "encoding/binary"

// The elements of a snappy block (github.com/google/snappy, format_description.txt). A block is the uvarint of its content's length, then
// literals, and copies of what stands further in front.
const (
	snappyPreamble = binary.MaxVarintLen32 // the most that the length takes

	tagCopy1 = 1 // 4 to 11 bytes from less than 2 KiB in front
	tagCopy2 = 2 // 1 to 64 bytes from less than 64 KiB in front

	minCopy       = 4         // shorter ones are not worth it
	maxCopyOffset = 1<<16 - 1 // of a copy with two bytes of it
)

// appendCopy repeats n ≥ 1 bytes that begin offset bytes in front; offset is 1 to maxCopyOffset.
func appendCopy(block []byte, offset, n int) []byte {
	for ; n > 64; n -= 64 {
		block = append(block, 63<<2|tagCopy2, byte(offset), byte(offset>>8))
	}
	if n >= 4 && n <= 11 && offset < 1<<11 {
		return append(block, byte(offset>>8<<5|(n-4)<<2|tagCopy1), byte(offset))
	}
	return append(block, byte((n-1)<<2|tagCopy2), byte(offset), byte(offset>>8))
}

// openLiteral leaves room for a literal's tag. Its bytes are appended, if there are any; closeLiteral ends it.
func openLiteral(block []byte) (open []byte, at int) { return append(block, 0), len(block) }

// closeLiteral completes the literal that was opened at a place.
func closeLiteral(block []byte, at int) []byte {
	n := len(block) - at - 1
	if n == 0 {
		return block[:at]
	}
	if n <= 60 {
		block[at] = byte((n - 1) << 2)
		return block
	}
	more := 1 // bytes of length behind the tag
	for (n-1)>>(8*more) > 0 {
		more++
	}
	block = append(block, make([]byte, more)...)
	copy(block[at+1+more:], block[at+1:at+1+n])
	block[at] = byte((59 + more) << 2)
	for i := range more {
		block[at+1+i] = byte((n - 1) >> (8 * i))
	}
	return block
}
