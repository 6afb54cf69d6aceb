package phone

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/format/oat"
)

// Limits of the code of one app or library.
const (
	maxDEX      = 256 << 20 // bytes of one DEX; its 65536 methods never made more than some 30 MiB
	maxAppDEX   = 1 << 30   // bytes of all DEX files that are inflated for one app
	maxDEXFiles = 500       // the largest shipped apps have some fifty
)

// isas are the instruction sets in the order in which their code is taken. The same DEX compiled for two
// of them is one.
var isas = []string{"arm64", "arm", "x86_64", "x86", "riscv64", "mips64", "mips"}

// isaOf maps the names of ABIs, in APKs and properties, to those of ART's folders.
var isaOf = map[string]string{"arm64-v8a": "arm64", "armeabi-v7a": "arm", "armeabi": "arm", "x86_64": "x86_64", "x86": "x86",
	"riscv64": "riscv64", "mips64": "mips64", "mips": "mips"}

func dexName(i int) string {
	if i == 0 {
		return "classes.dex"
	}
	return "classes" + strconv.Itoa(i+1) + ".dex"
}

// What inflates to more than this many times its size was made to fill memory: code shrinks to a third or a
// half, resource tables at the most to a hundredth, and deflate ends at a thousandth.
const (
	maxInflation  = 200
	freeInflation = 1 << 20
)

// member returns the bytes of a zip's entry, without a copy if it is stored.
func member(z *apk.Zip, data []byte, e *apk.Entry, limit int64) ([]byte, error) {
	if e.Method == apk.Stored && e.DataOff >= 0 && e.Size == e.CompressedSize && e.Size <= limit &&
		e.DataOff <= int64(len(data)) && e.Size <= int64(len(data))-e.DataOff {
		return data[e.DataOff:][:e.Size:e.Size], nil
	}
	limit = min(limit, freeInflation+maxInflation*min(e.CompressedSize, int64(len(data))))
	if e.Size > limit {
		return nil, evidence.Gap{Reason: evidence.TooLarge, Detail: fmt.Sprintf("%d bytes, more than the %d that are read", e.Size, limit)}
	}
	b, err := z.ReadFile(e, limit)
	if errors.Is(err, apk.ErrChecksum) {
		return b, nil // the phone does not look at it
	}
	return b, err
}

// zipCode returns the DEX files of an APK or a JAR: classes.dex, classes2.dex and so on to the first that is
// missing, as ART takes them (art_dex_file_loader.cc, OpenAllDexFilesFromZip).
func zipCode(z *apk.Zip, data []byte, at evidence.Ref) (code []CodeFile, gaps []evidence.Gap) {
	left := int64(maxAppDEX)
	for i := 0; ; i++ {
		name := dexName(i)
		e := z.Entry(name)
		if e == nil {
			return code, gaps
		}
		if i == maxDEXFiles {
			return code, append(gaps, evidence.Gap{At: at, Reason: evidence.TooLarge, Detail: fmt.Sprintf("more than %d DEX files", maxDEXFiles)})
		}
		b, err := member(z, data, e, min(left, maxDEX))
		if err != nil {
			gaps = append(gaps, gapOf(at.Inner(name), err))
			continue
		}
		if e.Method != apk.Stored {
			left -= int64(len(b))
		}
		code = append(code, CodeFile{Ref: at.Inner(name), Data: b})
	}
}

// Limits of the code that lies among an app's assets.
const (
	maxCarried     = 32 // files
	maxCarriedSize = 64 << 20
)

// carriedCode returns the DEX files among the assets and raw resources of an APK, as they are or in an archive, for code of
// the app's to load at run time. They are told by their first bytes: their names say nothing.
func carriedCode(z *apk.Zip, data []byte, at evidence.Ref) (code []CodeFile, gaps []evidence.Gap) {
	defer func() {
		for k := range code {
			code[k].Carried = true
		}
	}()
	found := 0
	for i := range z.Entries {
		e := &z.Entries[i]
		if !strings.HasPrefix(e.Name, "assets/") && !strings.HasPrefix(e.Name, "res/raw/") || e.Size < 64 {
			continue
		}
		head := firstBytes(z, e)
		isDEX, isZip := bytes.HasPrefix(head, []byte("dex\n0")), bytes.HasPrefix(head, []byte("PK\x03\x04"))
		if !isDEX && !isZip {
			continue
		}
		if found++; found > maxCarried {
			return code, append(gaps, evidence.Gap{At: at, Reason: evidence.TooLarge, Detail: fmt.Sprintf("more than %d archives and DEX files among the assets", maxCarried)})
		}
		b, err := member(z, data, e, maxCarriedSize)
		if err != nil {
			gaps = append(gaps, gapOf(at.Inner(e.Name), err))
			continue
		}
		if isDEX {
			code = append(code, CodeFile{Ref: at.Inner(e.Name), Data: b})
		} else if inner, err := apk.NewZip(bytes.NewReader(b), int64(len(b))); err == nil {
			c, g := zipCode(inner, b, at.Inner(e.Name))
			code, gaps = append(code, c...), append(gaps, g...)
		}
	}
	return code, gaps
}

