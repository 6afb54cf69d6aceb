package phone

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/prop"
)

// maxText bounds a text file. The largest of those read here, a vendor's permission file, has 200 KiB.
const maxText = 16 << 20

// text returns a text file of the phone. ok is false if it cannot be read; then there is a gap.
func (b *builder) text(kind evidence.Kind, f *evidence.File) (data []byte, ok bool) {
	b.listed(kind)
	if f.Size > maxText {
		b.failed(kind, evidence.Gap{At: f.Ref, Reason: evidence.TooLarge, Detail: "a text file of " + strconv.FormatInt(f.Size, 10) + " bytes"})
		return nil, false
	}
	data, err := f.Data()
	if err != nil {
		b.failed(kind, gapOf(f.Ref, err))
		return nil, false
	}
	b.read(kind)
	return data, true
}

// lineRef is the address of a line of a text file.
func lineRef(f evidence.Ref, line int) evidence.Ref { return f.Sym("line " + strconv.Itoa(line)) }

// readProperties loads the property files as init would, and says who the phone is.
func (b *builder) readProperties() {
	r := propertyReader{b: b, refs: map[string]evidence.Ref{}}
	// Which files count depends on the level, which one of the first says.
	r.load(0)
	b.phone.API = apiLevel(r.files)
	r.load(b.phone.API)
	files, refs := r.files, r.refs
	for _, r := range prop.Merge(b.phone.API, files) {
		p := Property{Name: r.Name, Value: r.Value}
		if r.From != "" {
			p.At = lineRef(refs[r.From], r.Line)
		} else {
			p.At = evidence.Ref{}.Sym("derived from " + r.Derived)
		}
		for _, o := range r.Overridden {
			if o.From != "" {
				p.Overridden = append(p.Overridden, lineRef(refs[o.From], o.Line))
			}
		}
		b.phone.Properties = append(b.phone.Properties, p)
	}
	slices.SortFunc(b.phone.Properties, func(a, b Property) int { return cmp.Compare(a.Name, b.Name) })
	if len(files) == 0 && len(b.ev.Roots()) > 0 {
		b.listed(evidence.Properties)
		b.failed(evidence.Properties, evidence.Gap{At: b.root("/system/build.prop"), Reason: evidence.Absent, Detail: "/system/build.prop is not in what was given"})
	}
	b.phone.Device = b.device()
}

// maxPropertyFiles bounds how many files imports lead to; a phone has some twenty.
const maxPropertyFiles = 1000

type propertyReader struct {
	b     *builder
	files []prop.PropFile
	refs  map[string]evidence.Ref // by the path under which init knows a file
}

func (r *propertyReader) load(api int) {
	for _, l := range prop.LoadOrder(api) {
		r.add(l.Path)
	}
}

// add reads a file and what it imports. A partition can lie inside another; the path that init uses counts.
func (r *propertyReader) add(name string) {
	if _, ok := r.refs[name]; ok || len(r.files) >= maxPropertyFiles {
		return
	}
	f := r.b.ev.File(name)
	if f == nil {
		return
	}
	r.refs[name] = f.Ref
	data, ok := r.b.text(evidence.Properties, f)
	if !ok {
		return
	}
	p := prop.ParseProps(data)
	r.files = append(r.files, prop.PropFile{Path: name, Props: p})
	for _, i := range p.Imports {
		before, after, open := strings.Cut(i.Path, "${")
		if !open {
			r.add(i.Path)
			continue
		}
		// Merge expands the name; all files that it can come to are handed to it.
		_, after, _ = strings.Cut(after, "}")
		if k := strings.LastIndex(after, "}"); k >= 0 {
			after = after[k+1:]
		}
		for _, g := range r.b.ev.Under(path.Dir(before + "x")) {
			if strings.HasPrefix(g.Path, before) && strings.HasSuffix(g.Path, after) {
				r.add(g.Path)
			}
		}
	}
}

// apiLevel finds the level that rules how all else is read: the system's, for a vendor partition may be older.
func apiLevel(files []prop.PropFile) int {
	for _, name := range []string{"ro.build.version.sdk", "ro.system.build.version.sdk", "ro.vendor.build.version.sdk"} {
		for _, system := range []bool{true, false} {
			for _, f := range files {
				if strings.HasPrefix(f.Path, "/system/") != system {
					continue
				}
				for _, p := range f.Set {
					if n, err := strconv.Atoi(p.Value); p.Name == name && err == nil && n > 0 && n < codename {
						return n
					}
				}
			}
		}
	}
	return 0
}

// Property returns the value of a system property after boot.
func (p *Phone) Property(name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(p.Properties, name, func(q Property, n string) int { return cmp.Compare(q.Name, n) })
	if !ok {
		return "", false
	}
	return p.Properties[i].Value, true
}

func (b *builder) device() Device {
	first := func(names ...string) string {
		for _, n := range names {
			if v, _ := b.phone.Property(n); v != "" {
				return v
			}
		}
		return ""
	}
	product := func(what string) string {
		return first("ro.product."+what, "ro.product.product."+what, "ro.product.odm."+what, "ro.product.vendor."+what,
			"ro.product.system_ext."+what, "ro.product.system."+what)
	}
	return Device{
		Brand:        product("brand"),
		Manufacturer: product("manufacturer"),
		Model:        cmp.Or(product("model"), first("ro.product.marketname", "ro.product.odm.marketname")),
		Name:         cmp.Or(product("device"), product("name")),
		Fingerprint:  first("ro.build.fingerprint", "ro.system.build.fingerprint", "ro.vendor.build.fingerprint", "ro.odm.build.fingerprint"),
		Android:      first("ro.build.version.release", "ro.system.build.version.release", "ro.vendor.build.version.release"),
		Patch:        first("ro.build.version.security_patch", "ro.vendor.build.security_patch"),
		BuildType:    first("ro.build.type", "ro.system.build.type"),
		BuildTags:    first("ro.build.tags", "ro.system.build.tags"),
		BuildDate:    first("ro.build.date", "ro.system.build.date"),
		Board:        first("ro.product.board", "ro.board.platform", "ro.hardware"),
		ABI:          first("ro.product.cpu.abi", "ro.product.cpu.abilist", "ro.system.product.cpu.abilist"),
	}
}
