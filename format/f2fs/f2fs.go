// Package f2fs reads F2FS, the log-structured file system that most Android phones have as their data partition and
// some as their read-only system partitions, in place.
//
// [New] finds the superblock and the newest checkpoint. The [FS] it returns is an io/fs file system: directories, inodes and
// blocks are found by way of the node address table when they are asked for, straight from the image, and an opened
// file is an io.ReaderAt over it. What only an image knows of a file (owner, SELinux label, capabilities) is in [Info]. An FS
// and its files may be used by several goroutines.
//
// Symbolic links are not followed, neither within a path nor at its end: an image does not know where it will be mounted.
// [FS.ReadLink] gives the target, and so does reading the opened link.
//
// # Errors
//
// What is damaged gives a *[FormatError] at an offset of the image, what is known but not read an error that wraps
// errors.ErrUnsupported ([ErrEncrypted] does); an *fs.PathError is around both, but not around errors of reading an opened file.
// One broken inode, block or attribute does not spoil the others: ReadDir returns the entries it could read together with the first error.
// A file's size is what its inode says: holes cost nothing in an image, so whoever reads files to their end has to look at the size first.
//
// A directory may be reached by one path only. If an image offers a second one (a directory that contains itself or its
// parent, or hard links to directories), the path used first is good and the other gives a *FormatError, so a walk ends.
//
// # Format
//
// Linux, include/linux/f2fs_fs.h and fs/f2fs: super.c, checkpoint.c (f2fs_get_valid_checkpoint), node.c (current_nat_addr, get_node_path), segment.c
// (read_compacted_summaries, read_normal_summaries), inode.c (do_read_inode), inline.c, dir.c (f2fs_fill_dentries), xattr.c, compress.c.
// Read are: blocks of 4 to 16 KiB; both superblocks and both checkpoint packs; entries of the node address table in the
// journal; data and directories in the inode; direct, indirect and double indirect nodes; extra attributes; extended attributes in the
// inode and in a node of their own; clusters packed with LZ4 or Zstandard. Blocks of more than 4 KiB go by the header's formulas
// alone: no tool at hand makes an image with them.
//
// # Not read
//
// What was written after the last checkpoint is not recovered, though a phone that had no time to write one would roll forward what was
// synced: [FS.NeedsRecovery] says that there may be such. Encrypted files and directories, clusters packed with LZO or LZO-RLE,
// data on further devices: errors that wrap errors.ErrUnsupported. Checksums are compared only to choose the checkpoint; if no pack's
// are right the newest is taken, and [FS.Gaps] says so. The segment tables serve writing and are passed over, as are hashes of names (in
// a directory that ignores case names are looked up as written), orphans, quotas and the trees of fs-verity.
package f2fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"
	"unicode/utf16"

	"gifthorse/internal/cursor"
	"gifthorse/internal/imgfs"
)

// FormatError says what is wrong with a file system, and at which byte of the image.
type FormatError = cursor.FormatError

// ErrEncrypted is the error of files and directories that fscrypt has encrypted. It wraps errors.ErrUnsupported.
var ErrEncrypted = fmt.Errorf("encrypted: %w", errors.ErrUnsupported)

const (
	superOffset = 1024
	superMagic  = 0xf2f52010

	featExtra       = 0x8
	featFlexible    = 0x40 // each inode says how much room it keeps for attributes
	featCompression = 0x2000

	// Bits of ckpt_flags.
	cpUmount   = 0x1
	cpCompact  = 0x4
	cpFastboot = 0x20
	cpLargeNAT = 0x400

	cpBitmap = 192 // where the bitmaps begin in a checkpoint

	// maxNAT is how many blocks of the node address table are kept: the addresses of 29000 inodes, 256 KiB.
	maxNAT = 64

	footerSize = 24
	natEntry   = 9
)

var le = binary.LittleEndian

