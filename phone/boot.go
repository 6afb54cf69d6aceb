package phone

import (
	"cmp"
	"encoding/binary"
	"iter"
	"path"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/oat"
	"gifthorse/format/prop"
)

// initDirs are the folders that init reads behind /init.rc since Android 7 (init.cpp, LoadBootScripts).
var initDirs = []string{"/system/etc/init", "/system_ext/etc/init", "/product/etc/init", "/odm/etc/init", "/vendor/etc/init"}

// maxInitFiles bounds how many files imports lead to; a phone has some three hundred.
const maxInitFiles = 5000

type initFile struct {
	file *evidence.File
	init *prop.Init
}

// readInit reads init's files in init's order: /init.rc, the folders, and behind each file what it imports.
func (b *builder) readInit() {
	r := &initReader{b: b, seen: map[*evidence.File]bool{}}
	if f := b.ev.File("/init.rc"); f != nil {
		r.load(f)
	} else if f := b.ev.File("/system/etc/init/hw/init.rc"); f != nil { // since Android 11
		r.load(f)
	} else if len(b.ev.Roots()) > 0 {
		b.listed(evidence.Init)
		b.failed(evidence.Init, evidence.Gap{At: b.root("/init.rc"), Reason: evidence.Absent, Detail: "/init.rc is not in what was given"})
		for _, f := range b.ev.Files() { // its imports may be here without it
			if path.Dir(f.Path) == "/" && strings.HasPrefix(f.Path, "/init.") && path.Ext(f.Path) == ".rc" {
				r.load(f)
			}
		}
	}
	if f := b.ev.File("/init.environ.rc"); f != nil {
		r.load(f)
	}
	dirs := initDirs
	if b.phone.API > 0 && b.phone.API < 24 {
		dirs = nil
	}
	for _, dir := range dirs {
		for _, f := range b.ev.Under(dir) {
			if path.Ext(f.Path) == ".rc" && path.Base(path.Dir(f.Path)) == "init" {
				r.load(f)
			}
		}
	}
	for _, f := range b.ev.Under("/apex") { // perform_apex_config, since Android 12
		if dir, ok := inModule(f.Path); ok && dir == "etc" && path.Ext(f.Path) == ".rc" {
			r.load(f)
		}
	}
	b.services(r.files)
	b.launches()
	b.findClassPaths(r.files)
}

type initReader struct {
	b     *builder
	seen  map[*evidence.File]bool
	files []initFile
}

func (r *initReader) load(f *evidence.File) {
	if r.seen[f] || f.Link != "" || len(r.files) >= maxInitFiles {
		return
	}
	r.seen[f] = true
	data, ok := r.b.text(evidence.Init, f)
	if !ok {
		return
	}
	in := prop.ParseInit(data)
	r.files = append(r.files, initFile{f, in})
	for _, imp := range in.Imports {
		targets, exact := r.resolve(imp.Path)
		for _, t := range targets {
			r.load(t)
		}
		if len(targets) == 0 && exact != "" && r.b.covers(exact) {
			r.b.listed(evidence.Init)
			r.b.failed(evidence.Init, evidence.Gap{At: lineRef(f.Ref, imp.Line), Reason: evidence.Absent, Detail: "it imports " + exact + ", which is not in what was given"})
		}
	}
}

// resolve finds what an import leads to. A property that only the boot loader sets (ro.hardware) stands for
// anything, so every file that fits is taken. exact is the path, if all of it is known.
func (r *initReader) resolve(name string) (targets []*evidence.File, exact string) {
	pattern, known := "", true
	for rest := name; ; {
		before, after, ok := strings.Cut(rest, "${")
		pattern += escapeGlob(before)
		if !ok {
			break
		}
		p, tail, ok := strings.Cut(after, "}")
		if !ok {
			return nil, ""
		}
		p, def, _ := strings.Cut(p, ":-")
		if v, _ := r.b.phone.Property(p); v != "" {
			pattern += escapeGlob(v)
		} else if def != "" {
			pattern += escapeGlob(def)
		} else {
			pattern += "*"
			known = false
		}
		rest = tail
	}
	if known {
		exact = unescapeGlob.Replace(pattern)
		if !strings.HasPrefix(exact, "/") {
			exact = "/" + exact // init's folder is the root
		}
		if f := r.b.ev.File(exact); f != nil {
			return []*evidence.File{f}, exact
		}
		for _, f := range r.b.ev.Under(exact) { // a folder, whose files are all read
			if path.Ext(f.Path) == ".rc" {
				targets = append(targets, f)
			}
		}
		return targets, exact
	}
	for _, f := range r.b.ev.Under(path.Dir(pattern)) {
		if ok, _ := path.Match(pattern, f.Path); ok && !strings.Contains(path.Base(f.Path), "recovery") {
			targets = append(targets, f)
		}
	}
	return targets, ""
}

