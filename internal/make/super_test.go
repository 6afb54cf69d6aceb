package make

import (
	"bytes"
	"io"
	"testing"

	"gifthorse/format/super"
)

// The reader knows the format from its own tests.
func TestSuper(t *testing.T) {
	parts := []Image{{"system_a", bytes.Repeat([]byte("system"), 2000)}, {"system_b", nil}, {"vendor_a", []byte("vendor")}}
	b, err := Super(parts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3} {
		var pieces []super.Part
		for _, p := range Sparse(b, n) {
			pieces = append(pieces, super.Part{Name: "piece", R: bytes.NewReader(p), Size: int64(len(p))})
		}
		sparse, err := super.NewSparse(pieces...)
		if err != nil || len(sparse.Gaps) > 0 || sparse.Size() != int64(len(b)) {
			t.Fatalf("%d pieces: %v, %v", n, err, sparse)
		}
		s, err := super.New(super.Part{Name: "super", R: sparse, Size: sparse.Size()})
		if err != nil || len(s.Gaps) > 0 {
			t.Fatalf("%d pieces: %v, %v", n, err, s)
		}
		for _, p := range parts {
			r, err := s.Open(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			want := append(bytes.Clone(p.Data), make([]byte, -len(p.Data)&4095)...)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s in %d pieces has %d bytes, %v; want %d", p.Name, n, len(got), err, len(want))
			}
		}
	}
	if _, err := Super(Image{Name: string(bytes.Repeat([]byte("x"), 37))}); err == nil {
		t.Error("a name that has no room was written")
	}
}
