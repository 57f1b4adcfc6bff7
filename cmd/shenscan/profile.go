package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// profiles are written where the hidden flags --cpuprofile and --memprofile
// ask for them.
type profiles struct {
	cpu, mem string
	file     *os.File
}

func (p *profiles) start() error {
	if p.mem == "" {
		runtime.MemProfileRate = 0 // noting allocations that nobody asks for costs 2 to 3 % of a scan's CPU
	}
	if p.cpu == "" {
		return nil
	}
	file, err := os.Create(p.cpu)
	if err != nil {
		return fmt.Errorf("--cpuprofile: %w", err)
	}
	p.file = file
	return pprof.StartCPUProfile(file)
}

func (p *profiles) stop() error {
	var errs []error
	if p.file != nil {
		pprof.StopCPUProfile()
		errs = append(errs, p.file.Close())
	}
	if p.mem != "" {
		file, err := os.Create(p.mem)
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("--memprofile: %w", err))...)
		}
		runtime.GC()
		errs = append(errs, pprof.WriteHeapProfile(file), file.Close())
	}
	return errors.Join(errs...)
}
