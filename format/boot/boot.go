// Package boot reads what a bootloader loads: boot, init_boot, recovery and vendor_boot images, their ramdisks
// and kernels, DTBO tables, and the Verified Boot structures that vouch for them and for every other partition.
//
// [New] reads an image's header and names its parts; [File.OpenRamdisk] unpacks one ramdisk into an [io/fs.FS] and
// the list of its archive entries; [File.Kernel] finds the kernel's version and configuration. [NewRamdisk], [NewKernel]
// and [NewDTBO] read the same things when they lie about as files of their own.
// [NewVBMeta] reads a vbmeta structure (the vbmeta partition), [NewFooter] the footer that other partitions and APEX
// payloads carry and the structure it points to; [VerifyHash] and [VerifyHashtree] compute a partition's digest again.
// [File.BootSignature] reads the signature of Android 5 to 7 that followed the image.
//
// Formats: system/tools/mkbootimg/include/bootimg/bootimg.h (image headers), system/libufdt/utils/src/dt_table.h (DTBO),
// the kernel's Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c (ramdisks),
// external/avb/libavb/avb_vbmeta_image.h, avb_footer.h and avb_*_descriptor.h (Verified Boot 2.0) and
// system/extras/verity/BootSignature.java (Verified Boot 1.0).
// Numbers are little-endian but in DTBO tables and vbmeta structures.
//
// # Not read
//
// Images that are no Android boot image (Sony's ELF, Nvidia's blob, Samsung's PXA header, Chrome OS kernels), device trees
// themselves, LZO, the old ASCII and binary cpio forms (the kernel refuses them too), ML-DSA signatures, digests kept in the
// phone's own storage, forward error correction, the verity metadata that Android 4.4 to 7 put behind a file system.
package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"gifthorse/internal/cursor"
)

// A FormatError says what is wrong with an image, and at which byte of it.
type FormatError = cursor.FormatError

const (
	bootMagic   = "ANDROID!"
	vendorMagic = "VNDRBOOT"

	sizeV0 = 1632 // struct boot_img_hdr_v0
	sizeV1 = 1648
	sizeV2 = 1660
	sizeV3 = 1580
	sizeV4 = 1584

	sizeVendorV3 = 2112 // struct vendor_boot_img_hdr_v3
	sizeVendorV4 = 2128

	sizeFragment = 108 // struct vendor_ramdisk_table_entry_v4

	// maxPage bounds the page size. bootimg.h says 2048 to 16384; Tegra boards used 128 KiB pages.
	maxPage = 128 << 10
	// maxFragments bounds the vendor ramdisk table. Pixel phones have two or three.
	maxFragments = 256
	// maxText bounds a bootconfig section. The kernel's own limit (XBC_DATA_MAX) is 32 KiB.
	maxText = 32 << 10
	// maxPart bounds a part that is read into memory, packed or unpacked. The largest real ramdisk seen, a recovery with
	// fonts for every script, unpacks to about 110 MB; an arm64 kernel with debugging is 60 MB.
	maxPart = 512 << 20
)

// File is a boot or vendor_boot image. An init_boot image is a boot image without a kernel; a recovery image differs
// from a boot image in what its ramdisk holds, and may have a part "recovery_dtbo".
type File struct {
	Vendor        bool   // a vendor_boot image
	HeaderVersion uint32 // 0 to 4
	PageSize      int64
	Name          string // the board, versions 0 to 2 and vendor_boot
	Cmdline       string // kernel command line, both fields joined as the bootloader joins them
	Bootconfig    string // vendor_boot version 4: lines of key=value for /proc/bootconfig
	OSVersion     string // such as "13.0.0", "" if not stated
	PatchLevel    string // such as "2023-05", "" if not stated
	ID            [32]byte
	Parts         []Part     // in file order, none empty
	Ramdisks      []Fragment // one for a boot image and vendor_boot version 3, the table's for version 4
	End           int64      // end of the last part, rounded up to a page: where a signature of Android 5 to 7 begins

	r    io.ReaderAt
	size int64
}

