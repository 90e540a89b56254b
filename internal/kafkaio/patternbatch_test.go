package kafkaio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// row is a record that follows a pattern.
type row struct {
	time      int64
	pattern   *Pattern
	key, text []byte // nil text: the key
	number    int64
}

func (r row) value() []byte {
	text := r.text
	if text == nil {
		text = r.key
	}
	return fmt.Appendf(nil, "%s%s%s%d%s", r.pattern.Head, text, r.pattern.Middle, r.number, r.pattern.Tail)
}

// fill writes rows into a batch, and the same records into a plain one.
func fill(b *PatternBatch, rows []row) (plain *RecordBatch) {
	plain = new(RecordBatch)
	for i, r := range rows {
		if i == 0 || r.time != rows[i-1].time || r.pattern != rows[i-1].pattern {
			b.Begin(r.time, *r.pattern)
		}
		b.Append(r.key, r.text, r.number)
		plain.Append(r.time, r.key, r.value())
	}
	return plain
}

// checkPattern compares what a decoder that knows nothing of patterns makes of a batch with the plain one.
func checkPattern(t *testing.T, b *PatternBatch, rows []row) {
	t.Helper()
	plain := fill(b, rows)
	if b.Size() != plain.Size() {
		t.Errorf("Size %d, want %d", b.Size(), plain.Size())
	}
	most := b.MostSent(0)
	sealed := b.Seal()
	if sealed.Len() != len(rows) {
		t.Errorf("Len %d, want %d", sealed.Len(), len(rows))
	}
	if sealed.Size() > most || sealed.Size()+sealed.Size()/200+64 < most {
		t.Errorf("%d bytes to be sent, %d at most", sealed.Size(), most)
	}
	checkFrame(t, sealed.buf[batchHeader:])
	checkContent(t, sealed, plain)
	sent, same := sealed.encode(1, 2, 3, false), plain.encode(1, 2, 3, false)
	if !bytes.Equal(sent[offLastOffsetDelta:batchHeader], same[offLastOffsetDelta:batchHeader]) {
		t.Errorf("header %x, want %x", sent[:batchHeader], same[:batchHeader])
	}
}

// checkContent compares what a batch expands to with a plain one.
func checkContent(t *testing.T, sealed, plain *RecordBatch) {
	t.Helper()
	got, err := io.ReadAll(compress.Lz4.Codec().NewReader(bytes.NewReader(sealed.buf[batchHeader:])))
	if err != nil {
		t.Fatal(err)
	}
	if want := plain.buf[batchHeader:]; !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Fatalf("%d bytes, want %d, other ones from %d on:\n%q\n%q", len(got), len(want), i, got[i:min(i+50, len(got))], want[i:min(i+50, len(want))])
	}
}

// checkFrame looks for what LZ4's own decoder, which Kafka has, insists on and Go's does not: a block's end.
func checkFrame(t *testing.T, frame []byte) {
	t.Helper()
	most := 64 << 10 << (2 * (frame[5]>>4 - 4))
	for frame = frame[frameHeader:]; ; {
		size := int(binary.LittleEndian.Uint32(frame))
		frame = frame[blockHeader:]
		if size == 0 {
			break
		}
		if size > most {
			t.Errorf("a block of %d bytes, the frame's header says %d at most", size, most)
		}
		block := frame[:size]
		frame = frame[size:]
		length := func(n byte) (length int) {
			if length = int(n); n < 15 {
				return length
			}
			for more := byte(255); more == 255; block = block[1:] {
				more = block[0]
				length += int(more)
			}
			return length
		}
		for sequences := 1; ; sequences++ {
			token := block[0]
			block = block[1:]
			literals := length(token >> 4)
			if block = block[literals:]; len(block) == 0 {
				if literals < lastLiterals && sequences > 1 {
					t.Errorf("a block ends with %d literals", literals)
				}
				break
			}
			block = block[2:] // the offset
			length(token & 15)
		}
	}
	if len(frame) > 0 {
		t.Errorf("%d bytes behind the end", len(frame))
	}
}

