package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/files"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/producer"
)

// regionsProbed bounds how many regions are counted in search of one with
// instances and one without.
const regionsProbed = 12

// enough is how many instances settle every question of the contract.
const enough = 101

// apiContract asks one account how its API behaves, prints a table and writes
// the file.
func (f *doctorFlags) apiContract(ctx context.Context, s *settings, out io.Writer) error {
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return err
	}
	defer client.Close()
	full, empty, parameters, err := f.contractScopes(ctx, client)
	if err != nil {
		return err
	}
	contract, err := client.Contract(ctx, full, empty)
	if err != nil {
		return err
	}
	encoded, err := json.MarshalIndent(contract, "", "  ")
	if err != nil {
		return err
	}
	err = files.Write(f.contractFile, func(w io.Writer) error {
		_, err := w.Write(append(encoded, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("write the contract: %w", err)
	}
	if f.output == "json" {
		_, err := out.Write(append(encoded, '\n'))
		return err
	}
	return showContract(out, contract, parameters, f.contractFile)
}

// contractScopes chooses the region that is asked, the first one with enough
// instances, else the one with the most; and one without any, if there is one.
func (f *doctorFlags) contractScopes(ctx context.Context, client *ecsapi.Client) (full, empty ecs.Scope, most int, err error) {
	accounts, err := producer.NewRoster(client, client, f.cloud.accounts, time.Now).Accounts(ctx)
	at := slices.IndexFunc(accounts, func(a ecs.Account) bool { return a.Err == nil && !a.Excluded })
	if at < 0 {
		for _, account := range accounts {
			err = errors.Join(err, account.Err)
		}
		return full, empty, 0, fmt.Errorf("no account can be asked: %w", err)
	}
	regions, err := client.Regions(ctx, accounts[at].ID)
	if err != nil {
		return full, empty, 0, err
	}
	var names []string
	for _, r := range regions {
		names = append(names, r.ID)
	}
	for _, r := range f.scope.regions {
		if !slices.Contains(names, r) {
			return full, empty, 0, usage(fmt.Errorf("--region %q is no region of the account%s", r, filter.Nearest(r, names)))
		}
	}
	if len(f.scope.regions) > 0 {
		names = f.scope.regions
	}
	for _, name := range names[:min(len(names), regionsProbed)] {
		scope := ecs.Scope{Account: accounts[at].ID, Region: name}
		count, err := client.CountInstances(ctx, scope, ecs.Query{})
		switch {
		case err != nil && ecs.ClassOf(err) != ecs.RegionClosed:
			return full, empty, 0, err
		case err != nil:
		case count == 0:
			empty = scope
		case full == (ecs.Scope{}), count > most:
			full, most = scope, count
		}
		if most >= enough && empty != (ecs.Scope{}) {
			break
		}
	}
	if full == (ecs.Scope{}) {
		return full, empty, 0, fmt.Errorf("%s of the account have no instances: name one that has some with --region", report.Plural(min(len(names), regionsProbed), "region", "regions"))
	}
	return full, empty, most, nil
}

// showContract prints a Markdown table to paste.
func showContract(out io.Writer, contract *ecs.Contract, instances int, file string) error {
	var text strings.Builder
	size := report.Plural(instances, "instance", "instances")
	if instances == ecs.NoCount {
		size = "as many instances as it has, which it does not count"
	}
	fmt.Fprintf(&text, "How the API behaved on %s, asked in a region of %s. Ids and names are left out.\n\n", contract.Day, size)
	text.WriteString("| question | assumed | seen | remark |\n| --- | --- | --- | --- |\n")
	other, open := 0, 0
	for i, contractQuestion := range ecs.ContractQuestions() {
		contractAnswer := contract.Answers[i]
		seen, says := contractAnswer.Answer, ""
		switch {
		case seen == "":
			seen, says = "not settled", contractAnswer.Detail
			open++
		case contractQuestion.Assumed == "" || seen == contractQuestion.Assumed:
			says = contractAnswer.Detail
		default:
			other++
			says = "**otherwise** (" + contractAnswer.Detail + "): " + contractQuestion.Does
		}
		fmt.Fprintf(&text, "| %s: %s | %s | %s | %s |\n", contractQuestion.ID, contractQuestion.Asks, contractQuestion.Assumed, report.Clean(seen), report.Clean(says))
	}
	verdict := "Nothing that was settled is otherwise than assumed."
	if other > 0 {
		verdict = report.Plural(other, "answer is", "answers are") + " otherwise than assumed; the last column says what shenscan does about it."
	}
	if open > 0 {
		verdict += " " + report.Plural(open, "question was", "questions were") + " not settled, for the reason in the last column."
	}
	fmt.Fprintf(&text, "\n%s Written to %s, which `shenscan simulate --contract` takes on.\n", verdict, report.Clean(file))
	_, err := io.WriteString(out, text.String())
	return err
}

// takeOn reads a contract for the simulator.
func takeOn(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	contract, err := ecs.ParseContract(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	names, err := ecssim.ContradictionsOf(contract)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return names, nil
}
