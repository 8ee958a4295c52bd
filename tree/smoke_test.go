package tree

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/verdigris-go/verdigris/strategy"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := make(chan error)
		svc := ServiceFunc(func(ctx context.Context) error {
			select {
			case err := <-fail:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		s, err := New(Spec{Name: "x", Strategy: strategy.OneForAll, Children: []Child{{ID: "a", Service: svc}, {ID: "b", Service: svc}},
			OnEvent: func(e Event) { t.Log(e) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		fail <- errors.New("boom")
		synctest.Wait()
		t.Log(s.Children(t.Context()))
		t.Logf("%+v", s.Snapshot())
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}
