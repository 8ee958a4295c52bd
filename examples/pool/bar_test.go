package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestBar(t *testing.T) {
	half := progress{done: 320, of: 634, failed: 3, elapsed: 10 * time.Second}
	for _, test := range []struct {
		p     progress
		width int
		g     glyphs
		want  string
	}{
		{half, 80, blocks, ` 50% ▕████████████████▋                ▏ 320 of 634, 3 failed, 32/s, 9.8 s left`},
		{half, 80, ascii, ` 50% [################                 ] 320 of 634, 3 failed, 32/s, 9.8 s left`},
		{half, 200, ascii, ` 50% [####################                    ] 320 of 634, 3 failed, 32/s, 9.8 s left`},
		{half, 50, ascii, ` 50% [##########           ] 320 of 634, 3 failed`},
		{half, 30, ascii, ` 50% 320 of 634, 3 failed`},
		{half, 10, ascii, ` 50% 320 `},
		{half, 1, ascii, ``},
		{half, 0, ascii, ``},
		{progress{of: 8}, 40, blocks, `  0% ▕                         ▏ 0 of 8`},
		{progress{done: 8, of: 8, elapsed: 3 * time.Hour}, 70, ascii, `100% [####################################] 8 of 8, 0.0/s, 0.0 s left`},
		{progress{}, 40, ascii, `100% [#########################] 0 of 0`},
	} {
		got := test.p.bar(test.width, test.g)
		if got != test.want {
			t.Errorf("%+v, %d columns:\n%s\nwant\n%s", test.p, test.width, got, test.want)
		}
		if n := utf8.RuneCountInString(got); n >= max(test.width, 1) {
			t.Errorf("%d runes in %d columns", n, test.width)
		}
	}
}

func TestBriefly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Millisecond: "1.2 s", 61 * time.Second: "61 s", 3 * time.Minute: "3 min", 50 * time.Hour: "50 h",
	} {
		if got := briefly(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 123_456_789: "123 MB", 5e15: "5000 TB"} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// What a terminal gets: lines above a bar that is drawn anew, and no bar at the end.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	p := progress{of: 4}
	s := &screen{state: func() progress { return p }, width: func() int { return 30 }, glyphs: ascii, out: &out}
	s.tick()
	p.done = 1
	s.say("a\x1b[2Jb\nc\xff: is bad")
	s.tick()
	s.hide()
	s.say("over")
	s.tick()
	want := strings.Join([]string{
		"\r\x1b[K  0% [               ] 0 of 4",
		"\r\x1b[Ka\uFFFD[2Jb\uFFFDc\uFFFD: is bad\n",
		"\r\x1b[K 25% [###            ] 1 of 4",
		"\r\x1b[K 25% [###            ] 1 of 4",
		"\r\x1b[K",
		"over\n",
	}, "")
	if out.String() != want {
		t.Errorf("got\n%q, want\n%q", out.String(), want)
	}

	out.Reset()
	s = &screen{state: func() progress { return p }, glyphs: ascii, out: &out} // no terminal
	s.tick()
	s.say("a is bad")
	s.hide()
	if got, want := out.String(), "1 of 4\na is bad\n"; got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestSpeaksUTF8(t *testing.T) {
	for _, test := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "", false},
		{"", "", "de_DE.UTF-8", true},
		{"C", "", "de_DE.UTF-8", false},
		{"", "en_US.utf8", "C", true},
	} {
		t.Setenv("LC_ALL", test.all)
		t.Setenv("LC_CTYPE", test.ctype)
		t.Setenv("LANG", test.lang)
		if got := speaksUTF8(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestSummary(t *testing.T) {
	began := time.Unix(1e9, 0)
	for _, test := range []struct {
		c    counts
		want string
	}{
		{counts{files: 3, done: 3, bytes: 6000, began: began}, "3 images in d: 3 done\n6.0 kB in 2.0 s: 1.5 images/s, 3.0 kB/s\n"},
		{counts{files: 3, before: 3, began: began}, "3 images in d: 0 done, 3 done before\n"},
		{
			counts{files: 20, before: 4, failedBefore: 1, done: 5, failures: map[string]int{"too slow": 1, "no proper image": 2}, deaths: 1, began: began},
			`20 images in d: 5 done, 4 done before, 1 failed before (-again tries them again), 3 failed:
     2  no proper image
     1  too slow
7 are left; the same command goes on with them
1 decoder died and was replaced
0 B in 2.0 s: 4.0 images/s, 0 B/s
`,
		},
	} {
		if got := test.c.summary("d", began.Add(2*time.Second)); got != test.want {
			t.Errorf("got\n%s, want\n%s", got, test.want)
		}
	}
}
