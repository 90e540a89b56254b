package soak

import (
	"net"
	"testing"
	"time"
)

// TestGone: nobody connects any more to the address of a producer that has been killed, which may be another one's.
func TestGone(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := Follow(8, l.Addr().String())
	defer a.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(NewFeed(8).appendLine(nil, 0)); err != nil {
		t.Fatal(err)
	}
	a.Gone()
	c.Close()
	a.done.Wait() // it ends by itself
	if n, err := a.Lines(); n != 1 || err != nil {
		t.Errorf("%d lines are acknowledged, %v", n, err)
	}
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("connected again")
	}
}
