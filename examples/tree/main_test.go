package main

import (
	"os"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

// tourVariable makes this test binary be the tour: the tests run the real program in a process of its own.
const tourVariable = "TREE_TEST_TOUR"

func TestMain(m *testing.M) {
	child.Init()
	if os.Getenv(tourVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}
