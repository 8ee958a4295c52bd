package tree_test

import (
	"flag"
	"testing"

	"github.com/verdigris-go/verdigris/internal/otptest"
)

var corpus = flag.String("corpus", "tree/testdata/otp", "directory of recorded OTP scenarios for TestOTP")

// TestOTP runs recorded scenarios against real supervisors and goroutines, in fake time, and compares every event and
// every state with what OTP's supervisor did. Package otptest says what the files mean.
func TestOTP(t *testing.T) {
	list, err := otptest.Load(*corpus)
	if err != nil {
		t.Fatal(err)
	}
	otptest.Play(t, list)
}
