package ledger

import "strconv"

// Token travels into a call, and another one, made from it, comes back. Every
// attempt has one of its own, so that an answer tells whose it is.
type Token uint64

// TokenOf is the token of an attempt in a soak with this seed.
func TokenOf(seed uint64, a Attempt) Token {
	return Token(mix(mix(seed^0x736f616b) + uint64(a.Call)<<16 + uint64(a.Nth)))
}

// Answer is what a worker makes of a token.
func (t Token) Answer() Token { return Token(mix(uint64(t) ^ 0x616e7377)) }

// Item is what a worker makes of a token for a result of a stream.
func (t Token) Item(index int) Token { return Token(mix(uint64(t.Answer()) + uint64(index) + 1)) }

// String is the token as it stands in a line.
func (t Token) String() string { return strconv.FormatUint(uint64(t), 16) }

// Fill fills b with bytes that belong to this token alone.
func (t Token) Fill(b []byte) {
	word := uint64(t)
	for i := range b {
		if i%8 == 0 {
			word = mix(word + 1)
		}
		b[i] = byte(word >> (i % 8 * 8))
	}
}

// Owns reports whether b is what Fill makes.
func (t Token) Owns(b []byte) bool {
	word := uint64(t)
	for i, c := range b {
		if i%8 == 0 {
			word = mix(word + 1)
		}
		if c != byte(word>>(i%8*8)) {
			return false
		}
	}
	return true
}

// mix spreads the bits of a number over all of it; different numbers stay
// different (the finaliser of splitmix64, Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
