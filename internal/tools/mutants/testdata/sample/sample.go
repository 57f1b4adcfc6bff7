// Package sample has changes of every kind for the test of this tool.
package sample

// Grade is 0 below low, 1 below high and 2 from there.
func Grade(n, low, high int) int {
	switch {
	case n < low:
		return 0
	case n < high:
		return 1
	}
	return 2
}

// Sum adds what is positive, up to the first zero.
func Sum(list []int) (sum, n int) {
	for _, value := range list {
		if value == 0 {
			break
		}
		if value > 0 &&
			value != 7 {
			sum += value
			n++
		}
	}
	return sum, n
}

// Size is the larger of two. Where they are equal it does not matter which.
func Size(a, b int) int {
	if a > b {
		return a
	}
	return b
}

// Never is not tested.
func Never(a, b int) int { return a - b }
