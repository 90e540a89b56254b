package kafkaio

import "encoding/binary"

// An LZ4 frame (github.com/lz4/lz4, doc/lz4_Frame_format.md) is a header, blocks that know nothing of each other, each with its size before
// it, and a mark. A block (lz4_Block_format.md) is sequences: a token, literals, and a match, which repeats what stands further in front. The last
// one has no match. Decoders want the last match to begin 12 bytes before the block's end or more, and to end 5 bytes before it or more:
// lastLiterals are enough for both.
const (
	frameHeader   = 7
	blockHeader   = 4
	endMark       = 4
	smallBlock    = 64 << 10 // of content: what Kafka's own producer makes
	minMatch      = 4
	maxOffset     = 1<<16 - 1
	lastLiterals  = 12
	longLiterals  = 15 // so many, or more, have bytes of length behind the token
	longMatch     = 15 // beyond minMatch
	lengthPerByte = 255
)

// putFrameHeader begins a frame whose blocks have at most size bytes, content or not; 4 MiB is the most that the format has.
func putFrameHeader(header []byte, size int) {
	binary.LittleEndian.PutUint32(header, 0x184D2204)
	header[4] = 0x60 // version 1, blocks that are independent, no checksums
	switch {
	case size <= smallBlock:
		header[5], header[6] = 0x40, 0x82
	case size <= 256<<10:
		header[5], header[6] = 0x50, 0xfb
	case size <= 1<<20:
		header[5], header[6] = 0x60, 0x51
	default:
		header[5], header[6] = 0x70, 0x73
	}
}

// openSequence leaves room for a sequence's token. Its literals are appended then.
func openSequence(block []byte) (open []byte, token int) { return append(block, 0), len(block) }

// closeSequence ends a sequence with a match: n ≥ minMatch bytes from offset bytes in front, 1 to maxOffset. It opens the next one.
func closeSequence(block []byte, token, offset, n int) (open []byte, next int) {
	block = closeLiterals(block, token)
	block = append(block, byte(offset), byte(offset>>8))
	if n -= minMatch; n < longMatch {
		block[token] |= byte(n)
		return openSequence(block)
	}
	block[token] |= longMatch
	return openSequence(appendLong(block, n-longMatch))
}

// closeLiterals writes how many literals a sequence has.
func closeLiterals(block []byte, token int) []byte {
	n := len(block) - token - 1
	if n < longLiterals {
		block[token] = byte(n << 4)
		return block
	}
	block[token] = longLiterals << 4
	n -= longLiterals
	literals := block[token+1:] // also where append moves the block
	for range n/lengthPerByte + 1 {
		block = append(block, 0)
	}
	copy(block[len(block)-len(literals):], literals)
	appendLong(block[:token+1], n) // into the room that this makes
	return block
}

// appendLong appends the rest of a length.
func appendLong(block []byte, n int) []byte {
	for ; n >= lengthPerByte; n -= lengthPerByte {
		block = append(block, lengthPerByte)
	}
	return append(block, byte(n))
}
