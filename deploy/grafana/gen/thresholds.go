package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed thresholds.yaml
var thresholdsFile []byte

// thresholds are the values of thresholds.yaml.
type thresholds struct {
	RiseWindow string               `yaml:"rise_window"`
	Baseline   string               `yaml:"baseline"`
	Alerts     map[string]threshold `yaml:"alerts"`
}

// threshold is when one alert fires.
type threshold struct {
	Above *float64      `yaml:"above"`
	Below *float64      `yaml:"below"`
	For   time.Duration `yaml:"for"`
}

// readThresholds reads thresholds.yaml; a value too many or too few is an error.
func readThresholds(text []byte) (thresholds, error) {
	var t thresholds
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&t); err != nil {
		return t, fmt.Errorf("thresholds.yaml: %w", err)
	}
	if t.RiseWindow == "" || t.Baseline == "" {
		return t, fmt.Errorf("thresholds.yaml: rise_window or baseline is missing")
	}
	for name, a := range t.Alerts {
		if (a.Above == nil) == (a.Below == nil) || a.For < 0 {
			return t, fmt.Errorf("thresholds.yaml: %s needs either above or below, and no time below zero", name)
		}
	}
	return t, nil
}

// apply gives every alert its value. An alert without one, and a value without
// an alert, is an error.
func (t thresholds) apply(all []alert) error {
	left := map[string]bool{}
	for name := range t.Alerts {
		left[name] = true
	}
	for i := range all {
		a := &all[i]
		value, ok := t.Alerts[a.name]
		if !ok {
			return fmt.Errorf("thresholds.yaml says nothing of %s", a.name)
		}
		delete(left, a.name)
		a.op, a.pending = ">", value.For
		if value.Below != nil {
			a.op, a.limit = "<", *value.Below
		} else {
			a.limit = *value.Above
		}
	}
	for name := range left {
		return fmt.Errorf("thresholds.yaml: there is no alert %s", name)
	}
	return nil
}
