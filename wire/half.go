package wire

import "math"

// halfOf returns the half-precision float (IEEE 754 binary16) that is exactly f, if there is one. f is not NaN.
func halfOf(f float32) (h uint16, exact bool) {
	bits := math.Float32bits(f)
	sign, exponent, fraction := uint16(bits>>16)&0x8000, int(bits>>23&0xff)-127, bits&0x7fffff
	switch {
	case bits<<1 == 0:
		return sign, true
	case exponent == 128: // infinity
		return sign | 0x7c00, true
	case exponent >= -14 && exponent <= 15:
		return sign | uint16(exponent+15)<<10 | uint16(fraction>>13), fraction&0x1fff == 0
	case exponent >= -24 && exponent < -14: // below the normal range: a multiple of 2^-24
		shift := -1 - exponent
		fraction |= 1 << 23
		return sign | uint16(fraction>>shift), fraction&(1<<shift-1) == 0
	}
	return 0, false
}

// fromHalf is the value of a half-precision float.
func fromHalf(h uint16) float64 {
	exponent, fraction := int(h>>10&0x1f), float64(h&0x3ff)
	var f float64
	switch {
	case exponent == 0:
		f = fraction * 0x1p-24
	case exponent < 31:
		f = math.Ldexp(1024+fraction, exponent-25)
	case fraction == 0:
		f = math.Inf(1)
	default:
		return math.NaN()
	}
	if h&0x8000 != 0 {
		return -f
	}
	return f
}