func patternOf(head, middle, tail string) *Pattern { return &Pattern{[]byte(head), middle, tail} }

var countPattern = patternOf(`{"window_start":"2026-01-21T21:25:25Z","window_end":"2026-01-21T21:25:30Z","word":"`, `","count":`, `}`)

// englishRows have words as long as those of English, half of them once, a few often.
func englishRows(n int) []row {
	random := rand.New(rand.NewPCG(1, 1))
	rows := make([]row, n)
	for i := range rows {
		word := make([]byte, random.IntN(5)+random.IntN(5)+random.IntN(5)+2, 20)
		for j := range word {
			word[j] = 'a' + byte(random.IntN(26))
		}
		rows[i] = row{1000, countPattern, word, nil, 1 + int64(0.7*random.ExpFloat64()*math.Exp(random.ExpFloat64()))}
	}
	return rows
}

func TestPatternBatch(t *testing.T) {
	word := func(n int) []byte { return bytes.Repeat([]byte{'w'}, n) }
	bare, long := patternOf("", ":", "123456789"), patternOf(string(word(5000)), string(word(200)), string(word(100)))
	for _, test := range []struct {
		name string
		rows []row
	}{
		{"one", []row{{5, countPattern, word(5), nil, 3}}},
		{"empty and short words", []row{{5, countPattern, word(0), nil, 1}, {5, countPattern, word(1), nil, 1}, {5, countPattern, word(3), nil, 1}, {5, countPattern, word(4), nil, 1}}},
		{"escaped", []row{{5, countPattern, []byte(`"`), []byte(`\"`), 1}, {5, countPattern, []byte(`a"`), []byte(`a\"`), 1}, {5, countPattern, word(5), []byte{}, 1}}},
		{"numbers", []row{{5, countPattern, word(5), nil, 0}, {5, countPattern, word(5), nil, 9}, {5, countPattern, word(5), nil, 10}, {5, countPattern, word(5), nil, 10},
			{5, countPattern, word(5), nil, 99}, {5, countPattern, word(5), nil, 99}, {5, countPattern, word(5), nil, 100}, {5, countPattern, word(5), nil, math.MaxInt64}, {5, countPattern, word(5), nil, 1}}},
		{"times", []row{{5000, countPattern, word(5), nil, 1}, {5000, countPattern, word(5), nil, 1}, {9000, countPattern, word(5), nil, 1}, {9000, countPattern, word(5), nil, 1}, {-7, countPattern, word(5), nil, 1}}},
		{"patterns", []row{{5, countPattern, word(5), nil, 1}, {5, bare, word(5), nil, 1}, {5, bare, word(5), nil, 1}, {5, bare, word(5), nil, 1}, {5, long, word(5), nil, 1}, {5, long, word(5), nil, 1}, {5, long, word(5), nil, 1}}},
		{"a word too long to copy from in front of it", []row{{5, countPattern, word(5), nil, 1}, {5, countPattern, word(70_000), nil, 1}, {5, countPattern, word(5), nil, 1}, {5, countPattern, word(5), nil, 1}}},
		{"many", englishRows(7000)},
	} {
		t.Run(test.name, func(t *testing.T) { checkPattern(t, new(PatternBatch), test.rows) })
	}
}

// randomRows have few letters and patterns, so that what a row repeats is often the wrong one's.
func randomRows(random *rand.Rand) (rows []row) {
	patterns := []*Pattern{countPattern, patternOf("", ",", "123456789"), patternOf("h", "", "ten bytes."), patternOf(string(bytes.Repeat([]byte("head"), random.IntN(100))), "mm", "12345678")}
	r := row{time: random.Int64N(1 << 40), pattern: patterns[0]}
	longest := 1 << random.IntN(17)
	for range 1 + random.IntN(300) {
		if random.IntN(50) == 0 {
			r.time += random.Int64N(1<<20) - 1<<19
		}
		if random.IntN(50) == 0 {
			r.pattern = patterns[random.IntN(len(patterns))]
		}
		n := random.IntN(20)
		if random.IntN(10) == 0 {
			n = random.IntN(longest)
		}
		r.key, r.text = make([]byte, n, n+random.IntN(20)), nil
		for i := range r.key {
			r.key[i] = 'a' + byte(random.IntN(2))
		}
		if random.IntN(5) == 0 {
			r.text = append(bytes.Clone(r.key), "\\u0001"...)[random.IntN(n+1):]
		}
		r.number = random.Int64() >> random.IntN(63)
		rows = append(rows, r)
	}
	return rows
}

