// Package imgtest is what the tests of the file system readers share: a part of a real phone to make an image of, the
// comparison of an image with the folder it was made from, and a walk through an image that lies. It does not compare
// what is stored of a file beyond its data: file systems differ in that, and the test of each says what it demands.
package imgtest

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// An FS is a file system reader; T is what it says is stored of a file.
type FS[T any] interface {
	fs.ReadLinkFS
	fs.ReadDirFS
	Info(name string) (T, error)
}

// Phone unpacks the first size bytes of a real phone into a new folder, which it returns. It skips the test where no
// phone is.
func Phone(t testing.TB, size int64) string {
	t.Helper()
	zips, _ := filepath.Glob("../../../shared/phones/*.zip") // from a package under format
	if len(zips) == 0 {
		t.Skip("the phones are not here: ../shared/phones/*.zip")
	}
	z, err := zip.OpenReader(zips[len(zips)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := filepath.Join(t.TempDir(), "phone")
	for _, e := range z.File {
		if e.FileInfo().IsDir() || !filepath.IsLocal(e.Name) || int64(e.UncompressedSize64) > size {
			continue
		}
		name := filepath.Join(dir, e.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			continue
		}
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if os.WriteFile(name, b, 0o644) == nil {
			size -= int64(len(b))
		}
	}
	return dir
}

// Own gives a third of the files of dir an owner and a mode of their own, if root asks.
func Own(t testing.TB, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	n := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if n++; n%3 != 0 {
			return nil
		}
		if err := os.Lchown(p, 0, 2000); err != nil {
			return err
		}
		return os.Chmod(p, 0o750|fs.ModeSetuid)
	})
	if err != nil || n < 3 {
		t.Fatalf("%d files: %v", n, err)
	}
}

// Same demands that fsys holds the names, links and data that dir holds, and no others except, in the root, those of
// added. For each file stored compares the rest: name is the file's in fsys, path the file's in dir.
func Same[T any](t *testing.T, fsys FS[T], dir string, stored func(name, path string, want fs.FileInfo, got T), added ...string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		name, _ := filepath.Rel(dir, p)
		want, err := os.Lstat(p)
		if err != nil {
			return err
		}
		got, err := fsys.Info(name)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			return nil
		}
		stored(name, p, want, got)
		switch want.Mode().Type() {
		case fs.ModeSymlink:
			w, _ := os.Readlink(p)
			if got, err := fsys.ReadLink(name); err != nil || got != w {
				t.Errorf("%q: link %q, %v, want %q", name, got, err, w)
			}
		case fs.ModeDir:
			w, _ := os.ReadDir(p)
			list, err := fsys.ReadDir(name)
			if err != nil {
				t.Errorf("%q: %v", name, err)
			}
			list = slices.DeleteFunc(list, func(e fs.DirEntry) bool { return name == "." && slices.Contains(added, e.Name()) })
			str := func(d fs.DirEntry) string { return d.Type().String() + d.Name() }
			if !slices.EqualFunc(list, w, func(a, b fs.DirEntry) bool { return str(a) == str(b) }) {
				t.Errorf("%q: lists %v, want %v", name, list, w)
			}
		case 0:
			w, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if b, err := ReadFile(fsys, name); err != nil || !bytes.Equal(b, w) {
				t.Errorf("%q: %d bytes that differ from the %d wanted, or %v", name, len(b), len(w), err)
			}
			Random(t, fsys, name, w)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n < 10 {
		t.Errorf("only %d files compared", n)
	}
}

// Random demands what want says of a file, here and there.
func Random(t *testing.T, fsys fs.FS, name string, want []byte) {
	t.Helper()
	r, err := fsys.Open(name)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	ra := r.(io.ReaderAt)
	rnd := rand.New(rand.NewPCG(3, uint64(len(want))))
	for range min(5, len(want)) {
		off := rnd.IntN(len(want))
		b := make([]byte, 1+rnd.IntN(20_000))
		n, err := ra.ReadAt(b, int64(off))
		if w := want[off:min(off+len(b), len(want))]; !bytes.Equal(b[:n], w) || (n < len(b)) != (err == io.EOF) || err != nil && err != io.EOF {
			t.Errorf("%q at %d: %d bytes, %v, want %d", name, off, n, err, len(w))
			return
		}
	}
}

// Walk asks for everything of at most 3000 files, and reads at most limit bytes of each. It returns how many it could
// read, and the errors.
func Walk[T any](fsys FS[T], limit int64) (good int, errs []error) {
	n := 0
	fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if n++; n > 3000 {
			return fs.SkipAll
		}
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		if _, err := fsys.Info(name); err != nil {
			errs = append(errs, err)
		}
		if d.Type() == fs.ModeSymlink {
			fsys.ReadLink(name)
		}
		if d.IsDir() {
			return nil
		}
		r, err := fsys.Open(name)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		defer r.Close()
		if _, err := io.CopyN(io.Discard, r, limit); err != nil && err != io.EOF {
			errs = append(errs, err)
			return nil
		}
		good++
		return nil
	})
	return good, errs
}

// ReadFile reads a file until its end. [fs.ReadFile] first takes the memory for the size that the file says it has.
func ReadFile(fsys fs.FS, name string) ([]byte, error) {
	r, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
