package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPipelineEmbedded(t *testing.T) { pipelineSuite(t, embeddedBroker) }

func TestPipelineKafka(t *testing.T) {
	pipelineSuite(t, func(t *testing.T) string { return realKafka(t).Address })
}

// pipelineSuite is what holds on every broker.
func pipelineSuite(t *testing.T, broker func(t *testing.T) (address string)) {
	t.Run("Lab", func(t *testing.T) { testLab(t, broker(t)) })
	t.Run("AvailableNow", func(t *testing.T) { testAvailableNow(t, broker(t)) })
	t.Run("OddLines", func(t *testing.T) { testOddLines(t, broker(t)) })
	t.Run("ComingAndGoing", func(t *testing.T) { testComingAndGoing(t, broker(t)) })
	t.Run("EmptyWindows", func(t *testing.T) { testEmptyWindows(t, broker(t)) })
	t.Run("OtherSettings", func(t *testing.T) { testOtherSettings(t, broker(t)) })
}

// labLines are those of the lab, and a blank one that the file source skips.
const labLines = "hello spark streaming\nspark streaming example\n\nreal time data processing\nhello world\nspark and kafka\n"

func labFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "messages.txt")
	if err := os.WriteFile(name, []byte(labLines), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The lab as a person runs it: everything is started before anything exists.
func testLab(t *testing.T, broker string) {
	p := NewPipeline(t, programs, broker, time.Second, "space")
	pprint := p.Printer("--format", "pprint", "--num", "5")
	json := p.Printer("--format", "json", "--num", "0")
	counter := p.Counter()
	producer := p.Producer(nil, "--file", labFile(t), "--count", "300", "--rate", "100", "--seed", "7")
	if status := producer.Exit(30 * time.Second); status != 0 {
		t.Fatalf("the producer ended with status %d", status)
	}
	lines := p.Watch.Lines(300)
	p.Watch.Counted(20 * time.Second)
	counter.Stop()
	want := p.Watch.Check()

	if len(lines) != 300 {
		t.Errorf("%d lines were published, not 300", len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(labLines, string(line.Value)+"\n") || len(line.Value) == 0 {
			t.Errorf("published %q, which is not in the file", line.Value)
		}
	}
	p.ShowsPprint(pprint, want, 5)
	p.ShowsJSON(json, want)
}

// A run with --available-now counts what is there and ends; the next one goes on from there.
func testAvailableNow(t *testing.T, broker string) {
	p := NewPipeline(t, programs, broker, time.Second, "space")
	file := labFile(t)
	publish := func(n int) {
		t.Helper()
		if status := p.Producer(nil, "--file", file, "--count", fmt.Sprint(n), "--rate", "0").Exit(30 * time.Second); status != 0 {
			t.Fatalf("the producer ended with status %d", status)
		}
	}
	count := func() {
		t.Helper()
		if status := p.Counter("--available-now").Exit(time.Minute); status != 0 {
			t.Fatalf("counter --available-now ended with status %d", status)
		}
	}
	publish(20_000)
	count()
	p.Watch.Lines(20_000)
	p.Watch.Check()
	windows := len(p.Watch.Reported())
	count() // nothing is new
	p.Watch.Check()
	if got := len(p.Watch.Reported()); got != windows {
		t.Errorf("a second run reported %d more windows of nothing", got-windows)
	}
	publish(5_000)
	count()
	p.Watch.Lines(25_000)
	p.Watch.Check()
	counter := p.Counter() // and one that stays
	publish(1_000)
	p.Watch.Lines(26_000)
	p.Watch.Counted(20 * time.Second)
	counter.Stop()
	p.Watch.Check()
}

// Whatever bytes a line has.
func testOddLines(t *testing.T, broker string) {
	long := strings.Repeat("x", 128<<10)
	for tokenizer, published := range map[string][]string{
		"space": {"", " ", "two  spaces", " around ", "tab\there", "\r", "ends so\r", "it's", `"quoted" and \back\slashed`, "<b>&amp;</b>", "漢字 漢字 かな",
			"\u2028 \u00a0 \u0085", "\x00 \x01\x1f\x7f", "\xff", "a\xff\xfe\xfdb", "cut \xe6\xbc", "\xed\xa0\x80 \xf0\x9f\x98",
			long, long + "y", "x" + strings.Repeat("é", 64<<10) + " z", strings.Repeat("many ", 20_000), "line\nfeed", "null", "{}", "🎉"},
		"fields":      {"", "  ", " a  b\tc\r", "\u00a0a\u2003b\u0085c\v\fd", "漢字\u3000漢字", "\xff x", long + " " + long},
		"words":       {"", "...", "Don't SHOUT, 42 times!", "Straße ΣΊΣΥΦΟΣ Ünïcödé 漢字かな ١٢٣", "under_score e-mail", "\xffbad\xfe"},
		`regexp:#\w+`: {"", "no tag", "#one #two#three", "# ##four \xff#five", "#" + long},
	} {
		t.Run(tokenizer, func(t *testing.T) {
			p := NewPipeline(t, programs, broker, time.Second, tokenizer)
			p.CreateLines(4)
			printer := p.Printer("--num", "0", "--format", "json")
			counter := p.Counter()
			p.Publish(published...)
			p.Publish(published...) // in other partitions
			p.Watch.Lines(2 * len(published))
			p.Watch.Counted(20 * time.Second)
			counter.Stop()
			p.ShowsJSON(printer, p.Watch.Check())
		})
	}
}

// Counters join and leave while lines flow.
func testComingAndGoing(t *testing.T, broker string) {
	p := NewPipeline(t, programs, broker, time.Second, "space")
	producer := p.Producer(nil, "--file", labFile(t), "--rate", "1000")
	first := p.Counter()
	p.Watch.Batches(2)
	second := p.Counter()
	p.Watch.Batches(2)
	first.Stop()
	p.Watch.Batches(2)
	third, fourth := p.Counter(), p.Counter()
	p.Watch.Batches(2)
	second.Stop()
	third.Stop()
	p.Watch.Batches(1)
	producer.Stop()
	p.Watch.Counted(20 * time.Second)
	fourth.Stop()
	p.Watch.Check()
}

// Windows without lines are reported, before the first line too.
func testEmptyWindows(t *testing.T, broker string) {
	p := NewPipeline(t, programs, broker, 500*time.Millisecond, "space")
	p.CreateLines(4)
	pprint := p.Printer()
	counter := p.Counter()
	p.Watch.Batches(3)
	p.Publish("one line")
	p.Watch.Lines(1)
	p.Watch.Counted(10 * time.Second)
	p.Watch.Batches(3)
	p.Publish("another line")
	p.Watch.Lines(2)
	p.Watch.Counted(10 * time.Second)
	counter.Stop()
	want := p.Watch.Check()
	if got := p.Watch.Empty(); got < 5 {
		t.Errorf("%d empty windows were reported, not 5 at least", got)
	}
	p.ShowsPprint(pprint, want, 10)
}

// A group's windows and tokenizer cannot be changed by a counter that joins with others.
func testOtherSettings(t *testing.T, broker string) {
	p := NewPipeline(t, programs, broker, time.Second, "space")
	p.CreateLines(4)
	counter := p.Counter()
	p.Watch.Batches(1)
	for _, other := range [][]string{{"--batch-interval", "2s"}, {"--tokenizer", "fields"}} {
		refused := p.Counter(other...)
		if status := refused.Exit(30 * time.Second); status != 2 {
			t.Errorf("a counter with %v ended with status %d, not 2", other, status)
		}
		if last := refused.Stderr.last(1); !strings.Contains(last, p.Group) || !strings.Contains(last, "interval") {
			t.Errorf("a counter with %v said %q: not that the group %s counts with another interval or tokenizer", other, last, p.Group)
		}
	}
	p.Watch.Batches(1) // the first has not noticed
	counter.Stop()
	p.Watch.Check()
}
