package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	reduceTasks = `wordcount_counter_tasks{stage="reduce"}`
	lateLines   = `wordcount_counter_late_lines_total`
)

// From one counter to three and back to one, under load: each has its share, is ready, and nothing is late or wrong. Then the topic
// of lines gets more partitions, and what is published there is counted.
func TestScaling(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	producer := p.Producer(nil, "--file", manyLines(t), "--rate", "20000")
	counters := []*Metered{p.MeteredCounter()}
	share := func(tasks ...float64) {
		t.Helper()
		for i, n := range tasks {
			counters[i].Reaches(20*time.Second, reduceTasks, n)
			if text, ready := counters[i].Ready(); !ready {
				t.Errorf("counter %d of %d has its share and is not ready: %s", i+1, len(tasks), text)
			}
		}
		p.Watch.Batches(2)
	}
	share(4)
	counters = append(counters, p.MeteredCounter(), p.MeteredCounter())
	for sum, late := 0.0, time.Now().Add(20*time.Second); ; time.Sleep(50 * time.Millisecond) {
		sum = 0
		least := 4.0
		for _, c := range counters {
			tasks, _ := c.Value(reduceTasks)
			sum, least = sum+tasks, min(least, tasks)
		}
		if sum == 4 && least == 1 { // 2, 1 and 1, in any order
			break
		}
		if time.Now().After(late) {
			t.Fatalf("three counters have %v slots, the least of them %v", sum, least)
		}
	}
	p.Watch.Batches(2)
	counters[2].Stop()
	counters[1].Stop()
	share(4)

	client := p.client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := kadm.NewClient(client).UpdatePartitions(ctx, 6, p.Lines); err != nil {
		t.Fatal(err)
	}
	for _, partition := range []int{4, 5} { // without lines there is nothing behind
		counters[0].Reaches(20*time.Second, fmt.Sprintf(`wordcount_counter_lag_lines{partition="%d"}`, partition), 0)
	}
	if said := counters[0].Stderr.String(); !strings.Contains(said, `lines_partitions="[0 1 2 3 4 5]"`) {
		t.Error("the log does not say which partitions there are now")
	}
	producer.Stop()
	more := p.Producer(nil, "--file", manyLines(t), "--rate", "20000")
	p.Watch.Batches(3)
	more.Stop()
	p.Watch.Counted(20 * time.Second)
	used := make(map[int32]bool)
	for _, line := range p.Watch.Lines(1) {
		used[line.Partition] = true
	}
	if len(used) != 6 {
		t.Errorf("lines are in partitions %v, not in 6", used)
	}
	counters[0].Reaches(time.Second, lateLines, 0)
	counters[0].Stop()
	p.Watch.Check()
}

// Counters that find every slot taken stand by: they are ready, say so, and take over when others leave.
func TestMoreCountersThanSlots(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	producer := p.Producer(nil, "--file", manyLines(t), "--rate", "2000")
	var counters []*Metered
	for range 6 {
		counters = append(counters, p.MeteredCounter())
	}
	slots := func() (working, idle []*Metered) {
		for _, c := range counters {
			switch tasks, _ := c.Value(reduceTasks); tasks {
			case 0:
				idle = append(idle, c)
			default:
				working = append(working, c)
			}
		}
		return working, idle
	}
	four := func() (working, idle []*Metered) {
		t.Helper()
		for late := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if working, idle = slots(); len(working) == 4 {
				return working, idle
			}
			if time.Now().After(late) {
				t.Fatalf("%d of %d counters work, not 4", len(working), len(counters))
			}
		}
	}
	p.Watch.Batches(2)
	working, idle := four()
	for _, c := range idle {
		eventually(t, 10*time.Second, func() error { // it may not have joined yet
			if text, ready := c.Ready(); !ready {
				return fmt.Errorf("a counter that stands by is not ready: %s", text)
			}
			if !strings.Contains(c.Stderr.String(), "standing by") {
				return errors.New("a counter that stands by does not say so")
			}
			return nil
		})
	}
	for _, c := range working[:2] {
		c.Stop()
	}
	counters = append(idle, working[2:]...)
	four()
	p.Watch.Batches(2)
	producer.Stop()
	p.Watch.Counted(20 * time.Second)
	for _, c := range counters {
		c.Stop()
	}
	p.Watch.Check()
}

// Counters of two versions share the work, and each says which it is.
func TestTwoVersions(t *testing.T) {
	p := NewPipeline(t, programs, realKafka(t).Address, time.Second, "space")
	other := NewPrograms(t.TempDir(), "-ldflags", "-X wordcount/internal/service.Version=v0.0.0-other")
	producer := p.Producer(nil, "--file", manyLines(t), "--rate", "2000")
	first := p.MeteredCounter()
	p.Watch.Batches(1)
	second := p.meteredCounter(other)
	first.Reaches(20*time.Second, reduceTasks, 2)
	second.Reaches(20*time.Second, reduceTasks, 2)
	page, _ := second.get("/metrics")
	if !strings.Contains(page, `version="v0.0.0-other"`) {
		t.Error("wordcount_build_info does not have the version that was built in")
	}
	if page, _ = first.get("/metrics"); strings.Contains(page, "v0.0.0-other") {
		t.Error("both have the same version")
	}
	p.Watch.Batches(2)
	first.Stop()
	p.Watch.Batches(2)
	producer.Stop()
	p.Watch.Counted(20 * time.Second)
	second.Stop()
	p.Watch.Check()
}
