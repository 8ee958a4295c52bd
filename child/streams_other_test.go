//go:build !linux

package child_test

import (
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

func dieBy(string) { panic("there are no workers here") }

func eachProcess(*testing.T, child.Config, func(*testing.T, child.Caller)) {}

func receiveAny(_ testing.TB, ch <-chan any) any { return <-ch }
