package erofs

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gifthorse/internal/imgtest"
	"gifthorse/internal/lz4"
)

// A part of a real system partition, made into an LZ4 image such as a phone has, against the files and against what fsck.erofs takes out.
func TestPhone(t *testing.T) {
	dir := imgtest.Phone(t, 6<<20)
	contexts := filepath.Join(t.TempDir(), "file_contexts")
	if err := os.WriteFile(contexts, []byte("/.* u:object_r:system_file:s0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	img := mkfs(t, dir, "-zlz4", "-C16384", "-Eztailpacking", "--file-contexts="+contexts)
	f := open(t, img)
	same(t, f, dir, false)
	labels := 0
	fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if info, err := f.Info(name); err == nil && info.Label == "u:object_r:system_file:s0" {
			labels++
		} else if name != "." {
			t.Errorf("%s: label %q, %v", name, info.Label, err)
		}
		return nil
	})
	if labels < 10 {
		t.Errorf("%d labels", labels)
	}
	name := filepath.Join(t.TempDir(), "img")
	out := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(name, img, 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("fsck.erofs", "--extract="+out, name).CombinedOutput(); err != nil {
		t.Fatalf("fsck.erofs: %v\n%s", err, b)
	}
	same(t, f, out, false)
}

// Hash lists and hashes all files of LZ4 images; Bare decodes and hashes the same extents where they lie in memory. The first should
// cost at most 1.7 times the second.
func BenchmarkHash(b *testing.B) {
	dir := imgtest.Phone(b, 24<<20)
	for _, args := range []string{"-zlz4", "-zlz4 -C65536"} {
		img := mkfs(b, dir, strings.Fields(args)...)
		f := open(b, img)
		type piece struct {
			enc   []byte
			size  int64
			plain bool
		}
		var pieces []piece
		total := int64(0)
		fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			r, err := f.Open(name)
			if err != nil {
				return err
			}
			n, err := f.Node(name)
			if err != nil {
				return err
			}
			ino, err := f.pooled(n.ID)
			if err != nil {
				return err
			}
			c, err := f.content(ino)
			if err != nil {
				return err
			}
			total += c.ino.size
			if c.z == nil {
				buf, _ := io.ReadAll(r)
				pieces = append(pieces, piece{buf, int64(len(buf)), true})
				return nil
			}
			for off := int64(0); off < c.ino.size; {
				e, err := c.extentAt(off)
				if err != nil {
					return err
				}
				enc := img[e.off : e.off+e.encSize]
				for enc[0] == 0 && e.alg == algLZ4 {
					enc = enc[1:]
				}
				pieces = append(pieces, piece{enc, e.size, e.alg != algLZ4})
				off = e.start + e.size
			}
			return nil
		})
		b.Run(fmt.Sprint("FS ", args), func(b *testing.B) {
			b.SetBytes(total)
			b.ReportAllocs()
			for b.Loop() {
				f := open(b, img)
				h := sha256.New()
				err := fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
					if err != nil || !d.Type().IsRegular() {
						return err
					}
					r, err := f.Open(name)
					if err != nil {
						return err
					}
					_, err = io.Copy(h, r)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("Bare ", args), func(b *testing.B) {
			b.SetBytes(total)
			buf := make([]byte, maxDecoded)
			for b.Loop() {
				h := sha256.New()
				for _, p := range pieces {
					if p.plain {
						h.Write(p.enc[:p.size])
					} else if n, err := lz4.DecodePartial(buf[:p.size], p.enc); int64(n) != p.size {
						b.Fatal(n, err)
					} else {
						h.Write(buf[:n])
					}
				}
			}
		})
	}
}
