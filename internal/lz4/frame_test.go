package lz4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"testing"
	"testing/iotest"
)

// compress has the lz4 program make frames.
func compress(t testing.TB, b []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("lz4", append(args, "-c")...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("the lz4 program is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFrames(t *testing.T) {
	noise := make([]byte, 100_000) // of which blocks are stored as they are
	var h xxh32
	for i := range noise {
		h.reset()
		h.write([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		noise[i] = byte(h.sum())
	}
	want := append(text(5<<20), noise...)
	var all, double []byte
	for _, args := range [][]string{{}, {"-9"}, {"-BD", "-B4"}, {"-B4", "-BX"}, {"-B5", "--no-frame-crc"}, {"-BD", "-B7", "-BX", "--content-size"}, {"-l"}} {
		packed := compress(t, want, args...)
		got, err := io.ReadAll(NewReader(packed))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q: %d bytes of %d, %v", args, len(got), len(want), err)
		}
		if err := iotest.TestReader(NewReader(compress(t, want[:100_000], args...)), want[:100_000]); err != nil {
			t.Errorf("%q: %v", args, err)
		}
		all = append(all, packed...)
		all = append(binary.LittleEndian.AppendUint32(append(all, "\x53\x2a\x4d\x18"...), 3), "abc"...)
		double = append(double, want...)
	}
	if got, err := io.ReadAll(NewReader(all)); err != nil || !bytes.Equal(got, double) {
		t.Errorf("frames one after the other: %d bytes of %d, %v", len(got), len(double), err)
	}
	if got, err := io.ReadAll(NewReader(compress(t, nil))); err != nil || len(got) > 0 {
		t.Errorf("nothing: %d bytes, %v", len(got), err)
	}
}

func TestDamagedFrames(t *testing.T) {
	want := text(300_000)
	good := compress(t, want, "-B4", "-BX")
	edit := func(at int) []byte { b := bytes.Clone(good); b[at]++; return b }
	for _, c := range []struct {
		what string
		b    []byte
		err  error
	}{
		{"nothing", nil, io.ErrUnexpectedEOF},
		{"cut in the header", good[:5], io.ErrUnexpectedEOF},
		{"cut in a block", good[:len(good)/2], io.ErrUnexpectedEOF},
		{"cut before the last checksum", good[:len(good)-4], io.ErrUnexpectedEOF},
		{"another magic", edit(0), ErrCorrupt},
		{"header", edit(6), ErrCorrupt},
		{"block", edit(40), ErrCorrupt},
		{"last checksum", edit(len(good) - 1), ErrCorrupt},
		{"bytes behind it", append(bytes.Clone(good), "more"...), ErrCorrupt},
		{"dictionary", []byte("\x04\x22\x4d\x18\x41\x40\x01\x00\x00\x00\x00"), errors.ErrUnsupported},
	} {
		got, err := io.ReadAll(NewReader(c.b))
		if !errors.Is(err, c.err) || !bytes.HasPrefix(want, got) && c.what != "block" {
			t.Errorf("%s: %d bytes, %v", c.what, len(got), err)
		}
	}
	if got, _ := io.ReadAll(NewReader(good[:len(good)/2])); len(got) == 0 {
		t.Error("what comes before the cut is lost")
	}
}

func FuzzReader(f *testing.F) {
	for _, args := range [][]string{{"-BD", "-B4", "--content-size"}, {"-BX"}, {"-l"}} {
		f.Add(compress(f, text(200), args...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := io.Copy(io.Discard, io.LimitReader(NewReader(b), 1<<24))
		if err != nil && !errors.Is(err, ErrCorrupt) && err != io.ErrUnexpectedEOF && !errors.Is(err, errors.ErrUnsupported) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	want := text(8 << 20)
	packed := compress(b, want, "-B6")
	b.SetBytes(int64(len(want)))
	for b.Loop() {
		if n, err := io.Copy(io.Discard, NewReader(packed)); err != nil || n != int64(len(want)) {
			b.Fatal(n, err)
		}
	}
}
