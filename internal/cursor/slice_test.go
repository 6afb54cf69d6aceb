package cursor

import (
	"bytes"
	"io"
	"testing"
)

type inMemory []byte

func (m inMemory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }

func (m inMemory) Slice(off, n int64) []byte {
	if off < 0 || n < 0 || off > int64(len(m)) || n > int64(len(m))-off {
		return nil
	}
	return m[off:][:n:n]
}

func TestSlice(t *testing.T) {
	m := inMemory("0123456789")
	section := io.NewSectionReader(io.NewSectionReader(m, 1, 8), 1, 5) // 23456
	for _, c := range []struct {
		off, n int64
		want   string
		ok     bool
	}{{0, 5, "23456", true}, {2, 2, "45", true}, {0, 6, "", false}, {6, 0, "", false}, {-1, 2, "", false}, {1, 1 << 62, "", false}, {1, -1, "", false}} {
		b := Slice(section, c.off, c.n)
		if (b != nil) != c.ok || string(b) != c.want {
			t.Errorf("%d bytes at %d are %q", c.n, c.off, b)
		}
	}
	if b := Slice(section, 1, 2); &b[0] != &m[3] {
		t.Error("the bytes were copied")
	}
	if b := Slice(bytes.NewReader(m), 0, 1); b != nil {
		t.Errorf("a reader that cannot tell gives %q", b)
	}
}
