//go:build !linux

package main

import "os"

// columns is 0: no terminal. Worker processes need Linux, so nothing is to be shown elsewhere.
func columns(*os.File) int { return 0 }
