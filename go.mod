module github.com/verdigris-go/verdigris

go 1.26.0

require (
	github.com/fxamacker/cbor/v2 v2.9.6
	github.com/lmittmann/tint v1.2.1
	github.com/thejerf/suture/v4 v4.0.6
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
	pgregory.net/rapid v1.3.0
)

require github.com/x448/float16 v0.8.4 // indirect
