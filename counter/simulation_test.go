package counter

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"wordcount/internal/kafkaio"
	"wordcount/internal/wire"
)

// The simulation: counters as they run in production ((*job).work and all below it) against a Kafka in memory, in the time
// of testing/synctest, through schedules drawn from a seed: processes are killed, frozen and restarted in the middle of any
// request, the group rebalances, partitions are idle, lose their leader, are added. Whatever happens, the windows must be
// the oracle's, each once and in order.

var (
	simulations = flag.Int("simulations", 400, "how many random schedules TestSimulation runs")
	simulate    = flag.Uint64("simulate", 0, "run only the schedule of this seed, and print what happens")
)

func TestSimulation(t *testing.T) {
	total := runSchedules(t, *simulations, (*schedule).run)
	if *simulate == 0 && !testing.Short() {
		total.check(t)
	}
}

// TestSimulationAvailableNow: counters with --available-now end, and by then everything that was there when the last of them
// started is in closed windows. What came meanwhile is counted by the next ones.
func TestSimulationAvailableNow(t *testing.T) {
	runSchedules(t, *simulations/4, (*schedule).runAvailableNow)
}

func runSchedules(t *testing.T, n int, run func(*schedule)) (total outcome) {
	t.Helper()
	seeds := make([]uint64, n)
	for i := range seeds {
		seeds[i] = uint64(i + 1)
	}
	if *simulate != 0 {
		seeds = []uint64{*simulate}
	} else if testing.Short() {
		seeds = seeds[:len(seeds)/10]
	}
	started := time.Now()
	for _, seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			s := newSchedule(t, seed)
			defer func() {
				if t.Failed() {
					t.Logf("seed %d: go test -run '^%s$' -simulate %d shows what happened", seed, t.Name(), seed)
				}
			}()
			run(s)
			total.add(s.outcome)
		})
	}
	t.Logf("%d schedules in %v: %+v", len(seeds), time.Since(started).Round(time.Millisecond), total)
	return total
}

// outcome counts what schedules went through, so that a simulation that exercises nothing is noticed.
type outcome struct {
	lines, late, windows, empty, skipped     int
	kills, freezes, rebalances, added, exact int
	aborted                                  int // lines
}

func (o *outcome) add(p outcome) {
	o.lines, o.late, o.windows, o.empty, o.skipped = o.lines+p.lines, o.late+p.late, o.windows+p.windows, o.empty+p.empty, o.skipped+p.skipped
	o.kills, o.freezes, o.rebalances, o.added, o.exact = o.kills+p.kills, o.freezes+p.freezes, o.rebalances+p.rebalances, o.added+p.added, o.exact+p.exact
	o.aborted += p.aborted
}

