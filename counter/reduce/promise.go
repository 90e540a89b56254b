package reduce

import "wordcount/internal/wire"

// Promise is what a slot's combine task has said in a shuffle partition. A watermark holds when the transaction has ended that has it, and is the last
// one there: records that come behind it in the same transaction may belong to windows before it.
type Promise struct {
	First      int64 // the first watermark: where the slot starts; wire.NoWatermark before
	Watermark  int64 // the greatest; wire.NoWatermark before the first
	Partitions int   // of the lines topic, the most that were said

	offset int64          // of the record of the newest watermark; −1: there is none
	said   wire.Watermark // in a transaction that has not ended yet
	saidAt int64          // the record's offset; −1: nothing was
	saidBy int64          // the producer
}

// NoPromise is that of a slot that has said nothing.
var NoPromise = Promise{First: wire.NoWatermark, Watermark: wire.NoWatermark, offset: -1, saidAt: -1}

// Say takes in a watermark record of the slot. One that says wire.NoWatermark says nothing: no offset is committed with it.
func (p *Promise) Say(producer, offset int64, mark *wire.Watermark) {
	if mark.Time != wire.NoWatermark {
		p.said, p.saidAt, p.saidBy = *mark, offset, producer
	}
}

// Ended notes that a transaction of a producer has ended behind what was said.
func (p *Promise) Ended(producer int64) {
	if p.saidAt < 0 || p.saidBy != producer {
		return
	}
	if p.First == wire.NoWatermark {
		p.First = p.said.Time
	}
	p.Watermark = max(p.Watermark, p.said.Time)
	p.Partitions = max(p.Partitions, p.said.Partitions)
	p.offset, p.saidAt = p.saidAt, -1
}
