package main

import (
	"bytes"
	"encoding/binary"
	"image"
)

// malformed returns the two files on which the decoder dies, one for each of its mistakes.
func malformed() map[string][]byte {
	return map[string][]byte{
		"overflow.qoi": overflow(),
		"cut-off.qoi":  cutOff(),
	}
}

// overflow says that it is 65537 pixels wide and as high. Four bytes for each pixel are 17,180,393,476 bytes; in 32
// bits that is 524,292. The second byte the decoder writes, the first pixel's green, is 4 GiB behind the buffer.
func overflow() []byte {
	file := encoded(image.NewNRGBA(image.Rect(0, 0, 64, 64)))
	binary.BigEndian.PutUint32(file[4:], 65537)
	binary.BigEndian.PutUint32(file[8:], 65537)
	return file
}

// cutOff is the beginning of a good file, as a broken download leaves it: 20 bytes, two less than header and end
// marker have together. The decoder looks for the end marker 4 GiB behind the header.
func cutOff() []byte {
	return bytes.Clone(encoded(spheres())[:20])
}
