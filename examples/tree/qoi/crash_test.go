package qoi

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// decodeVariable makes this test binary decode the file it names, as a careful Go program would: with recover.
const decodeVariable = "QOI_TEST_DECODE"

func TestMain(m *testing.M) {
	if name := os.Getenv(decodeVariable); name != "" {
		os.Exit(decodeCarefully(name))
	}
	os.Exit(m.Run())
}

func decodeCarefully(name string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Println("recovered:", r)
		}
	}()
	file, err := os.ReadFile(name)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = Decode(file)
	fmt.Println("returned:", err)
	return 0
}

// Each shipped malformed file has to end the process: no error, no recovered panic, a fault above page zero.
func TestMalformedFilesAreDeadly(t *testing.T) {
	for _, name := range []string{"overflow.qoi", "cut-off.qoi"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), decodeVariable+"=../images/"+name)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err == nil {
				t.Fatalf("the decoder survived: %s", stdout.Bytes())
			}
			if stdout.Len() > 0 {
				t.Fatalf("the decoder came back: %s", stdout.Bytes())
			}
			if at := faultAddress(t, stderr.Bytes()); at < 1<<32 {
				t.Errorf("the fault is at %#x, want it at least 4 GiB from address zero", at)
			}
		})
	}
}

// The Go runtime reports a fault in C and a fault in Go in two ways; both say SIGSEGV and the address.
var fault = regexp.MustCompile(`(?s)(?:signal SIGSEGV|SIGSEGV: segmentation violation).*?addr=0x([0-9a-f]+)`)

func faultAddress(t *testing.T, stderr []byte) uint64 {
	t.Helper()
	m := fault.FindSubmatch(stderr)
	if m == nil {
		t.Fatalf("no SIGSEGV reported in:\n%.2000s", stderr)
	}
	at, err := strconv.ParseUint(string(m[1]), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
