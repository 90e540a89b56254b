package kafkaio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
)

// maxInflated is what a compressed batch may take in memory, far beyond what any producer makes of max.message.bytes.
var maxInflated = 256 << 20

// inflate decompresses the records of a batch into a buffer that the next compressed batch uses again. kafka-go's readers
// of snappy and zstd are not used: they make room for whatever size the data claims, gigabytes for a dozen bytes.
func (f *Fetched) inflate(c compress.Compression) (err error) {
	dst := f.inflated[:0]
	switch c {
	case compress.Snappy:
		f.inflated, err = appendSnappy(dst, f.records)
	case compress.Zstd:
		f.inflated, err = zstdDecoder().DecodeAll(f.records, dst)
	case compress.Gzip, compress.Lz4:
		r := c.Codec().NewReader(bytes.NewReader(f.records))
		out := bytes.NewBuffer(dst)
		_, err = out.ReadFrom(io.LimitReader(r, int64(maxInflated)+1))
		f.inflated, err = out.Bytes(), errors.Join(err, r.Close())
	default:
		return fmt.Errorf("unknown compression %d", c)
	}
	f.records = f.inflated
	if err == nil && len(f.inflated) > maxInflated {
		err = fmt.Errorf("more than %d bytes", maxInflated)
	}
	if err != nil {
		return fmt.Errorf("inflate %s: %w", c, err)
	}
	return nil
}

// zstdDecoder decodes concurrently for all readers, and starts no goroutine.
var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(uint64(maxInflated)))
	if err != nil {
		panic(err) // the options are wrong
	}
	return d
})

// The Java library frames snappy in blocks (org.xerial.snappy.SnappyOutputStream): a header of 16 bytes, then each block
// with its size before it. Others write one block without frame.
var xerialMagic = []byte("\x82SNAPPY\x00")

const xerialHeader = 16

func appendSnappy(dst, src []byte) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return appendSnappyBlock(dst, src)
	}
	if len(src) < xerialHeader {
		return dst, io.ErrUnexpectedEOF
	}
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return dst, io.ErrUnexpectedEOF
		}
		size := binary.BigEndian.Uint32(src)
		if src = src[4:]; int64(size) > int64(len(src)) {
			return dst, io.ErrUnexpectedEOF
		}
		var err error
		if dst, err = appendSnappyBlock(dst, src[:size]); err != nil {
			return dst, err
		}
		src = src[size:]
	}
	return dst, nil
}

func appendSnappyBlock(dst, block []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return dst, err
	}
	if n > 64*len(block) || len(dst)+n > maxInflated { // three bytes copy 64 at most
		return dst, snappy.ErrTooLarge
	}
	if cap(dst)-len(dst) < n {
		dst = append(make([]byte, 0, 2*(len(dst)+n)), dst...)
	}
	out, err := snappy.Decode(dst[len(dst):len(dst)+n], block)
	return dst[:len(dst)+len(out)], err
}
