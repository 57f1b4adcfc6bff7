//go:build chaos

package chaos

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is a TCP proxy whose connections can be reset, stalled and slowed.
type proxy struct {
	l      net.Listener
	target string
	stall  atomic.Int64 // unix nanoseconds until which nothing is forwarded
	delay  atomic.Int64 // of every chunk

	mu    sync.Mutex
	conns map[net.Conn]bool
	cuts  int
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, conns: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
	})
	return p
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		go p.copy(in, out)
		go p.copy(out, in)
	}
}

func (p *proxy) copy(dst, src net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := src.Read(buf)
		for wait := p.stall.Load() - time.Now().UnixNano(); wait > 0; wait = p.stall.Load() - time.Now().UnixNano() {
			time.Sleep(min(time.Duration(wait), 50*time.Millisecond))
		}
		time.Sleep(time.Duration(p.delay.Load()))
		if n > 0 {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	p.drop(src)
	p.drop(dst)
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close()
}

// cut resets every connection: what was on its way is lost.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	clear(p.conns)
	p.cuts++
}
