package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	start = 1769030725000 // 2026-01-21T21:25:25Z
	end   = start + 5000
)

// As others read them.
const (
	goldenCount = `{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30Z","word":"spark","count":3}`
	goldenBatch = `{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30Z","partition":0,"partitions":4,"lines":5,"words":14,"distinct_words":3,"late_lines":0,"closed_at":"2026-01-21T21:25:30.262Z"}`
)

var golden = Batch{
	WindowStart: utc(start), WindowEnd: utc(end), Partition: 0, Partitions: 4,
	Lines: 5, Words: 14, DistinctWords: 3, LateLines: 0, ClosedAt: utc(end + 262),
}

func TestGoldenLines(t *testing.T) {
	if got := string(AppendCount(nil, start, end, []byte("spark"), 3)); got != goldenCount {
		t.Errorf("count\n got %s\nwant %s", got, goldenCount)
	}
	if got := string(AppendBatch(nil, golden)); got != goldenBatch {
		t.Errorf("batch\n got %s\nwant %s", got, goldenBatch)
	}
	precise := golden
	precise.WindowStart = precise.WindowStart.In(time.FixedZone("", 3600))
	precise.ClosedAt = precise.ClosedAt.Add(999 * time.Microsecond)
	if got := string(AppendBatch(nil, precise)); got != goldenBatch {
		t.Errorf("batch with microseconds and another zone\n got %s\nwant %s", got, goldenBatch)
	}
}

func TestEscapes(t *testing.T) {
	for in, want := range map[string]string{
		"":                       `""`,
		"spark":                  `"spark"`,
		`it's "quoted" \ back`:   `"it's \"quoted\" \\ back"`,
		"\b\f\n\r\t":             `"\b\f\n\r\t"`,
		"\x00\x01\x1f\x7f":       `"\u0000\u0001\u001f` + "\x7f" + `"`,
		"<漢字>&\u2028é\U0001F600": "\"<漢字>&\u2028é\U0001F600\"",
	} {
		if got := string(AppendString(nil, in)); got != want {
			t.Errorf("AppendString(%q) = %s, want %s", in, got, want)
		}
	}
}

// Escaped agrees with AppendString whatever stands behind a word, and for every byte at every place of it.
func TestEscaped(t *testing.T) {
	for n := range 20 {
		for at := range max(n, 1) {
			for c := range 256 {
				for _, capacity := range []int{n, 15, 16, 40} {
					room := []byte(strings.Repeat(string(rune(at%2*0x7f)), max(capacity, n))) // NUL or DEL behind it
					word := room[:n:len(room)]
					for i := range word {
						word[i] = "a!#[]\x7f\xff\x80"[(i+c)%8]
					}
					if n > 0 {
						word[at] = byte(c)
					}
					want := AppendString(nil, word)
					got := Escaped([]byte{'"'}, word)
					if got == nil {
						got = append([]byte{'"'}, word...)
					} else if len(got) == n+1 {
						t.Fatalf("%q needs no escape", word)
					}
					if got = append(got, '"'); !bytes.Equal(got, want) {
						t.Fatalf("Escaped(%q), capacity %d: %s, want %s", word, cap(word), got, want)
					}
				}
			}
		}
	}
}

