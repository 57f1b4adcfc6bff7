package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/event"
)

// deadFlags say whom the commands about dead letters ask.
type deadFlags struct {
	nats   natsFlags
	store  storeFlags
	output string
	limit  int
}

func newDeadCmd(settings *settings) *cobra.Command {
	flags := &deadFlags{}
	cmd := &cobra.Command{
		Use: "dead", Short: "List, retry or drop messages that could not be processed, or set one aside",
		Long: `Messages that could not be processed are kept, with their cause and their
original payload, for 90 days. Mend the cause, then retry them. A running shenscan
is asked to: the one that --nats-url names, else the one that holds --store.`,
		Example: `  shenscan dead list
  shenscan dead retry 12 13
  shenscan dead drop 14`,
	}
	list := &cobra.Command{
		Use: "list", Short: "List the dead letters, oldest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.list(cmd, settings) },
	}
	list.Flags().StringVar(&flags.output, "output", "table", "table or jsonl")
	list.Flags().IntVar(&flags.limit, "limit", 1000, "at most so many")
	cmd.AddCommand(list,
		flags.each(settings, "retry ID...", "retry", "Put messages back where they were"),
		flags.each(settings, "drop ID...", "drop", "Delete dead letters"),
		flags.each(settings, "aside NUMBER...", "aside", "Move messages of the results, by the numbers that a sink which cannot read them logs, to the dead letters"))
	for _, sub := range cmd.Commands() {
		flags.nats.addClient(sub, false)
		flags.store.add(sub)
	}
	return cmd
}

func (f *deadFlags) list(cmd *cobra.Command, settings *settings) error {
	if f.output != "table" && f.output != "jsonl" {
		return notOneOf("output", f.output, "table", "jsonl")
	}
	conn, err := f.nats.dial(cmd.Context(), settings, "shenscan-dead", f.store.dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	enc := json.NewEncoder(cmd.OutOrStdout())
	rows, after := [][]string{}, uint64(0)
	for shown := 0; shown < f.limit; {
		var reply app.LettersReply
		if err := conn.Call(cmd.Context(), event.SubjectLetters+"list", app.LettersRequest{After: after, Limit: f.limit - shown}, &reply); err != nil {
			return err
		}
		if len(reply.Letters) == 0 {
			break
		}
		for _, storedDeadLetter := range reply.Letters {
			shown, after = shown+1, storedDeadLetter.ID
			if f.output == "jsonl" {
				if err := enc.Encode(storedDeadLetter); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{strconv.FormatUint(storedDeadLetter.ID, 10), storedDeadLetter.At.Format("2006-01-02 15:04:05Z"), storedDeadLetter.Stream, storedDeadLetter.Consumer, storedDeadLetter.Subject, strconv.Itoa(storedDeadLetter.Deliveries), storedDeadLetter.Cause})
		}
	}
	if f.output == "jsonl" {
		return nil
	}
	return writeTable(cmd.OutOrStdout(), []string{"ID", "AT", "STREAM", "CONSUMER", "SUBJECT", "DELIVERIES", "CAUSE"}, rows)
}

// each is a command that has something done with each of its arguments.
func (f *deadFlags) each(settings *settings, use, name, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("name the ids that `shenscan dead list` shows"))
			}
			var ids []uint64
			for _, arg := range args {
				id, err := strconv.ParseUint(arg, 10, 64)
				if err != nil || id == 0 {
					return usage(fmt.Errorf("%q is not an id of a message", arg))
				}
				ids = append(ids, id)
			}
			conn, err := f.nats.dial(cmd.Context(), settings, "shenscan-dead", f.store.dir)
			if err != nil {
				return err
			}
			defer conn.Close()
			for _, id := range ids {
				if err := conn.Call(cmd.Context(), event.SubjectLetters+name, app.LetterRequest{ID: id}, &struct{}{}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
