// Command empty waits for the end of its input: the least that a Go program is.
package main

import "os"

func main() { _, _ = os.Stdin.Read(make([]byte, 1)) }
