package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/report"
)

// readyWait is how long a process may take to say whether it is ready.
const readyWait = 5 * time.Second

func newReadyCmd() *cobra.Command {
	server := "http://127.0.0.1:10470"
	cmd := &cobra.Command{
		Use: "ready", Short: "Ask a running process whether it is ready, as the health check of a container", Args: noArgs,
		Long: `ready asks /readyz of a process and exits with 0 where it is ready, else with 1
and the reason: NATS is out of reach or has closed a stream's consumer, the store is
not the file that others find, or results are not caught up with. What answers but is not
a process of shenscan, such as a page to log in at, is not ready.`,
		Example: `  shenscan ready --server http://127.0.0.1:10470`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return askReady(cmd.Context(), server)
		},
	}
	cmd.Flags().StringVar(&server, "server", server, "address of the process")
	return cmd
}

func askReady(ctx context.Context, server string) error {
	address, err := url.Parse(server)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return usage(errors.New("--server is no address such as http://127.0.0.1:10470"))
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.JoinPath("readyz").String(), nil)
	if err != nil {
		return err
	}
	// What stands before the process, such as a page to log in at, is not the process.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok { // which would show a password in the address
			err = cause.Err
		}
		return fmt.Errorf("ask %s whether it is ready: %w", address.Host, err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("%s does not say whether it is ready: it sends elsewhere with status %d; name the address of the process itself", address.Host, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s is not ready: %s", address.Host, report.Clean(string(said)))
	case err != nil:
		return fmt.Errorf("ask %s whether it is ready: %w", address.Host, err)
	case !saysReady(said):
		return fmt.Errorf("%s does not say whether it is ready: what it answers is not shenscan's; name the address of a process of shenscan", address.Host)
	}
	return nil
}

// saysReady says whether a body is that of /readyz of a process with a store, or of one
// without.
func saysReady(said []byte) bool {
	if string(bytes.TrimSpace(said)) == "ok" {
		return true
	}
	var is struct {
		Status string `json:"status"`
	}
	return json.Unmarshal(said, &is) == nil && is.Status == "ready"
}
