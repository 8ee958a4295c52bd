package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"

	"github.com/verdigris-go/verdigris/examples/tree/qoi"
)

// hostile are files that are not what they seem: one for each way in which a decoder comes to harm.
var hostile = []struct {
	name string
	make func() []byte
}{
	{"overflow.qoi", overflow},
	{"bomb.png", bomb},
	{"endless.jpg", endless},
	{"cut-off.qoi", func() []byte { return encodedQOI()[:20] }}, // its end is looked for 4 GiB behind it
	{"cut-off.png", func() []byte { b := encodedPNG(); return b[:len(b)/2] }},
	{"empty.gif", func() []byte { return nil }},
	{"text.png", func() []byte { return []byte("This is no image.\n") }},
	{"flipped.png", flipped},
}

func encodedQOI() []byte {
	var b bytes.Buffer
	if err := qoi.Encode(&b, paint(1)); err != nil {
		panic(err) // it is small enough
	}
	return b.Bytes()
}

func encodedPNG() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, paint(1)); err != nil {
		panic(err) // as above
	}
	return b.Bytes()
}

// flipped has a bit wrong somewhere in its pixels.
func flipped() []byte {
	b := encodedPNG()
	b[len(b)/2] ^= 1
	return b
}

// overflow says that it is 65537 pixels wide and high. The C decoder takes the size of its buffer in 32 bits, and writes
// far behind it.
func overflow() []byte {
	var b bytes.Buffer
	if err := qoi.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 64, 64))); err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint32(b.Bytes()[4:], 65537)
	binary.BigEndian.PutUint32(b.Bytes()[8:], 65537)
	return b.Bytes()
}

// bomb is a proper PNG of 40,000 by 40,000 black pixels: 1.6 GB in memory, 1.6 MB in the file.
func bomb() []byte {
	const side = 40_000
	header := binary.BigEndian.AppendUint32(nil, side)
	header = binary.BigEndian.AppendUint32(header, side)
	header = append(header, 8, 0, 0, 0, 0) // gray, 8 bits
	b := []byte("\x89PNG\r\n\x1a\n")
	b = appendChunk(b, "IHDR", header)
	b = appendChunk(b, "IDAT", zeros(side*(side+1))) // before each line of pixels a byte for its filter
	return appendChunk(b, "IEND", nil)
}

func appendChunk(b []byte, kind string, content []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(content)))
	from := len(b)
	b = append(append(b, kind...), content...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[from:]))
}

// zeros returns n zeros as a zlib stream. All blocks behind the first are alike, so only two are compressed.
func zeros(n int) []byte {
	const block = 1 << 20
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err) // there is such a level
	}
	compressed := func(n int) []byte {
		out.Reset()
		_, _ = w.Write(make([]byte, n)) // to memory
		_ = w.Flush()
		return bytes.Clone(out.Bytes())
	}
	b := append([]byte{0x78, 0xda}, compressed(block)...)
	b = append(b, bytes.Repeat(compressed(block), n/block-1)...)
	b = append(b, compressed(n%block)...)
	out.Reset()
	_ = w.Close()
	b = append(b, out.Bytes()...)
	return binary.BigEndian.AppendUint32(b, uint32(n%65521)<<16|1) // Adler-32 of n zeros
}

// endless is a progressive JPEG of 4096 by 4096 gray pixels in 20,000 passes, each of which says of every block that
// there is nothing new about it: minutes of work in 900 kB.
func endless() []byte {
	b := []byte{0xff, 0xd8} // start of the image
	b = append(b, 0xff, 0xdb, 0, 67, 0)
	b = append(b, bytes.Repeat([]byte{1}, 64)...)                                    // quantisation
	b = append(b, 0xff, 0xc2, 0, 11, 8, 16, 0, 16, 0, 1, 1, 0x11, 0)                 // frame: progressive, one component
	b = append(b, 0xff, 0xc4, 0, 20, 0x10, 1)                                        // Huffman table: one code of one bit,
	b = append(append(b, make([]byte, 15)...), 0xe0)                                 // which stands for 16,384 empty blocks and more
	scan := append([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0}, make([]byte, 30)...) // 16 times that code with 14 zeros
	b = append(b, bytes.Repeat(scan, 20_000)...)
	return append(b, 0xff, 0xd9)
}