// In one batch used again and again, nothing of what it had before is left.
func TestPatternBatchAgain(t *testing.T) {
	var b PatternBatch
	for seed := range uint64(150) {
		checkPattern(t, &b, randomRows(rand.New(rand.NewPCG(seed, 1))))
		b.Reset()
		if fill(&b, englishRows(1)); b.Seal().buf[batchHeader+5] != 0x40 {
			t.Fatal("a small batch after a large one says that its blocks are large")
		}
		b.Reset()
		if b.Size() > batchHeader || t.Failed() {
			t.Fatalf("seed %d; %d bytes after Reset", seed, b.Size())
		}
	}
}

// alikeRows are most of them like others but for their key, near the limits of what may differ.
func alikeRows(random *rand.Rand) (rows []row) {
	head, middle := 30+random.IntN(200), 1+random.IntN(20)
	if random.IntN(3) == 0 {
		head, middle = random.IntN(7), 40+random.IntN(40)
	}
	tail := "123456789"[:1+random.IntN(9)]
	middle = max(middle, lastLiterals-2-len(tail))
	pattern := patternOf(string(bytes.Repeat([]byte{'h'}, head)), string(bytes.Repeat([]byte{'m'}, middle)), tail)
	shortest, numbers, time := random.IntN(16), []int64{4, 150, 1e6, 1e11, math.MaxInt64}[random.IntN(5)], random.Int64N(300)<<random.IntN(30)
	for range 2500 {
		r := row{1000, pattern, make([]byte, shortest+random.IntN(6), 21+random.IntN(5)), nil, random.Int64N(numbers)}
		if len(rows) > 0 {
			r.time += time
		}
		for i := range r.key {
			r.key[i] = 'a' + byte(random.IntN(26))
		}
		switch random.IntN(40) {
		case 0:
			r.number = random.Int64N(200)
		case 4:
			again := *pattern // it begins again
			pattern = &again
		case 1:
			r.text = append(bytes.Clone(r.key), '!')
		case 2:
			r.key = bytes.Repeat(r.key, random.IntN(30))
		case 3:
			r.key = slices.Clip(r.key)
		}
		rows = append(rows, r)
	}
	return rows
}

func TestPatternBatchOfAlikes(t *testing.T) {
	var b PatternBatch
	for seed := range uint64(200) {
		checkPattern(t, &b, alikeRows(rand.New(rand.NewPCG(seed, 1))))
		if t.Failed() {
			t.Fatal("seed ", seed)
		}
		if b.sealed.buf[batchHeader+5] != 0x40 {
			t.Fatal("blocks of small records are large")
		}
		b.Reset()
	}
}

// Most rows go the short way.
func TestMostRowsAreAlike(t *testing.T) {
	for name, rows := range map[string][]row{"english": englishRows(5000), "frequent": frequentRows(5000)} {
		alike := 0
		var b PatternBatch
		for i, r := range rows {
			if i == 0 || r.pattern != rows[i-1].pattern {
				b.Begin(r.time, *r.pattern)
			}
			if b.appendAlike(r.key, r.number) {
				alike++
			} else {
				b.Append(r.key, nil, r.number)
			}
		}
		if alike < len(rows)*9/10 {
			t.Errorf("%s: %d of %d", name, alike, len(rows))
		}
	}
}