// An FS is an opened file system.
type FS struct {
	*imgfs.Tree[*inode, Info] // the files

	Volume string   // the label given when it was made
	UUID   [16]byte // as stored, that is, in the order it is printed
	Size   int64    // bytes, as the superblock has it; the image may be shorter or longer

	// NeedsRecovery says that the file system was not unmounted: there may be writes after the last checkpoint.
	NeedsRecovery bool

	// Gaps is what is known at opening to be missing or doubtful: an image that ends before its file system, a broken superblock or checkpoint.
	Gaps []error

	r    io.ReaderAt
	size int64

	block    int64 // size of a block
	segLog   uint  // blocks of a segment
	features uint32
	root     uint32
	nids     uint32   // numbers of nodes are below this
	natStart int64    // in blocks
	main     uint32   // the first block of nodes and data
	end      uint32   // and the one after the last
	devices  bool     // there are others than this
	packs    [2]int64 // where the checkpoint packs begin
	payload  bool     // the segment table's bitmap has blocks of its own behind the checkpoint's first
	bitmap   []byte   // which of the two copies of a block of the node address table is in force
	journal  map[uint32]uint32
	decoders decoders

	buffers sync.Pool // of *[]byte of a block

	mu  sync.Mutex
	nat map[int64][]byte
}

// New opens the file system in the first size bytes of r. The error is a *FormatError if there is none, or if neither
// superblock or no checkpoint makes sense.
func New(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size, nat: map[int64][]byte{}}
	var first error
	// The second superblock begins with the second block, and how large a block is stands in the first.
	for _, at := range []int64{superOffset, 4096 + superOffset, 8192 + superOffset, 16384 + superOffset} {
		err := f.super(at)
		if err == nil {
			break
		}
		if first == nil {
			first = err
		}
		if at == 16384+superOffset {
			return nil, first
		}
	}
	if first != nil {
		f.Gaps = append(f.Gaps, cursor.Errorf(superOffset, "the second superblock is used, the first is damaged: %v", first))
	}
	f.buffers.New = func() any { b := make([]byte, f.block); return &b }
	if err := f.checkpoint(); err != nil {
		return nil, err
	}
	if f.Size > size {
		f.Gaps = append(f.Gaps, cursor.Errorf(size, "the image ends here, its file system at %#x", f.Size))
	}
	f.Tree = imgfs.New(imgfs.Format[*inode, Info]{Root: uint64(f.root), Dir: f.readDir, Info: f.info,
		Inode:   func(num uint64) (*inode, error) { return f.inode(uint32(num)) },
		Content: func(ino *inode) (io.ReaderAt, error) { return f.content(ino) }})
	return f, nil
}

// read fills b from the image at off.
func (f *FS) read(b []byte, off int64) error {
	if off < 0 || off > f.size || int64(len(b)) > f.size-off {
		if f.devices && off >= 0 {
			return fmt.Errorf("data on another device: %w", errors.ErrUnsupported)
		}
		return cursor.Errorf(off, "%d bytes wanted of an image of %d", len(b), f.size)
	}
	n, err := f.r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return cursor.Errorf(off+int64(n), "image ends early")
	}
	return fmt.Errorf("at byte %#x: %w", off, err)
}

// super reads the superblock at a byte of the image: super.c, sanity_check_raw_super.
func (f *FS) super(at int64) error {
	var sb [2745]byte
	if err := f.read(sb[:], at); err != nil {
		return err
	}
	bad := func(field int64, format string, args ...any) error { return cursor.Errorf(at+field, format, args...) }
	if m := le.Uint32(sb[:]); m != superMagic {
		return bad(0, "no F2FS superblock: magic is %#x", m)
	}
	log := le.Uint32(sb[16:])
	if log < 12 || log > 14 {
		return bad(16, "blocks of 2^%d bytes", log)
	}
	if f.block = 1 << log; at != superOffset && at != f.block+superOffset {
		return bad(16, "a superblock in the wrong place for blocks of %d bytes", f.block)
	}
	f.segLog = uint(le.Uint32(sb[20:]))
	if f.segLog != 9 {
		return bad(20, "segments of 2^%d blocks", f.segLog)
	}
	blocks := le.Uint64(sb[36:])
	if blocks > math.MaxUint32 {
		return bad(36, "%d blocks", blocks)
	}
	f.Size = int64(blocks) * f.block
	f.natStart, f.main = int64(le.Uint32(sb[84:])), le.Uint32(sb[92:])
	cp, segments, natSegments := le.Uint32(sb[76:]), uint64(le.Uint32(sb[68:])), uint64(le.Uint32(sb[60:]))
	end := uint64(f.main) + segments<<f.segLog
	if end > math.MaxUint32 || uint64(f.natStart)+natSegments<<f.segLog > uint64(f.main) || cp == 0 || int64(cp) >= f.natStart {
		return bad(76, "areas of blocks that overlap: checkpoint %d, node address table %d, main %d to %d", cp, f.natStart, f.main, end)
	}
	f.end = uint32(end)
	// Half of the table's segments are the other copies of blocks.
	f.nids = uint32(min(natSegments/2<<f.segLog*uint64(f.block/natEntry), math.MaxUint32))
	f.root = le.Uint32(sb[96:])
	f.features = le.Uint32(sb[2180:])
	copy(f.UUID[:], sb[108:124])
	var name []uint16
	for i := 124; i < 1148; i += 2 {
		c := le.Uint16(sb[i:])
		if c == 0 {
			break
		}
		name = append(name, c)
	}
	f.Volume = string(utf16.Decode(name))
	f.devices = sb[2201+68] != 0 // the path of the second
	f.natStart *= f.block
	f.packs = [2]int64{int64(cp) * f.block, (int64(cp) + 1<<f.segLog) * f.block}
	f.payload = le.Uint32(sb[1664:]) > 0
	return nil
}

