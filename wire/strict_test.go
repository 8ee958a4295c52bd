package wire

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// Maps whose keys are not in order are looked at twice. Inside each other, the
// time must not double with each: 60 of them would never end.
func TestNestedUnorderedMaps(t *testing.T) {
	const depth = MaxNesting - 1
	body := append(bytes.Repeat([]byte{0xa2, 2, 0, 1}, depth), 0)
	twice := append(bytes.Repeat([]byte{0xa2, 2, 0, 1}, depth-1), 0xa3, 2, 0, 1, 0, 2, 0)
	done := make(chan [2]error, 1)
	go func() { done <- [2]error{valid(body), valid(twice)} }()
	select {
	case errs := <-done:
		if errs[0] != nil || !errors.Is(errs[1], errDuplicate) {
			t.Error(errs)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("not within 10 s")
	}
}

// The CBOR library has limits of its own. Those of the check before it hold too,
// for bodies that it never sees.
func TestLimitsWithoutTheLibrary(t *testing.T) {
	if err := valid(append(bytes.Repeat([]byte{0x81}, MaxNesting-1), 0x80)); err != nil {
		t.Error(err)
	}
	if err := valid(append(bytes.Repeat([]byte{0x81}, MaxNesting), 0x80)); err == nil {
		t.Errorf("%d levels are accepted", MaxNesting+1)
	}
	if err := valid([]byte{0xa3, 2, 0, 1, 0, 2, 0}); !errors.Is(err, errDuplicate) {
		t.Error(err)
	}
}