// Offsets take a byte more at 1<<6, 1<<13 and 1<<20 records.
func TestPatternBatchOfManyRecords(t *testing.T) {
	for _, count := range []int32{1 << 6, 1 << 13, 1 << 20, 1 << 27} {
		var b PatternBatch
		rows := englishRows(2000)
		plain := fill(&b, rows[:1000])
		b.count, plain.count = count-50, count-50
		for _, r := range rows[1000:] {
			b.Append(r.key, nil, r.number)
			plain.Append(r.time, r.key, r.value())
		}
		checkContent(t, b.Seal(), plain)
	}
}

func FuzzPatternBatch(f *testing.F) {
	f.Add([]byte("a few words and\x00\x01\xff such"), byte(3), uint64(12))
	f.Add(bytes.Repeat([]byte("again "), 30), byte(90), uint64(1))
	f.Fuzz(func(t *testing.T, words []byte, head byte, number uint64) {
		pattern := patternOf(string(bytes.Repeat([]byte{head}, int(head))), "=", "123456789")
		var rows []row
		for i, word := range bytes.Split(words, []byte(" ")) {
			r := row{int64(number >> 40), pattern, word, nil, int64(number >> (i % 60) & math.MaxInt64)}
			if i%7 == 3 {
				r.text = []byte("escaped")
			}
			rows = append(rows, r)
		}
		checkPattern(t, new(PatternBatch), rows)
	})
}

// TestPatternBatchIsKafkas has kafka-go's own decoder read the batch.
func TestPatternBatchIsKafkas(t *testing.T) {
	rows := englishRows(1000)
	var b PatternBatch
	fill(&b, rows)
	encoded := b.Seal().encode(77, 3, 1000, true)
	set := protocol.RecordSet{}
	if _, err := set.ReadFrom(bytes.NewBuffer(append(appendInt32(nil, int32(len(encoded))), encoded...))); err != nil {
		t.Fatal(err)
	}
	if set.Attributes.Compression() != kafka.Lz4 {
		t.Errorf("attributes %v", set.Attributes)
	}
	batch := set.Records.(*protocol.RecordStream).Records[0].(*protocol.RecordBatch)
	for i, want := range rows {
		r, err := batch.ReadRecord()
		if err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		if key, value := content(t, r.Key), content(t, r.Value); r.Offset != int64(i) || !bytes.Equal(key, want.key) || !bytes.Equal(value, want.value()) {
			t.Fatalf("record %d at offset %d: %q %q", i, r.Offset, key, value)
		}
	}
}

// It does what it is for: smaller than what an encoder that looks for what is repeated makes.
func TestPatternBatchIsSmall(t *testing.T) {
	var b PatternBatch
	plain := fill(&b, englishRows(7000))
	var searched bytes.Buffer
	w := compress.Lz4.Codec().NewWriter(&searched)
	w.Write(plain.buf[batchHeader:])
	w.Close()
	if size := b.Seal().Size(); size > searched.Len() || size > plain.Size()/5 {
		t.Errorf("%d bytes of %d are left; after a search for them %d", size, plain.Size(), searched.Len())
	}
}

// noise is n bytes that cannot be compressed.
func noise(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Int())
	}
	return b
}

// What cannot be compressed takes as much as is said, and records that are large a block of their own.
func TestPatternBatchOfLongTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for n := 64<<10 - 600; n < 64<<10+10; n += 3 { // compressed it may be more than a small block, or not
		checkPattern(t, new(PatternBatch), []row{{5, countPattern, []byte{}, noise(random, n), 1}})
	}
	for n := 65300; n < 65560; n += 3 { // the key is as far away as a match reaches, or further
		checkPattern(t, new(PatternBatch), []row{{5, countPattern, noise(random, n), nil, 1}})
	}
	for _, n := range []int{200, 1000, 32 << 10, 64 << 10, 100 << 10, 128 << 10, 700 << 10} {
		var rows []row
		for range 4 {
			rows = append(rows, row{5, countPattern, noise(random, n), noise(random, n), 1}, row{5, countPattern, []byte("word"), nil, 1})
		}
		checkPattern(t, new(PatternBatch), rows)
	}
}