// A Part is a run of bytes of the image. Names: kernel, ramdisk, second, dt (Qualcomm's device trees in a version 0 image),
// recovery_dtbo, dtb, signature (a row of vbmeta structures for a generic kernel), vendor_ramdisk, vendor_ramdisk_table, bootconfig.
type Part struct {
	Name      string
	Off, Size int64
	Addr      uint64 // where it is loaded, 0 if the header has no such field
}

// A Fragment is one ramdisk of the image.
type Fragment struct {
	Part           // Name is the fragment's own name, "" or "recovery" or "dlkm" as a rule; "ramdisk" or "vendor_ramdisk" without a table
	Type    string // "", platform, recovery or dlkm
	BoardID [16]uint32
}

// New reads the header of an image of size bytes. Parts that reach past the end are listed all the same; opening them fails.
func New(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size}
	head, err := readAt(r, size, 0, sizeVendorV4)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte(bootMagic)):
		err = f.boot(head)
	case bytes.HasPrefix(head, []byte(vendorMagic)):
		err = f.vendor(head)
	default:
		err = cursor.Errorf(0, "no boot image: begins with %q", head[:min(8, len(head))])
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) boot(head []byte) error {
	c := cursor.At(head, 40)
	f.HeaderVersion = c.U32()
	var dt int64
	if f.HeaderVersion > 4 {
		// Before the field had a meaning, Qualcomm's bootloader kept the size of its device trees here
		// (bootable/bootloader/lk, app/aboot/bootimg.h); an image is version 0 then.
		dt = int64(f.HeaderVersion)
		f.HeaderVersion = 0
	}
	c.Move(8)
	if f.HeaderVersion >= 3 {
		kernel, ramdisk := int64(c.U32()), int64(c.U32())
		f.os(c.U32())
		c.Move(44)
		f.Cmdline = text(c.Bytes(1536))
		var signature int64
		header := int64(sizeV3)
		if f.HeaderVersion == 4 {
			signature = int64(c.U32())
			header = sizeV4
		}
		if err := c.Err(); err != nil {
			return err
		}
		f.PageSize = 4096 // fixed since version 3
		f.lay(header, Part{Name: "kernel", Size: kernel}, Part{Name: "ramdisk", Size: ramdisk}, Part{Name: "signature", Size: signature})
		return nil
	}

	kernel := Part{Name: "kernel", Size: int64(c.U32()), Addr: uint64(c.U32())}
	ramdisk := Part{Name: "ramdisk", Size: int64(c.U32()), Addr: uint64(c.U32())}
	second := Part{Name: "second", Size: int64(c.U32()), Addr: uint64(c.U32())}
	c.U32() // tags
	f.PageSize = int64(c.U32())
	c.U32() // version
	f.os(c.U32())
	f.Name = text(c.Bytes(16))
	f.Cmdline = text(c.Bytes(512))
	copy(f.ID[:], c.Bytes(32))
	f.Cmdline += text(c.Bytes(1024))
	var dtbo, dtb Part
	header := int64(sizeV0)
	if f.HeaderVersion >= 1 {
		dtbo = Part{Name: "recovery_dtbo", Size: int64(c.U32()), Addr: 0}
		c.U64() // its offset, which follows from the sizes
		c.U32() // header size
		header = sizeV1
	}
	if f.HeaderVersion == 2 {
		dtb = Part{Name: "dtb", Size: int64(c.U32()), Addr: c.U64()}
		header = sizeV2
	}
	if err := c.Err(); err != nil {
		return err
	}
	if err := f.checkPage(36); err != nil {
		return err
	}
	f.lay(header, kernel, ramdisk, second, Part{Name: "dt", Size: dt}, dtbo, dtb)
	return nil
}

