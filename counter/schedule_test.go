package counter

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wordcount/internal/kafkaio"
)

// faults are probabilities for each request.
type faults struct{ kill, freeze, network float64 }

// schedule is one run.
type schedule struct {
	t           *testing.T
	seed        uint64
	random      *rand.Rand // the controller's
	faults      faults
	calm        atomic.Bool // no more faults
	brokerClock time.Duration
	session     time.Duration // after which who does not heartbeat is put out
	cfg         Config
	partitions  int // Q
	createTime  bool
	setBack     bool          // the broker's clock was
	disorder    time.Duration // of CreateTime
	foreign     bool          // some lines are in transactions
	kafka       *memoryKafka
	group       *memoryGroup
	limits      limits

	mu        sync.Mutex
	processes []*process
	started   int
	grown     time.Time // when the lines topic got its newest partitions
	before    int       // how many it had then

	oracle  oracle
	outcome outcome
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(d ...time.Duration) time.Duration { return d[r.IntN(len(d))] }
	s := &schedule{
		t: t, seed: seed, random: r,
		brokerClock: pick(0, 0, 37*time.Minute, -2*time.Hour),
		partitions:  1 + r.IntN(4),
		createTime:  r.IntN(5) == 0,
		foreign:     r.IntN(4) == 0,
	}
	if r.IntN(4) > 0 {
		s.faults = faults{kill: 0.002 * r.Float64(), freeze: 0.001 * r.Float64(), network: 0.01 * r.Float64()}
	}
	interval := pick(100*time.Millisecond, 500*time.Millisecond, time.Second, 7*time.Second)
	s.session = min(6*time.Second, 4*interval)
	s.cfg.Settings = Settings{
		BatchInterval: interval,
		Grace:         pick(0, 50*time.Millisecond, 250*time.Millisecond),
		Group:         "g",
		Tokenizer:     "space",
		ReportEmpty:   time.Duration(r.IntN(6)) * interval,
	}
	s.cfg.LinesTopic, s.cfg.CountsTopic, s.cfg.BatchesTopic = "lines", "counts", "batches"
	s.limits = limits{flush: 200 + r.IntN(20_000), early: 200 + r.IntN(2000), small: r.IntN(20_000), ahead: 1000 + r.IntN(50_000)}
	if s.createTime {
		s.disorder = pick(0, s.cfg.Grace, 3*interval)
	}
	s.topics(1 + r.IntN(7))
	return s
}

// topics gives the schedule a Kafka with so many lines partitions.
func (s *schedule) topics(lines int) {
	s.kafka, s.group = newMemoryKafka(s), newMemoryGroup(s)
	s.kafka.grow("lines", lines, s.createTime)
	for _, topic := range []string{"g-shuffle", "counts", "batches"} {
		s.kafka.grow(topic, s.partitions, false)
	}
}

