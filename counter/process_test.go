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

	member *memoryMember
	ctx    context.Context // until it dies or is told to stop
	cancel context.CancelFunc
	over   chan struct{} // closed when it has stopped

	mu   sync.Mutex
	wake time.Time
	left bool
}

// process makes a counter that does nothing yet.
func (s *schedule) process() *process {
	s.started++
	p := &process{schedule: s, name: fmt.Sprintf("counter-%d", s.started), dead: make(chan struct{}), over: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.member = &memoryMember{process: p, last: -1}
	p.job = s.job(p, newMetrics(prometheus.NewRegistry()))
	p.job.settings = map[string]kafkaio.TopicSettings{"lines": {MaxMessageBytes: 1 << 20}, "g-shuffle": {MaxMessageBytes: 2000}, "counts": {MaxMessageBytes: 2000}, "batches": {MaxMessageBytes: 2000}}
	p.job.fail = func(err error) {
		if !p.isDead() {
			s.t.Errorf("%s fails: %v", p.name, err)
			p.leave()
		}
	}
	return p
}

// start adds a counter at work.
func (s *schedule) start() {
	p := s.process()
	s.trace("%s starts", p.name)
	s.processes = append(s.processes, p)
	if s.cfg.AvailableNow {
		there, err := p.job.available(s.t.Context())
		if err != nil && !p.isDead() {
			s.t.Errorf("%s: %v", p.name, err)
		}
		if there == nil {
			p.leave()
			close(p.over)
			return
		}
		go func() {
			err := p.job.watch(p.ctx, there)
			s.trace("%s is done: %v", p.name, err)
			if err == nil {
				p.leave()
			}
		}()
	}
	go func() {
		defer close(p.over)
		if err := p.job.count(p.ctx, p.member); err != nil && !p.isDead() {
			s.t.Errorf("%s: %v", p.name, err)
		}
		if !p.isDead() {
			s.group.remove(p.member)
		}
	}()
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
		place:      newPlace(),
		partitions: s.partitions,
		reduces:    newReduces(s.partitions),
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
	p.cancel()
	time.AfterFunc(p.schedule.session, func() { p.schedule.group.remove(p.member) })
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
	time.AfterFunc(p.schedule.session, func() { p.schedule.group.expire(p.member) })
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
	p.cancel()
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
