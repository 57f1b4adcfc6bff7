package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// osNames is what a baseline keeps: instance id to OS name.
type osNames struct {
	mu sync.Mutex
	m  map[string]string
}

func (o *osNames) add(id, name string) {
	o.mu.Lock()
	o.m[id] = name
	o.mu.Unlock()
}

// baseline lists the whole fleet with its OS names and prints how many
// instances there were.
func baseline(ctx context.Context, mode, endpoint, dir string) error {
	names := &osNames{m: map[string]string{}}
	keep := func([]ecs.Instance) error { return nil }
	var err error
	switch mode {
	case "sequential":
		err = withSDK(endpoint, 1, names)
	case "regions":
		err = withSDK(endpoint, 64, names)
	case "raw":
		err = withFetch(ctx, endpoint, names, keep)
	case "kept":
		var db *bbolt.DB
		if db, err = bbolt.Open(filepath.Join(dir, "names.db"), 0o600, nil); err != nil {
			return err
		}
		err = errors.Join(withFetch(ctx, endpoint, names, func(page []ecs.Instance) error { return store(db, page) }), db.Close())
	default:
		err = fmt.Errorf("no baseline is called %q", mode)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, len(names.m))
	return err
}

// withSDK is the loop from the SDK's own examples, width regions at a time.
func withSDK(endpoint string, width int, names *osNames) error {
	client, err := sdk.NewClient(new(openapi.Config).
		SetAccessKeyId(ecssim.DemoAccessKeyID).SetAccessKeySecret(ecssim.DemoAccessKeySecret).
		SetEndpoint(strings.TrimPrefix(endpoint, "http://")).SetProtocol("http").SetRegionId("cn-hangzhou"))
	if err != nil {
		return err
	}
	regions, err := client.DescribeRegions(new(sdk.DescribeRegionsRequest))
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(width)
	for _, r := range regions.Body.Regions.Region {
		group.Go(func() error { return listRegion(client, dara.StringValue(r.RegionId), names) })
	}
	return group.Wait()
}

func listRegion(client *sdk.Client, region string, names *osNames) error {
	req := new(sdk.DescribeInstancesRequest).SetRegionId(region).SetMaxResults(100)
	for {
		page, err := client.DescribeInstances(req)
		if err != nil {
			return err
		}
		if page.Body == nil || page.Body.Instances == nil {
			return errors.New("an answer without instances")
		}
		for _, x := range page.Body.Instances.Instance {
			names.add(dara.StringValue(x.InstanceId), dara.StringValue(x.OSName))
		}
		if dara.StringValue(page.Body.NextToken) == "" {
			return nil
		}
		req.NextToken = page.Body.NextToken
	}
}

// store is what one would write to keep a page: a key an instance.
func store(db *bbolt.DB, page []ecs.Instance) error {
	return db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte("names"))
		if err != nil {
			return err
		}
		for i := range page {
			if err := bucket.Put([]byte(page[i].ID), []byte(page[i].OSName)); err != nil {
				return err
			}
		}
		return nil
	})
}

// withFetch is the same loop over shenscan's own fetch and decoding, a
// goroutine a region.
func withFetch(ctx context.Context, endpoint string, names *osNames, keep func([]ecs.Instance) error) error {
	options := ecsapi.DefaultOptions()
	options.Endpoint = endpoint
	options.Base = &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}
	options.StartRate = 1e6
	client, err := ecsapi.New(options)
	if err != nil {
		return err
	}
	defer client.Close()
	accounts, err := client.Accounts(ctx)
	if err != nil {
		return err
	}
	regions, err := client.Regions(ctx, accounts[0].ID)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, region := range regions {
		group.Go(func() error {
			query := ecs.Query{}
			for {
				page, err := client.Instances(ctx, ecs.Scope{Account: accounts[0].ID, Region: region.ID}, query)
				if err != nil {
					return err
				}
				for i := range page.Instances {
					names.add(strings.Clone(page.Instances[i].ID), page.Instances[i].OSName)
				}
				if err := keep(page.Instances); err != nil {
					return err
				}
				if query.NextToken = page.NextToken; query.NextToken == "" {
					return nil
				}
			}
		})
	}
	return group.Wait()
}
