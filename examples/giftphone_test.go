// Package examples keeps a phone to try gifthorse on: giftphone, made of the text in giftphone.txtar.
package examples

import (
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gifthorse/check/checktest"

	"golang.org/x/tools/txtar"
)

//go:generate go test -count=1 -run TestGiftphoneIsUpToDate -update .

var update = flag.Bool("update", false, "write giftphone anew")

// The phone in the repository is what its text says, byte for byte.
func TestGiftphoneIsUpToDate(t *testing.T) {
	a, err := txtar.ParseFile("giftphone.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll("giftphone"); err != nil {
			t.Fatal(err)
		}
		if err := checktest.Write("giftphone", a); err != nil {
			t.Fatal(err)
		}
	}
	made := t.TempDir()
	if err := checktest.Write(made, a); err != nil {
		t.Fatal(err)
	}
	want, have := files(t, made), files(t, "giftphone")
	if len(want) == 0 {
		t.Fatal("the text is no phone")
	}
	size := 0
	for name, data := range want {
		size += len(data)
		if kept, ok := have[name]; !ok {
			t.Errorf("giftphone/%s is missing; run: go generate ./examples", name)
		} else if !bytes.Equal(kept, data) {
			t.Errorf("giftphone/%s is not what giftphone.txtar says; run: go generate ./examples", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[name]; !ok {
			t.Errorf("giftphone/%s is not in giftphone.txtar; run: go generate ./examples", name)
		}
	}
	if size > 100<<10 { // it is in every clone
		t.Errorf("giftphone has %d bytes", size)
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[name], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
