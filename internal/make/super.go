package make

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// An Image is the content of a partition.
type Image struct {
	Name string // at most 36 bytes
	Data []byte
}

// Super makes a super partition with read-only logical partitions, each in one extent, on one device. Its metadata
// are those of [Metadata].
func Super(parts ...Image) ([]byte, error) {
	list := make([]Partition, len(parts))
	for i, p := range parts {
		list[i] = Partition{Name: p.Name, Size: int64(len(p.Data))}
	}
	b, err := Metadata([]string{"super"}, list)
	if err != nil {
		return nil, err
	}
	for i, p := range list {
		if p.Size > 0 {
			b = append(append(b, make([]byte, int(p.At)-len(b))...), parts[i].Data...)
		}
	}
	return append(b, make([]byte, -len(b)&4095)...), nil
}

// A Partition is where a logical partition goes.
type Partition struct {
	Name   string // at most 36 bytes
	Size   int64  // bytes; 0 for one that is empty
	Device int    // which of the devices it lies on
	At     int64  // where on it, which Metadata sets: a multiple of 4096
}

// Metadata lays partitions out on block devices, of which mostly there is one, "super". It returns what stands before the contents
// on the first: metadata with one slot, of version 10.0 (AOSP system/core/fs_mgr/liblp/include/liblp/metadata_format.h).
func Metadata(devices []string, parts []Partition) ([]byte, error) {
	const (
		geometry, metadata, most = 4096, 12288, 64 << 10
		sector                   = 512
	)
	le := binary.LittleEndian
	name := func(s string) []byte { return append([]byte(s), make([]byte, 36-len(s))...) }
	const first = metadata + 2*most // of the contents
	ends := make([]int64, len(devices))
	for i := range ends {
		ends[i] = first
	}
	var partitions, extents, table []byte
	for i := range parts {
		p := &parts[i]
		if len(p.Name) > 36 {
			return nil, fmt.Errorf("partition %q: its name is too long", p.Name)
		}
		count := uint32(0)
		if p.Size > 0 {
			count = 1
		}
		partitions = append(partitions, name(p.Name)...)
		for _, v := range []uint32{1, uint32(len(extents) / 24), count, 0} { // read-only; first extent; how many; group
			partitions = le.AppendUint32(partitions, v)
		}
		if count == 0 {
			continue
		}
		p.At = ends[p.Device]
		ends[p.Device] += (p.Size + 4095) &^ 4095
		extents = le.AppendUint64(extents, uint64(ends[p.Device]-p.At)/sector)
		extents = le.AppendUint32(extents, 0) // linear
		extents = le.AppendUint64(extents, uint64(p.At/sector))
		extents = le.AppendUint32(extents, uint32(p.Device))
		if len(partitions)+len(extents) > most-8192 {
			return nil, fmt.Errorf("%d partitions are too many", i)
		}
	}
	group := append(name("default"), make([]byte, 12)...)
	for i, d := range devices {
		table = le.AppendUint64(table, first/sector)
		table = le.AppendUint64(table, 0) // alignment
		table = le.AppendUint64(table, uint64(ends[i]))
		table = append(append(table, name(d)...), 0, 0, 0, 0)
	}

	tables := bytes.Join([][]byte{partitions, extents, group, table}, nil)
	h := make([]byte, 128)
	copy(h, "0PLA")
	le.PutUint16(h[4:], 10)
	le.PutUint32(h[8:], uint32(len(h)))
	le.PutUint32(h[44:], uint32(len(tables)))
	sum := sha256.Sum256(tables)
	copy(h[48:], sum[:])
	off := 0
	for i, t := range []struct{ size, entry int }{{len(partitions), 52}, {len(extents), 24}, {len(group), 48}, {len(table), 64}} {
		le.PutUint32(h[80+12*i:], uint32(off))
		le.PutUint32(h[84+12*i:], uint32(t.size/t.entry))
		le.PutUint32(h[88+12*i:], uint32(t.entry))
		off += t.size
	}
	sum = sha256.Sum256(h)
	copy(h[12:], sum[:])

	g := make([]byte, 52)
	copy(g, "gDla")
	le.PutUint32(g[4:], uint32(len(g)))
	le.PutUint32(g[40:], most)
	le.PutUint32(g[44:], 1)
	le.PutUint32(g[48:], 4096)
	sum = sha256.Sum256(g)
	copy(g[8:], sum[:])

	b := make([]byte, first)
	for i := range 2 { // all is there twice
		copy(b[geometry*(1+i):], g)
		copy(b[metadata+most*i:], h)
		copy(b[metadata+most*i+len(h):], tables)
	}
	return b, nil
}

// Sparse makes a sparse image of b, with blocks of 4 KiB and those of zeros left out, or cut into pieces as for a
// device that takes so much at a time (AOSP system/core/libsparse/sparse_format.h).
func Sparse(b []byte, pieces int) [][]byte {
	const block = 4096
	le := binary.LittleEndian
	b = append(bytes.Clone(b), make([]byte, -len(b)&(block-1))...)
	blocks := len(b) / block
	out := make([][]byte, pieces)
	zero := make([]byte, block)
	for i := range out {
		from, to := blocks*i/pieces, blocks*(i+1)/pieces
		chunks := uint32(0)
		var body []byte
		chunk := func(kind uint16, n int, data []byte) {
			if n == 0 {
				return
			}
			chunks++
			body = le.AppendUint32(body, uint32(kind))
			body = le.AppendUint32(body, uint32(n))
			body = le.AppendUint32(body, uint32(12+len(data)))
			body = append(body, data...)
		}
		const raw, dontCare = 0xcac1, 0xcac3
		chunk(dontCare, from, nil)
		for from < to {
			n := 0
			empty := bytes.Equal(b[from*block:(from+1)*block], zero)
			for from+n < to && bytes.Equal(b[(from+n)*block:(from+n+1)*block], zero) == empty {
				n++
			}
			if empty {
				chunk(dontCare, n, nil)
			} else {
				chunk(raw, n, b[from*block:(from+n)*block])
			}
			from += n
		}
		chunk(dontCare, blocks-to, nil)
		h := make([]byte, 28)
		le.PutUint32(h, 0xed26ff3a)
		le.PutUint16(h[4:], 1)
		le.PutUint16(h[8:], 28)
		le.PutUint16(h[10:], 12)
		le.PutUint32(h[12:], block)
		le.PutUint32(h[16:], uint32(blocks))
		le.PutUint32(h[20:], chunks)
		out[i] = append(h, body...)
	}
	return out
}
