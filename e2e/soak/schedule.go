package soak

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what happens in a fault.
type Kind string

// The kinds of faults.
const (
	Kill    Kind = "kill"    // SIGKILL, and a new process soon after
	Freeze  Kind = "freeze"  // SIGSTOP for longer than the group's session, and SIGCONT
	Stop    Kind = "stop"    // a broker is stopped as it should be, and started
	Crash   Kind = "crash"   // a broker is killed, and started
	Cut     Kind = "cut"     // a process's connections are reset, and new ones for a while
	Silence Kind = "silence" // nothing arrives for a while, and no connection ends
	Latency Kind = "latency" // everything between a process and the brokers takes longer for a while
	Join    Kind = "join"    // one more counter
	Leave   Kind = "leave"   // a counter stops as it should
)

// Fault is one thing that goes wrong, or a member that comes or goes.
type Fault struct {
	Kind   Kind
	Target int           // a seat; of Stop and Crash a broker
	Length time.Duration // until it is over, or the process is back
	Delay  time.Duration // of Latency
	After  time.Duration // of Stop and Crash: a window's end by so much, where transactions are under way
}

// Round are faults that happen together, usually one, after a while in which everything is well.
type Round struct {
	Before time.Duration
	Faults []Fault
}

// Seats of the processes. A seat's occupant changes when it is killed.
const (
	counters  = 3
	producers = 2
	printers  = 2
	guest     = counters + producers + printers // the seat of the counter that joins and leaves
	seats     = guest + 1
)

// Role is who sits there.
func Role(seat int) string {
	switch {
	case seat < counters || seat == guest:
		return "counter"
	case seat < counters+producers:
		return "producer"
	}
	return "printer"
}

const session = 6 * time.Second // of the counters' group

// What a run is made of.
const (
	Everything = "everything" // all kinds of faults, many kills of processes among them
	Restarts   = "restarts"   // brokers killed and stopped; in between a counter joins, and leaves
)

// Decks is how many a full run has. Of everything: 100 kills, 20 each of freezes, broker bounces and broken networks, 20 counters that
// join and 20 that leave; of restarts: 20 of each.
const Decks = 20

// Schedule returns a full run's rounds: the same for the same seed and number of brokers. Whatever its length, a beginning of it
// has about as much of everything that it is made of.
func Schedule(of string, seed uint64, brokers int) (rounds []Round) {
	d := dealer{rand.New(rand.NewPCG(seed, 1)), brokers}
	for deck := range Decks {
		var faults []Fault
		switch of {
		case Everything:
			faults = d.everything(deck+int(seed%2), deck+int(seed%3))
		case Restarts:
			faults = []Fault{d.bounce(Crash), {Kind: Join, Target: guest}, d.bounce(Stop), {Kind: Leave, Target: guest}}
		}
		for _, f := range faults {
			// One in six comes together with the one before.
			last := len(rounds) - 1
			if last >= 0 && d.IntN(6) == 0 && f.Kind != Join && f.Kind != Leave && rounds[last].takes(f) {
				rounds[last].Faults = append(rounds[last].Faults, f)
				continue
			}
			rounds = append(rounds, Round{Before: d.between(0, 1500*time.Millisecond), Faults: []Fault{f}})
		}
	}
	return rounds
}

// dealer decides by chance.
type dealer struct {
	*rand.Rand
	brokers int
}

func (d dealer) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(most-least)))
}

// bounce is a broker that goes away after a window's end, while transactions are under way, and comes back.
func (d dealer) bounce(kind Kind) Fault {
	return Fault{Kind: kind, Target: d.IntN(d.brokers), Length: d.between(0, 3*time.Second), After: d.between(0, 400*time.Millisecond)}
}

// everything is a deck of all kinds; those of which there is one in two or three are chosen by numbers.
func (d dealer) everything(broker, network int) (faults []Fault) {
	for range 5 {
		faults = append(faults, Fault{Kind: Kill, Target: d.IntN(guest), Length: d.between(0, 2*time.Second)})
	}
	faults = append(faults,
		Fault{Kind: Freeze, Target: d.IntN(guest), Length: d.between(session+500*time.Millisecond, session+3*time.Second)},
		d.bounce([]Kind{Stop, Crash}[broker%2]),
		Fault{Kind: []Kind{Cut, Silence, Latency}[network%3], Target: d.IntN(guest), Length: d.between(time.Second, 8*time.Second),
			Delay: d.between(20*time.Millisecond, 300*time.Millisecond)},
	)
	d.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	// The guest comes and goes somewhere in between, in this order.
	join := d.IntN(len(faults))
	leave := join + 1 + d.IntN(len(faults)-join)
	faults = slices.Insert(faults, join, Fault{Kind: Join, Target: guest})
	return slices.Insert(faults, leave, Fault{Kind: Leave, Target: guest})
}

// takes tells whether a fault can happen together with those of a round: not two of one process, and not two brokers at once,
// which would leave partitions without the replicas that they need.
func (r Round) takes(f Fault) bool {
	for _, other := range r.Faults {
		if other.Kind == Join || other.Kind == Leave || other.broker() == f.broker() && (f.broker() || other.Target == f.Target) {
			return false
		}
	}
	return len(r.Faults) < 3
}

func (f Fault) broker() bool { return f.Kind == Stop || f.Kind == Crash }

func (f Fault) String() string {
	where := fmt.Sprintf("%s in seat %d", Role(f.Target), f.Target)
	if f.broker() {
		where = fmt.Sprintf("broker %d", f.Target+1)
	}
	text := fmt.Sprintf("%s %s", f.Kind, where)
	if f.Length > 0 {
		text += fmt.Sprintf(" for %.1f s", f.Length.Seconds())
	}
	if f.Kind == Latency {
		text += fmt.Sprintf(" by %d ms each way", f.Delay.Milliseconds())
	}
	if f.broker() {
		text += fmt.Sprintf(", %d ms after a window's end", f.After.Milliseconds())
	}
	return text
}

// What is the round's line in the report.
func (r Round) What() string {
	if len(r.Faults) > 1 {
		return "several at once"
	}
	f := r.Faults[0]
	switch f.Kind {
	case Stop:
		return "broker stopped and started"
	case Crash:
		return "broker killed and started"
	case Join:
		return "counter joins"
	case Leave:
		return "counter leaves"
	case Kill:
		return Role(f.Target) + " killed"
	case Freeze:
		return Role(f.Target) + " frozen"
	case Cut:
		return Role(f.Target) + " cut off"
	case Silence:
		return Role(f.Target) + "'s network silent"
	}
	return Role(f.Target) + "'s network slow"
}