var globEscapes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func escapeGlob(s string) string { return globEscapes.Replace(s) }

var unescapeGlob = strings.NewReplacer(`\\`, `\`, `\*`, `*`, `\?`, `?`, `\[`, `[`)

// covers reports whether the evidence holds the partition in which a path lies, so that a missing file is
// missing and not just on a partition that nobody gave.
func (b *builder) covers(name string) bool {
	rest := ""
	for _, r := range b.ev.Roots() {
		if r.Path == "/" {
			rest = "/"
		} else if strings.HasPrefix(name, r.Path+"/") {
			return true
		}
	}
	if rest == "" {
		return false
	}
	// The root's own files, but for what is a mount point on a running phone.
	top, _, sub := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return !sub || top == "sbin" || len(b.ev.Under("/"+top)) > 0
}

// root returns the address of the partition that a path lies on, or of the first there is.
func (b *builder) root(name string) evidence.Ref {
	var best evidence.Root
	for _, r := range b.ev.Roots() {
		if best.Path == "" || strings.HasPrefix(name, strings.TrimSuffix(r.Path, "/")+"/") && len(r.Path) > len(best.Path) {
			best = r
		}
	}
	return best.At
}

func (b *builder) services(files []initFile) {
	type start struct{ class, service map[string][]string }
	starts := start{map[string][]string{}, map[string][]string{}}
	for _, f := range files {
		for _, a := range f.init.Actions {
			act := Action{Triggers: a.Triggers, At: lineRef(f.file.Ref, a.Line)}
			when := trigger(a.Triggers)
			for _, c := range a.Commands {
				act.Commands = append(act.Commands, Command{c.Name, c.Args, lineRef(f.file.Ref, c.Line)})
				if len(c.Args) == 0 {
					continue
				}
				switch c.Name {
				case "class_start", "class_restart", "class_start_post_data":
					starts.class[c.Args[0]] = append(starts.class[c.Args[0]], when)
				case "start", "restart", "exec_start", "enable":
					starts.service[c.Args[0]] = append(starts.service[c.Args[0]], when)
				case "setprop":
					if len(c.Args) > 1 && (c.Args[0] == "ctl.start" || c.Args[0] == "ctl.restart") {
						starts.service[c.Args[1]] = append(starts.service[c.Args[1]], when)
					}
				}
			}
			b.phone.Actions = append(b.phone.Actions, act)
		}
	}
	index := map[string]int{}
	for _, f := range files {
		for _, s := range f.init.Services {
			svc := Service{Name: s.Name, Args: s.Args, User: cmp.Or(s.User, "root"), Groups: s.Groups, Caps: s.Capabilities, AllCaps: !s.HasCapabilities,
				Label: s.Seclabel, Classes: s.Classes, At: lineRef(f.file.Ref, s.Line), Disabled: s.Disabled, Oneshot: s.Oneshot}
			for _, k := range s.Sockets {
				svc.Sockets = append(svc.Sockets, Socket{k.Name, k.Type, cmp.Or(k.User, "root"), cmp.Or(k.Group, "root"), k.Context, k.Perm})
			}
			if !s.Disabled {
				for _, c := range s.Classes {
					if len(starts.class[c]) > 0 {
						svc.Start = append(svc.Start, "class "+c)
					}
				}
			}
			svc.Start = append(svc.Start, starts.service[s.Name]...)
			for _, i := range s.Interfaces {
				svc.Start = append(svc.Start, "interface "+i)
			}
			slices.Sort(svc.Start)
			svc.Start = slices.Compact(svc.Start)
			if i, ok := index[s.Name]; !ok {
				index[s.Name] = len(b.phone.Services)
				b.phone.Services = append(b.phone.Services, svc)
			} else if s.Override {
				b.phone.Services[i] = svc
			}
		}
	}
	for i := range b.phone.Services {
		s := &b.phone.Services[i]
		if len(s.Args) == 0 {
			continue
		}
		bin := s.Args[0]
		if s.Binary = b.ev.File(bin); s.Binary == nil && strings.HasPrefix(bin, "/") && b.covers(bin) {
			b.gap(evidence.Init, evidence.Gap{At: s.At, Reason: evidence.Absent, Detail: "service " + s.Name + " runs " + bin + ", which is not in what was given"})
		}
	}
	slices.SortStableFunc(b.phone.Services, func(x, y Service) int { return cmp.Compare(x.Name, y.Name) })
}

// trigger says in words when an action runs.
func trigger(triggers []string) string {
	t := strings.Join(triggers, " && ")
	if strings.HasPrefix(t, "property:") {
		return t
	}
	return "on " + t
}

// A classPathEntry is a JAR that the boot class path or that of the system server names.
type classPathEntry struct {
	path string
	boot bool
	at   evidence.Ref
}

// findClassPaths reads the class paths: exported by init up to Android 11, in protocol buffers since
// (packages/modules/common/proto/classpaths.proto).
func (b *builder) findClassPaths(files []initFile) {
	for _, f := range files {
		for _, a := range f.init.Actions {
			for _, c := range a.Commands {
				if c.Name != "export" || len(c.Args) < 2 || c.Args[0] != "BOOTCLASSPATH" && c.Args[0] != "SYSTEMSERVERCLASSPATH" {
					continue
				}
				for p := range strings.SplitSeq(c.Args[1], ":") {
					if strings.HasPrefix(p, "/") {
						b.classPath = append(b.classPath, classPathEntry{p, c.Args[0] == "BOOTCLASSPATH", lineRef(f.file.Ref, c.Line)})
					}
				}
			}
		}
	}
	protos := b.ev.Under("/system/etc/classpaths")
	for _, f := range b.ev.Under("/apex") {
		if dir, ok := inModule(f.Path); ok && dir == "etc/classpaths" {
			protos = append(protos, f)
		}
	}
	for _, f := range protos {
		data, ok := b.text(evidence.Init, f)
		if !ok || path.Ext(f.Path) != ".pb" {
			continue
		}
		for _, e := range classPathProto(data) {
			e.at = f.Ref.Sym(e.path)
			b.classPath = append(b.classPath, e)
		}
	}
	// Each module names its own libraries only.
	if !slices.ContainsFunc(b.classPath, func(e classPathEntry) bool { return e.boot && !strings.HasPrefix(e.path, "/apex/") }) {
		b.compiledClassPath()
	}
	for _, e := range b.classPath {
		if e.boot && b.firstBoot == "" && !strings.HasPrefix(e.path, "/apex/") {
			b.firstBoot = e.path
		}
	}
}

// compiledClassPath takes the boot class path from compiled code, which since Android 11 records the one it
// was compiled for.
func (b *builder) compiledClassPath() {
	for _, f := range b.ev.Under("/system/framework/oat") {
		if path.Ext(f.Path) != ".odex" || f.Link != "" {
			continue
		}
		data, err := f.Data()
		if err != nil {
			continue
		}
		o, err := oat.Open(data)
		if err != nil || o.Value("bootclasspath") == "" {
			continue
		}
		for p := range strings.SplitSeq(o.Value("bootclasspath"), ":") {
			if strings.HasPrefix(p, "/") {
				b.classPath = append(b.classPath, classPathEntry{p, true, f.Ref.Sym("bootclasspath")})
			}
		}
		return
	}
}

// classPathProto reads message ExportedClasspathsJars { repeated Jar jars = 1 }, Jar { string path = 1;
// Classpath classpath = 2 }, in which 1 and 2 are the boot class path and 3 and 4 that of the system server.
func classPathProto(b []byte) (out []classPathEntry) {
	for jar := range protoFields(b) {
		if jar.number != 1 {
			continue
		}
		e, kind := classPathEntry{}, uint64(0)
		for f := range protoFields(jar.bytes) {
			switch f.number {
			case 1:
				e.path = string(f.bytes)
			case 2:
				kind = f.value
			}
		}
		if e.boot = kind <= 2; strings.HasPrefix(e.path, "/") && kind >= 1 && kind <= 4 {
			out = append(out, e)
		}
	}
	return out
}

// A protoField is a field of a protocol buffer that is a number or a piece of bytes.
type protoField struct {
	number, value uint64
	bytes         []byte
}

func protoFields(b []byte) iter.Seq[protoField] {
	return func(yield func(protoField) bool) {
		for len(b) > 0 {
			tag, n := binary.Uvarint(b)
			if n <= 0 || tag&7 != 0 && tag&7 != 2 {
				return
			}
			b = b[n:]
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return
			}
			b = b[n:]
			f := protoField{number: tag >> 3, value: v}
			if tag&7 == 2 {
				if v > uint64(len(b)) {
					return
				}
				f.bytes, b = b[:v], b[v:]
			}
			if !yield(f) {
				return
			}
		}
	}
}
