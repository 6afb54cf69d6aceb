package evidence

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"gifthorse/format/apk"
	"gifthorse/format/attestation"
)

// What evidence does with a file of some kind that lies outside of the phone's partitions.
type handling uint8

const (
	leave       handling = iota // nothing: models read it if they know it
	unzip                       // open as a zip
	untar                       // open as a tar
	unwrap                      // decompress, then look again
	app                         // code that can be read alone: what a user means who gives an app
	fileSystem                  // list its files
	expand                      // read it expanded
	partitioned                 // list its partitions
	bootable                    // list its ramdisks
	ramdisk                     // list its files
	payload                     // list the partitions it writes
	image                       // holds files of a phone, and this version does not read it: a gap
	locked                      // holds files of a phone, encrypted by its maker: a gap
	pointer                     // stands for a file that is not there: a gap
	attest                      // a part of a key attestation
	revoke                      // a list of revoked attestation keys
)

// A kind is a container or file format that is recognised by its content.
type kind struct {
	name  string
	do    handling
	magic string
	off   int
	also  func(b []byte) bool // what the magic alone does not tell; nil if it tells enough
}

// kinds is the table of all kinds, tried in order. Sources: the formats' own specifications; AOSP
// system/core/libsparse/sparse_format.h, system/tools/mkbootimg/include/bootimg/bootimg.h,
// external/avb/libavb/avb_vbmeta_image.h, system/update_engine/payload_consumer/payload_constants.cc,
// system/core/fs_mgr/liblp/include/liblp/metadata_format.h; Linux include/uapi/linux/magic.h.
var kinds = []kind{
	{name: "zip", do: unzip, magic: "PK\x03\x04"},
	{name: "zip", do: unzip, magic: "PK\x05\x06"}, // without entries
	{name: "zip", do: unzip, magic: "PK\x07\x08PK\x03\x04"},
	{name: "dex", do: app, magic: "dex\n", also: func(b []byte) bool { return len(b) >= 8 && b[7] == 0 }},
	{name: "compact dex", do: app, magic: "cdex0"},
	{name: "vdex", do: app, magic: "vdex"},
	{name: "odex", do: app, magic: "dey\n036\x00"},
	{name: "elf", do: app, magic: "\x7fELF"},
	{name: "art image", magic: "art\n"},
	{name: "gzip", do: unwrap, magic: "\x1f\x8b\x08"},
	{name: "bzip2", do: unwrap, magic: "BZh", also: func(b []byte) bool {
		return len(b) >= 10 && b[3] >= '1' && b[3] <= '9' && (string(b[4:10]) == "1AY&SY" || string(b[4:10]) == "\x17\x72\x45\x38\x50\x90")
	}},
	{name: "xz", do: unwrap, magic: "\xfd7zXZ\x00"},
	{name: "zstd", do: unwrap, magic: "\x28\xb5\x2f\xfd"},
	{name: "zstd", do: unwrap, also: func(b []byte) bool { // starts with a skippable frame (pzstd)
		return len(b) >= 16 && b[0]&0xf0 == 0x50 && string(b[1:4]) == "\x2a\x4d\x18" && string(b[12:16]) == "\x28\xb5\x2f\xfd" && b[4] == 4
	}},
	{name: "lz4", do: unwrap, magic: "\x04\x22\x4d\x18"},
	{name: "lz4", do: unwrap, magic: "\x02\x21\x4c\x18"},
	{name: "tar", do: untar, also: isTar},
	{name: "7z", do: image, magic: "7z\xbc\xaf\x27\x1c"},
	{name: "rar", do: image, magic: "Rar!\x1a\x07"},
	{name: "cpio", do: ramdisk, magic: "070701"},
	{name: "cpio", do: ramdisk, magic: "070702"},
	{name: "axml", magic: "\x03\x00\x08\x00"},
	{name: "arsc", magic: "\x02\x00\x0c\x00"},
	{name: "sparse image", do: expand, magic: "\x3a\xff\x26\xed\x01\x00"},
	{name: "boot image", do: bootable, magic: "ANDROID!"},
	{name: "vendor boot image", do: bootable, magic: "VNDRBOOT"},
	{name: "vbmeta", magic: "AVB0"},
	{name: "payload", do: payload, magic: "CrAU\x00\x00\x00\x00\x00\x00\x00"},
	{name: "super", do: partitioned, magic: "gDla", off: 4096}, // LP_METADATA_GEOMETRY_MAGIC
	{name: "super", do: partitioned, magic: "gDla"},
	{name: "disk", do: partitioned, magic: "EFI PART", off: 512}, // UEFI specification 5.3.2, by size of sectors
	{name: "disk", do: partitioned, magic: "EFI PART", off: 4096},
	{name: "ext4", do: fileSystem, magic: "\x53\xef", off: 1080, also: func(b []byte) bool {
		// Two bytes are weak: the block size and the state must make sense as well.
		return len(b) >= 1104 && binary.LittleEndian.Uint32(b[1048:]) <= 6 && binary.LittleEndian.Uint16(b[1082:]) <= 7
	}},
	{name: "erofs", do: fileSystem, magic: "\xe2\xe1\xf5\xe0", off: 1024},
	{name: "f2fs", do: fileSystem, magic: "\x10\x20\xf5\xf2", off: 1024},
	{name: "squashfs", do: fileSystem, magic: "hsqs"},
	{name: "device tree", magic: "\xd0\x0d\xfe\xed"},
	{name: "android backup", do: image, magic: "ANDROID BACKUP\n"},
	{name: "encrypted update", do: locked, magic: "OPPOENCRYPT!"},
	{name: "lfs pointer", do: pointer, magic: lfsMagic},
	{name: "pcap", magic: "\xd4\xc3\xb2\xa1"},
	{name: "pcap", magic: "\xa1\xb2\xc3\xd4"},
	{name: "pcap", magic: "\x4d\x3c\xb2\xa1"},
	{name: "pcap", magic: "\xa1\xb2\x3c\x4d"},
	{name: "pcapng", magic: "\x0a\x0d\x0d\x0a", also: func(b []byte) bool {
		return len(b) >= 12 && (string(b[8:12]) == "\x4d\x3c\x2b\x1a" || string(b[8:12]) == "\x1a\x2b\x3c\x4d")
	}},
	{name: "png", magic: "\x89PNG\r\n\x1a\n"},
	{name: "attestation", do: attest, also: func(b []byte) bool { _, ok := attestation.Sniff(b); return ok }},
	{name: "certificate", do: attest, also: func(b []byte) bool { ok, _ := attestation.Sniff(b); return ok }},
	{name: "attestation status", do: revoke, also: attestation.IsStatus},
}

