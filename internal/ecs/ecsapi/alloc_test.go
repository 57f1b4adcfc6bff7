//go:build !race

// The race detector keeps some values on the heap that would stay on the stack, so
// allocations are exact without it alone.

package ecsapi

import "testing"

// What a page costs to read is held in allocations, which are exact, and not in time.
func TestDecodePageAllocations(t *testing.T) {
	body := bigPage(100, "token")
	buf := append(make([]byte, 0, len(body)+padding), body...)
	r := new(pageReader)
	for range 10 {
		if _, ok := r.page(buf, "cn-hangzhou"); !ok {
			t.Fatal("the full page surprised the page reader")
		}
	}
	if n := testing.AllocsPerRun(50, func() { r.page(buf, "cn-hangzhou") }); n > 5 {
		t.Errorf("%v allocations for a page, at most 5 wanted", n)
	}
}
