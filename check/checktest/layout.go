package checktest

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	assemble "gifthorse/internal/make"
	"gifthorse/internal/verity"

	"golang.org/x/tools/txtar"
)

// Write lays a text phone out below the folder dir, which is made if need be: as a folder of real files in real formats, for
// programs that read phones. The same archive gives the same bytes. Files that are there already are overwritten,
// others are left alone.
func Write(dir string, a *txtar.Archive) error {
	l, err := layOut(a)
	if err != nil {
		return err
	}
	return l.write(dir)
}

// A layout is a phone's files before they are written, and where in the archive they came from.
type layout struct {
	order []string          // of files and links
	files map[string][]byte // by path in the folder
	links map[string]string
	apps  map[string]*app // those files that are an APK or JAR
}

// An app is a folder of the archive that becomes one file.
type app struct {
	dir      string // in the archive
	file     string // in the phone's folder
	sources  []txtar.File
	manifest *apk.Node // compiled; nil for a JAR
	pos      *assemble.Positions
}

// apps returns the folders of the archive that become one file each, by folder.
func apps(a *txtar.Archive) map[string]*app {
	all := map[string]*app{}
	for _, f := range a.Files {
		dir, base := path.Split(f.Name)
		if dir = strings.TrimSuffix(dir, "/"); base == "AndroidManifest.xml" && dir != "" && all[dir] == nil {
			all[dir] = &app{dir: dir, file: path.Join(dir, path.Base(dir)+".apk")}
		}
		for d := dir; d != "" && d != "." && d != "/"; d = path.Dir(d) {
			if ext := path.Ext(d); ext == ".apk" || ext == ".jar" {
				all[d] = &app{dir: d, file: d}
			}
		}
	}
	for _, f := range a.Files {
		if p := holder(all, f.Name); p != nil {
			p.sources = append(p.sources, f)
		}
	}
	return all
}

// holder returns the app that the file of the archive belongs to, or nil.
func holder(all map[string]*app, name string) *app {
	for d := path.Dir(name); d != "." && d != "/"; d = path.Dir(d) {
		if all[d] != nil {
			return all[d]
		}
	}
	return nil
}

var (
	makeLine = regexp.MustCompile(`^make: ("(?:[^"\\]|\\.)*")`)
	linkMark = " ->"
)

