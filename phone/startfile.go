package phone

import (
	"cmp"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/boot"
	"gifthorse/format/prop"
)

// A Start is what the images say that the bootloader loads, besides the files of the running system.
type Start struct {
	// Words are those of the kernel's command lines and of bootconfig, in order of images; "androidboot.selinux=permissive".
	Words []StartWord
	// Recovery holds the properties of the recovery system, by name; nil if its ramdisk is not in the evidence.
	Recovery []Property
	// Forced are the files of a ramdisk for debugging, which makes a build for users one for developers (system/core
	// init/first_stage_init.cpp: /force_debuggable), if the bootloader is unlocked.
	Forced []*evidence.File
}

// A StartWord is one word for the kernel or for init.
type StartWord struct {
	Word  string
	Image string // the partition
	At    evidence.Ref
}

// maxWords bounds the words of one image. A long command line has some eighty.
const maxWords = 4096

// readStart reads the boot images' headers and the ramdisks that are not the running system's. It needs the list of images.
func (b *builder) readStart() {
	s := &b.phone.Start
	for _, name := range []string{"boot", "init_boot", "vendor_boot", "recovery"} {
		img := b.image(name, nil)
		if img == nil {
			continue
		}
		r, size, err := img.open()
		if err != nil {
			continue // which is a gap of the evidence
		}
		f, err := boot.New(r, size)
		if err != nil {
			continue // no Android boot image; evidence says so
		}
		words := append(strings.Fields(f.Cmdline), strings.Fields(strings.NewReplacer(" = ", "=", "\"", "").Replace(f.Bootconfig))...)
		for _, w := range words[:min(len(words), maxWords)] {
			s.Words = append(s.Words, StartWord{w, name, img.At})
		}
	}
	for _, name := range []string{"/recovery-ramdisk/prop.default", "/recovery-ramdisk/default.prop"} {
		f := b.ev.File(name)
		if f == nil {
			continue
		}
		data, ok := b.text(evidence.Properties, f)
		if !ok {
			continue
		}
		seen := map[string]bool{}
		for _, p := range prop.ParseProps(data).Set {
			if !seen[p.Name] || !strings.HasPrefix(p.Name, "ro.") { // of which the first holds
				s.Recovery = slices.DeleteFunc(s.Recovery, func(q Property) bool { return q.Name == p.Name })
				s.Recovery = append(s.Recovery, Property{Name: p.Name, Value: p.Value, At: lineRef(f.Ref, p.Line)})
			}
			seen[p.Name] = true
		}
		break
	}
	slices.SortFunc(s.Recovery, func(x, y Property) int { return cmp.Compare(x.Name, y.Name) })
	for _, dir := range []string{"", "/boot-ramdisk", "/vendor-ramdisk", "/first_stage_ramdisk", "/boot-ramdisk/first_stage_ramdisk", "/vendor-ramdisk/first_stage_ramdisk"} {
		for _, name := range []string{"/force_debuggable", "/adb_debug.prop", "/userdebug_plat_sepolicy.cil"} {
			if f := b.ev.File(dir + name); f != nil {
				s.Forced = append(s.Forced, f)
			}
		}
	}
}
