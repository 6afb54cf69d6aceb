package verity

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// naive computes the root the way the definition reads: level by level, whole.
func naive(data, salt []byte, block int) []byte {
	for first := true; ; first = false {
		if len(data) <= block && !first {
			break
		}
		for len(data)%block != 0 {
			data = append(data, 0)
		}
		if first && len(data) == block {
			break
		}
		var next []byte
		for b := data; len(b) > 0; b = b[block:] {
			s := sha256.Sum256(append(bytes.Clone(salt), b[:block]...))
			next = append(next, s[:]...)
		}
		for len(next)%block != 0 {
			next = append(next, 0)
		}
		data = next
	}
	s := sha256.Sum256(append(bytes.Clone(salt), data...))
	return s[:]
}

func TestTree(t *testing.T) {
	salt := []byte("salt")
	for _, n := range []int{1, 512, 513, 512 * 16, 512*16 + 1, 512 * 300, 3 << 20} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		tree, root, err := Tree(bytes.NewReader(data), int64(n), 512, salt, sha256.New())
		if err != nil {
			t.Fatal(err)
		}
		if want := naive(bytes.Clone(data), salt, 512); !bytes.Equal(root, want) {
			t.Errorf("%d bytes: root %x, want %x", n, root, want)
		}
		if len(tree) > 0 {
			top := sha256.Sum256(append(bytes.Clone(salt), tree[:512]...))
			if !bytes.Equal(top[:], root) {
				t.Errorf("%d bytes: the tree does not begin with the level nearest the root", n)
			}
		}
	}
}

// A digest takes a power of two: SHA-1's 20 bytes are padded to 32.
func TestDigestSlot(t *testing.T) {
	data := make([]byte, 2*512)
	tree, _, err := Tree(bytes.NewReader(data), int64(len(data)), 512, nil, sha1.New())
	if err != nil {
		t.Fatal(err)
	}
	s := sha1.Sum(data[:512])
	if len(tree) != 512 || !bytes.Equal(tree[32:52], s[:]) {
		t.Errorf("second digest %s, want %x", hex.EncodeToString(tree[32:52]), s)
	}
}

func TestGeometry(t *testing.T) {
	for _, block := range []int{0, 32, 1000, 1 << 20} {
		if _, _, err := Tree(bytes.NewReader(nil), 0, block, nil, sha256.New()); err != ErrGeometry {
			t.Errorf("block of %d: %v", block, err)
		}
	}
	if _, _, err := Tree(bytes.NewReader(nil), 1<<50, 4096, nil, sha256.New()); err != ErrGeometry {
		t.Errorf("a petabyte: %v", err)
	}
	if _, _, err := Tree(bytes.NewReader(make([]byte, 100)), 4096, 512, nil, sha256.New()); err == nil {
		t.Error("data cut short gives a tree")
	}
}

func BenchmarkTree(b *testing.B) {
	data := make([]byte, 16<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := Tree(bytes.NewReader(data), int64(len(data)), 4096, data[:32], sha256.New()); err != nil {
			b.Fatal(err)
		}
	}
}