// A pack is a checkpoint pack.
type pack struct {
	at      int64 // in the image
	block   []byte
	version uint64
	total   int64 // blocks
}

// pack reads a checkpoint pack and checks it as the kernel does: its first and last block must have the same version and
// right checksums (checkpoint.c, validate_checkpoint). If only that is wrong it is returned together with the error.
func (f *FS) pack(at int64) (*pack, error) {
	p := &pack{at: at, block: make([]byte, f.block)}
	if err := f.read(p.block, at); err != nil {
		return nil, err
	}
	p.version = le.Uint64(p.block)
	p.total = int64(le.Uint32(p.block[136:]))
	if p.total <= 2 || p.total > 1<<f.segLog {
		return nil, cursor.Errorf(at+136, "a checkpoint pack of %d blocks", p.total)
	}
	if err := f.checksum(p.block, at); err != nil {
		return p, err
	}
	last := make([]byte, f.block)
	off := at + (p.total-1)*f.block
	if err := f.read(last, off); err != nil {
		return p, err
	}
	if err := f.checksum(last, off); err != nil {
		return p, err
	}
	if v := le.Uint64(last); v != p.version {
		return p, cursor.Errorf(off, "a checkpoint pack that begins with version %d and ends with %d", p.version, v)
	}
	return p, nil
}

// checksum compares the checksum of a checkpoint: CRC-32 begun with the magic and not inverted (f2fs_checkpoint_chksum).
func (f *FS) checksum(b []byte, at int64) error {
	off := int64(le.Uint32(b[164:]))
	if off < cpBitmap || off > f.block-4 {
		return cursor.Errorf(at+164, "the checksum of a checkpoint at %d", off)
	}
	sum := crc32.Update(^uint32(superMagic), crc32.IEEETable, b[:off])
	if off < f.block-4 {
		sum = crc32.Update(sum, crc32.IEEETable, b[off+4:])
	}
	if ^sum != le.Uint32(b[off:]) {
		return cursor.Errorf(at+off, "a checkpoint with a wrong checksum")
	}
	return nil
}

// checkpoint takes what is needed from the newest checkpoint.
func (f *FS) checkpoint() error {
	var best, doubtful *pack
	var first error
	for _, at := range f.packs {
		p, err := f.pack(at)
		if first == nil {
			first = err
		}
		// Versions are counted on and may pass zero.
		switch {
		case p == nil:
		case err != nil:
			if doubtful == nil || int64(p.version-doubtful.version) > 0 {
				doubtful = p
			}
		case best == nil || int64(p.version-best.version) > 0:
			best = p
		}
	}
	if best == nil {
		if doubtful == nil {
			return first
		}
		best = doubtful
		f.Gaps = append(f.Gaps, cursor.Errorf(best.at, "neither checkpoint is whole, the newest is used: %v", first))
	}
	cp := best.block
	flags := le.Uint32(cp[132:])
	f.NeedsRecovery = flags&cpUmount == 0

	// Where the bitmap is: __bitmap_ptr in f2fs.h.
	off := int64(cpBitmap)
	switch {
	case flags&cpLargeNAT != 0:
		off += 4
	case !f.payload:
		off += int64(le.Uint32(cp[156:])) // that of the segment table comes first
	}
	n := int64(le.Uint32(cp[160:]))
	if n > f.block {
		// A large bitmap goes on in the blocks behind.
		if flags&cpLargeNAT == 0 || n > best.total*f.block {
			return cursor.Errorf(best.at+160, "a bitmap of %d bytes for the node address table", n)
		}
	}
	f.bitmap = make([]byte, n)
	if err := f.read(f.bitmap, best.at+off); err != nil {
		return err
	}
	return f.readJournal(best, flags)
}