// rand returns a source that depends on the seed, the moment and the caller only, not on who came first.
func (s *schedule) rand(keys ...string) *rand.Rand {
	h := fnv.New64a()
	var now [8]byte
	binary.LittleEndian.PutUint64(now[:], uint64(time.Now().UnixNano()))
	h.Write(now[:])
	for _, key := range keys {
		io.WriteString(h, key)
	}
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

// markerDelay is how long a transaction's marker takes to reach a partition.
func (s *schedule) markerDelay(at string) time.Duration {
	r := s.rand("marker", at)
	if r.IntN(20) == 0 {
		return time.Duration(r.Int64N(int64(300 * time.Millisecond)))
	}
	return time.Duration(r.Int64N(int64(5 * time.Millisecond)))
}

func (s *schedule) trace(format string, args ...any) {
	if *simulate != 0 {
		fmt.Printf("%s %s\n", time.Now().Format("04:05.000000"), fmt.Sprintf(format, args...))
	}
}

// event is something that happens to the counters or to Kafka.
func (s *schedule) event() {
	living := s.living()
	switch n := s.random.IntN(10); {
	case n < 2:
		s.start()
	case n < 4 && len(living) > 0:
		s.trace("%s leaves", living[0].name)
		living[0].leave()
	case n == 4 && len(living) > 0:
		living[len(living)-1].kill()
	case n == 5:
		s.grow()
	case n == 6:
		s.toggleLeader()
	case n == 7 && len(living) > 0:
		living[0].freeze(time.Duration(s.random.Int64N(int64(3 * s.session))))
	}
	for range s.dead() { // somebody restarts the process, before its session ends or after
		time.Sleep(time.Duration(s.random.Int64N(int64(2 * s.session))))
		s.start()
	}
}

// grow adds partitions to the lines topic; counters notice some time later, but the group's leader may not have seen them by then.
func (s *schedule) grow() {
	if s.outcome.added > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = s.kafka.partitions("lines")
	s.kafka.grow("lines", s.before+1+s.random.IntN(4), s.createTime)
	s.grown = time.Now()
	s.outcome.added++
	s.trace("lines has %d partitions", s.kafka.partitions("lines"))
}

func (s *schedule) toggleLeader() {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	logs := s.kafka.topics["lines"]
	l := logs[s.random.IntN(len(logs))]
	l.leaderless = !l.leaderless
	s.trace("lines/%d leaderless: %t", l.name.partition, l.leaderless)
	s.kafka.announce()
}

func (s *schedule) heal() {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	for _, l := range s.kafka.topics["lines"] {
		l.leaderless = false
	}
	s.kafka.announce()
}

// produce writes lines at random moments; partitions have busy and idle times.
func (s *schedule) produce(ctx context.Context) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	pause := int64(s.cfg.BatchInterval) / int64(1+r.IntN(20))
	var idle map[int]bool
	for redraw := 0; ctx.Err() == nil; redraw-- {
		n := s.kafka.partitions("lines")
		if redraw <= 0 {
			redraw = r.IntN(30)
			idle = make(map[int]bool)
			for p := range n {
				idle[p] = r.IntN(3) == 0
			}
			if r.IntN(4) == 0 { // nobody writes for a while
				time.Sleep(time.Duration(r.Int64N(int64(10 * s.cfg.BatchInterval))))
				continue
			}
		}
		time.Sleep(time.Duration(r.Int64N(2 * pause)))
		if p := r.IntN(n); !idle[p] {
			s.write(r, int32(p))
		}
	}
}

// write appends a batch of lines.
func (s *schedule) write(r *rand.Rand, partition int32) {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	now := s.kafka.now()
	var batch kafkaio.RecordBatch
	var lines []oracleLine
	for range 1 + r.IntN(4) {
		words := make([]string, r.IntN(5))
		for i := range words {
			words[i] = fmt.Sprintf("w%d", r.IntN(12))
		}
		line, at := strings.Join(words, " "), now
		if s.createTime {
			at -= r.Int64N(s.disorder.Milliseconds() + 1)
		}
		batch.Append(at, nil, []byte(line))
		lines = append(lines, oracleLine{at, line})
	}
	l, err := s.kafka.log(topicPartition{"lines", partition})
	if err != nil {
		panic(err)
	}
	s.outcome.lines += batch.Len()
	// A producer with transactions: its lines become visible later, or never. Not before the counters have started, for where
	// they start they see what is visible.
	if started := s.kafka.offsets[topicPartition{"g-shuffle", 0}]; started.Metadata != "" && s.foreign && r.IntN(4) == 0 {
		s.kafka.producerID++
		t := s.kafka.transaction(&memoryProducer{id: s.kafka.producerID})
		t.add(l)
		s.kafka.append(l, &batch, t, false)
		commit := r.IntN(3) > 0
		time.AfterFunc(time.Duration(r.Int64N(int64(2*s.cfg.BatchInterval))), func() {
			s.kafka.mu.Lock()
			defer s.kafka.mu.Unlock()
			if t.decided {
				return
			}
			if s.kafka.decide(t, commit); commit {
				s.oracle.add(lines...)
			} else {
				s.outcome.aborted += len(lines)
			}
		})
		return
	}
	s.kafka.append(l, &batch, nil, false)
	s.oracle.add(lines...)
	s.kafka.announce()
}
