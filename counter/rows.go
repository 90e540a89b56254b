package counter

import (
	"wordcount/counter/words"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// rows fills record batches with the rows of windows, up to the topic's limit, which a single row may exceed.
type rows struct {
	max     int // of what is sent, bytes
	content int // of what it expands to, at most
	full    []*kafkaio.PatternBatch
	open    *kafkaio.PatternBatch // nil: none
	sealed  []*kafkaio.RecordBatch
	bytes   int // in all of them at most, before compression
	spare   []*kafkaio.PatternBatch
	head    []byte
	escaped []byte
}

// maxContent of a batch, in bytes, is what a reader needs memory for. A large batch costs Kafka little more than a small one: rows take a fifth when they
// are sent, and so this much fits what max.message.bytes is by default.
const maxContent = 4 << 20

// newRows returns rows for a topic.
func newRows(topic kafkaio.TopicSettings) rows {
	r := rows{max: topic.MaxMessageBytes, content: maxContent}
	if topic.Recompresses { // the limit is for what becomes of it: uncompressed, say
		r.content = min(r.content, r.max)
	}
	return r
}

// write adds the rows of a window, and returns their number; now is the time of their records, ms since the epoch.
func (r *rows) write(start, end, now int64, counts *words.Table) (written int64) {
	r.head = wire.AppendCountHead(r.head[:0], start, end)
	pattern := kafkaio.Pattern{Head: r.head, Middle: wire.CountMiddle, Tail: wire.CountTail}
	const countMax = 20
	common := len(r.head) + len(wire.CountMiddle) + countMax + len(wire.CountTail) + kafkaio.RecordOverhead
	begun := false
	for word, count := range counts.All {
		text := wire.Escaped(r.escaped[:0], word)
		size := common + 2*len(word)
		if text != nil {
			r.escaped = text
			size = common + len(word) + len(text)
		}
		if r.open != nil && (r.open.Size()+size > r.content || r.open.MostSent(size) > r.max) {
			r.seal()
			begun = false
		}
		if !begun {
			r.begin(now, pattern)
			begun = true
		}
		r.open.Append(word, text, count)
		r.bytes += size
		written++
	}
	return written
}

// begin has a batch go on with a window.
func (r *rows) begin(now int64, pattern kafkaio.Pattern) {
	if r.open == nil {
		if last := len(r.spare) - 1; last >= 0 {
			r.open, r.spare = r.spare[last], r.spare[:last]
		} else {
			r.open = new(kafkaio.PatternBatch)
		}
	}
	r.open.Begin(now, pattern)
}

// seal ends the batch that is being filled.
func (r *rows) seal() {
	r.full, r.sealed = append(r.full, r.open), append(r.sealed, r.open.Seal())
	r.open = nil
}

// all returns the batches, none of them empty.
func (r *rows) all() []*kafkaio.RecordBatch {
	if r.open != nil {
		r.seal()
	}
	return r.sealed
}

// sent empties rows when all batches were sent. Those of a transaction that failed may still be on their way: they are left to
// whoever has them.
func (r *rows) sent() {
	const maxSpare = transactionBytes/maxContent + 1 // a transaction has more only where less than maxContent fits a batch
	for _, b := range r.full[:min(len(r.full), maxSpare-len(r.spare))] {
		b.Reset()
		r.spare = append(r.spare, b)
	}
	clear(r.full)
	clear(r.sealed)
	r.full, r.sealed, r.bytes = r.full[:0], r.sealed[:0], 0
}
