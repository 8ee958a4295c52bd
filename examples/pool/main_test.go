package main

import (
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

// programVariable makes this test binary be the program, in a process of its own.
const programVariable = "POOL_TEST_PROGRAM"

func TestMain(m *testing.M) {
	child.Init()
	if os.Getenv(programVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestArguments(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "one directory"},
		{"a b", "one directory"},
		{".", "-out is needed"},
		{"-size 0 a", "-size"},
		{"-workers 0 a", "-workers"},
		{"-deadline 0 a", "-deadline"},
		{"-memory 1 a", "-memory"},
		{"-make -1 a", "-make"},
		{"-h", flag.ErrHelp.Error()},
	} {
		if _, err := parse(strings.Fields(test.args), io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.args, err)
		}
	}
	if o, err := parse([]string{"a/b/"}, io.Discard); err != nil || o.dir != "a/b" || o.out != "a/b-thumbnails" {
		t.Errorf("%+v, %v", o, err)
	}
}
