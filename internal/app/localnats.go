package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/files"
)

// localNATS says how commands on this machine reach the NATS that a process has
// in it. It has the form of a context of the nats program.
type localNATS struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	NKey        string `json:"nkey"` // path of the file with the seed
	InboxPrefix string `json:"inbox_prefix"`
}

func localNATSFile(dir string) string { return filepath.Join(dir, "nats.json") }
func natsKeyFile(dir string) string   { return filepath.Join(dir, "nats.nk") }

// showLocalNATS writes address and key of a guarded listener beside the store, for
// this process's own user alone.
func (a *App) showLocalNATS() error {
	seed := a.bus.OperatorSeed()
	if seed == "" {
		return nil
	}
	key, err := filepath.Abs(natsKeyFile(a.o.Store))
	if err != nil {
		return fmt.Errorf("say beside the store how to reach NATS: %w", err)
	}
	body, err := json.Marshal(localNATS{"a running shenscan", a.bus.ClientURL(), key, "_INBOX." + bus.InboxOperator})
	if err == nil {
		err = files.WritePrivate(natsKeyFile(a.o.Store), []byte(seed+"\n"))
	}
	if err == nil {
		err = files.WritePrivate(localNATSFile(a.o.Store), append(body, '\n'))
	}
	if err != nil {
		return fmt.Errorf("say beside the store how to reach NATS: %w", err)
	}
	a.onClose(func() {
		if err := errors.Join(os.Remove(localNATSFile(a.o.Store)), os.Remove(natsKeyFile(a.o.Store))); err != nil {
			a.log.Warn("the files that say how to reach NATS were not removed", "err", err)
		}
	})
	return nil
}

// FindNATS completes options, which names no server, with what a process that holds
// the store in dir says of its own. It reports whether one does.
func FindNATS(dir string, options *bus.Options) (bool, error) {
	body, err := files.ReadPrivate(localNATSFile(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, fs.ErrPermission):
		return false, fmt.Errorf("the shenscan that runs beside the store in %s lets its own user alone ask it: %w; run this as that user, or name a server with --nats-url", dir, err)
	case err != nil:
		return false, fmt.Errorf("find the NATS of the shenscan beside the store: %w", err)
	}
	var local localNATS
	if err := json.Unmarshal(body, &local); err != nil || local.URL == "" {
		return false, fmt.Errorf("%s does not say how to reach NATS: %w", localNATSFile(dir), errors.Join(err, errDoor))
	}
	seed, err := files.ReadPrivate(natsKeyFile(dir))
	if err != nil {
		return false, fmt.Errorf("find the NATS of the shenscan beside the store: %w", err)
	}
	options.URL, options.Seed = local.URL, string(seed)
	return true, nil
}
