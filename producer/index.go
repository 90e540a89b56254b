package producer

import (
	"context"
	"fmt"
	"io"
)

// index finds the lines of a file that is not held in memory: it keeps the offset of every k-th line that is not blank,
// where k is the least power of two for which the offsets are few enough.
type index struct {
	offsets []int64
	every   int64
	lines   int64 // not blank ones
	longest longest
}

// longest is the longest line of a file, without white space around it.
type longest struct {
	bytes  int
	number int64 // 1 is the first line, blank ones count
}

// scan reads lines to the end, calls each for those that are not blank, and returns the longest. offset is where the line
// begins in r, before its white space; line is valid during the call.
func scan(ctx context.Context, r io.Reader, each func(offset int64, line []byte)) (longest, error) {
	var found longest
	var offset, number int64
	lines := newLineReader(r, 256<<10)
	for {
		number++
		if number%1024 == 0 && ctx.Err() != nil {
			return found, ctx.Err()
		}
		raw, err := lines.next()
		switch {
		case err == io.EOF:
			return found, nil
		case err == errLineTooLong:
			return found, fmt.Errorf("line %d is %w", number, err)
		case err != nil:
			return found, fmt.Errorf("read line %d: %w", number, err)
		}
		if line := strip(raw); len(line) > 0 {
			if len(line) > found.bytes {
				found = longest{len(line), number}
			}
			each(offset, line)
		}
		offset += int64(len(raw))
	}
}

// newIndex reads r to the end; it keeps at most maxOffsets offsets, an even number.
func newIndex(ctx context.Context, r io.Reader, maxOffsets int) (*index, error) {
	x := &index{every: 1}
	var err error
	x.longest, err = scan(ctx, r, func(offset int64, _ []byte) { x.add(offset, maxOffsets) })
	return x, err
}

func (x *index) add(offset int64, maxOffsets int) {
	if x.lines%x.every == 0 {
		if len(x.offsets) == maxOffsets {
			for i := range maxOffsets / 2 {
				x.offsets[i] = x.offsets[2*i]
			}
			x.offsets = x.offsets[:maxOffsets/2]
			x.every *= 2 // maxOffsets is even, so this line is one of those that are kept
		}
		x.offsets = append(x.offsets, offset)
	}
	x.lines++
}

// find returns where to start reading for line i (0 is the first), and how many lines that are not blank come before it there.
func (x *index) find(i int64) (offset, skip int64) { return x.offsets[i/x.every], i % x.every }
