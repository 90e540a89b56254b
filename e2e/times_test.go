package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Windows by the times that producers gave their records. The broker takes these up to an hour ahead unless it is told otherwise.
var createTime = []string{"message.timestamp.type", "CreateTime", "message.timestamp.after.max.ms", "9223372036854775807"}

const inBatchesOf = 1<<20 - 1<<10

func at(t time.Time, line string) *kgo.Record {
	return &kgo.Record{Timestamp: t, Value: []byte(line)}
}

// An hour of lines waits for a counter that starts only then: every window comes out as it would have, in order and once, in
// bounded memory, and the printer keeps up. E2E_BACKLOG is how many lines there are to a window of five seconds; memory must not
// depend on it.
func TestBacklog(t *testing.T) {
	const windows = 720
	lines := 1000
	if text := os.Getenv("E2E_BACKLOG"); text != "" {
		var err error
		if lines, err = strconv.Atoi(text); err != nil || lines < 1 {
			t.Fatalf("E2E_BACKLOG=%s: want lines of a window", text)
		}
	}
	p := NewPipeline(t, programs, realKafka(t).Address, 5*time.Second, "space")
	p.CreateLines(4, createTime...)
	text, err := os.ReadFile(manyLines(t))
	if err != nil {
		t.Fatal(err)
	}
	choice := strings.Split(strings.TrimSpace(string(text)), "\n")
	random := rand.New(rand.NewPCG(3, 4))
	first := time.Now().Add(-2 * time.Hour).Truncate(5 * time.Second)
	for hour := range 12 { // in pieces, for this test's memory
		var records []*kgo.Record
		for w := range windows / 12 {
			start := first.Add(time.Duration(hour*windows/12+w) * 5 * time.Second)
			for n := range lines {
				records = append(records, at(start.Add(5*time.Second*time.Duration(n)/time.Duration(lines)), choice[random.IntN(len(choice))]))
			}
		}
		p.PublishRecords(inBatchesOf, records...)
	}
	p.Watch.Lines(windows * lines)

	printer := p.Printer("--format", "json", "--num", "0")
	counter := p.MeteredCounter()
	began := time.Now()
	last := first.Add(windows * 5 * time.Second)
	p.Watch.wait(2*time.Minute, "the backlog's last window", func() bool { return !p.Watch.output.Complete().Before(last) })
	took := time.Since(began)
	t.Logf("%d windows of %d lines in %v, %.0f lines a second", windows, lines, took.Round(time.Millisecond), float64(windows*lines)/took.Seconds())
	if peak, ok := counter.MemoryPeak(); ok {
		t.Logf("at most %d MiB of memory", peak>>20)
		if peak > 512<<20 {
			t.Errorf("the counter took %d MiB", peak>>20)
		}
	}
	counter.Reaches(time.Second, lateLines, 0)
	counter.Stop()
	p.ShowsJSON(printer, p.Watch.Check())
}

// A day without lines, of 17,280 windows, is an hour of empty batches and does not hold up what comes after.
func TestSilentDay(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, 5*time.Second, "space")
	p.Watch.output.MaxEmpty = 720
	p.CreateLines(4, createTime...)
	today := time.Now().Add(-10 * time.Minute) // less than the hour that is reported
	yesterday := today.Add(-24 * time.Hour)
	p.PublishRecords(inBatchesOf, at(yesterday, "before the silence"), at(yesterday, "and in another partition"),
		at(today, "after it"), at(today, "and in another partition"))
	p.Watch.Lines(4)
	counter := p.MeteredCounter()
	printer := p.Printer("--format", "json", "--num", "0")
	began := time.Now()
	p.Watch.wait(20*time.Second, "the window after the silence", func() bool { return !p.Watch.output.Complete().Before(today) })
	t.Logf("a day of silence took %v", time.Since(began).Round(time.Millisecond))
	// The day has 17,280 windows, of which the last has the line that ends the silence.
	counter.Reaches(time.Second, "wordcount_counter_skipped_windows_total", 17279-720)
	if !strings.Contains(counter.Stderr.String(), fmt.Sprintf("windows=%d", 17279-720)) {
		t.Error("the log does not say how many empty windows are not reported")
	}
	counter.Stop()
	p.ShowsJSON(printer, p.Watch.Check())
}

// Whatever times records have, every line is counted, and no window waits for ever: out of order, a year ahead, before 1970, and
// the -1 that stands for no time.
func TestRecordTimes(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	p.Watch.output.EarlyClose = true
	p.CreateLines(4, createTime...)
	counter := p.MeteredCounter()
	random := rand.New(rand.NewPCG(5, 6))
	var records []*kgo.Record
	now := time.Now()
	for n := range 2000 {
		records = append(records, at(now.Add(time.Duration(random.IntN(10_000)-9000)*time.Millisecond), fmt.Sprintf("mixed n%d", n%100)))
	}
	for n := range 100 {
		records = append(records, at(now.Add(time.Duration(n)*100*time.Hour), "future"), at(time.UnixMilli(-1-int64(n)), "negative"),
			at(time.UnixMilli(int64(n)), "1970"), at(now, "now"))
	}
	random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for part := range 8 { // some of it while windows close
		p.PublishRecords(inBatchesOf, records[part*len(records)/8:(part+1)*len(records)/8]...)
		p.Watch.Batches(1)
	}
	p.Watch.Lines(len(records))
	counter.Reaches(20*time.Second, "wordcount_counter_lines_total", float64(len(records)))
	p.Watch.Batches(3) // what was counted is in the window that is open
	counter.Stop()
	metered := p.Watch.CheckTotals()
	t.Logf("%d of %d lines were late", metered, len(records))
	if metered < 100 {
		t.Errorf("%d lines were late; the 100 negative ones at least must be", metered)
	}
	if !strings.Contains(counter.Stderr.String(), "CreateTime") {
		t.Error("the log does not say that windows follow the records' times")
	}
}
