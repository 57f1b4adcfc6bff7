package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/files"
)

// typesFile keeps the catalogue of instance types beside the store: a plan
// needs it long after the scan, and without credentials.
func typesFile(dir string) string { return filepath.Join(dir, "types.json") }

// keepTypes fetches the catalogue now and once a day until ctx ends. A
// catalogue that cannot be had is no reason not to scan.
func (a *App) keepTypes(ctx context.Context) error {
	return every(ctx, 24*time.Hour, func() {
		if err := a.FetchTypes(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("instance types were not read; plans name no replacement types", "err", err)
		}
	})
}

// FetchTypes reads the catalogue of instance types from the cloud and keeps it
// beside the store.
func (a *App) FetchTypes(ctx context.Context) error {
	byID := map[string]ecs.InstanceType{}
	accounts, err := a.accountIDs(ctx)
	if err != nil && len(accounts) == 0 {
		return err
	}
	for _, account := range accounts {
		types, err := a.cloud.InstanceTypes(ctx, account)
		if err != nil {
			return err
		}
		for _, t := range types {
			byID[t.ID] = t
		}
	}
	body, err := json.Marshal(slices.AppendSeq([]ecs.InstanceType{}, maps.Values(byID)))
	if err != nil {
		return err
	}
	return files.WritePrivate(typesFile(a.o.Store), body)
}

// typesVersion changes with the catalogue that the last scan left.
func typesVersion(dir string) string {
	info, err := os.Stat(typesFile(dir))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano())
}

// LoadTypes reads the catalogue that the last scan left beside the store; none
// is no error.
func LoadTypes(dir string) ([]ecs.InstanceType, error) {
	body, err := os.ReadFile(typesFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("catalogue of instance types: %w", err)
	}
	var types []ecs.InstanceType
	if err := json.Unmarshal(body, &types); err != nil {
		return nil, fmt.Errorf("catalogue of instance types in %s: %w; delete it and scan again", typesFile(dir), err)
	}
	return types, nil
}