// firstBytes returns what an entry begins with, as far as it can be read.
func firstBytes(z *apk.Zip, e *apk.Entry) []byte {
	r, err := z.Open(e)
	if err != nil {
		return nil
	}
	defer r.Close()
	head := make([]byte, 8)
	n, _ := io.ReadFull(r, head)
	return head[:n]
}

// gapOf says in the words of a gap why something could not be read.
func gapOf(at evidence.Ref, err error) evidence.Gap {
	if g, ok := errors.AsType[evidence.Gap](err); ok {
		if g.At == (evidence.Ref{}) {
			g.At = at
		}
		return g
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return evidence.Gap{At: at, Reason: evidence.Unsupported, Detail: err.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return evidence.Gap{At: at, Reason: evidence.CutShort, Detail: "it ends early"}
	}
	return evidence.Gap{At: at, Reason: evidence.Damaged, Detail: err.Error()}
}

// A compiled is what was found in the files that dex2oat made of an APK or a JAR.
type compiled struct {
	code []CodeFile
	gaps []evidence.Gap
	want string // a path that should hold the DEX and is not there, "" if none was named
	any  bool   // a file was there
}

// openCompiled reads one file of compiled code. Only DEX files whose location fits ours are taken; in VDEX
// and ODEX there is no location, and all belong to the file they are called after.
func openCompiled(f *evidence.File, ours func(location string) bool) compiled {
	c := compiled{any: true}
	data, err := f.Data()
	if err != nil {
		c.gaps = []evidence.Gap{gapOf(f.Ref, err)}
		return c
	}
	o, err := oat.Open(data)
	if err != nil {
		c.gaps = []evidence.Gap{gapOf(f.Ref, err)}
		return c
	}
	for _, g := range o.Gaps {
		c.gaps = append(c.gaps, gapOf(f.Ref, g))
	}
	n := 0
	for _, d := range o.Dex {
		if d.Location != "" && !ours(d.Location) {
			continue
		}
		name := dexName(n)
		n++
		if d.Data == nil {
			if d.Missing == oat.InVDEX {
				c.want = strings.TrimSuffix(f.Path, path.Ext(f.Path)) + ".vdex"
			}
			continue
		}
		c.code = append(c.code, CodeFile{Ref: f.Ref.Inner(name), Data: d.Data, Shared: d.Shared, Quick: d.Quick,
			Optimised: d.Quick == nil && (o.Kind != "vdex" || len(o.Gaps) > 0), Off: d.Off})
	}
	return c
}

// baseLocation cuts the name of a DEX in its archive off a location of an OAT file.
func baseLocation(location string) string {
	for _, sep := range []string{"!classes", ":classes"} {
		if i := strings.LastIndex(location, sep); i >= 0 {
			return location[:i]
		}
	}
	return location
}

// compiledFor looks beside an APK or JAR for its compiled code: oat/<isa>/X.vdex since Android 8, X.odex since
// 5, X.odex in the same folder before, or the cache on /data.
func (b *builder) compiledFor(file string) compiled {
	dir, base := path.Dir(file), strings.TrimSuffix(path.Base(file), path.Ext(file))
	cached := strings.ReplaceAll(strings.TrimPrefix(file, "/"), "/", "@") + "@classes"
	var names []string
	for _, isa := range isas {
		stem := dir + "/oat/" + isa + "/" + base
		cache := "/data/dalvik-cache/" + isa + "/" + cached
		names = append(names, stem+".vdex", stem+".odex", cache+".vdex", cache+".dex")
	}
	names = append(names, dir+"/"+base+".odex", "/data/dalvik-cache/"+cached+".dex")
	ours := func(location string) bool { return path.Base(baseLocation(location)) == path.Base(file) }
	var all compiled
	for _, n := range names {
		if !strings.HasPrefix(n, dir) && !b.cached {
			continue
		}
		f := b.ev.File(n)
		if f == nil {
			continue
		}
		c := openCompiled(f, ours)
		if len(c.code) > 0 {
			return c
		}
		all.any = true
		all.gaps = append(all.gaps, c.gaps...)
		if all.want == "" && c.want != "" && b.ev.File(c.want) == nil {
			all.want = c.want
		}
	}
	return all
}

// absentCode is the gap of an app or library whose code is nowhere. It names the file that should hold it.
func (b *builder) absentCode(f *evidence.File, c compiled, abis []string) *evidence.Gap {
	what := "the manifest says that there is code"
	if path.Ext(f.Path) == ".jar" {
		what = "the library has no classes.dex"
	}
	if len(c.gaps) > 0 && c.want == "" {
		g := c.gaps[0]
		return &evidence.Gap{At: f.Ref, Reason: g.Reason, Detail: what + "; where it should be, " + g.At.String() + ": " + g.Detail}
	}
	want := c.want
	if want == "" {
		want = b.expectedCode(f.Path, abis)
	}
	if want == "" {
		return &evidence.Gap{At: f.Ref, Reason: evidence.Absent, Detail: what + ", and there is no classes.dex in it"}
	}
	return &evidence.Gap{At: f.Ref, Reason: evidence.Absent, Detail: what + ", and " + want + " is not in what was given"}
}

// expectedCode is the path at which this phone should keep the code of an APK or JAR that was compiled and
// stripped, or "" since Android 10, whose build takes no code out of archives.
func (b *builder) expectedCode(file string, abis []string) string {
	dir, base := path.Dir(file), strings.TrimSuffix(path.Base(file), path.Ext(file))
	if b.phone.API >= 29 {
		return ""
	}
	if b.phone.API > 0 && b.phone.API < 21 {
		return dir + "/" + base + ".odex"
	}
	isa := ""
	for _, k := range isas { // another part of the same app or folder tells
		if (isa == "" || k == b.isa) && len(b.ev.Under(dir+"/oat/"+k)) > 0 {
			isa = k
		}
	}
	if isa == "" {
		for _, a := range abis {
			if k := isaOf[a]; k != "" && (isa == "" || slices.Index(isas, k) < slices.Index(isas, isa)) {
				isa = k
			}
		}
	}
	if isa == "" {
		isa = b.isa
	}
	ext := ".odex"
	if b.phone.API >= 26 {
		ext = ".vdex"
	}
	return dir + "/oat/" + isa + "/" + base + ext
}

// primaryISA finds out which instruction set the phone's apps are compiled for.
func (b *builder) primaryISA() string {
	for _, name := range []string{"ro.product.cpu.abi", "ro.system.product.cpu.abilist", "ro.product.cpu.abilist"} {
		if v, ok := b.phone.Property(name); ok {
			first, _, _ := strings.Cut(v, ",")
			if isa := isaOf[first]; isa != "" {
				return isa
			}
		}
	}
	for _, isa := range isas {
		if len(b.ev.Under("/system/framework/"+isa)) > 0 || len(b.ev.Under("/system/framework/oat/"+isa)) > 0 {
			return isa
		}
	}
	return "arm64"
}

// A jar is a library before its code was read.
type jar struct {
	name         string // of the shared library, "" if no permission file names it
	path         string
	boot, server bool
	at           evidence.Ref // what names it
}

// jars lists the libraries: what lies in the framework folders and what class paths and permission files name.
func (b *builder) jars() []jar {
	byPath := map[string]*jar{}
	add := func(p string) *jar {
		p = path.Clean(p)
		if f := b.ev.File(p); f != nil {
			p = f.Path
		}
		if byPath[p] == nil {
			byPath[p] = &jar{path: p}
		}
		return byPath[p]
	}
	for _, f := range b.ev.Files() {
		if f.Link == "" && strings.HasSuffix(f.Path, ".jar") && path.Base(path.Dir(f.Path)) == "framework" {
			add(f.Path)
		}
	}
	for _, c := range b.classPath {
		j := add(c.path)
		j.boot, j.server = j.boot || c.boot, j.server || !c.boot
		j.at = c.at
	}
	for _, l := range b.sysconfig.libraries {
		if l.file != "" {
			j := add(l.file)
			j.name = l.name
			if j.at == (evidence.Ref{}) {
				j.at = l.at
			}
		}
	}
	// Compiled code in a framework folder without its JAR.
	for _, f := range b.ev.Files() {
		if ext := path.Ext(f.Path); f.Link != "" || ext != ".odex" && ext != ".vdex" || !strings.Contains(f.Path, "/framework/oat/") {
			continue
		}
		dir := f.Path[:strings.Index(f.Path, "/oat/")]
		base := strings.TrimSuffix(path.Base(f.Path), path.Ext(f.Path))
		p := dir + "/" + base + ".jar"
		if strings.Contains(base, "@") { // "apex@com.android.wifi@javalib@service-wifi.jar@classes"
			p = "/" + strings.ReplaceAll(strings.TrimSuffix(base, "@classes"), "@", "/")
		}
		if j := add(p); j.at == (evidence.Ref{}) {
			j.at = f.Ref
		}
	}
	known := slices.ContainsFunc(b.classPath, func(e classPathEntry) bool { return e.boot && !strings.HasPrefix(e.path, "/apex/") })
	out := make([]jar, 0, len(byPath))
	for _, j := range byPath {
		if !known && j.name == "" && !j.server && path.Dir(j.path) == "/system/framework" && !b.compiledBeside(j.path) {
			j.boot = true
		}
		if path.Base(j.path) == "services.jar" {
			j.server = true
		}
		out = append(out, *j)
	}
	slices.SortFunc(out, func(a, b jar) int { return strings.Compare(a.path, b.path) })
	return out
}

// compiledBeside reports whether a JAR is compiled on its own. Those of the boot class path are compiled
// into the boot image.
func (b *builder) compiledBeside(jar string) bool {
	base := "/" + strings.TrimSuffix(path.Base(jar), ".jar")
	return slices.ContainsFunc(b.ev.Under(path.Dir(jar)+"/oat"), func(f *evidence.File) bool {
		return strings.HasSuffix(f.Path, base+".odex") || strings.HasSuffix(f.Path, base+".vdex")
	})
}

// bootImage returns the code of a JAR of the boot class path in the boot image of one instruction set:
// boot.oat holds all of them up to Android 6, boot-X.oat one since 7, boot-X.vdex since 8; the first JAR has
// no name there. want is the file that should hold it, as with expectedCode.
func (b *builder) bootImage(j jar) (c compiled, want string) {
	base := strings.TrimSuffix(path.Base(j.path), ".jar")
	stems := []string{"boot-" + base}
	if b.firstBoot == "" || b.firstBoot == j.path || b.phone.API < 24 {
		stems = append(stems, "boot")
	}
	ours := func(location string) bool { return path.Base(baseLocation(location)) == path.Base(j.path) }
	for _, isa := range isas {
		dir := path.Dir(j.path) + "/" + isa
		if len(b.ev.Under(dir)) == 0 {
			continue
		}
		for _, stem := range stems {
			for _, ext := range []string{".vdex", ".oat"} {
				f := b.ev.File(dir + "/" + stem + ext)
				if f == nil || ext == ".vdex" && stem == "boot" && b.firstBoot != "" && b.firstBoot != j.path {
					continue
				}
				got := openCompiled(f, ours)
				if len(got.code) > 0 {
					return got, ""
				}
				c.gaps = append(c.gaps, got.gaps...)
			}
		}
	}
	if b.phone.API >= 29 {
		return c, ""
	}
	stem, ext := "boot-"+base, ".oat"
	if b.phone.API < 24 || b.firstBoot == j.path {
		stem = "boot"
	}
	if b.phone.API >= 26 {
		ext = ".vdex"
	}
	return c, "/system/framework/" + b.isa + "/" + stem + ext
}

// library reads one library.
func (b *builder) library(j jar) (*Library, []evidence.Gap) {
	l := &Library{Name: j.name, Path: j.path, Boot: j.boot, Server: j.server, File: b.ev.File(j.path)}
	if l.Name == "" {
		l.Name = strings.TrimSuffix(path.Base(j.path), path.Ext(j.path))
	}
	var gaps []evidence.Gap
	if l.File != nil {
		data, err := l.File.Data()
		var z *apk.Zip
		if err == nil {
			z, err = apk.NewZip(bytes.NewReader(data), int64(len(data)))
		}
		if err != nil {
			g := gapOf(l.File.Ref, err)
			l.Gap = &g
			return l, []evidence.Gap{g}
		}
		if l.Code, gaps = zipCode(z, data, l.File.Ref); len(l.Code) > 0 {
			return l, gaps
		}
	}
	c := b.compiledFor(j.path)
	want := ""
	if len(c.code) == 0 && j.boot {
		c, want = b.bootImage(j)
	}
	l.Code = c.code
	gaps = append(gaps, c.gaps...)
	switch {
	case l.File == nil:
		l.Gap = &evidence.Gap{At: j.at, Reason: evidence.Absent, Detail: j.path + " is not in what was given"}
		if want != "" && !strings.HasPrefix(j.path, "/apex/") {
			l.Gap.Detail = j.path + " and its code, " + want + ", are not in what was given"
		}
	case len(l.Code) > 0:
	case want != "":
		l.Gap = &evidence.Gap{At: l.File.Ref, Reason: evidence.Absent, Detail: "the library has no classes.dex, and " + want + " has none either or is not in what was given"}
	default:
		l.Gap = b.absentCode(l.File, c, nil)
	}
	if l.Gap != nil && len(l.Code) > 0 { // there is code all the same
		gaps, l.Gap = append(gaps, *l.Gap), nil
	}
	return l, gaps
}
