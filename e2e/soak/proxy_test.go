package soak

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// echoServer answers each line with the same line.
func echoServer(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

// line sends a line and tells how long its echo took, at most a second.
func line(c net.Conn) (time.Duration, error) {
	began := time.Now()
	c.SetDeadline(began.Add(time.Second))
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return 0, err
	}
	_, err := bufio.NewReader(c).ReadString('\n')
	return time.Since(began), err
}

func TestProxy(t *testing.T) {
	p, err := NewProxy(echoServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp4", p.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := dial()
	if _, err := line(c); err != nil {
		t.Fatal(err)
	}

	p.Set(Network{Latency: 60 * time.Millisecond})
	if took, err := line(c); err != nil || took < 120*time.Millisecond {
		t.Errorf("60 ms each way: %v, %v", took, err)
	}

	p.Set(Network{Silent: true})
	fmt.Fprintln(c, "held")
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	var late net.Error
	if _, err := c.Read(make([]byte, 10)); err == nil {
		t.Error("a silent network answered")
	} else if late, _ = err.(net.Error); late == nil || !late.Timeout() {
		t.Errorf("a silent network: %v", err)
	}
	p.Set(Network{})
	c.SetReadDeadline(time.Now().Add(time.Second))
	if text, err := bufio.NewReader(c).ReadString('\n'); text != "held\n" {
		t.Errorf("after the silence: %q, %v", text, err)
	}

	p.Set(Network{Cut: true})
	if _, err := line(c); err == nil {
		t.Error("a connection outlived the cut")
	}
	if _, err := line(dial()); err == nil {
		t.Error("a new connection works in a network that is cut")
	}
	p.Set(Network{})
	if _, err := line(dial()); err != nil {
		t.Error(err)
	}
}
