package counter

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wordcount/internal/kafkaio"
)

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
	p.job = s.job(p, newMetrics(prometheus.NewRegistry()))
	p.job.maxBatch = map[string]int{"lines": 1 << 20, "g-shuffle": 2000, "counts": 2000, "batches": 2000}
	p.job.fail = func(err error) {
		if !p.isDead() {
			s.t.Errorf("%s fails: %v", p.name, err)
			p.leave()
		}
	}
	s.trace("%s starts", p.name)
	s.processes = append(s.processes, p)
	if s.cfg.AvailableNow {
		there, err := p.job.available(s.t.Context())
		if err != nil && !p.isDead() {
			s.t.Errorf("%s: %v", p.name, err)
		}
		if there == nil {
			p.leave()
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

// job is what the tasks on a host share.
func (s *schedule) job(owner host, metrics *metrics) *job {
	cfg := s.cfg
	j := &job{
		cfg:        &cfg,
		broker:     &memoryClient{kafka: s.kafka, owner: owner},
		clock:      new(kafkaio.BrokerClock),
		metrics:    metrics,
		log:        slog.New(slog.DiscardHandler),
		interval:   cfg.interval(),
		limits:     s.limits,
		partitions: s.partitions,
		createTime: s.createTime,
	}
	if *simulate != 0 {
		j.log = slog.New(slog.NewTextHandler(traceWriter{s, owner}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return j
}

type traceWriter struct {
	s     *schedule
	owner host
}

func (w traceWriter) Write(b []byte) (int, error) {
	w.s.trace("%s logs %s", w.owner, strings.TrimSpace(string(b)))
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

func (p *process) hasLeft() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
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
