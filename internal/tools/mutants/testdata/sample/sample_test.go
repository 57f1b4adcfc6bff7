package sample

import "testing"

func TestGrade(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 1, 3: 1, 4: 1, 6: 2} { // not at 5
		if got := Grade(n, 2, 5); got != want {
			t.Errorf("%d: %d", n, got)
		}
	}
}

func TestSum(t *testing.T) {
	if sum, n := Sum([]int{3, -1, 7, 4, 0, 9}); sum != 7 || n != 2 {
		t.Errorf("%d of %d", sum, n)
	}
}

func TestSize(t *testing.T) {
	if Size(1, 2) != 2 || Size(3, 2) != 3 || Size(2, 2) != 2 {
		t.Error("not the larger one")
	}
}
