package imgtest

import (
	"strings"
	"syscall"
)

// Xattrs returns the extended attributes of a file of this machine, nil if it has none.
func Xattrs(name string) map[string][]byte {
	var m map[string][]byte
	b := make([]byte, 1<<16)
	n, err := syscall.Listxattr(name, b)
	if err != nil {
		return nil
	}
	for attr := range strings.SplitSeq(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00") {
		v := make([]byte, 1<<16)
		if n, err := syscall.Getxattr(name, attr, v); err == nil {
			if m == nil {
				m = map[string][]byte{}
			}
			m[attr] = v[:n]
		}
	}
	return m
}
