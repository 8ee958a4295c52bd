// Package qoi reads and writes images in the QOI format (https://qoiformat.org/qoi-specification.pdf).
//
// The two halves are unlike on purpose. [Encode] is careful Go. [Decode] stands for the many C libraries that
// were written for well-formed files: it believes what the file says about itself, and a malformed file makes it
// read or write gigabytes away from any memory of the process. The kernel then ends the process; no recover can
// hold it. So never call Decode on a stranger's file in a process you want to keep: the tour calls it in a worker.
//
// With cgo the decoder is decode.c. Without cgo it is decode_nocgo.go, which makes the same two mistakes with
// package unsafe and dies as surely.
//
// Both functions may be called from any goroutine.
//
// A QOI file is a header of 14 bytes (the letters "qoif", width and height as big-endian 32-bit numbers, one byte
// for the number of channels, one for the color space), then chunks, then an end marker of 8 bytes. A chunk says
// how the next pixels follow from those before:
//
//	00iiiiii                    the pixel seen last at place i of a table of 64
//	01rrggbb                    small differences to the pixel before, each from -2 to 1
//	10gggggg rrrrbbbb           green's difference (-32 to 31), red's and blue's relative to it (-8 to 7)
//	11nnnnnn                    the pixel before, n+1 times (1 to 62)
//	11111110 red green blue     a pixel in full; alpha stays
//	11111111 red green blue alpha
package qoi
