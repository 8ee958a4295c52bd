//go:build cgo

package qoi

// #cgo CFLAGS: -O2 -Wall -Wextra
// #include <stdlib.h>
// #include "decode.h"
import "C"

import (
	"image"
	"unsafe"
)

func decode(file []byte) (*image.NRGBA, error) {
	var out C.struct_qoi_planes
	result := C.qoi_decode((*C.uint8_t)(unsafe.SliceData(file)), C.uint32_t(len(file)), &out)
	if result != C.QOI_OK {
		return nil, errOf[result]
	}
	defer C.free(unsafe.Pointer(out.bytes))
	width, height := int(out.width), int(out.height)
	return interleave(unsafe.Slice((*byte)(out.bytes), 4*width*height), width, height), nil
}
