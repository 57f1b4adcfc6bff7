package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"os"
	"runtime/debug"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// Main, NATSServer and Commands are what the binary of the tests is when it is
// called by another name: see TestMain.
var Main, NATSServer, Commands = main, serveNATS, runCommands

// runCommands runs command lines one after another, as they are asked for on in,
// each with its own environment, folder and files of output, and answers with exit
// codes. To load the binary and its rules, and to grow a heap, for a command each
// takes the tests more CPU time than the commands themselves. Whatever outlives a
// command here, a process of its own would have taken with it.
func runCommands(in io.Reader, out io.Writer) {
	debug.SetTraceback("crash") // as main does
	commands, codes := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var command struct {
			Args, Env           []string
			Dir, Stdout, Stderr string
		}
		if err := commands.Decode(&command); err != nil {
			return // the tests are over
		}
		os.Clearenv()
		err := os.Chdir(command.Dir)
		for _, variable := range command.Env {
			name, value, _ := strings.Cut(variable, "=")
			err = errors.Join(err, os.Setenv(name, value))
		}
		var files [3]*os.File
		for i, path := range []string{os.DevNull, command.Stdout, command.Stderr} {
			file, opened := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
			files[i], err = file, errors.Join(err, opened)
		}
		if err != nil {
			panic(err)
		}
		os.Stdin, os.Stdout, os.Stderr = files[0], files[1], files[2]
		log.SetOutput(os.Stderr)
		ctx, cancel := context.WithCancel(context.Background())
		code := run(ctx, command.Args)
		cancel()
		for _, file := range files {
			_ = file.Close()
		}
		if err := codes.Encode(code); err != nil {
			panic(err)
		}
	}
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
