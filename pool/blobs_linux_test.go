package pool_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
	"github.com/verdigris-go/verdigris/pool"
	"github.com/verdigris-go/verdigris/strategy"
	"github.com/verdigris-go/verdigris/wire"
)

// die in the first of the workers that have been given the file's name, else give the data back
var blobOnce = child.Define("blobs.once", func(_ context.Context, in struct {
	File string
	Data wire.Blob
},
) (wire.Blob, error) {
	if f, err := os.OpenFile(in.File, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return in.Data, nil
})

var blobPoison = child.Define("blobs.poison", func(_ context.Context, in wire.Blob) (int, error) {
	data, err := in.Bytes()
	if string(data) == "poison" {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return len(data), err
})

func blobFrom(t *testing.T, text string) wire.Blob {
	t.Helper()
	b, err := wire.NewBlob([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A call that is sent again has its Blobs again.
func TestRetryWithBlobs(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 2, Retry: pool.Retry{Attempts: 3, Backoff: strategy.Backoff{Initial: time.Millisecond}}})
	out, err := blobOnce.Idempotent().Call(t.Context(), p, struct {
		File string
		Data wire.Blob
	}{t.TempDir() + "/once", blobFrom(t, "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if data, err := out.Bytes(); string(data) != "data" || err != nil {
		t.Errorf("%q %v", data, err)
	}
}

// An input is recognised by the data of its Blobs, not by the Blob.
func TestQuarantineOfBlobs(t *testing.T) {
	p, _, _ := serve(t, pool.Config{Size: 1, Quarantine: pool.Quarantine{Deaths: 2}})
	call := func(text string) error {
		_, err := blobPoison.Call(t.Context(), p, blobFrom(t, text))
		return err
	}
	for range 2 {
		if _, ok := errors.AsType[*child.CrashError](call("poison")); !ok {
			t.Error("it did not kill")
		}
	}
	if err := call("poison"); !errors.Is(err, pool.ErrQuarantined) {
		t.Errorf("the same data: %v", err)
	}
	if err := call("poisoN"); err != nil {
		t.Errorf("other data: %v", err)
	}
}
