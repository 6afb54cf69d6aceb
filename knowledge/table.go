package knowledge

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"iter"
	"strings"
	"sync"
)

// Every text and table of the folder is embedded, so that Hash covers them all, those read elsewhere in the package too.
//
//go:embed *.tsv *.txt
var files embed.FS

// The tables asked by key are strings as well: a string is the mapped file, while reading embed.FS copies it.
var (
	//go:embed permissions.tsv
	permissionsTSV string
	//go:embed protected-broadcasts.tsv
	broadcastsTSV string
	//go:embed classes.tsv
	classesTSV string
	//go:embed methods.tsv
	methodsTSV string
	//go:embed uids.tsv
	uidsTSV string
	//go:embed setuid.tsv
	setuidTSV string
	//go:embed devnodes.tsv
	devnodesTSV string
	//go:embed cacerts.tsv
	cacertsTSV string
	//go:embed signing-keys.tsv
	keysTSV string
	//go:embed dialer-codes.tsv
	dialerTSV string
	//go:embed date.txt
	dateText string
)

// body returns the rows of a file, without the comment at its head.
func body(file string) string {
	for strings.HasPrefix(file, "#") {
		_, file, _ = strings.Cut(file, "\n")
	}
	return file
}

// A row is what is left of one line; next takes its columns off from the left.
type row string

func (r *row) next() string {
	col, rest, _ := strings.Cut(string(*r), "\t")
	*r = row(rest)
	return col
}

// find yields, without the key, the rows of a sorted table whose first column is key. A tab is less than any byte of a key, so rows
// sorted by bytes are sorted by key.
func find(file, key string) iter.Seq[row] {
	return func(yield func(row) bool) {
		if strings.ContainsAny(key, "\t\n") {
			return // no name in a table has one; keys come from phones
		}
		text := body(file)
		// The first row not below the key: lo and hi are always starts of rows.
		lo, hi := 0, len(text)
		for lo < hi {
			start := lo + strings.LastIndexByte(text[lo:lo+(hi-lo)/2], '\n') + 1
			end := len(text)
			if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
				end = start + i + 1
			}
			if text[start:end] < key {
				lo = end
			} else {
				hi = start
			}
		}
		for line := range strings.Lines(text[lo:]) {
			if len(line) <= len(key) || line[:len(key)] != key || line[len(key)] != '\t' {
				return
			}
			if !yield(row(strings.TrimSuffix(line[len(key)+1:], "\n"))) {
				return
			}
		}
	}
}

// first returns the first row of key.
func first(file, key string) (row, bool) {
	for r := range find(file, key) {
		return r, true
	}
	return "", false
}

// all yields every row of a table.
func all(file string) iter.Seq[row] {
	return func(yield func(row) bool) {
		for line := range strings.Lines(body(file)) {
			if !yield(row(strings.TrimSuffix(line, "\n"))) {
				return
			}
		}
	}
}

// list splits a column of values; "-" and "" hold none.
func list(col, sep string) []string {
	if col == "-" || col == "" {
		return nil
	}
	return strings.Split(col, sep)
}

// Hash returns the SHA-256, in hex, of all data files: of each, in order of names, the name, a zero byte, the text and a zero byte.
var Hash = sync.OnceValue(hash)

func hash() string {
	h := sha256.New()
	entries, err := files.ReadDir(".") // in order of names
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, e := range entries {
		f, err := files.Open(e.Name())
		if err != nil {
			panic(err)
		}
		io.WriteString(h, e.Name()+"\x00")
		io.Copy(h, f)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Date returns the date of the newest fact, as YYYY-MM-DD.
func Date() string { return strings.TrimSpace(body(dateText)) }
