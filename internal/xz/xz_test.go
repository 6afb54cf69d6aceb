package xz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/ulikunitz/xz/lzma"
)

// code makes bytes in which every filter finds something to turn.
func code(n int) []byte {
	b := make([]byte, 0, n+16)
	for i := uint32(0); len(b) < n; i++ {
		b = binary.LittleEndian.AppendUint32(b, 0xeb000000|i*37&0xffffff)
		b = binary.LittleEndian.AppendUint32(b, 0xf800f000|i*5&0x7ff)
		b = binary.LittleEndian.AppendUint32(b, 0x94000000|i*91&0x3ffffff)
		b = binary.LittleEndian.AppendUint32(b, 0x90000000|i*7&0x1f|i<<5&0x3ffe0|i<<29&0x60000000)
	}
	return b[:n]
}

func lzma2(in io.Reader, dict int) (io.Reader, error) {
	return lzma.Reader2Config{DictCap: dict}.NewReader2(in)
}

func pack(t testing.TB, b []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append([]string{"-c", "-q"}, args...)...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("the xz program is not installed")
	}
	if err != nil {
		if len(args) > 0 && args[0] == "--arm64" {
			t.Logf("this xz has no filter %s", args[0])
			return nil
		}
		t.Fatal(err)
	}
	return out
}

func TestDecode(t *testing.T) {
	want := code(300001)
	for _, args := range [][]string{
		nil, {"--check=crc32"}, {"--check=sha256"}, {"--check=none"}, {"--block-size=70000"},
		{"--arm", "--lzma2=dict=1MiB"}, {"--armthumb", "--lzma2"}, {"--arm64", "--lzma2"}, {"-T2", "--block-size=100000"},
	} {
		b := pack(t, want, args...)
		if b == nil {
			continue
		}
		out, used, err := Decode(append(bytes.Clone(b), "070701 what follows"...), 1<<20, lzma2)
		if err != nil || used != int64(len(b)) || !bytes.Equal(out, want) {
			t.Errorf("%v: %d bytes from %d of %d, %v", args, len(out), used, len(b), err)
		}
	}
}

// The ARM64 filter is newer than Debian 12's xz: one BL and one ADRP worked out by hand.
func TestARM64(t *testing.T) {
	b := make([]byte, 0x2000+8)
	binary.LittleEndian.PutUint32(b[0x1000:], 0x94000405) // absolute word 0x405: 0x1014
	binary.LittleEndian.PutUint32(b[0x2004:], 0xb0000020) // page 5 absolute, at page 2
	arm64(b)
	if v := binary.LittleEndian.Uint32(b[0x1000:]); v != 0x94000005 {
		t.Errorf("bl %#x", v)
	}
	if v := binary.LittleEndian.Uint32(b[0x2004:]); v != 0xf0000000 {
		t.Errorf("adrp %#x, want page 3 onwards", v)
	}
}

func TestDamage(t *testing.T) {
	good := pack(t, code(5000), "--lzma2=dict=64KiB") // a dictionary of 8 MiB would be made for every try
	for n := 0; n < len(good); n += 1 + len(good)/200 {
		if _, _, err := Decode(good[:n], 1<<20, lzma2); err == nil {
			t.Fatalf("the first %d of %d bytes are a stream", n, len(good))
		}
	}
	b := bytes.Clone(good)
	b[len(b)/2] ^= 4
	var fe *Error
	if _, _, err := Decode(b, 1<<20, lzma2); !errors.As(err, &fe) {
		t.Errorf("a flipped bit: %v", err)
	}
	if out, _, err := Decode(good, 100, lzma2); err == nil || len(out) != 100 {
		t.Errorf("limit: %d bytes, %v", len(out), err)
	}
	if _, _, err := Decode(pack(t, code(5000), "--x86", "--lzma2"), 1<<20, lzma2); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("filter x86: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(pack(f, []byte("hello hello hello hello"), "--lzma2=dict=4KiB"))
	f.Add(pack(f, code(300), "--arm", "--lzma2=dict=4KiB"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, used, _ := Decode(b, 1<<16, lzma2)
		if len(out) > 1<<16 || used > int64(len(b)) {
			t.Fatalf("%d bytes from %d of %d", len(out), used, len(b))
		}
	})
}
