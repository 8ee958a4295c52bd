//go:build !linux

package child_test

import (
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

// processFor stands in for a worker, of which there are none on this system.
func processFor(*testing.T) child.Caller { return child.NewInline(child.Config{Name: "w"}) }