// headSize is how many bytes the table looks at: the second sector of a disk may stand at 4096.
const headSize = 4104

func (k *kind) matches(b []byte) bool {
	if len(b) < k.off+len(k.magic) || string(b[k.off:k.off+len(k.magic)]) != k.magic {
		return false
	}
	return k.also == nil || k.also(b)
}

func identify(b []byte) *kind {
	for i := range kinds {
		if kinds[i].matches(b) {
			return &kinds[i]
		}
	}
	return &unknownKind
}

var unknownKind kind

// The kinds of zip that are told apart by what they hold.
var (
	apkKind  = kind{name: "apk", do: app}
	jarKind  = kind{name: "jar", do: app}
	apexKind = kind{name: "apex", do: app}
)

// zipKind says which kind of zip z is: an app that is read as a whole, or just an archive.
func zipKind(z *apk.Zip) *kind {
	switch {
	case z.Entry("apex_payload.img") != nil || z.Entry("original_apex") != nil:
		return &apexKind
	case z.Entry("AndroidManifest.xml") != nil:
		return &apkKind
	case z.Entry("classes.dex") != nil:
		return &jarKind
	}
	return identify([]byte("PK\x03\x04"))
}

// Identify says what b, the whole of a file or its first 4104 bytes, is by its content: "zip", "apk" (a zip
// with AndroidManifest.xml), "jar" (a zip with classes.dex), "apex", "dex", "compact dex", "odex" (of
// Dalvik), "vdex", "elf", "art image", "tar", "gzip", "bzip2", "xz", "zstd", "lz4", "cpio", "7z", "rar",
// "axml", "arsc", "sparse image", "ext4", "erofs", "f2fs", "squashfs", "boot image", "vendor boot image",
// "vbmeta", "payload", "super", "disk", "device tree", "android backup", "encrypted update", "lfs pointer", "pcap",
// "pcapng", "png", "attestation" (certificates, one of which attests to a key), "certificate", "attestation status", or "". The kinds
// of zip are told apart only if b is whole.
func Identify(b []byte) string {
	k := identify(b)
	if k.do == unzip {
		if z, err := apk.NewZip(bytes.NewReader(b), int64(len(b))); err == nil {
			k = zipKind(z)
		}
	}
	return k.name
}

// isTar accepts a first block whose checksum is right, which is all that tars of every age have in common.
func isTar(b []byte) bool {
	if len(b) < 512 || b[0] == 0 {
		return false
	}
	sum, err := strconv.ParseUint(string(bytes.Trim(b[148:156], " \x00")), 8, 32)
	if err != nil {
		return false
	}
	var got uint64 = 8 * ' '
	for i, c := range b[:512] {
		if i < 148 || i >= 156 {
			got += uint64(c)
		}
	}
	return got == sum
}

const lfsMagic = "version https://git-lfs.github.com/spec/v1\n"

// lfsSize reads the size from a git-LFS pointer, a text of at most 1023 bytes that stands in a git tree
// where the file itself is stored elsewhere (git-lfs docs/spec.md). It is -1 if b is none.
func lfsSize(b []byte) int64 {
	if !bytes.HasPrefix(b, []byte(lfsMagic)) {
		return -1
	}
	lines := bytes.Split(b, []byte("\n"))
	i := slices.IndexFunc(lines, func(l []byte) bool { return bytes.HasPrefix(l, []byte("size ")) })
	if i < 0 {
		return -1
	}
	n, err := strconv.ParseInt(string(lines[i][5:]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
