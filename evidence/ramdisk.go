package evidence

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"gifthorse/format/boot"
)

// maxRamdisk is up to which size a packed ramdisk is unpacked, which is done in memory. A recovery with its
// resources has some 60 MB.
const maxRamdisk = 128 << 20

// enterBoot lists the parts of a boot image and the files of its ramdisks.
func (o *opener) enterBoot(f *File, name string, depth int) error {
	r, err := f.reader()
	if err != nil {
		return err
	}
	img, err := boot.New(r, f.Size)
	if err != nil {
		return err
	}
	parts := &tree{at: f.Ref}
	for _, p := range img.Parts {
		m := o.partition(parts, p.Name, p.Size)
		if c, err := img.Part(p.Name); err != nil {
			m.blob.src = explain(err)
			m.fail(err)
		} else {
			m.Size = c.Size()
			m.blob.src = region{c, c.Size()}
		}
	}
	o.trees = append(o.trees, parts)

	mount := ramdisks[undecorated(path.Base(name))]
	if img.Vendor {
		mount = vendorRamdisk
	}
	// The bootloader puts the ramdisks of an image one behind the other, but for that of recovery.
	whole, recovery := &tree{at: f.Ref}, &tree{at: f.Ref}
	seen := map[string]int{}
	for _, fr := range img.Ramdisks {
		called := cmp.Or(fr.Name, fr.Type, "vendor_ramdisk")
		if seen[called]++; seen[called] > 1 {
			called = fmt.Sprintf("%s~%d", called, seen[called])
		}
		at := f.Ref.Inner(called)
		if why := o.mayUnpack(fr.Size); why != nil {
			o.e.note(at, why.reason, why.detail)
			continue
		}
		d, err := img.OpenRamdisk(fr)
		if err != nil {
			o.e.note(at, explain(err).reason, explain(err).detail)
			continue
		}
		t := whole
		if fr.Type == "recovery" {
			t = recovery
		}
		if len(img.Ramdisks) == 1 {
			t.at = at
		}
		o.listRamdisk(t, at, d)
	}
	for _, x := range []struct {
		t     *tree
		mount string
	}{{whole, mount}, {recovery, recoveryRamdisk}} {
		if len(x.t.entries) > 0 {
			o.layout.findRamdisk(x.t, x.mount)
			o.settled(x.t, depth+1)
		}
	}
	return nil
}

// enterRamdisk lists a ramdisk that lies about as a file of its own.
func (o *opener) enterRamdisk(f *File, depth int) error {
	r, err := f.reader()
	if err != nil {
		return err
	}
	if why := o.mayUnpack(f.Size); why != nil {
		return why
	}
	d, err := boot.NewRamdisk(r, f.Size)
	if err != nil {
		return err
	}
	mount := ""
	switch low := strings.ToLower(f.Ref.String()); {
	case strings.Contains(low, "recovery"):
		mount = recoveryRamdisk
	case strings.Contains(low, "vendor"):
		mount = vendorRamdisk
	}
	t := &tree{at: f.Ref}
	o.listRamdisk(t, f.Ref, d)
	o.layout.findRamdisk(t, mount)
	o.settled(t, depth+1)
	return nil
}

func (o *opener) mayUnpack(n int64) *failure {
	if n > maxRamdisk {
		return &failure{TooLarge, fmt.Sprintf("a ramdisk of %d bytes, more than the %d that are unpacked", n, int64(maxRamdisk))}
	}
	return nil
}

// listRamdisk adds the files of a ramdisk to a tree, where those of a later one stand for those of an earlier.
func (o *opener) listRamdisk(t *tree, at Ref, d *boot.Ramdisk) {
	if d.Damage != nil {
		o.e.note(at, explain(d.Damage).reason, explain(d.Damage).detail+"; what came before it is read")
	}
	place := map[string]int{}
	for i, ent := range t.entries {
		place[ent.name] = i
	}
	for i := range d.Entries {
		ent := &d.Entries[i]
		if ent.Overridden || ent.Mode.IsDir() {
			continue
		}
		m := newFile(at.Inner(ent.Name), ent.Size, ent.Mode)
		if !o.count(m, ent.Name) {
			return
		}
		m.HasOwner, m.UID, m.GID = true, int(ent.UID), int(ent.GID)
		switch {
		case ent.Mode&fs.ModeSymlink != 0:
			o.link(m, ent.Link)
		case ent.Mode.IsRegular():
			m.blob = &blob{ev: o.e, src: o.ramdiskSource(ent)}
			if why, bad := m.blob.src.(*failure); bad {
				o.e.note(m.Ref, why.reason, why.detail)
			}
		}
		if k, ok := place[ent.Name]; ok {
			t.entries[k] = entry{ent.Name, m}
		} else {
			place[ent.Name] = len(t.entries)
			t.entries = append(t.entries, entry{ent.Name, m})
		}
	}
}

// ramdiskSource copies a file, so that the unpacked ramdisk as a whole need not stay in memory.
func (o *opener) ramdiskSource(ent *boot.Entry) source {
	if !o.mayInflate(ent.Size) {
		return &failure{TooLarge, "more than may be inflated in all"}
	}
	b, err := o.e.keep(ent.Size, io.LimitReader(bytes.NewReader(ent.Data()), ent.Size))
	if err != nil {
		return explain(err)
	}
	return memory(b)
}
