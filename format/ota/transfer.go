package ota

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"

	"gifthorse/internal/cursor"
	"gifthorse/internal/verity"
)

const (
	transferBlock = 4096 // BLOCKSIZE in blockimg.cpp
	// maxTransferList bounds the list, which is read as text. A full one has 100 KB, a large incremental one some 10 MB.
	maxTransferList = 128 << 20
)

// A TransferList is a *.transfer.list: the commands that write a partition block by block.
type TransferList struct {
	Version  int   // 1 to 4
	Blocks   int64 // blocks written, as the list states
	Commands []Command
	NewBytes int64 // size of the *.new.dat that goes with it
	Size     int64 // of the partition, as far as the commands write to it
	// Delta says why the list alone does not make the partition, nil if it does. It wraps [errors.ErrUnsupported].
	Delta error
}

// A Command is one line of a transfer list.
type Command struct {
	Name   string
	Off    int64       // of the line in the list
	Target [][2]uint64 // blocks it writes: first, and the one behind the last

	source [][2]uint64 // of compute_hash_tree
	alg    string
	salt   []byte
}

// NewTransferList reads a list. What it needs of *.new.dat comes with [TransferList.Open].
func NewTransferList(b []byte) (*TransferList, error) {
	if len(b) > maxTransferList {
		return nil, cursor.Errorf(0, "transfer list of %d bytes", len(b))
	}
	off := int64(0)
	line := func() (string, int64, bool) {
		if len(b) == 0 {
			return "", off, false
		}
		at := off
		l, rest, _ := bytes.Cut(b, []byte("\n"))
		off += int64(len(b) - len(rest))
		b = rest
		return strings.TrimSpace(string(l)), at, true
	}
	number := func(what string) (int64, error) {
		l, at, _ := line()
		n, err := strconv.ParseInt(l, 10, 64)
		if err != nil || n < 0 {
			return 0, cursor.Errorf(at, "transfer list: %s is %q", what, l)
		}
		return n, nil
	}
	v, err := number("version")
	if err != nil {
		return nil, err
	}
	if v < 1 || v > 4 {
		return nil, unsupported("transfer list version %d", v)
	}
	t := &TransferList{Version: int(v)}
	if t.Blocks, err = number("number of blocks"); err != nil {
		return nil, err
	}
	if v >= 2 { // stash slots and blocks, which only matter to the phone's memory
		for range 2 {
			if _, err := number("stash size"); err != nil {
				return nil, err
			}
		}
	}
	for {
		l, at, ok := line()
		if !ok {
			break
		}
		if l == "" {
			continue
		}
		if err := t.command(strings.Fields(l), at); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *TransferList) command(w []string, off int64) error {
	c := Command{Name: w[0], Off: off}
	arg := func(i int) ([][2]uint64, error) {
		if i < 0 || i >= len(w) {
			return nil, cursor.Errorf(off, "transfer list: %s has %d arguments", c.Name, len(w)-1)
		}
		return ranges(w[i], off)
	}
	var err error
	switch c.Name {
	case "new":
		if c.Target, err = arg(1); err != nil {
			return err
		}
		for _, r := range c.Target {
			if t.NewBytes += int64(r[1]-r[0]) * transferBlock; t.NewBytes > maxBytes {
				return cursor.Errorf(off, "transfer list: more than %d new bytes", int64(maxBytes))
			}
		}
	case "zero", "erase":
		c.Target, err = arg(1)
	case "compute_hash_tree":
		if len(w) < 6 {
			return cursor.Errorf(off, "transfer list: %s has %d arguments", c.Name, len(w)-1)
		}
		if c.Target, err = arg(1); err != nil {
			return err
		}
		c.source, err = arg(2)
		c.alg = w[3]
		var herr error
		if c.salt, herr = hex.DecodeString(w[4]); herr != nil {
			return cursor.Errorf(off, "transfer list: salt %q", w[4])
		}
	case "free", "stash":
		t.delta(c.Name, off)
	case "move", "bsdiff", "imgdiff":
		t.delta(c.Name, off)
		at := 1 // where the target stands, version 2
		switch {
		case t.Version == 1:
			at = len(w) - 1
		case c.Name == "move" && t.Version >= 3:
			at = 2
		case c.Name != "move" && t.Version == 2:
			at = 3
		case c.Name != "move":
			at = 5
		}
		c.Target, err = arg(at)
	case "abort":
		t.delta(c.Name, off)
	default:
		return unsupported("transfer list: command %q at byte %#x", c.Name, off)
	}
	if err != nil {
		return err
	}
	// An erased end is no part of the file system: block-level packages erase to the end of the partition.
	for _, r := range c.Target {
		if c.Name != "erase" {
			t.Size = max(t.Size, int64(r[1])*transferBlock)
		}
	}
	t.Commands = append(t.Commands, c)
	return nil
}

func (t *TransferList) delta(name string, off int64) {
	if t.Delta == nil {
		t.Delta = unsupported("transfer list: %s at byte %#x takes the old partition", name, off)
	}
}

// ranges reads "4,0,10,20,30": how many numbers follow, and pairs of a block and the one behind the last.
func ranges(s string, off int64) ([][2]uint64, error) {
	bad := func() ([][2]uint64, error) {
		return nil, cursor.Errorf(off, "transfer list: ranges %q", s[:min(len(s), 64)])
	}
	first, rest, _ := strings.Cut(s, ",")
	n, err := strconv.ParseUint(first, 10, 32)
	if err != nil || n%2 != 0 || n == 0 || n > uint64(len(s)) {
		return bad()
	}
	r := make([][2]uint64, n/2)
	for i := range r {
		for j := range 2 {
			var num string
			num, rest, _ = strings.Cut(rest, ",")
			if r[i][j], err = strconv.ParseUint(num, 10, 64); err != nil {
				return bad()
			}
		}
		if r[i][0] >= r[i][1] || r[i][1] > maxBytes/transferBlock {
			return bad()
		}
	}
	if rest != "" {
		return bad()
	}
	return r, nil
}

// Unpack unpacks a *.new.dat.br into w, no more than the list needs. Brotli has no random access, so the caller keeps
// what is unpacked, in a private file as a rule, for [TransferList.Open].
func (t *TransferList) Unpack(w io.Writer, packed io.Reader) error {
	n, err := io.CopyBuffer(w, io.LimitReader(brotli.NewReader(packed), t.NewBytes), make([]byte, 1<<20))
	if err != nil {
		return fmt.Errorf("new.dat.br after %d bytes: %w", n, err)
	}
	if n < t.NewBytes {
		return cursor.Errorf(n, "new.dat.br unpacks to %d bytes, the transfer list needs %d", n, t.NewBytes)
	}
	return nil
}

// Open returns the partition that the list makes from the size bytes of *.new.dat. Blocks that no command writes are zeros, unless
// Delta is set. What takes the old partition gives errors that wrap [errors.ErrUnsupported].
func (t *TransferList) Open(dat io.ReaderAt, size int64) *Image {
	var spans []span
	starts := make([]int64, len(t.Commands)) // of a command's data in dat
	next := int64(0)
	for i, c := range t.Commands {
		starts[i] = next
		off := int64(0)
		for _, r := range c.Target {
			start, end := int64(r[0])*transferBlock, min(int64(r[1])*transferBlock, t.Size)
			if start < end {
				spans = append(spans, span{start, end, i, off})
			}
			off += int64(r[1]-r[0]) * transferBlock
		}
		if c.Name == "new" {
			next += off
		}
	}
	m := &Image{size: t.Size, spans: lay(spans)}
	if t.Delta != nil {
		m.holes = t.Delta
	}
	var mu sync.Mutex
	trees := map[int][]byte{}
	m.read = func(step int, b []byte, off int64) error {
		c := &t.Commands[step]
		switch c.Name {
		case "new":
			at := starts[step] + off
			if at > size || int64(len(b)) > size-at {
				return cursor.Errorf(at, "new.dat has %d bytes, the transfer list needs %d", size, t.NewBytes)
			}
			if n, err := dat.ReadAt(b, at); n < len(b) {
				return readError(at, err)
			}
			return nil
		case "zero", "erase":
			clear(b)
			return nil
		case "compute_hash_tree":
			mu.Lock()
			defer mu.Unlock()
			tree := trees[step]
			if tree == nil {
				var err error
				if tree, err = c.hashTree(t.Open(dat, size), step, t); err != nil {
					return err
				}
				trees[step] = tree
			}
			n := 0
			if off < int64(len(tree)) {
				n = copy(b, tree[off:])
			}
			clear(b[n:])
			return nil
		}
		return unsupported("transfer list: %s at byte %#x takes the old partition", c.Name, c.Off)
	}
	return m
}

func (c *Command) hashTree(m *Image, step int, t *TransferList) ([]byte, error) {
	var h hash.Hash
	switch c.alg {
	case "sha1":
		h = sha1.New()
	case "sha256":
		h = sha256.New()
	default:
		return nil, unsupported("transfer list: hash tree with %q", c.alg)
	}
	if len(c.source) != 1 || len(c.Target) != 1 || c.source[0][0] < c.Target[0][1] && c.Target[0][0] < c.source[0][1] {
		return nil, unsupported("transfer list: hash tree at byte %#x over several ranges or over itself", c.Off)
	}
	for i := range t.Commands {
		if o := &t.Commands[i]; i != step && o.Name == c.Name && o.Target[0][0] < c.source[0][1] && c.source[0][0] < o.Target[0][1] {
			return nil, unsupported("transfer list: hash tree at byte %#x over another", c.Off)
		}
	}
	start, end := int64(c.source[0][0])*transferBlock, int64(c.source[0][1])*transferBlock
	if end > m.size {
		return nil, cursor.Errorf(c.Off, "transfer list: hash tree over %d bytes, the partition has %d", end, m.size)
	}
	tree, _, err := verity.Tree(io.NewSectionReader(m, start, end-start), end-start, transferBlock, c.salt, h)
	return tree, err
}
