package counter

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"wordcount/counter/window"
	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// oracle is the simple word count that everything is compared with.
type oracle struct {
	lines  []oracleLine
	newest int64
}

type oracleLine struct {
	at   int64
	text string
}

// batch is what a window should have, or has.
type batch struct {
	lines, late int64
	words       map[string]int64
}

func (o *oracle) add(lines ...oracleLine) {
	o.lines = append(o.lines, lines...)
	for _, l := range lines {
		o.newest = max(o.newest, l.at)
	}
}

// windows counts the lines by window number.
func (o *oracle) windows(i window.Interval) map[int64]*batch {
	all := make(map[int64]*batch)
	for _, l := range o.lines {
		w := all[i.Of(l.at)]
		if w == nil {
			w = &batch{words: make(map[string]int64)}
			all[i.Of(l.at)] = w
		}
		w.lines++
		for word := range strings.SplitSeq(l.text, " ") {
			w.words[word]++
		}
	}
	return all
}

// sum adds up windows.
func sum(all map[int64]*batch) batch {
	total := batch{words: make(map[string]int64)}
	for _, w := range all {
		total.lines += w.lines
		total.late += w.late
		for word, n := range w.words {
			total.words[word] += n
		}
	}
	return total
}

// committed reads a log as a consumer with read_committed does.
func committed(l *memoryLog) (records []kafkaio.Record, err error) {
	err = eachCommitted(l, func(_ int64, rec kafkaio.Record) error {
		rec.Key, rec.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
		records = append(records, rec)
		return nil
	}, nil)
	return records, err
}

// eachCommitted takes each record with its producer, and in between them whose transaction has ended.
func eachCommitted(l *memoryLog, take func(producer int64, rec kafkaio.Record) error, ended func(producer int64)) error {
	position := int64(0)
	for {
		f, empty := l.kafkaFetch(position)
		if empty {
			return nil
		}
		f.Ended = ended
		var rec kafkaio.Record
		for f.Next(&rec) {
			if err := take(f.ProducerID(), rec); err != nil {
				return err
			}
		}
		if f.Err() != nil {
			return f.Err()
		}
		position = f.Position()
	}
}

func (l *memoryLog) kafkaFetch(position int64) (*kafkaio.Fetched, bool) {
	return (&memoryKafka{}).fetch(l, position, time.Time{}, math.MaxInt32)
}

// printed is the output of the counters: the windows in the order of each partition, joined.
func (s *schedule) printed() (order []int64, windows map[int64]*batch, err error) {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	interval := s.cfg.interval()
	windows = make(map[int64]*batch)
	for q := range s.partitions {
		counts, err := committed(s.kafka.topics["counts"][q])
		if err != nil {
			return nil, nil, err
		}
		rows := make(map[int64]map[string]int64)
		for _, rec := range counts {
			c, err := wire.ParseCount(rec.Value)
			if err != nil {
				return nil, nil, err
			}
			number := interval.Of(c.WindowStart.UnixMilli())
			if kafkaio.Partition([]byte(c.Word), s.partitions) != int32(q) || string(rec.Key) != c.Word {
				return nil, nil, fmt.Errorf("word %q with key %q in counts/%d", c.Word, rec.Key, q)
			}
			if rows[number] == nil {
				rows[number] = make(map[string]int64)
			}
			if _, twice := rows[number][c.Word]; twice {
				return nil, nil, fmt.Errorf("counts/%d has %q twice for window %d", q, c.Word, number)
			}
			rows[number][c.Word] = c.Count
		}
		batches, err := committed(s.kafka.topics["batches"][q])
		if err != nil {
			return nil, nil, err
		}
		var mine []int64
		for _, rec := range batches {
			b, err := wire.ParseBatch(rec.Value)
			if err != nil {
				return nil, nil, err
			}
			number := interval.Of(b.WindowStart.UnixMilli())
			mine = append(mine, number)
			w := windows[number]
			if w == nil {
				w = &batch{lines: b.Lines, late: b.LateLines, words: make(map[string]int64)}
				windows[number] = w
			}
			if b.Lines != w.lines || b.LateLines != w.late {
				return nil, nil, fmt.Errorf("batches/%d has %d lines, %d late for window %d, another partition has %d, %d", q, b.Lines, b.LateLines, number, w.lines, w.late)
			}
			words := int64(0)
			for word, n := range rows[number] {
				words += n
				w.words[word] = n
			}
			if words != b.Words || int64(len(rows[number])) != b.DistinctWords || b.Partition != q || b.Partitions != s.partitions {
				return nil, nil, fmt.Errorf("batches/%d has %+v, counts/%d has %d distinct words, %d in all", q, b, q, len(rows[number]), words)
			}
			delete(rows, number)
		}
		if len(rows) > 0 {
			return nil, nil, fmt.Errorf("counts/%d has rows of windows %v without batch records", q, slices.Sorted(maps.Keys(rows)))
		}
		switch n := min(len(order), len(mine)); {
		case q == 0:
			order = mine
		case !slices.Equal(order[:n], mine[:n]):
			return nil, nil, fmt.Errorf("partition 0 has windows %v, partition %d has %v", order, q, mine)
		case len(mine) > n:
			order = mine
		}
	}
	return order, windows, nil
}

// expected returns the windows that are to be reported, in order, from the first up to the last one with lines.
func expected(first int64, nonEmpty []int64, maxEmpty int64) (order []int64, skipped int) {
	last := first - 1
	for _, n := range nonEmpty {
		for k := last + 1; k < n; k++ {
			if k-last <= maxEmpty {
				order = append(order, k)
			} else {
				skipped++
			}
		}
		order = append(order, n)
		last = n
	}
	return order, skipped
}

// check compares what was printed with the oracle, and returns it.
func (s *schedule) check() (got map[int64]*batch) {
	order, got, err := s.printed()
	if err != nil {
		s.t.Error(err)
		return nil
	}
	want := s.oracle.windows(s.cfg.interval())
	total, wantTotal := sum(got), sum(want)
	if total.lines != wantTotal.lines || !maps.Equal(total.words, wantTotal.words) {
		s.t.Errorf("%d lines and words %v were counted, want %d lines and %v", total.lines, total.words, wantTotal.lines, wantTotal.words)
	}
	// Late is what came before its partition was assigned, or out of order, or after a step of the clock.
	exact := s.outcome.added == 0 && !s.createTime && !s.setBack
	if exact {
		s.outcome.exact++
		for number, w := range want {
			g := got[number]
			if g == nil {
				s.t.Errorf("window %d with %d lines is missing", number, w.lines)
			} else if g.lines != w.lines || g.late != 0 || !maps.Equal(g.words, w.words) {
				s.t.Errorf("window %d is %+v, want %+v", number, *g, *w)
			}
		}
	}
	var nonEmpty []int64
	for _, number := range slices.Sorted(maps.Keys(got)) {
		if got[number].lines > 0 {
			nonEmpty = append(nonEmpty, number)
		} else {
			s.outcome.empty++
		}
	}
	if len(order) == 0 {
		if wantTotal.lines > 0 {
			s.t.Errorf("no window")
		}
		return got
	}
	wantOrder, skipped := expected(order[0], nonEmpty, s.cfg.maxEmpty())
	if len(order) < len(wantOrder) || !slices.Equal(order[:len(wantOrder)], wantOrder) {
		s.t.Errorf("windows %v, want %v", order, wantOrder)
	}
	s.outcome.windows += len(order)
	s.outcome.skipped += skipped
	s.outcome.late += int(total.late)
	return got
}
