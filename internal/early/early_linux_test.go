package early

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A stray is closed whatever its number is; what is close-on-exec stays.
func TestStraysOfAllNumbers(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, low := range []int{fdStrays, 100, 255, 256, 300, 700} {
		stray, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD, low)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, low)
		if err != nil {
			t.Fatal(err)
		}
		closeStrays()
		open := listed()
		if slices.Contains(open, stray) || !slices.Contains(open, kept) || !slices.Contains(open, int(null.Fd())) {
			t.Errorf("of a stray %d and its like %d that is none, there are %v", stray, kept, open)
		}
		unix.Close(kept)
	}
}
