// The measurements of verdigris, in a module of their own, so that the libraries
// it is compared with never reach a program that imports it.
module github.com/verdigris-go/verdigris/bench

go 1.26.0

require (
	github.com/thejerf/suture/v4 v4.0.6
	github.com/verdigris-go/verdigris v0.0.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/fxamacker/cbor/v2 v2.9.6 // indirect
	github.com/x448/float16 v0.8.4 // indirect
)

replace github.com/verdigris-go/verdigris => ../
