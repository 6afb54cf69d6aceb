package report

import (
	"reflect"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// visible returns a copy of r in which every text is fit to be shown: see [Visible]. It goes over the whole
// structure, so that no field can be forgotten.
func (r *Report) visible() *Report {
	v := visibleValue(reflect.ValueOf(*r)).Interface().(Report)
	return &v
}

func visibleValue(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		// Empty lines separate the paragraphs of a decision; they are ours.
		parts := strings.Split(v.String(), "\n\n")
		for i, p := range parts {
			parts[i] = Visible(p)
		}
		return reflect.ValueOf(strings.Join(parts, "\n\n")).Convert(v.Type())
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			out.Field(i).Set(visibleValue(v.Field(i)))
		}
		return out
	case reflect.Slice:
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(visibleValue(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := reflect.MakeMap(v.Type())
		for k, x := range v.Seq2() {
			out.SetMapIndex(visibleValue(k), visibleValue(x))
		}
		return out
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(visibleValue(v.Elem()))
		return out
	}
	return v
}

// columns is how many columns of a terminal s takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks s into lines of at most room columns: at spaces, and a word that is longer than a line (an address,
// a class name, a hash) behind a separator, or where the line ends.
func wrap(s string, room int) []string {
	room = max(room, 8) // narrower than any column that is left in a sane terminal
	var lines []string
	line, used := "", 0
	flush := func() {
		lines = append(lines, line)
		line, used = "", 0
	}
	for word := range strings.FieldsSeq(s) {
		n := columns(word)
		if used > 0 && used+1+n > room {
			flush()
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		for n > room-used {
			at := breakAt(word, room-used)
			line += word[:at]
			flush()
			word = word[at:]
			n = columns(word)
		}
		line, used = line+word, used+n
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// breakAt returns where to break word so that the first part takes at most max columns: behind the last of the best
// separators that lies in the second half, else where it is full.
func breakAt(word string, max int) int {
	best := map[int]int{} // rank of separator -> index behind it
	n, end := 0, 0
	for i, r := range word {
		c := columnsOf(r)
		if n+c > max && i > 0 {
			break
		}
		n += c
		end = i + len(string(r))
		rank := strings.IndexRune("!#/;:.,+-_", r)
		if rank >= 0 && n >= max/2 {
			if rank <= 1 { // the borders of a container and of a place in it
				rank = 0
			} else if rank >= 4 {
				rank = 4
			}
			best[rank] = end
		}
	}
	for rank := range 5 {
		if at, ok := best[rank]; ok {
			return at
		}
	}
	return end
}

// Clip returns as much of the beginning of s as fits into a number of columns of a terminal.
func Clip(s string, room int) string {
	for i, r := range s {
		if room -= columnsOf(r); room < 0 {
			return s[:i]
		}
	}
	return s
}
