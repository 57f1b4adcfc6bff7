package bus_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
)

// startCluster starts three servers that are one cluster.
func startCluster(t *testing.T) []*natsserver.Server {
	t.Helper()
	ports := make([]int, 3)
	routes := make([]string, len(ports))
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		routes[i] = fmt.Sprintf("nats://127.0.0.1:%d", ports[i])
	}
	servers := make([]*natsserver.Server, len(ports))
	dir := t.TempDir()
	for i, port := range ports {
		srv, err := natsserver.NewServer(&natsserver.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)), NoLog: true, NoSigs: true,
			Cluster: natsserver.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: natsserver.RoutesFromStr(strings.Join(routes, ",")),
		})
		if err != nil {
			t.Fatal(err)
		}
		srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		servers[i] = srv
	}
	for _, srv := range servers {
		if !srv.ReadyForConnections(20 * time.Second) {
			t.Fatal("a server did not start")
		}
	}
	eventually(t, "the servers have a leader", func() bool {
		for _, srv := range servers {
			if srv.JetStreamIsLeader() {
				return true
			}
		}
		return false
	})
	// A leader places nothing on servers that it has not heard of yet.
	nc, err := nats.Connect(servers[0].ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the servers take a stream of three replicas", func() bool {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PROBE", Subjects: []string{"probe"}, Replicas: len(servers), Storage: jetstream.MemoryStorage})
		return err == nil
	})
	if err := js.DeleteStream(t.Context(), "PROBE"); err != nil {
		t.Fatal(err)
	}
	return servers
}

// The consumer of a sink is on one server of a cluster, the sink's connection on
// another. When the server of the consumer ends, nobody tells the sink: only the
// heartbeats of the consumer stay away.
func TestAFollowerOutlivesTheServerOfItsConsumer(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	b := open(t, func(o *bus.Options) { o.URL, o.Dir, o.Replicas = servers[0].ClientURL(), "", 3 })
	stream, err := b.JetStream().Stream(t.Context(), bus.StreamResults)
	if err != nil {
		t.Fatal(err)
	}
	// The cluster chooses where a consumer is: ask until one is elsewhere, and not on
	// the server that leads the stream. Where that one ends, a result is stored only
	// after an election of some seconds, which shows nothing of who follows.
	var f *following
	var host *natsserver.Server
	for try := 0; host == nil; try++ {
		if try == 40 {
			t.Fatal("40 consumers were all made on the server that the sink is connected to, or on the leader of the stream")
		}
		name := fmt.Sprintf("s%d", try)
		f = follow(t, b, name)
		eventually(t, "the sink reads", func() bool { return b.Lives()["sink-"+name].Up })
		state, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		infos := stream.ListConsumers(t.Context())
		for info := range infos.Info() {
			if info.Cluster == nil || len(info.Name) < len(name)+7 || info.Name[:len(name)+7] != "sink-"+name+"--" {
				continue
			}
			for _, srv := range servers[1:] {
				if srv.Name() == info.Cluster.Leader && srv.Name() != state.Cluster.Leader {
					host = srv
				}
			}
		}
		if err := infos.Err(); err != nil {
			t.Fatal(err)
		}
	}
	say(t, b, "before")
	eventually(t, "the first result", func() bool { return f.has("before") })
	host.Shutdown()
	host.WaitForShutdown()
	say(t, b, "after")
	for deadline := time.Now().Add(time.Minute); !f.has("after"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the sink reads nothing a minute after the server of its consumer ended")
		}
	}
}