// Literals and matches of all lengths around the steps of their tokens.
func TestSequences(t *testing.T) {
	steps := []int{4, 14, 15, 16, 18, 19, 20, 269, 270, 271, 273, 274, 275, 524, 525, 526, 1 << 15}
	for _, literals := range append(steps, 0) {
		for _, match := range steps {
			text := bytes.Repeat([]byte("0123456789"), 7000)
			block, token := openSequence(nil)
			block, token = closeSequence(append(block, text...), token, 10, match)
			block, token = closeSequence(append(block, text[:literals]...), token, 10, match)
			block = closeLiterals(append(block, text[:lastLiterals]...), token)
			want := slices.Concat(text, text[:match])
			want = append(want, text[:literals]...)
			for range match {
				want = append(want, want[len(want)-10])
			}
			want = append(want, text[:lastLiterals]...)
			got := make([]byte, len(want)+1)
			if n, err := lz4.UncompressBlock(block, got); err != nil || !bytes.Equal(got[:n], want) {
				t.Errorf("%d literals, a match of %d: %d bytes, want %d, %v", literals, match, n, len(want), err)
			}
		}
	}
}

// It is known beforehand whether a further record fits, whatever it is.
func TestMostSent(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		rows := randomRows(random)
		if seed%3 == 1 {
			rows = alikeRows(random)
		}
		rows = rows[:1+random.IntN(len(rows))]
		if seed%3 == 2 { // it cannot be compressed
			last := &rows[len(rows)-1]
			if last.key = noise(random, random.IntN(200_000)); seed%2 == 0 {
				last.text = last.key[len(last.key)/2:]
			}
			last.time += random.Int64N(2) // it may be the first one behind a Begin
		}
		var b, with PatternBatch
		if len(rows) > 1 {
			fill(&b, rows[:len(rows)-1])
		} else {
			b.Begin(rows[0].time, *rows[0].pattern)
		}
		fill(&with, rows)
		most := b.MostSent(with.Size() - b.Size())
		if sent := with.Seal().Size(); sent > most {
			t.Errorf("seed %d: %d rows take %d bytes, %d at most", seed, len(rows), sent, most)
		}
	}
}

func TestDecimalLen(t *testing.T) {
	for _, n := range []int64{0, 1, 9, 10, 99, 100, 101, 999, 1000, 1e9 - 1, 1e9, 1e17, 1e18 - 1, 1e18, math.MaxInt64} {
		if got, want := decimalLen(n), len(strconv.FormatInt(n, 10)); got != want {
			t.Errorf("%d: %d digits, want %d", n, got, want)
		}
	}
}

// frequentRows are those of small windows: 250 short words in each, all of them often.
func frequentRows(n int) []row {
	random := rand.New(rand.NewPCG(1, 1))
	rows := make([]row, n)
	pattern := countPattern
	for i := range rows {
		if i%250 == 0 {
			pattern = patternOf(string(countPattern.Head), countPattern.Middle, countPattern.Tail)
		}
		word := make([]byte, random.IntN(2)+2, 20)
		for j := range word {
			word[j] = 'a' + byte(random.IntN(26))
		}
		rows[i] = row{1000, pattern, word, nil, int64(16 / (random.Float64() + 0.003))}
	}
	return rows
}

func BenchmarkPatternBatch(b *testing.B) {
	for _, of := range []struct {
		name string
		rows []row
	}{{"english", englishRows(1 << 13)}, {"frequent", frequentRows(1 << 13)}} {
		b.Run(of.name, func(b *testing.B) {
			rows := of.rows
			b.ReportAllocs()
			var batch PatternBatch
			bytes := 0
			for i := range b.N {
				r := &rows[i%len(rows)]
				switch {
				case i%len(rows) == 0:
					if i > 0 {
						bytes = batch.Seal().Size()
					}
					batch.Reset()
					batch.Begin(1000, *r.pattern)
				case r.pattern != rows[i%len(rows)-1].pattern:
					batch.Begin(1000, *r.pattern)
				}
				batch.Append(r.key, nil, r.number)
			}
			b.ReportMetric(float64(bytes)/float64(len(rows)), "B/row")
		})
	}
}
