//go:build !linux

package early

func settle() {} // there are no workers