func (f *File) vendor(head []byte) error {
	f.Vendor = true
	c := cursor.At(head, 8)
	f.HeaderVersion = c.U32()
	f.PageSize = int64(c.U32())
	c.U32() // kernel address
	ramdisk := Part{Name: "vendor_ramdisk", Addr: uint64(c.U32())}
	ramdisk.Size = int64(c.U32())
	f.Cmdline = text(c.Bytes(2048))
	c.U32() // tags
	f.Name = text(c.Bytes(16))
	c.U32() // header size
	dtb := Part{Name: "dtb", Size: int64(c.U32()), Addr: c.U64()}
	var table, bootconfig Part
	var entries, entrySize int64
	header := int64(sizeVendorV3)
	if f.HeaderVersion == 4 {
		header = sizeVendorV4
		table = Part{Name: "vendor_ramdisk_table", Size: int64(c.U32())}
		entries, entrySize = int64(c.U32()), int64(c.U32())
		bootconfig = Part{Name: "bootconfig", Size: int64(c.U32())}
	}
	if err := c.Err(); err != nil {
		return err
	}
	if f.HeaderVersion < 3 || f.HeaderVersion > 4 {
		return unsupported("vendor_boot header version %d", f.HeaderVersion)
	}
	if err := f.checkPage(12); err != nil {
		return err
	}
	f.lay(header, ramdisk, dtb, table, bootconfig)

	for _, p := range f.Parts {
		switch p.Name {
		case "vendor_ramdisk":
			ramdisk = p
		case "vendor_ramdisk_table":
			table = p
		case "bootconfig":
			b, err := readAt(f.r, f.size, p.Off, min(p.Size, maxText))
			if err != nil {
				return err
			}
			f.Bootconfig = text(b)
		}
	}
	if entries == 0 {
		return nil
	}
	if entries > maxFragments || entrySize < sizeFragment || entries*entrySize > table.Size {
		return cursor.Errorf(2116, "vendor ramdisk table of %d entries of %d bytes in %d bytes", entries, entrySize, table.Size)
	}
	b, err := readAt(f.r, f.size, table.Off, entries*entrySize)
	if err != nil {
		return err
	}
	f.Ramdisks = nil
	for i := range entries {
		c := cursor.At(b, i*entrySize)
		size, off, kind := int64(c.U32()), int64(c.U32()), c.U32()
		fr := Fragment{Part: Part{Name: text(c.Bytes(32)), Off: ramdisk.Off + off, Size: size}}
		for j := range fr.BoardID {
			fr.BoardID[j] = c.U32()
		}
		if err := c.Err(); err != nil {
			return err
		}
		if off > ramdisk.Size || size > ramdisk.Size-off {
			return cursor.Errorf(table.Off+i*entrySize, "ramdisk fragment %q of %d bytes at %d, the vendor ramdisk has %d", fr.Name, size, off, ramdisk.Size)
		}
		switch kind {
		case 0:
		case 1:
			fr.Type = "platform"
		case 2:
			fr.Type = "recovery"
		case 3:
			fr.Type = "dlkm"
		default:
			fr.Type = fmt.Sprintf("%d", kind)
		}
		f.Ramdisks = append(f.Ramdisks, fr)
	}
	return nil
}

// lay places the parts one after the other, each on a page of its own.
func (f *File) lay(header int64, parts ...Part) {
	off := f.round(header)
	for _, p := range parts {
		if p.Size == 0 {
			continue
		}
		p.Off = off
		off += f.round(p.Size)
		f.Parts = append(f.Parts, p)
		if p.Name == "ramdisk" || p.Name == "vendor_ramdisk" {
			f.Ramdisks = append(f.Ramdisks, Fragment{Part: p})
		}
	}
	f.End = off
}

func (f *File) round(n int64) int64 { return (n + f.PageSize - 1) / f.PageSize * f.PageSize }

