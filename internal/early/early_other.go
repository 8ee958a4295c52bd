//go:build !linux

package early

func settle() {} // there are no workers

// Catch does nothing.
func Catch() {}
