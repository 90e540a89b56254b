package counter

import (
	"strings"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// A line's own word tells in which window it was counted.

// checkLines checks that every line was counted in its window or, late, in a later one, and how many are said to be late.
func (s *script) checkLines(got map[int64]*batch) {
	own := s.own()
	for number, w := range got {
		late := int64(0)
		for word := range w.words {
			if !strings.HasPrefix(word, "#") {
				continue
			}
			switch belongs := own[word]; {
			case number < belongs:
				s.t.Errorf("%s of window %d was counted in window %d before", word, belongs, number)
			case number > belongs:
				late++
			}
		}
		if w.late != late {
			s.t.Errorf("window %d has %d late lines, and says %d", number, late, w.late)
		}
	}
}

// own returns the window of every line by its own word.
func (s *script) own() map[string]int64 {
	own := make(map[string]int64)
	for _, l := range s.oracle.lines {
		word, _, _ := strings.Cut(l.text, " ")
		own[word] = s.cfg.interval().Of(l.at)
	}
	return own
}

// checkShuffle checks what the combine tasks have said, in each transaction with its last watermark: those never fall, a line is late when its
// slot's watermark had passed its window, and is then counted where the watermark was; nothing comes for a window that the watermark has passed.
func (s *script) checkShuffle() {
	own, interval := s.own(), s.cfg.interval()
	type counted struct {
		word   string
		window int64
	}
	for q, l := range s.kafka.topics["g-shuffle"] {
		whole := *l
		whole.start = 0 // also what was deleted
		marks := make([]int64, s.partitions)
		for i := range marks {
			marks[i] = wire.NoWatermark
		}
		pending := make([][]counted, s.partitions)
		said := make(map[int64]*wire.Watermark) // by producer
		take := func(producer int64, rec kafkaio.Record) error {
			partial, entries, mark, err := wire.ParseShuffle(rec.Value)
			if err != nil {
				return err
			}
			if mark != nil {
				said[producer] = mark
				return nil
			}
			if interval.End(partial.Window) <= marks[partial.Slot] {
				s.t.Errorf("shuffle/%d has window %d of slot %d after its watermark %d", q, partial.Window, partial.Slot, marks[partial.Slot])
			}
			for len(entries) > 0 {
				word, _, rest, _ := wire.NextEntry(entries)
				if word[0] == '#' {
					pending[partial.Slot] = append(pending[partial.Slot], counted{string(word), partial.Window})
				}
				entries = rest
			}
			return nil
		}
		ended := func(producer int64) {
			mark := said[producer]
			if mark == nil {
				return
			}
			delete(said, producer)
			if mark.Time < marks[mark.Slot] {
				s.t.Errorf("shuffle/%d has watermark %d of slot %d after %d", q, mark.Time, mark.Slot, marks[mark.Slot])
			}
			for _, c := range pending[mark.Slot] {
				if belongs := own[c.word]; c.window != belongs &&
					(interval.End(belongs) > mark.Time || c.window > interval.Of(mark.Time)) {
					s.t.Errorf("%s of window %d was counted in window %d, the watermark was %d", c.word, belongs, c.window, mark.Time)
				}
			}
			pending[mark.Slot] = pending[mark.Slot][:0]
			marks[mark.Slot] = mark.Time
		}
		if err := eachCommitted(&whole, take, ended); err != nil {
			s.t.Error(err)
			return
		}
	}
}