func (f *File) checkPage(at int64) error {
	if p := f.PageSize; p < 512 || p > maxPage || p&(p-1) != 0 {
		return cursor.Errorf(at, "page size of %d bytes", p)
	}
	return nil
}

// os reads the version and patch level: 7 bits each of A.B.C, 7 bits of the year since 2000, 4 of the month.
func (f *File) os(v uint32) {
	if a, b, c := v>>25, v>>18&0x7f, v>>11&0x7f; a|b|c != 0 {
		f.OSVersion = fmt.Sprintf("%d.%d.%d", a, b, c)
	}
	if y, m := v>>4&0x7f, v&15; y|m != 0 {
		f.PatchLevel = fmt.Sprintf("%d-%02d", 2000+y, m)
	}
}

// Part opens the named part, without the header that MediaTek's tools put before it.
func (f *File) Part(name string) (*io.SectionReader, error) {
	for _, p := range f.Parts {
		if p.Name == name {
			return f.open(p)
		}
	}
	return nil, fmt.Errorf("boot image has no %s", name)
}

// OpenRamdisk unpacks one of f.Ramdisks.
func (f *File) OpenRamdisk(fr Fragment) (*Ramdisk, error) {
	s, err := f.open(fr.Part)
	if err != nil {
		return nil, err
	}
	return NewRamdisk(s, s.Size())
}

// Kernel reads the kernel.
func (f *File) Kernel() (*Kernel, error) {
	s, err := f.Part("kernel")
	if err != nil {
		return nil, err
	}
	return NewKernel(s, s.Size())
}

func (f *File) open(p Part) (*io.SectionReader, error) {
	if p.Off > f.size || p.Size > f.size-p.Off {
		return nil, cursor.Errorf(p.Off, "%s of %d bytes, the image has %d", p.Name, p.Size, f.size)
	}
	off, size := p.Off, p.Size
	if n := mediatek(f.r, off, size); n > 0 {
		off, size = off+mediatekHeader, n
	}
	return io.NewSectionReader(f.r, off, size), nil
}

const (
	mediatekMagic  = 0x58881688
	mediatekHeader = 512
)

// mediatek returns the size that MediaTek's header (mtk mkimage: magic, size, name, 0xff up to 512 bytes) at off states,
// 0 if there is none. A size that the part cannot hold is cut to it: the bootloader goes by the boot header.
func mediatek(r io.ReaderAt, off, size int64) int64 {
	var b [8]byte
	if size <= mediatekHeader {
		return 0
	}
	if _, err := r.ReadAt(b[:], off); err != nil || binary.LittleEndian.Uint32(b[:]) != mediatekMagic {
		return 0
	}
	return min(int64(binary.LittleEndian.Uint32(b[4:])), size-mediatekHeader)
}

// readAt reads at most n bytes at off, fewer where the input ends before.
func readAt(r io.ReaderAt, size, off, n int64) ([]byte, error) {
	if off < 0 || off > size {
		return nil, cursor.Errorf(off, "offset outside the %d bytes there are", size)
	}
	b := make([]byte, min(n, size-off))
	if k, err := r.ReadAt(b, off); k < len(b) {
		return nil, readError(off, err)
	}
	return b, nil
}

// readAll reads the whole of r, growing as the bytes come, so that a size stated too large costs nothing.
func readAll(r io.ReaderAt, size int64) ([]byte, error) {
	if size > maxPart {
		return nil, cursor.Errorf(0, "%d bytes, more than the %d that are read", size, int64(maxPart))
	}
	var b bytes.Buffer
	if size <= 1<<20 {
		b.Grow(int(size) + bytes.MinRead)
	}
	if n, err := b.ReadFrom(io.NewSectionReader(r, 0, size)); err != nil || n < size {
		return nil, readError(n, err)
	}
	return b.Bytes(), nil
}

func readError(off int64, err error) error {
	if err == nil || err == io.EOF {
		return cursor.Errorf(off, "file ends early")
	}
	return err
}

// text is a C string in a fixed field.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
