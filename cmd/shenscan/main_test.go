package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/shenscan/shenscan/internal/proctest"
)

// TestMain lets the binary of the tests be the commands that they start: called
// as shenscan it is shenscan, called as nats-server it is NATS. Nothing is built
// and linked a second time. Links to it under both names come first in PATH.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "shenscan":
		main()
	case "nats-server":
		serveNATS()
		return
	}
	proctest.Waits()
	os.Exit(func() int {
		links, err := os.MkdirTemp("", "shenscan-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(links)
		self, err := os.Executable()
		for _, name := range []string{"shenscan", "nats-server"} {
			if err == nil {
				err = os.Symlink(self, filepath.Join(links, name))
			}
		}
		if err == nil {
			err = os.Setenv("PATH", links+string(os.PathListSeparator)+os.Getenv("PATH"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// serveNATS is what the command nats-server does with its flags.
func serveNATS() {
	options, err := server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ExitOnError), os.Args[1:], nil, nil, nil)
	if err != nil {
		server.PrintAndDie(err.Error())
	}
	srv, err := server.NewServer(options)
	if err != nil {
		server.PrintAndDie(err.Error())
	}
	srv.ConfigureLogger()
	if err := server.Run(srv); err != nil {
		server.PrintAndDie(err.Error())
	}
	srv.WaitForShutdown()
}
