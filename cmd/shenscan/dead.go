package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/bus"
)

func newDeadCmd(s *settings) *cobra.Command {
	f := &natsFlags{}
	cmd := &cobra.Command{
		Use: "dead", Short: "List, retry or drop messages that could not be processed",
		Long: `Messages that could not be processed are kept, with their cause and their
original payload, for 90 days. Mend the cause, then retry them.`,
		Example: `  shenscan dead list
  shenscan dead retry 12 13
  shenscan dead drop 14`,
	}
	list := &cobra.Command{Use: "list", Short: "List the dead letters, oldest first", Args: noArgs}
	var output string
	var limit int
	list.Flags().StringVar(&output, "output", "table", "table or jsonl")
	list.Flags().IntVar(&limit, "limit", 1000, "at most so many")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := f.dial(cmd, s)
		if err != nil {
			return err
		}
		defer b.Close()
		letters, err := b.DeadLetters(cmd.Context(), limit)
		if err != nil {
			return err
		}
		if output == "jsonl" {
			enc := json.NewEncoder(cmd.OutOrStdout())
			for _, l := range letters {
				if err := enc.Encode(l); err != nil {
					return err
				}
			}
			return nil
		}
		if output != "table" {
			return usage(fmt.Errorf("--output %q is not table or jsonl", output))
		}
		var rows [][]string
		for _, l := range letters {
			rows = append(rows, []string{fmt.Sprint(l.ID), l.At.Format("2006-01-02 15:04:05Z"), l.Stream, l.Consumer, l.Subject, fmt.Sprint(l.Deliveries), l.Cause})
		}
		return writeTable(cmd.OutOrStdout(), []string{"ID", "AT", "STREAM", "CONSUMER", "SUBJECT", "DELIVERIES", "CAUSE"}, rows)
	}
	cmd.AddCommand(list,
		f.eachLetter(s, "retry", "Put messages back where they were", (*bus.Bus).RetryDead),
		f.eachLetter(s, "drop", "Delete dead letters", (*bus.Bus).DropDead))
	for _, sub := range cmd.Commands() {
		f.add(sub, false)
	}
	return cmd
}

func (f *natsFlags) dial(cmd *cobra.Command, s *settings) (*bus.Bus, error) {
	if f.o.URL == "" {
		f.o.URL = orEnv("NATS_URL", "nats://127.0.0.1:4222")
	}
	return bus.Dial(cmd.Context(), f.options(s, "shenscan-"+cmd.Name(), bus.SyncAlways))
}

// eachLetter is a command that does something with the dead letters whose ids
// are its arguments.
func (f *natsFlags) eachLetter(s *settings, name, short string, do func(*bus.Bus, context.Context, uint64) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " ID...", Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("name the ids that `shenscan dead list` shows"))
			}
			var ids []uint64
			for _, arg := range args {
				id, err := strconv.ParseUint(arg, 10, 64)
				if err != nil {
					return usage(fmt.Errorf("%q is not an id of a dead letter", arg))
				}
				ids = append(ids, id)
			}
			b, err := f.dial(cmd, s)
			if err != nil {
				return err
			}
			defer b.Close()
			for _, id := range ids {
				if err := do(b, cmd.Context(), id); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
