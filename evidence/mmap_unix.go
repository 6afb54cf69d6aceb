//go:build unix

package evidence

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapsFollow says that what is written to a file shows in a mapping made before.
const mapsFollow = true

// mapFile maps n bytes of f from off, which is a multiple of the page size, to read. n is not 0.
func mapFile(f *os.File, off int64, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), off, n, unix.PROT_READ, unix.MAP_SHARED)
}

func unmap(b []byte) { unix.Munmap(b) }
