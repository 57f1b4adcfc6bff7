package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// tendEvery is how often the embedded server is asked how it is.
const tendEvery = 15 * time.Second

// inProcess connects to whichever embedded server runs now.
type inProcess struct{ b *Bus }

// InProcessConn implements nats.InProcessConnProvider.
func (p inProcess) InProcessConn() (net.Conn, error) {
	srv := p.b.embedded()
	if srv == nil {
		return nil, errors.New("the embedded NATS is stopped")
	}
	return srv.InProcessConn()
}

func (b *Bus) embedded() *server.Server {
	b.serverMu.Lock()
	defer b.serverMu.Unlock()
	return b.server
}

// tend restarts the embedded server after a failed write. NATS closes a stream
// whose write failed, as on a full disk, and keeps it closed when there is room
// again, until a restart: what it acknowledged is kept, and nothing is
// acknowledged meanwhile. An external server is restarted by whoever runs it.
func (b *Bus) tend(ctx context.Context) {
	for Pause(ctx, tendEvery) {
		health := b.embedded().Healthz(&server.HealthzOptions{})
		if !b.unwell.Load() && !strings.Contains(health.Error, "write error") {
			continue
		}
		if !b.unwell.Swap(true) {
			b.log.Error("embedded NATS could not write and takes nothing more; it is restarted when there is room", "folder", b.o.Dir, "err", health.Error)
		}
		if err := room(b.o.Dir); err != nil {
			b.log.Warn("still no room for NATS", "folder", b.o.Dir, "err", err)
			continue
		}
		b.restart()
	}
}

// restart is for tend alone.
func (b *Bus) restart() {
	old := b.embedded()
	listen := b.o.Listen
	if addr, ok := old.Addr().(*net.TCPAddr); ok && listen != "" {
		listen = addr.String() // also where any port was asked for: others know this one
	}
	old.Shutdown()
	old.WaitForShutdown()
	if err := b.startServer(listen); err != nil {
		b.log.Error("embedded NATS did not start again; trying on", "err", err)
		return
	}
	b.unwell.Store(false)
	b.log.Info("embedded NATS runs again")
}

// room reports whether a few pages fit into the folder.
func room(dir string) (err error) {
	path := filepath.Join(dir, ".room")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("try for room: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	if _, err := file.Write(make([]byte, 4<<20)); err != nil {
		return fmt.Errorf("try for room: %w", err)
	}
	return file.Sync()
}
