package embedded

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// start runs a broker for the test.
func start(t *testing.T) *Broker {
	t.Helper()
	b, err := Start("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func connect(t *testing.T, b *Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, b *Broker, name, timestampType string) {
	t.Helper()
	err := b.Cluster().CreateTopic(name, 1, map[string]string{"message.timestamp.type": timestampType})
	if err != nil {
		t.Fatal(err)
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// fetch polls until it has n records.
func fetch(t *testing.T, cl *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	ctx := testContext(t)
	var records []*kgo.Record
	for len(records) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(records), n, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func TestPortInUseNamesTheSetting(t *testing.T) {
	first := start(t)
	_, err := Start(first.Addr(), nil)
	if err == nil || !strings.Contains(err.Error(), "is in use") || !strings.Contains(err.Error(), "--broker-addr") || !strings.Contains(err.Error(), first.Addr()) {
		t.Fatalf("second broker on %s: %v", first.Addr(), err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
}

func TestAdvertisedAddress(t *testing.T) {
	b, err := Start(":0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if host, _, _ := net.SplitHostPort(b.Addr()); host != "localhost" {
		t.Errorf("listening on every address, clients are told %q", b.Addr())
	}
	if err := connect(t, b).Ping(testContext(t)); err != nil {
		t.Error(err)
	}
}

// Kafka 4.3's Java tools fail with more than this (see TestJavaTools).
func TestVersions(t *testing.T) {
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(testContext(t), connect(t, start(t)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[kmsg.Key]int16{}
	for _, k := range resp.ApiKeys {
		got[kmsg.Key(k.ApiKey)] = k.MaxVersion
	}
	if v, ok := got[kmsg.DescribeTopicPartitions]; ok {
		t.Errorf("DescribeTopicPartitions v%d is offered", v)
	}
	for key, want := range map[kmsg.Key]int16{kmsg.CreateTopics: 4, kmsg.ListGroups: 4, kmsg.Produce: 12} {
		if got[key] != want {
			t.Errorf("%s: v%d, want %d", key.Name(), got[key], want)
		}
	}
}

func TestStrangersDoNotStopTheBroker(t *testing.T) {
	b := start(t)
	cl := connect(t, b)
	for name, sent := range map[string]string{
		"HTTP":         "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"TLS":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x01\x02\x03\x04\x05",
		"unknown key":  "\x00\x00\x00\x0a\x7f\x00\x00\x00\x00\x00\x00\x01\xff\xff",
		"negative key": "\x00\x00\x00\x0a\xff\xff\x00\x00\x00\x00\x00\x01\xff\xff",
		"empty":        "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"truncated":    "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(c, sent); err != nil {
				t.Fatal(err)
			}
			if len(sent) >= requestHead {
				// The broker hangs up (with a reset when not all was read).
				if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the connection is still open: %v", err)
				}
			}
			if err := cl.Ping(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnreachableForAWhile(t *testing.T) {
	b := start(t)
	createTopic(t, b, "lines", "LogAppendTime")
	cl := connect(t, b, kgo.ConsumeTopics("lines"), kgo.DefaultProduceTopic("lines"))
	ctx := testContext(t)
	if err := cl.ProduceSync(ctx, kgo.StringRecord("before")).FirstErr(); err != nil {
		t.Fatal(err)
	}

	open, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := connect(t, b).Ping(ctx); err != nil { // open was accepted before this
		t.Fatal(err)
	}

	b.SetReachable(false)
	open.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := open.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read from a broker that went away: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := connect(t, b).Ping(short); err == nil {
		t.Error("an unreachable broker answered")
	}

	b.SetReachable(true)
	if err := cl.ProduceSync(ctx, kgo.StringRecord("after")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, cl, 2); string(got[0].Value) != "before" || string(got[1].Value) != "after" {
		t.Errorf("got %q, %q", got[0].Value, got[1].Value)
	}
}

func TestCloseEndsConnections(t *testing.T) {
	b := start(t)
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := connect(t, b).Ping(testContext(t)); err != nil { // c was accepted before this
		t.Fatal(err)
	}
	b.Close()
	b.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read after Close: %v", err)
	}
	select {
	case err := <-b.Failed():
		t.Errorf("Close counts as failure: %v", err)
	default:
	}
}

// A broker that can no longer accept says so; what passes (too many open files) is waited out.
func TestFailed(t *testing.T) {
	b := start(t)
	b.listener.Listener.Close() // not by Close
	select {
	case err := <-b.Failed():
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was said")
	}
}

func TestAcceptWaitsOutTemporaryErrors(t *testing.T) {
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Listener = &exhausted{Listener: l.Listener, times: 2}
	go net.Dial("tcp", l.Addr().String())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// exhausted is a listener that a few times finds too many files open.
type exhausted struct {
	net.Listener
	times int
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.times--; e.times >= 0 {
		return nil, os.NewSyscallError("accept", syscall.EMFILE)
	}
	return e.Listener.Accept()
}
