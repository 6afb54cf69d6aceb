package lz4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os/exec"
	"testing"
)

var blocks = []struct {
	name string
	src  []byte
	want string // what it decodes to; "" if it is damaged
}{
	{"literals", []byte{0x30, 'a', 'b', 'c'}, "abc"},
	{"copy", []byte{0x30, 'a', 'b', 'c', 3, 0, 0x10, 'd'}, "abcabcad"},
	{"overlap", []byte{0x12, 'a', 1, 0, 0x10, 'b'}, "aaaaaaab"},
	{"offset zero", []byte{0x10, 'a', 0, 0}, ""},
	{"offset before the start", []byte{0x10, 'a', 2, 0}, ""},
	{"literals past the end", []byte{0x50, 'a'}, ""},
	{"length past the end", []byte{0xf0, 255, 255}, ""},
	{"half an offset", []byte{0x10, 'a', 1}, ""},
	{"more than the destination", append([]byte{0x1f, 'a', 1, 0}, 255, 255, 0, 0), ""},
}

func TestDecode(t *testing.T) {
	for _, b := range blocks {
		var dst [64]byte
		n, err := Decode(dst[:], b.src)
		if b.want == "" {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v, want ErrCorrupt", b.name, err)
			}
			continue
		}
		if err != nil || string(dst[:n]) != b.want {
			t.Errorf("%s: %q, %v, want %q", b.name, dst[:n], err, b.want)
		}
	}
}

func TestDecodePartial(t *testing.T) {
	src := []byte{0x30, 'a', 'b', 'c', 3, 0, 0x10, 'd'}
	for n := range 9 {
		dst := make([]byte, n)
		got, err := DecodePartial(dst, src)
		if err != nil || string(dst[:got]) != "abcabcad"[:n] {
			t.Errorf("%d bytes: %q, %v", n, dst[:got], err)
		}
		if _, err := Decode(dst, src); (err == nil) != (n == 8) {
			t.Errorf("Decode into %d bytes: %v", n, err)
		}
	}
}

// text makes bytes that compress as code and text do: words of a small vocabulary, some noise.
func text(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 400)
	for i := range words {
		words[i] = make([]byte, 1+rnd.IntN(24))
		for j := range words[i] {
			words[i][j] = byte(rnd.Uint32())
		}
	}
	b := make([]byte, 0, n+32)
	for len(b) < n {
		b = append(b, words[rnd.IntN(len(words))]...)
	}
	return b[:n]
}

// block has the lz4 program compress b and returns the one block in its legacy frame.
func block(t testing.TB, b []byte) []byte {
	t.Helper()
	cmd := exec.Command("lz4", "-l", "-9", "-c")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("the lz4 program is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint32(out[4:])
	return out[8 : 8+n]
}

func TestAgainstTheProgram(t *testing.T) {
	for _, n := range []int{1, 15, 300, 70000, 4 << 20} {
		want := text(n)
		src := block(t, want)
		dst := make([]byte, n)
		if got, err := Decode(dst, src); err != nil || got != n || !bytes.Equal(dst, want) {
			t.Errorf("%d bytes: %d, %v", n, got, err)
		}
		half := dst[:n/2]
		clear(half)
		if got, err := DecodePartial(half, src); err != nil || got != n/2 || !bytes.Equal(half, want[:n/2]) {
			t.Errorf("first half of %d bytes: %d, %v", n, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range blocks {
		f.Add(b.src, 64)
	}
	f.Fuzz(func(t *testing.T, src []byte, size int) {
		if size < 0 || size > 1<<16 {
			return
		}
		buf := bytes.Repeat([]byte{0xa5}, size+16)
		n, err := Decode(buf[:size:size], src)
		if n < 0 || n > size {
			t.Fatalf("%d bytes into %d", n, size)
		}
		for _, b := range buf[size:] {
			if b != 0xa5 {
				t.Fatal("wrote past the destination")
			}
		}
		again := make([]byte, size)
		m, perr := DecodePartial(again, src)
		if err == nil && (perr != nil || m != n || !bytes.Equal(again[:m], buf[:n])) {
			t.Fatalf("the whole decodes to %d bytes, the part to %d, %v", n, m, perr)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	want := text(1 << 20)
	src := block(b, want)
	dst := make([]byte, len(want))
	b.SetBytes(int64(len(want)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(dst, src); err != nil {
			b.Fatal(err)
		}
	}
}