// randomWord returns words of every kind: plain, quoted, control characters, all planes, long ones.
func randomWord(random *rand.Rand) string {
	var b strings.Builder
	kinds := 1 + random.IntN(5)
	length := random.IntN(12)
	if random.IntN(100) == 0 {
		length = random.IntN(5000)
	}
	for range length {
		switch random.IntN(kinds) {
		case 0:
			b.WriteByte(byte('a' + random.IntN(26)))
		case 1:
			b.WriteByte(byte(random.IntN(0x80)))
		case 2:
			b.WriteString([]string{`"`, `\`, "\n", "\u2028", "\u2029", "<", "\ufffd", "\u0000"}[random.IntN(8)])
		case 3:
			b.WriteRune(rune(random.IntN(0x3000)))
		case 4:
			b.WriteRune(rune(random.IntN(0x110000))) // surrogates become U+FFFD
		}
	}
	return b.String()
}

// What encoding/json makes of our lines is what we put into them, and what we make of its lines is what it put into them.
func TestAgreesWithEncodingJSON(t *testing.T) {
	type count struct {
		WindowStart time.Time `json:"window_start"`
		WindowEnd   time.Time `json:"window_end"`
		Word        string    `json:"word"`
		Count       int64     `json:"count"`
	}
	type batch struct {
		WindowStart   time.Time `json:"window_start"`
		WindowEnd     time.Time `json:"window_end"`
		Partition     int       `json:"partition"`
		Partitions    int       `json:"partitions"`
		Lines         int64     `json:"lines"`
		Words         int64     `json:"words"`
		DistinctWords int64     `json:"distinct_words"`
		LateLines     int64     `json:"late_lines"`
		ClosedAt      time.Time `json:"closed_at"`
	}
	random := rand.New(rand.NewPCG(3, 4))
	natural := func() int64 { return random.Int64() >> random.IntN(63) }
	for range 20000 {
		from := random.Int64N(4102444800000)
		word := randomWord(random)
		want := Count{WindowStart: utc(from), WindowEnd: utc(from + 1 + natural()>>30), Word: word, Count: max(1, natural())}
		line := AppendCount(nil, from, want.WindowEnd.UnixMilli(), []byte(word), want.Count)
		text := Escaped(nil, []byte(word))
		if text == nil {
			text = []byte(word)
		}
		if parts := fmt.Appendf(nil, "%s%s%s%d%s", AppendCountHead(nil, from, want.WindowEnd.UnixMilli()), text, CountMiddle, want.Count, CountTail); !bytes.Equal(parts, line) {
			t.Fatalf("%s of parts, want %s", parts, line)
		}
		if bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("more than one line: %q", line)
		}
		var theirs count
		if err := json.Unmarshal(line, &theirs); err != nil || Count(theirs) != want {
			t.Fatalf("encoding/json reads %s as %+v, %v; want %+v", line, theirs, err, want)
		}
		if ours, err := ParseCount(line); err != nil || ours != want {
			t.Fatalf("ParseCount(%s) = %+v, %v; want %+v", line, ours, err, want)
		}
		line = marshal(t, theirs)
		if ours, err := ParseCount(line); err != nil || ours != want {
			t.Fatalf("ParseCount(%s) = %+v, %v; want %+v", line, ours, err, want)
		}

		b := Batch{
			WindowStart: want.WindowStart, WindowEnd: want.WindowEnd, Partition: random.IntN(8), Partitions: 8 + random.IntN(8),
			Lines: natural(), Words: natural(), LateLines: natural(), ClosedAt: utc(from + natural()>>30),
		}
		b.DistinctWords = b.Words >> random.IntN(8)
		line = AppendBatch(nil, b)
		var their batch
		if err := json.Unmarshal(line, &their); err != nil || Batch(their) != b {
			t.Fatalf("encoding/json reads %s as %+v, %v; want %+v", line, their, err, b)
		}
		for _, line := range [][]byte{line, marshal(t, their)} {
			if ours, err := ParseBatch(line); err != nil || ours != b {
				t.Fatalf("ParseBatch(%s) = %+v, %v; want %+v", line, ours, err, b)
			}
		}
	}
}

func marshal(t *testing.T, v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNoAllocations(t *testing.T) {
	dst := make([]byte, 0, 1024)
	word := []byte("it's \"漢字\"\x01")
	plain := AppendCount(nil, start, end+1, []byte("naïve"), 12345)
	var row CountRow
	for name, f := range map[string]func(){
		"AppendCount":   func() { dst = AppendCount(dst[:0], start, end, word, 3) },
		"AppendBatch":   func() { dst = AppendBatch(dst[:0], golden) },
		"AppendTime":    func() { dst = AppendTime(dst[:0], start+123) },
		"AppendString":  func() { dst = AppendString(dst[:0], word) },
		"Escaped":       func() { dst = Escaped(dst[:0], word) },
		"ParseCountRow": func() { _ = ParseCountRow(plain, &row) },
	} {
		if allocated := testing.AllocsPerRun(100, f); allocated != 0 {
			t.Errorf("%s allocates %v times", name, allocated)
		}
	}
}

func BenchmarkAppendCount(b *testing.B) {
	words := [][]byte{[]byte("spark"), []byte("internationalization"), []byte(`"quoted"`), []byte("漢字"), []byte("a")}
	dst := make([]byte, 0, 1024)
	for i := 0; b.Loop(); i++ {
		dst = AppendCount(dst[:0], start, end, words[i%len(words)], int64(i))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkParseCountRow(b *testing.B) {
	for _, word := range []string{"spark", `"quoted"`, "漢字"} {
		b.Run(word, func(b *testing.B) {
			line := AppendCount(nil, start, end, []byte(word), 12345)
			var row CountRow
			for b.Loop() {
				if err := ParseCountRow(line, &row); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkParseBatch(b *testing.B) {
	for b.Loop() {
		if _, err := ParseBatch([]byte(goldenBatch)); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleAppendCount() {
	fmt.Printf("%s\n", AppendCount(nil, 1769030725000, 1769030725100, []byte("it's"), 3))
	// Output: {"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:25.1Z","word":"it's","count":3}
}