func (o *outcome) check(t *testing.T) {
	for name, n := range map[string]int{"lines": o.lines, "late lines": o.late, "windows": o.windows, "empty windows": o.empty,
		"skipped windows": o.skipped, "kills": o.kills, "freezes": o.freezes, "rebalances": o.rebalances, "added partitions": o.added, "exact schedules": o.exact, "aborted lines": o.aborted} {
		if n == 0 {
			t.Errorf("the simulation had no %s", name)
		}
	}
}

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
	disorder    time.Duration // of CreateTime
	foreign     bool          // some lines are in transactions
	kafka       *memoryKafka
	limits      limits

	mu        sync.Mutex
	processes []*process
	started   int
	again     chan struct{} // somebody wants to join
	grown     time.Time     // when the lines topic got its newest partitions
	before    int           // how many it had then

	oracle  oracle
	outcome outcome
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(d ...time.Duration) time.Duration { return d[r.IntN(len(d))] }
	s := &schedule{
		t: t, seed: seed, random: r, again: make(chan struct{}, 1),
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
	s.limits = limits{flush: 200 + r.IntN(20_000), early: 200 + r.IntN(2000), ahead: 1000 + r.IntN(50_000)}
	if s.createTime {
		s.disorder = pick(0, s.cfg.Grace, 3*interval)
	}
	s.kafka = newMemoryKafka(s)
	s.kafka.grow("lines", 1+r.IntN(7), s.createTime)
	for _, topic := range []string{"g-shuffle", "counts", "batches"} {
		s.kafka.grow(topic, s.partitions, false)
	}
	return s
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

// run goes through the schedule and checks what was counted.
func (s *schedule) run() {
	ctx, stopProducing := context.WithCancel(s.t.Context())
	var producing sync.WaitGroup
	producing.Go(func() { s.produce(ctx) })
	if s.random.IntN(2) == 0 { // a backlog
		time.Sleep(time.Duration(s.random.Int64N(int64(20 * s.cfg.BatchInterval))))
	}
	for range 1 + s.random.IntN(3) {
		s.start()
	}
	s.rebalance()
	for range s.random.IntN(8) {
		select {
		case <-time.After(time.Duration(s.random.Int64N(int64(4 * s.cfg.BatchInterval)))):
			s.event()
		case <-s.again:
			s.rebalance()
		}
	}
	stopProducing()
	producing.Wait()
	s.calm.Store(true)
	s.heal()
	if len(s.living()) == 0 {
		s.start()
	}
	s.rebalance()
	s.finish()
}

// finish waits until everything is counted, stops all, and checks what was printed.
func (s *schedule) finish() {
	s.drain()
	for _, p := range s.processes {
		p.leave()
	}
	for _, p := range s.processes {
		p.wait()
	}
	time.Sleep(time.Second) // the last markers
	if !s.t.Failed() {
		s.check()
	}
}

func (s *schedule) runAvailableNow() {
	ctx, stopProducing := context.WithCancel(s.t.Context())
	var producing sync.WaitGroup
	producing.Go(func() { s.produce(ctx) })
	time.Sleep(time.Duration(s.random.Int64N(int64(30 * s.cfg.BatchInterval))))
	if s.random.IntN(2) == 0 {
		stopProducing()
	}
	s.cfg.AvailableNow = true
	var atStart oracle
	start := func() {
		s.kafka.mu.Lock()
		atStart.lines = slices.Clone(s.oracle.lines)
		s.kafka.mu.Unlock()
		s.start()
		s.rebalance()
	}
	start()
	for range s.random.IntN(3) {
		time.Sleep(time.Duration(s.random.Int64N(int64(3 * s.cfg.BatchInterval))))
		start()
	}
	began := time.Now()
	for deadline := began.Add(5 * time.Minute); ; {
		s.calm.Store(time.Since(began) > 20*s.cfg.BatchInterval+2*s.session)
		for len(s.dead()) > 0 {
			start()
		}
		if len(s.living()) == 0 {
			break
		}
		select {
		case <-s.again:
			s.rebalance()
		case <-time.After(s.session):
		}
		if time.Now().After(deadline) {
			s.t.Errorf("stuck: closed until %d of %v", s.closed(), s.oracle.newest)
			for _, p := range s.processes {
				p.leave()
			}
		}
	}
	for _, p := range s.processes {
		p.wait()
	}
	time.Sleep(time.Second) // the last markers
	if s.t.Failed() {
		stopProducing()
		producing.Wait()
		return
	}
	_, got, err := s.printed()
	if err != nil {
		s.t.Error(err)
	}
	counted, want := sum(got), sum(atStart.windows(s.cfg.interval()))
	for word, n := range want.words {
		if counted.words[word] < n {
			s.t.Errorf("%q was counted %d times, was there %d times", word, counted.words[word], n)
		}
	}
	stopProducing()
	producing.Wait()
	s.cfg.AvailableNow = false
	s.calm.Store(true)
	s.start()
	s.rebalance()
	s.finish()
}

// event is something that happens to the counters or to Kafka.
func (s *schedule) event() {
	living := s.living()
	switch n := s.random.IntN(10); {
	case n < 2:
		s.start()
		s.rebalance()
	case n < 4 && len(living) > 0:
		s.trace("%s leaves", living[0].name)
		living[0].leave()
		s.rebalance()
	case n == 4 && len(living) > 0:
		living[len(living)-1].kill()
	case n == 5:
		s.grow()
	case n == 6:
		s.toggleLeader()
	case n == 7 && len(living) > 0:
		living[0].freeze(time.Duration(s.random.Int64N(int64(3 * s.session))))
	default:
		s.rebalance()
	}
	for range s.dead() { // the session ends, and somebody restarts the process
		s.start()
		time.Sleep(time.Duration(s.random.Int64N(int64(s.session))))
		s.rebalance()
	}
}

// grow adds partitions to the lines topic; the group notices some time later, but its leader may not have seen them by then.
func (s *schedule) grow() {
	if s.outcome.added > 0 {
		return
	}
	s.before = len(s.kafka.topics["lines"])
	s.kafka.grow("lines", s.before+1+s.random.IntN(4), s.createTime)
	s.grown = time.Now()
	s.outcome.added++
	s.trace("lines has %d partitions", len(s.kafka.topics["lines"]))
	time.Sleep(time.Duration(s.random.Int64N(int64(s.session))))
	s.rebalance()
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

// drain waits until every line is counted, and then until every window that may have one is closed.
func (s *schedule) drain() {
	until := int64(math.MaxInt64)
	for deadline := time.Now().Add(5 * time.Minute); ; {
		if until == math.MaxInt64 && s.counted() {
			until = s.cfg.interval().End(s.cfg.interval().Of(max(s.kafka.now(), s.oracle.newest)))
		}
		select {
		case <-time.After(min(time.Second, s.cfg.BatchInterval)):
		case <-s.again:
			s.rebalance()
		}
		closed := s.closed()
		if closed >= until {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("stuck: closed until %d, lines until %d, broker's time %d", closed, until, s.kafka.now())
			return
		}
	}
}

// counted tells whether the committed offsets are at the ends of all lines partitions.
func (s *schedule) counted() bool {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	for _, l := range s.kafka.topics["lines"] {
		if s.kafka.offsets[l.name].Offset < l.end() {
			return false
		}
	}
	return true
}

// closed returns the least time up to which the reduces have committed.
func (s *schedule) closed() int64 {
	s.kafka.mu.Lock()
	defer s.kafka.mu.Unlock()
	var least []int64
	for q := range s.partitions {
		state, err := wire.ParseReduceState(s.kafka.offsets[topicPartition{"g-shuffle", int32(q)}].Metadata)
		if err != nil {
			return -1
		}
		least = append(least, state.Closed)
	}
	return slices.Min(least)
}

// produce writes lines at random moments; partitions have busy and idle times.
func (s *schedule) produce(ctx context.Context) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	pause := int64(s.cfg.BatchInterval) / int64(1+r.IntN(20))
	var idle map[int]bool
	for redraw := 0; ctx.Err() == nil; redraw-- {
		n := len(s.kafka.topics["lines"])
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
		t.logs[l] = true
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

// process is a counter.
type process struct {
	schedule *schedule
	name     string
	job      *job
	dead     chan struct{}

	mu     sync.Mutex
	wake   time.Time
	left   bool
	member string             // in the present generation
	cancel context.CancelFunc // ends the generation
	over   chan struct{}      // work has returned
}

// start adds a counter; it works from the next rebalance on.
func (s *schedule) start() {
	s.started++
	p := &process{schedule: s, name: fmt.Sprintf("counter-%d", s.started), dead: make(chan struct{})}
	cfg := s.cfg
	p.job = &job{
		cfg:        &cfg,
		broker:     &memoryClient{kafka: s.kafka, owner: p},
		clock:      new(kafkaio.BrokerClock),
		metrics:    newMetrics(prometheus.NewRegistry()),
		log:        slog.New(slog.DiscardHandler),
		interval:   cfg.interval(),
		limits:     s.limits,
		partitions: s.partitions,
		createTime: s.createTime,
		maxBatch:   map[string]int{"lines": 1 << 20, "g-shuffle": 2000, "counts": 2000, "batches": 2000},
		fail: func(err error) {
			if !p.isDead() {
				s.t.Errorf("%s fails: %v", p.name, err)
				p.leave()
			}
		},
	}
	if *simulate != 0 {
		p.job.log = slog.New(slog.NewTextHandler(traceWriter{s, p}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s.trace("%s starts", p.name)
	s.processes = append(s.processes, p)
	if cfg.AvailableNow {
		there, err := p.job.available(s.t.Context())
		if err != nil && !p.isDead() {
			s.t.Errorf("%s: %v", p.name, err)
		}
		if there == nil {
			p.left = true
			return
		}
		go func() {
			err := p.job.watch(s.t.Context(), there)
			s.trace("%s is done: %v", p.name, err)
			if err == nil {
				p.leave()
				s.wantRebalance()
			}
		}()
	}
}

type traceWriter struct {
	s *schedule
	p *process
}

func (w traceWriter) Write(b []byte) (int, error) {
	w.s.trace("%s logs %s", w.p.name, strings.TrimSpace(string(b)))
	return len(b), nil
}

// kill ends the process at once: none of its requests gets through any more.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.dead:
		return
	default:
	}
	close(p.dead)
	p.schedule.trace("%s is dead", p.name)
	p.schedule.mu.Lock()
	p.schedule.outcome.kills++
	p.schedule.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
	p.schedule.wantRebalance()
}

// freeze stops the process for a while; its requests get through afterwards.
func (p *process) freeze(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake = time.Now().Add(d)
	p.schedule.trace("%s is frozen for %v", p.name, d)
	p.schedule.mu.Lock()
	p.schedule.outcome.freezes++
	p.schedule.mu.Unlock()
}

// wakes returns when the process wakes; zero when it is awake.
func (p *process) wakes() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake.After(time.Now()) {
		return p.wake
	}
	return time.Time{}
}

// leave stops the process gracefully.
func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	if p.cancel != nil {
		p.cancel()
	}
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// wait waits until the process does nothing any more.
func (p *process) wait() {
	p.mu.Lock()
	over := p.over
	p.mu.Unlock()
	if over != nil {
		<-over
	}
}

func (s *schedule) wantRebalance() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

func (s *schedule) living() (living []*process) {
	for _, p := range s.processes {
		p.mu.Lock()
		left := p.left
		p.mu.Unlock()
		if !left && !p.isDead() {
			living = append(living, p)
		}
	}
	return living
}

// dead returns the processes that died since the last call.
func (s *schedule) dead() (dead []*process) {
	var rest []*process
	for _, p := range s.processes {
		if p.isDead() {
			p.wait()
			dead = append(dead, p)
		} else {
			rest = append(rest, p)
		}
	}
	s.processes = rest
	return dead
}

// rebalance makes a new generation of the group: members hear of it at their next heartbeat, end their work and join; who
// does not within the session is put out, and finds out when it wakes.
func (s *schedule) rebalance() {
	s.outcome.rebalances++
	session := time.After(s.session)
	var joined []*process
	for _, p := range s.living() {
		p.mu.Lock()
		over, cancel := p.over, p.cancel
		p.mu.Unlock()
		if over != nil {
			heard := time.Until(p.wakes())
			time.AfterFunc(max(heard, 0)+time.Duration(s.rand("heartbeat", p.name).Int64N(int64(200*time.Millisecond))), cancel)
		}
	}
	for _, p := range s.living() {
		p.mu.Lock()
		over := p.over
		p.mu.Unlock()
		if over == nil {
			joined = append(joined, p)
			continue
		}
		select {
		case <-over:
			joined = append(joined, p)
		case <-session:
			session = time.After(0)
			s.trace("%s is put out of the group", p.name)
			go func() { // joins again when it has found out
				<-over
				s.wantRebalance()
			}()
		}
	}
	joined = slices.DeleteFunc(joined, func(p *process) bool { return p.left || p.isDead() })
	s.kafka.mu.Lock()
	s.kafka.generation++
	generation := s.kafka.generation
	s.kafka.members = make(map[string]bool)
	var members []kafka.GroupMember
	for _, p := range joined {
		p.member = fmt.Sprintf("%s-%d", p.name, s.random.IntN(1000))
		s.kafka.members[p.member] = true
		members = append(members, kafka.GroupMember{ID: p.member})
	}
	n := len(s.kafka.topics["lines"])
	s.kafka.mu.Unlock()
	if s.before > 0 && time.Since(s.grown) < 2*s.session && s.random.IntN(2) == 0 {
		n = s.before
	}
	if len(members) == 0 {
		return
	}
	var partitions []kafka.Partition
	for p := range n {
		partitions = append(partitions, kafka.Partition{Topic: "lines", ID: p})
	}
	for q := range s.partitions {
		partitions = append(partitions, kafka.Partition{Topic: "g-shuffle", ID: q})
	}
	assignments := newSlots(&s.cfg, s.partitions).AssignGroups(members, partitions)
	s.trace("generation %d: %v", generation, assignments)
	for _, p := range joined {
		p.work(generation, assignments[p.member])
	}
}

// work runs what (*job).run runs in a generation.
func (p *process) work(generation int32, assigned map[string][]int) {
	ctx, cancel := context.WithCancel(context.Background())
	place := assignment{
		Generation: kafkaio.Generation{Group: "g", ID: generation, MemberID: p.member},
		partitions: make(map[string][]int32),
		heartbeat:  p.heartbeat(generation, p.member),
	}
	for topic, partitions := range assigned {
		for _, n := range partitions {
			place.partitions[topic] = append(place.partitions[topic], int32(n))
		}
	}
	over := make(chan struct{})
	p.mu.Lock()
	p.cancel, p.over = cancel, over
	p.mu.Unlock()
	if p.isDead() {
		cancel()
	}
	go func() {
		defer close(over)
		p.job.work(ctx, place)
		if ctx.Err() == nil {
			p.schedule.trace("%s joins again", p.name)
			p.schedule.wantRebalance()
		}
	}()
}

func (p *process) heartbeat(generation int32, member string) func(context.Context) error {
	return func(ctx context.Context) error {
		c := p.job.broker.(*memoryClient)
		if err := c.request(ctx, "heartbeat"); err != nil {
			return err
		}
		c.kafka.mu.Lock()
		defer c.kafka.mu.Unlock()
		if c.kafka.generation != generation || !c.kafka.members[member] {
			return kafkaio.ErrNotMember
		}
		return nil
	}
}
