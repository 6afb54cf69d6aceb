package evidence

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestZZMem(t *testing.T) {
	le := binary.LittleEndian
	mode := os.Getenv("ZZ")
	var b []byte
	local := make([]byte, 31+4000)
	for i := range local {
		local[i] = "/a"[i%2]
	}
	clear(local[:30])
	copy(local, "PK\x03\x04")
	le.PutUint16(local[26:], 1)
	local[30] = 'a'
	b = append(b, local...)
	n := 0
	dirStart := len(b)
	for len(b) < 99<<20 {
		name := fmt.Sprintf("%x", n)
		if mode == "sys" || mode == "gaps" || mode == "links" {
			name = fmt.Sprintf("system/app/%x/%x", n, n)
		}
		if mode == "deep" {
			name = fmt.Sprintf("%x/%x/%x/%x/%x/%x/%x/%x/%x", n, n, n, n, n, n, n, n, n)
		}
		c := make([]byte, 46)
		copy(c, "PK\x01\x02")
		le.PutUint16(c[28:], uint16(len(name)))
		if mode == "gaps" {
			le.PutUint32(c[42:], 0xfffffff0)
		}
		if mode == "links" {
			le.PutUint16(c[4:], 3<<8)
			le.PutUint32(c[38:], 0o120777<<16)
			le.PutUint32(c[20:], 4000)
			le.PutUint32(c[24:], 4000)
		}
		b = append(append(b, c...), name...)
		n++
	}
	size := len(b) - dirStart
	z := make([]byte, 56+20+22)
	copy(z, "PK\x06\x06")
	le.PutUint64(z[32:], uint64(n))
	le.PutUint64(z[40:], uint64(size))
	le.PutUint64(z[48:], uint64(dirStart))
	copy(z[56:], "PK\x06\x07")
	le.PutUint64(z[64:], uint64(len(b)))
	copy(z[76:], "PK\x05\x06")
	for i := 80; i < 96; i++ {
		if i >= 84 {
			z[i] = 0xff
		}
	}
	b = append(b, z...)
	p := t.TempDir() + "/x.zip"
	os.WriteFile(p, b, 0o644)
	b = nil
	fmt.Println(n, "entries")
	start := time.Now()
	e, err := Open(t.Context(), []string{p}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := e.Gaps()
	fmt.Println(len(e.Files()), len(e.Outside()), len(g), time.Since(start))
	for _, x := range g[:min(3, len(g))] {
		fmt.Println(x)
	}
	var ru syscall.Rusage
	syscall.Getrusage(0, &ru)
	fmt.Println("maxrss MiB", ru.Maxrss/1024)
}
