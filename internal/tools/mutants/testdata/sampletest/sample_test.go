// Package sampletest tests the sample from another folder.
package sampletest_test

import (
	"testing"

	"github.com/shenscan/shenscan/internal/tools/mutants/testdata/sample"
)

func TestSumAgain(t *testing.T) {
	if sum, n := sample.Sum([]int{-1, 7, 1}); sum != 1 || n != 1 {
		t.Errorf("%d of %d", sum, n)
	}
}

func TestGradeAtItsUpperBound(t *testing.T) {
	if sample.Grade(5, 2, 5) != 2 {
		t.Error("5 is below 5")
	}
}