// readJournal reads the entries of the node address table that stand in the summary of the hot data segment: segment.c,
// restore_curseg_summaries.
func (f *FS) readJournal(p *pack, flags uint32) error {
	sums := f.block / 8 * 7 // the entries of a summary
	var off int64
	switch {
	case flags&cpCompact != 0:
		off = int64(le.Uint32(p.block[140:])) * f.block
	case flags&(cpUmount|cpFastboot) != 0:
		off = (p.total-7)*f.block + sums
	default:
		off = (p.total-4)*f.block + sums
	}
	if off < 0 || off >= p.total*f.block {
		return cursor.Errorf(p.at+140, "summaries outside of the checkpoint pack")
	}
	b := make([]byte, f.block-5-sums)
	if err := f.read(b, p.at+off); err != nil {
		return err
	}
	n := int(le.Uint16(b))
	if n > (len(b)-2)/(4+natEntry) {
		f.Gaps = append(f.Gaps, cursor.Errorf(p.at+off, "a journal of %d entries", n))
		return nil
	}
	f.journal = make(map[uint32]uint32, n)
	for i := range n {
		e := b[2+i*(4+natEntry):]
		if nid := le.Uint32(e); f.journal[nid] == 0 { // the first counts: lookup_journal_in_cursum
			f.journal[nid] = le.Uint32(e[9:])
		}
	}
	return nil
}

// address returns the block where a node is: node.c, f2fs_get_node_info.
func (f *FS) address(nid uint32) (uint32, error) {
	if nid == 0 || nid >= f.nids {
		return 0, cursor.Errorf(f.natStart, "node %d of %d", nid, f.nids)
	}
	if a, ok := f.journal[nid]; ok {
		return a, nil
	}
	per := uint32(f.block / natEntry)
	i := int64(nid / per)
	// Segments of the table are followed by their copies.
	at := i<<1 - i&(1<<f.segLog-1)
	if i/8 < int64(len(f.bitmap)) && f.bitmap[i/8]&(0x80>>(i&7)) != 0 {
		at += 1 << f.segLog
	}
	at = f.natStart + at*f.block
	f.mu.Lock()
	b := f.nat[at]
	f.mu.Unlock()
	if b == nil {
		b = make([]byte, f.block)
		if err := f.read(b, at); err != nil {
			return 0, err
		}
		f.mu.Lock()
		if len(f.nat) >= maxNAT {
			clear(f.nat)
		}
		f.nat[at] = b
		f.mu.Unlock()
	}
	return le.Uint32(b[nid%per*natEntry+5:]), nil
}

// node fills b with a node and returns where it stands in the image.
func (f *FS) node(b []byte, nid uint32) (int64, error) {
	a, err := f.address(nid)
	if err != nil {
		return 0, err
	}
	if !f.valid(a) {
		return 0, cursor.Errorf(f.natStart, "node %d in block %#x", nid, a)
	}
	at := int64(a) * f.block
	if err := f.read(b, at); err != nil {
		return 0, err
	}
	if n := le.Uint32(b[f.block-footerSize:]); n != nid {
		return 0, cursor.Errorf(at+f.block-footerSize, "node %d where %d should be", n, nid)
	}
	return at, nil
}

// valid tells whether a block can hold a node or data.
func (f *FS) valid(a uint32) bool { return a >= f.main && a < f.end }

func (f *FS) buffer() *[]byte { return f.buffers.Get().(*[]byte) }