func layOut(a *txtar.Archive) (*layout, error) {
	l := &layout{files: map[string][]byte{}, links: map[string]string{}, apps: map[string]*app{}}
	all := apps(a)
	done := map[string]bool{}
	for _, f := range a.Files {
		name, isLink := strings.CutSuffix(f.Name, linkMark)
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("%s: not a path inside the phone; paths have no / at their beginning", f.Name)
		}
		data := f.Data
		p := holder(all, name)
		switch {
		case p != nil && done[p.dir]:
			continue
		case p != nil:
			done[p.dir] = true
			var err error
			if data, err = p.assemble(); err != nil {
				return nil, err
			}
			name = p.file
			l.apps[name] = p
		case isLink:
			l.links[name] = strings.TrimSpace(string(data))
		default:
			data = plain(name, data)
		}
		if _, ok := l.files[name]; ok {
			return nil, fmt.Errorf("%s: two parts of the archive become this file", name)
		}
		l.order = append(l.order, name)
		l.files[name] = data
	}
	for _, name := range l.order {
		if text, ok := strings.CutPrefix(string(l.files[name]), bootMark); ok {
			l.files[name] = assemble.Boot(strings.TrimSpace(text))
		}
	}
	for _, name := range l.order {
		if text, ok := strings.CutPrefix(string(l.files[name]), vbmetaMark); ok {
			var err error
			if l.files[name], err = l.vbmeta(name, text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, name := range l.order { // behind vbmeta, whose digest they may state
		if text, ok := strings.CutPrefix(string(l.files[name]), attestationMark); ok {
			var err error
			if l.files[name], err = l.attestation(name, text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return l, nil
}

const (
	vbmetaMark = "make: vbmeta\n"
	bootMark   = "make: boot\n"
)

// vbmeta makes a list of digests of what the lines of a file say.
func (l *layout) vbmeta(name, text string) ([]byte, error) {
	var v assemble.VBMeta
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 || w[0][0] == '#' {
			continue
		}
		if len(w) < 2 || len(w) < 3 && w[0] == "chain" {
			return nil, fmt.Errorf("a line of vbmeta wants more words: %s", line)
		}
		number, err := strconv.ParseUint(w[1], 0, 32)
		image, ok := l.files[path.Join(path.Dir(name), w[1]+".img")]
		if len(w) > 2 {
			image, ok = []byte(strings.Join(w[2:], " ")+"\n"), true
		}
		switch w[0] {
		case "key":
			v.Seed, err = w[1], nil
		case "chain":
			v.Descriptors, err = append(v.Descriptors, assemble.AVBChain(w[1], w[2])), nil
		case "flags":
			v.Flags = uint32(number)
		case "after":
			v.After = uint32(number)
		case "rollback":
			v.Rollback = number
		case "hash", "hashtree":
			if !ok { // the image is not given, only its digest
				image = []byte("not given")
			}
			d := assemble.AVBHash(w[1], image)
			if err = nil; w[0] == "hashtree" {
				var root []byte
				if _, root, err = verity.Tree(bytes.NewReader(image), int64(len(image)), 4096, nil, sha256.New()); err == nil {
					d = assemble.AVBHashtree(w[1], len(image), root)
				}
			}
			v.Descriptors = append(v.Descriptors, d)
		default:
			return nil, fmt.Errorf("vbmeta has no %q", w[0])
		}
		if err != nil {
			return nil, err
		}
	}
	return v.Bytes(), nil
}

// plain returns a text file as the phone has it.
func plain(name string, data []byte) []byte {
	if m := makeLine.FindSubmatch(data); m != nil {
		if seed, err := strconv.Unquote(string(m[1])); err == nil {
			return certificate(seed)
		}
	}
	if path.Ext(name) != ".xml" {
		return wantInLine.ReplaceAll(data, nil)
	}
	return data
}

func certificate(seed string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: assemble.NewKey(seed).Certificate})
}

func (l *layout) write(dir string) error {
	for _, links := range []bool{false, true} { // links last, so that nothing is written through one
		for _, name := range l.order {
			target, isLink := l.links[name]
			if isLink != links {
				continue
			}
			file := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			if !isLink {
				if err := os.WriteFile(file, l.files[name], 0o644); err != nil {
					return err
				}
				continue
			}
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := os.Symlink(target, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// assemble makes the file that the app's sources are. Members are stored, so that the bytes do not depend on the
// version of compress/flate.
func (p *app) assemble() ([]byte, error) {
	var smali []assemble.SmaliFile
	var resources []assemble.Resource
	var manifest *txtar.File
	var compile, others []txtar.File
	carried, order := map[string][]assemble.SmaliFile{}, []string(nil)
	for i, f := range p.sources {
		name := strings.TrimPrefix(f.Name, p.dir+"/")
		parts := strings.Split(name, "/")
		switch {
		case name == "key":
		case name == "AndroidManifest.xml":
			manifest = &p.sources[i]
		case parts[0] == "assets" && len(parts) > 2 && path.Ext(name) == ".smali": // assets/NAME/X.smali: the asset NAME is a DEX
			at := "assets/" + parts[1]
			if carried[at] == nil {
				order = append(order, at)
			}
			carried[at] = append(carried[at], assemble.SmaliFile{Name: f.Name, Text: string(f.Data)})
		case path.Ext(name) == ".smali":
			smali = append(smali, assemble.SmaliFile{Name: f.Name, Text: string(f.Data)})
		case parts[0] != "res" || len(parts) != 3:
			others = append(others, f)
		case strings.Contains(parts[1], "-"):
			return nil, fmt.Errorf("%s: only the default configuration can be written", f.Name)
		case parts[1] == "values":
			values, err := values(f)
			if err != nil {
				return nil, err
			}
			resources = append(resources, values...)
		default:
			resources = append(resources, assemble.Resource{Type: parts[1], Name: strings.TrimSuffix(parts[2], path.Ext(parts[2])), Value: name})
			if path.Ext(name) == ".xml" && parts[1] != "raw" {
				compile = append(compile, f)
			} else {
				others = append(others, f)
			}
		}
	}
	var entries []assemble.Entry
	add := func(f txtar.File, data []byte) {
		entries = append(entries, assemble.Entry{Name: strings.TrimPrefix(f.Name, p.dir+"/"), Data: data, Store: true})
	}
	id, err := p.identity()
	if err != nil {
		return nil, err
	}
	table, resolve, err := assemble.Resources(id.pkg, resources)
	if err != nil {
		return nil, fmt.Errorf("%s/res: %w", p.dir, err)
	}
	if manifest != nil {
		b, err := assemble.XML(manifest.Data, resolve)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", manifest.Name, err)
		}
		if p.manifest, err = apk.ParseXML(b); err != nil {
			return nil, fmt.Errorf("%s: %w", manifest.Name, err)
		}
		add(*manifest, b)
	}
	if len(smali) > 0 {
		dex, pos, err := assemble.DEX(smali)
		if err != nil {
			return nil, err
		}
		p.pos = pos
		add(txtar.File{Name: "classes.dex"}, dex)
	}
	for _, at := range order {
		dex, _, err := assemble.DEX(carried[at])
		if err != nil {
			return nil, err
		}
		add(txtar.File{Name: at}, dex)
	}
	if len(resources) > 0 {
		add(txtar.File{Name: "resources.arsc"}, table)
	}
	for _, f := range compile {
		b, err := assemble.XML(f.Data, resolve)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		add(f, b)
	}
	for _, f := range others {
		add(f, f.Data)
	}
	zip, err := assemble.Zip(entries)
	if err != nil || id.seed == "" {
		return zip, err
	}
	return assemble.Sign(zip, assemble.NewKey(id.seed), assemble.V1, assemble.V2, assemble.V3)
}

// An identity is who an app is.
type identity struct {
	pkg  string
	seed string // of its key; "" if it is not signed
}

func (p *app) identity() (identity, error) {
	var id identity
	var key *string
	for _, f := range p.sources {
		switch strings.TrimPrefix(f.Name, p.dir+"/") {
		case "key":
			s := strings.TrimSpace(string(f.Data))
			key = &s
		case "AndroidManifest.xml":
			var m struct {
				Package string `xml:"package,attr"`
				UID     string `xml:"http://schemas.android.com/apk/res/android sharedUserId,attr"`
			}
			if err := xml.Unmarshal(f.Data, &m); err != nil {
				return id, fmt.Errorf("%s: %w", f.Name, err)
			}
			id.pkg = m.Package
			if m.Package == "" {
				return id, fmt.Errorf("%s: no package", f.Name)
			}
			if labels := strings.SplitN(m.Package, ".", 3); strings.HasPrefix(m.UID, "android.uid.") || m.Package == "android" {
				id.seed = "platform"
			} else {
				id.seed = strings.Join(labels[:min(2, len(labels))], ".")
			}
		}
	}
	if key != nil {
		id.seed = *key
	}
	return id, nil
}

// values reads a file of res/values.
func values(f txtar.File) (list []assemble.Resource, err error) {
	var doc struct {
		Entries []struct {
			XMLName xml.Name
			Name    string   `xml:"name,attr"`
			Type    string   `xml:"type,attr"`
			Text    string   `xml:",chardata"`
			Items   []string `xml:"item"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(f.Data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	for _, e := range doc.Entries {
		r := assemble.Resource{Type: e.XMLName.Local, Name: e.Name, Value: strings.TrimSpace(e.Text)}
		switch r.Type {
		case "string", "bool", "integer", "color", "dimen":
		case "array", "string-array", "integer-array":
			r.Type, r.Items = "array", append([]string{}, e.Items...)
		default:
			return nil, fmt.Errorf("%s: <%s> cannot be written", f.Name, r.Type)
		}
		list = append(list, r)
	}
	return list, nil
}

// place returns where in the archive the fact at an address stands.
func (l *layout) place(r evidence.Ref) place {
	names := r.Names()
	if len(names) == 0 {
		return place{}
	}
	p := l.apps[names[0]]
	if p == nil {
		if _, ok := l.files[names[0]]; !ok {
			return place{}
		}
		n, _ := strconv.Atoi(strings.TrimPrefix(r.Symbol, "line "))
		return place{names[0], n}
	}
	whole := place{file: p.dir + "/AndroidManifest.xml"}
	switch {
	case len(names) < 2:
	case names[1] == "classes.dex":
		pc := -1
		if r.HasOff {
			pc = int(r.Off / 2)
		}
		if p.pos != nil {
			if file, line, ok := p.pos.Lookup(r.Symbol, pc); ok {
				return place{file, line}
			}
		}
	case names[1] == "AndroidManifest.xml":
		if r.HasOff {
			whole.line = lineAt(p.manifest, r.Off)
		}
	default:
		for _, f := range p.sources {
			if f.Name == p.dir+"/"+names[1] {
				return place{file: f.Name}
			}
		}
	}
	return whole
}

// lineAt returns the line of the element at an offset of binary XML, or 0.
func lineAt(n *apk.Node, off int64) int {
	if n == nil {
		return 0
	}
	if n.Off == off {
		return n.Line
	}
	for _, k := range n.Children {
		if line := lineAt(k, off); line > 0 {
			return line
		}
	}
	return 0
}
