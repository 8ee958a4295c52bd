//go:build !cgo

package qoi

import (
	"image"
	"unsafe"
)

// decode is decode.c in Go, mistakes included. It reads and writes through raw pointers as C does, because an
// index out of a slice's range would be an ordinary panic, which a worker could recover from.
func decode(file []byte) (*image.NRGBA, error) {
	if len(file) < 4 || string(file[:4]) != "qoif" {
		return nil, ErrFormat
	}
	in := &memory{unsafe.Pointer(unsafe.SliceData(file))}

	// Mistake 1: a file shorter than header and end marker together wraps around to almost 4 GiB.
	chunks := uint32(len(file)) - headerSize - uint32(len(endMarker))
	for i := range len(endMarker) {
		if *in.at(headerSize + uint(chunks) + uint(i)) != endMarker[i] {
			return nil, ErrTruncated
		}
	}

	width, height := in.bigEndian(4), in.bigEndian(8)
	bytes := 4 * width * height // Mistake 2: 32 bits are too few.
	plane := uint(width) * uint(height)
	planes := make([]byte, bytes)
	fill(in, &memory{unsafe.Pointer(unsafe.SliceData(planes))}, plane)
	return interleave(planes, int(width), int(height)), nil
}

// fill decodes the chunks behind the header until every pixel of the planes is written.
func fill(in, planes *memory, plane uint) {
	var seen [64]pixel
	p := pixel{a: 255}
	at := uint(headerSize)
	for i := uint(0); i < plane; {
		var run uint
		at, run = p.step(in, at, &seen)
		seen[p.place()] = p
		for range run {
			planes.put(plane, i, p)
			i++
		}
	}
}

// step changes p to what the chunk at in[at] says and returns where the next one is and how many pixels this one
// stands for.
func (p *pixel) step(in *memory, at uint, seen *[64]pixel) (next, run uint) {
	tag := *in.at(at)
	switch {
	case tag == tagRGBA:
		*p = pixel{*in.at(at + 1), *in.at(at + 2), *in.at(at + 3), *in.at(at + 4)}
		return at + 5, 1
	case tag == tagRGB:
		*p = pixel{*in.at(at + 1), *in.at(at + 2), *in.at(at + 3), p.a}
		return at + 4, 1
	case tag >= tagRun:
		return at + 1, uint(tag&63) + 1
	case tag >= tagLuma:
		green, others := tag&63-32, *in.at(at + 1)
		p.r += green + others>>4 - 8
		p.g += green
		p.b += green + others&15 - 8
		return at + 2, 1
	case tag >= tagDiff:
		p.r += tag>>4&3 - 2
		p.g += tag>>2&3 - 2
		p.b += tag&3 - 2
	default:
		*p = seen[tag]
	}
	return at + 1, 1
}

// memory is a place in memory without an end, which is all that C knows of an array.
type memory struct{ start unsafe.Pointer }

// at is the byte i bytes behind the start, wherever that is. The compiler's own pointer checks, which -race
// switches on, would end the program with a message of their own before the processor does.
//
//go:nocheckptr
func (m *memory) at(i uint) *byte { return (*byte)(unsafe.Add(m.start, i)) }

func (m *memory) bigEndian(i uint) uint32 {
	return uint32(*m.at(i))<<24 | uint32(*m.at(i + 1))<<16 | uint32(*m.at(i + 2))<<8 | uint32(*m.at(i + 3))
}

func (m *memory) put(plane, i uint, p pixel) {
	*m.at(0*plane + i) = p.r
	*m.at(1*plane + i) = p.g
	*m.at(2*plane + i) = p.b
	*m.at(3*plane + i) = p.a
}
