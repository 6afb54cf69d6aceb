package evidence

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// A member is one file of a tree made for a test. A body that begins with "-> " makes a symbolic link.
type member struct{ name, body string }

// files makes members of names, with the name as the body.
func files(names ...string) []member {
	var out []member
	for _, n := range names {
		name, link, ok := strings.Cut(n, " -> ")
		if ok {
			out = append(out, member{name, "-> " + link})
		} else {
			out = append(out, member{n, "content of " + n})
		}
	}
	return out
}

func (m member) link() (string, bool) { return strings.CutPrefix(m.body, "-> ") }

func makeFolder(t testing.TB, dir string, list []member) string {
	t.Helper()
	for _, m := range list {
		p := filepath.Join(dir, m.name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := m.link(); ok {
			err = os.Symlink(to, p)
		} else {
			err = os.WriteFile(p, []byte(m.body), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func makeZip(t testing.TB, list []member, edit ...func(*zip.FileHeader)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, m := range list {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		h.SetMode(0o644)
		body := m.body
		if to, ok := m.link(); ok {
			h.SetMode(os.ModeSymlink | 0o777)
			body = to
		}
		for _, e := range edit {
			e(h)
		}
		fw, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		fw.Write([]byte(body))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func makeTar(t testing.TB, list []member, edit ...func(*tar.Header)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range list {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.body)), Typeflag: tar.TypeReg}
		if to, ok := m.link(); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		for _, e := range edit {
			e(h)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			w.Write([]byte(m.body))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gz(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

func zst(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

func xzip(t testing.TB, b []byte, c xz.WriterConfig) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := c.NewWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// openBytes opens b as if it were a file of that name.
func openBytes(ctx context.Context, name string, b []byte) (*Evidence, error) {
	o := newOpener(ctx, func(Progress) {})
	f := newFile(Ref{}.Inner(name), int64(len(b)), 0o644)
	f.blob = &blob{ev: o.e, src: memory(b)}
	o.openFile(f, name)
	o.finish()
	return o.e, ctx.Err()
}

func mustOpenBytes(t testing.TB, name string, b []byte) *Evidence {
	t.Helper()
	e, err := openBytes(t.Context(), name, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func mustOpen(t testing.TB, paths ...string) *Evidence {
	t.Helper()
	e, err := Open(t.Context(), paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func phonePaths(e *Evidence) []string {
	var out []string
	for _, f := range e.Files() {
		out = append(out, f.Path)
	}
	return out
}

func gapLines(e *Evidence) []string {
	var out []string
	for _, g := range e.Gaps() {
		out = append(out, g.Error())
	}
	return out
}

func rootPaths(e *Evidence) string {
	var out []string
	for _, r := range e.Roots() {
		out = append(out, r.Path)
	}
	return strings.Join(out, " ")
}

func outsideRefs(e *Evidence) []string {
	var out []string
	for _, f := range e.Outside() {
		out = append(out, f.Ref.String())
	}
	return out
}

func wantList(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
