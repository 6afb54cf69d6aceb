//go:build !unix

package evidence

import (
	"io"
	"os"
)

// mapsFollow says that what is written to a file shows in a mapping made before. Here a mapping is a copy.
const mapsFollow = false

// mapFile reads n bytes of f from off.
func mapFile(f *os.File, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(f, off, int64(n)), b)
	return b, err
}

func unmap([]byte) {}
