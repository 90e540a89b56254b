package producer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testSender notes what it sends, and when.
type testSender struct {
	sender
	began  time.Time
	closed chan struct{}
	over   chan struct{}
	dead   []error

	mu  sync.Mutex // requests are sent side by side
	log []string   // "5ms 0:3 1:2": 5 ms after the beginning three lines of lane 0 and two of lane 1
}

// newTestSender has lanes with room for so many bytes. What is sent is there after a millisecond.
func newTestSender(lanes, room int) *testSender {
	s := &testSender{closed: make(chan struct{}), over: make(chan struct{})}
	s.news = make(chan struct{}, 1)
	for i := range lanes {
		s.lanes = append(s.lanes, newLane(i, room, s.news))
	}
	s.answersAfter(time.Millisecond)
	s.refused = func(_ *lane, err error) { s.dead = append(s.dead, err) }
	return s
}

// answersAfter has what is sent be there after so long.
func (s *testSender) answersAfter(d time.Duration) {
	s.send = func(batches []taken, answered func([]answer)) {
		s.note(batches)
		time.Sleep(d)
		var all []answer
		for _, b := range batches {
			all = append(all, answer{b, nil})
		}
		answered(all)
	}
}

// answersEach has each batch be answered by itself, as the function says.
func (s *testSender) answersEach(how func(taken) error) {
	s.send = func(batches []taken, answered func([]answer)) {
		s.note(batches)
		for _, b := range batches {
			answered([]answer{{b, how(b)}})
		}
	}
}

func (s *testSender) note(batches []taken) {
	at := time.Since(s.began).String()
	for _, b := range batches {
		at += fmt.Sprintf(" %d:%d", b.partition, b.batch.records.Len())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, at)
}

func (s *testSender) start() {
	s.began = time.Now()
	go func() {
		defer close(s.over)
		s.run(s.closed)
	}()
	synctest.Wait()
}

// end waits until all is sent.
func (s *testSender) end() {
	close(s.closed)
	<-s.over
}

// put puts a line of so many bytes.
func (s *testSender) put(t *testing.T, lane, bytes int) {
	t.Helper()
	if err := putOne(t.Context(), s.lanes[lane], make([]byte, bytes)); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

// at waits until so long after the beginning.
func (s *testSender) at(after time.Duration) {
	time.Sleep(after - time.Since(s.began))
	synctest.Wait()
}

func (s *testSender) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(s.log, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(s.log, "\n"), strings.Join(want, "\n"))
	}
}

// Lines that come one by one go at once; of many, those of a linger go together, whatever their lanes.
func TestSenderLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(3, 1<<20)
		s.start()
		s.put(t, 0, 1)
		s.at(5 * time.Millisecond)
		s.put(t, 1, 1)
		for range 3 {
			s.put(t, 0, 1)
			s.put(t, 2, 1)
			time.Sleep(time.Millisecond)
		}
		s.at(14 * time.Millisecond) // as good as 15: lines at a steady rate may come a bit before
		s.put(t, 1, 1)
		s.at(17 * time.Millisecond)
		s.put(t, 1, 1)
		s.at(40 * time.Millisecond)
		s.end()
		s.want(t, "0s 0:1", "5ms 1:1", "10ms 0:3 2:3", "14ms 1:1", "19ms 1:1")
	})
}

// The last lines don't linger.
func TestSenderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(2, 1<<20)
		s.start()
		s.put(t, 0, 1)
		s.put(t, 0, 1)
		s.put(t, 1, 1)
		s.end() // the batch before is under way
		s.want(t, "0s 0:1", "0s 1:1", "1ms 0:1")
		if time.Since(s.began) != 2*time.Millisecond {
			t.Errorf("over after %v", time.Since(s.began))
		}
	})
}

// A batch that is full goes at once, by itself, and the others linger on. Behind it there is no hurry either.
func TestSenderSendsWhatIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(2, 1<<20)
		s.start()
		s.put(t, 0, 1)
		s.at(2 * time.Millisecond)
		s.put(t, 0, laneBytes*2/3)
		s.put(t, 1, 1)
		s.put(t, 0, laneBytes*2/3) // has no room beside the one before, which therefore goes
		s.at(20 * time.Millisecond)
		s.end()
		s.want(t, "0s 0:1", "2ms 0:1", "5ms 0:1 1:1")
	})
}

// A lane has one batch under way, and the others don't wait for it.
func TestSenderSendsOneBatchOfALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(2, 1<<20)
		s.answersEach(func(b taken) error {
			if b.partition == 0 {
				time.Sleep(20 * time.Millisecond)
			}
			return nil
		})
		s.start()
		s.put(t, 0, 1)
		for range 2 {
			time.Sleep(6 * time.Millisecond)
			s.put(t, 0, 1)
			s.put(t, 1, 1)
		}
		s.end()
		s.want(t, "0s 0:1", "6ms 1:1", "12ms 1:1", "20ms 0:2")
	})
}

// Lanes whose batches went together go on together, however long the answer takes.
func TestSenderStaysTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(3, 1<<20)
		s.answersAfter(20 * time.Millisecond)
		for i := range 3 {
			for lane := range 3 {
				s.put(t, lane, 1)
			}
			if i == 0 {
				s.start()
			}
			time.Sleep(15 * time.Millisecond)
		}
		s.end()
		s.want(t, "0s 0:1 1:1 2:1", "20ms 0:1 1:1 2:1", "40ms 0:1 1:1 2:1")
	})
}

// A lane whose batch Kafka does not take is over; the others' lines are sent.
func TestSenderAbandonsALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSender(2, 1<<20)
		refusal := errors.New("refused")
		s.answersEach(func(b taken) error {
			if b.partition == 0 {
				return refusal
			}
			return nil
		})
		s.start()
		for range 3 {
			s.put(t, 0, 1)
			s.put(t, 1, 1)
			time.Sleep(2 * linger)
		}
		s.end()
		s.want(t, "0s 0:1", "5ms 1:1", "10ms 1:1", "20ms 1:1")
		if len(s.dead) != 1 || s.dead[0] != refusal {
			t.Errorf("refused: %v", s.dead)
		}
		if err := putOne(t.Context(), s.lanes[0], make([]byte, laneBytes)); !errors.Is(err, errEnded) {
			t.Errorf("put: %v", err)
		}
	})
}

// Batches go together up to togetherBytes; a larger one goes by itself.
func TestDivided(t *testing.T) {
	for _, test := range []struct {
		sizes []int // hundredths of togetherBytes
		want  []int // batches in each request
	}{
		{nil, nil},
		{[]int{10}, []int{1}},
		{[]int{200}, []int{1}},
		{[]int{10, 20, 30}, []int{3}},
		{[]int{40, 50, 20, 70, 20}, []int{2, 2, 1}},
		{[]int{10, 200, 10}, []int{1, 1, 1}},
	} {
		var batches []taken
		for _, size := range test.sizes {
			b := &batch{}
			b.records.Append(0, nil, make([]byte, size*togetherBytes/100))
			batches = append(batches, taken{batch: b})
		}
		var got []int
		for _, r := range divided(batches) {
			got = append(got, len(r))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.sizes, got, test.want)
		}
	}
}
