package output

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// clean makes a line fit for a log: every invalid byte and every control
// character except the tab becomes the replacement character U+FFFD. A line
// without them is returned as it is.
func clean(line []byte) []byte {
	if utf8.Valid(line) && bytes.IndexFunc(line, harmful) < 0 {
		return line
	}
	return bytes.Map(func(r rune) rune {
		if harmful(r) {
			return utf8.RuneError
		}
		return r // RuneError already, if it is an invalid byte
	}, line)
}

func harmful(r rune) bool { return unicode.IsControl(r) && r != '\t' }
