package evidence

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gifthorse/format/apk"
	"gifthorse/format/attestation"
	"gifthorse/format/dex"
	"gifthorse/format/oat"
)

// A Place is what an address leads to, found again in the evidence.
type Place struct {
	Ref  Ref
	File *File  // the file of the evidence that holds it
	Data []byte // of the innermost file: File's own, or those of a member of an APK or a DEX in an OAT
	Off  int64  // where Data begin in File; -1 if they lie there compressed

	shared []byte // data section of a compact DEX
}

// maxMember is up to which size a member of an app is inflated to be shown. A DEX never made more than some 30 MiB.
const maxMember = 256 << 20

// Find follows an address into the evidence. The error is a [Gap] if something on the way cannot be read.
func (e *Evidence) Find(ref Ref) (*Place, error) {
	byRef := map[Ref]*File{}
	for _, in := range e.inputs {
		if in.file != nil {
			byRef[in.file.Ref] = in.file
		}
	}
	for _, list := range [][]*File{e.outside, e.files} {
		for _, f := range list {
			byRef[f.Ref] = f
		}
	}
	names := ref.Names()
	for n := len(names); n > 0; n-- {
		var at Ref
		for _, name := range names[:n] {
			at = at.Inner(name)
		}
		f := byRef[at]
		if f == nil {
			continue
		}
		b, err := f.Data()
		if err != nil {
			return nil, err
		}
		p := &Place{Ref: ref, File: f, Data: b}
		for _, name := range names[n:] {
			at = at.Inner(name)
			if err := p.enter(name); err != nil {
				w := explain(err)
				return nil, Gap{at, w.reason, w.detail}
			}
		}
		return p, nil
	}
	return nil, Gap{ref.File(), Absent, "no file of that address is in what was given"}
}

// enter goes one container deeper.
func (p *Place) enter(name string) error {
	switch kind := Identify(p.Data); kind {
	case "zip", "apk", "jar", "apex":
		z, err := apk.NewZip(bytes.NewReader(p.Data), int64(len(p.Data)))
		if err != nil {
			return err
		}
		m := z.Entry(name)
		if m == nil {
			return &failure{Absent, "the " + kind + " has no such member"}
		}
		if m.Method == apk.Stored && m.DataOff >= 0 && m.Size >= 0 && m.DataOff <= int64(len(p.Data)) && m.Size <= int64(len(p.Data))-m.DataOff {
			p.Data = p.Data[m.DataOff:][:m.Size]
			if p.Off >= 0 {
				p.Off += m.DataOff
			}
			return nil
		}
		b, err := z.ReadFile(m, maxMember)
		if err != nil && !errors.Is(err, apk.ErrChecksum) {
			return err
		}
		p.Data, p.Off = b, -1
		return nil
	case "vdex", "odex", "elf":
		o, err := oat.Open(p.Data)
		if err != nil {
			return err
		}
		// Where several apps or libraries share a file, each counts its own from classes.dex on. The one that has
		// the class is meant.
		n := map[string]int{}
		var best *oat.Dex
		for i := range o.Dex {
			d := &o.Dex[i]
			owner := d.Location
			if j := max(strings.LastIndex(owner, "!classes"), strings.LastIndex(owner, ":classes")); j >= 0 {
				owner = owner[:j]
			}
			n[owner]++
			called := "classes.dex"
			if n[owner] > 1 {
				called = "classes" + strconv.Itoa(n[owner]) + ".dex"
			}
			if called != name || d.Data == nil {
				continue
			}
			if best == nil {
				best = d
			}
			if _, _, _, ok := method(openDEX(d.Data, d.Shared), p.Ref.Symbol); ok {
				best = d
				break
			}
		}
		if best == nil {
			return &failure{Absent, "the compiled file has no such DEX"}
		}
		p.Data, p.shared = best.Data, best.Shared
		if p.Off >= 0 {
			p.Off += best.Off
		}
		return nil
	}
	return &failure{Unsupported, "what holds it is no archive"}
}

func openDEX(data, shared []byte) []*dex.File {
	if shared != nil {
		if f, err := dex.OpenCompact(data, shared); err == nil {
			return []*dex.File{f}
		}
		return nil
	}
	files, _ := dex.Open(data)
	return files
}

// method finds the code of a method by its name "Lcls;.name:(args)ret".
func method(files []*dex.File, name string) (*dex.File, dex.MemberMethod, dex.Code, bool) {
	class, _, ok := strings.Cut(name, ";.")
	if !ok {
		return nil, dex.MemberMethod{}, dex.Code{}, false
	}
	class += ";"
	for _, f := range files {
		var d dex.ClassData
		for i := range f.NumClasses() {
			c := f.Class(i)
			if f.Type(c.Type) != class || f.ClassData(c, &d) != nil {
				continue
			}
			for _, m := range slices.Concat(d.Direct, d.Virtual) {
				if f.MethodName(m.Method) != name {
					continue
				}
				if code, err := f.Code(m.Code); err == nil {
					return f, m, code, true
				}
			}
		}
	}
	return nil, dex.MemberMethod{}, dex.Code{}, false
}

// around is how many instructions before and after the one meant are shown.
const around = 3

// Show tells what stands at the address, line by line: the file with its hash, the offset, the bytes, and what
// they mean. Lines hold text of the phone and are unfit for a terminal until escaped.
func (p *Place) Show(line func(string)) {
	at := p.File.Path
	if at == "" {
		at = p.File.Ref.String()
	}
	line("file    " + at)
	if sum, err := p.File.SHA256(); err == nil {
		line("sha256  " + hex.EncodeToString(sum[:]))
	}
	switch {
	case strings.Contains(p.Ref.Symbol, ";.") && p.Ref.HasOff:
		p.showCode(line)
	case apk.IsBinaryXML(p.Data) && p.Ref.HasOff:
		p.showElement(line)
	case strings.HasPrefix(p.Ref.Symbol, "line "):
		p.showLine(line)
	case p.Ref.HasOff:
		p.bytes(line, p.Ref.Off, 32)
	}
}

// bytes shows n bytes of Data at off, with their offset there and, if it is another, in the file.
func (p *Place) bytes(line func(string), off, n int64) {
	if off < 0 || off > int64(len(p.Data)) {
		line(fmt.Sprintf("offset  %#x, which lies outside of the %d bytes", off, len(p.Data)))
		return
	}
	s := fmt.Sprintf("offset  %#x", off)
	switch {
	case p.Off > 0:
		s += fmt.Sprintf(" of the inner file, %#x of the file", p.Off+off)
	case p.Off < 0:
		s += " of the inner file, which lies compressed in the file"
	}
	line(s)
	line("bytes   " + spaced(p.Data[off:min(off+n, int64(len(p.Data)))]))
}

func spaced(b []byte) string { return strings.TrimSpace(fmt.Sprintf("% x", b)) }

func (p *Place) showCode(line func(string)) {
	f, _, code, ok := method(openDEX(p.Data, p.shared), p.Ref.Symbol)
	if !ok {
		line("the file has no code of " + p.Ref.Symbol)
		return
	}
	pc := uint32(p.Ref.Off / 2)
	var in dex.Insn
	var before []string
	after, met := 0, false
	for at := uint32(0); at < code.Units() && after < around; at = in.Next {
		if err := in.Decode(code.Insns, at); err != nil {
			break
		}
		text := fmt.Sprintf("%04x  %s", at, f.Disassemble(&in))
		switch {
		case at < pc:
			before = append(before[max(0, len(before)-around+1):], "        "+text)
		case at == pc:
			met = true
			raw := code.Insns[2*at : 2*in.Next]
			if f.Compact {
				line(fmt.Sprintf("offset  %#x of the compact DEX's data section", int64(code.InsnsOff)+2*int64(at)))
				line("bytes   " + spaced(raw[:min(len(raw), 32)]))
			} else {
				p.bytes(line, int64(code.InsnsOff)+2*int64(at), int64(min(len(raw), 32)))
			}
			for _, b := range before {
				line(b)
			}
			line("    --> " + text)
			if in.Op.IsQuick() {
				line("        (ART rewrote this instruction; what it meant was found over the phone's class path)")
			}
		case met:
			line("        " + text)
			after++
		}
	}
	if !met {
		line(fmt.Sprintf("no instruction begins at %#x of %s", p.Ref.Off, p.Ref.Symbol))
	}
}

func (p *Place) showElement(line func(string)) {
	root, _ := apk.ParseXML(p.Data)
	var find func(n *apk.Node) *apk.Node
	find = func(n *apk.Node) *apk.Node {
		if n == nil || n.Off == p.Ref.Off {
			return n
		}
		for _, c := range n.Children {
			if x := find(c); x != nil {
				return x
			}
		}
		return nil
	}
	p.bytes(line, p.Ref.Off, 32)
	if n := find(root); n != nil {
		line("means   " + element(n))
		for _, c := range n.Children {
			for _, x := range c.Children {
				line("          " + element(x))
			}
		}
	}
}

func element(n *apk.Node) string {
	s := "<" + n.Name
	for _, a := range n.Attrs {
		s += fmt.Sprintf(" %s=%q", a.Name, a.String())
	}
	return s + ">"
}

func (p *Place) showLine(line func(string)) {
	want, err := strconv.Atoi(strings.TrimPrefix(p.Ref.Symbol, "line "))
	n, off := 0, 0
	for l := range bytes.Lines(p.Data) {
		if n++; err == nil && n == want {
			line(fmt.Sprintf("offset  %#x", off))
			line("text    " + string(bytes.TrimRight(l, "\r\n")))
			return
		}
		off += len(l)
	}
	line("the file has no " + p.Ref.Symbol)
}

// Dump tells line by line what the readers see in the file at path, or in what lies in it at the address inner, with
// offsets: the members of an archive and its signatures, the tree of binary XML, the values of a resource table, the
// classes of a DEX. The symbol of inner chooses a class, or a method, whose code is then told. What is
// none of these is told as text or as bytes. Lines hold text of the phone and are unfit for a terminal until escaped.
func Dump(ctx context.Context, path string, inner Ref, line func(string)) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	o := newOpener(ctx, func(Progress) {})
	defer o.e.Close()
	ref := Ref{}
	if st.IsDir() {
		o.openFolder(path, baseName(path))
	} else {
		ref = ref.Inner(baseName(path))
		f := newFile(ref, st.Size(), st.Mode())
		f.blob = &blob{ev: o.e, src: diskFile(path)}
		if len(inner.Names()) == 0 { // the file as it is
			b, err := f.Data()
			if err != nil {
				return err
			}
			inner.path = ref.path
			(&Place{Ref: inner, File: f, Data: b}).dump(line)
			return nil
		}
		o.openFile(f, baseName(path))
	}
	o.finish()
	if err := ctx.Err(); err != nil {
		return err
	}
	if st.IsDir() && len(inner.Names()) == 0 {
		for _, f := range slices.Concat(o.e.files, o.e.outside) {
			line(fmt.Sprintf("%12d  %s  %s", f.Size, f.Ref, f.Path))
		}
		for _, a := range o.e.attestations {
			line("key attestation: " + a.At.File().String())
			dumpChain(a.Chain, line)
		}
		return nil
	}
	for _, name := range inner.Names() {
		ref = ref.Inner(name)
	}
	ref.Symbol, ref.Off, ref.HasOff = inner.Symbol, inner.Off, inner.HasOff
	p, err := o.e.Find(ref)
	if err != nil {
		return err
	}
	p.dump(line)
	return nil
}

// maxRaw is how much of a file that no reader knows is told.
const maxRaw = 64 << 10

func (p *Place) dump(line func(string)) {
	kind := Identify(p.Data)
	line(fmt.Sprintf("%s: %s, %d bytes", p.Ref.File(), orElse(kind, "of no known kind"), len(p.Data)))
	switch {
	case kind == "zip" || kind == "apk" || kind == "jar" || kind == "apex":
		p.dumpZip(line, kind == "apk")
	case kind == "dex" || kind == "compact dex":
		files := openDEX(p.Data, p.shared)
		if len(files) == 0 {
			_, err := dex.Open(p.Data)
			line("damaged: " + fmt.Sprint(err))
		}
		for _, f := range files {
			dumpDEX(f, p.Ref.Symbol, line)
		}
	case oat.Is(p.Data):
		p.dumpOAT(line)
	case kind == "arsc":
		p.dumpResources(line)
	case kind == "attestation":
		list, err := attestation.Read(p.Data)
		if err != nil {
			line("damaged: " + err.Error())
		}
		for _, ch := range attestation.Chains(list) {
			dumpChain(ch, line)
		}
	case apk.IsBinaryXML(p.Data):
		root, err := apk.ParseXML(p.Data)
		dumpNode(root, 0, line)
		if err != nil {
			line("damaged: " + err.Error())
		}
	case utf8.Valid(p.Data[:min(len(p.Data), maxRaw)]) && !bytes.ContainsRune(p.Data[:min(len(p.Data), maxRaw)], 0):
		off := 0
		for l := range bytes.Lines(p.Data[:min(len(p.Data), maxRaw)]) {
			line(fmt.Sprintf("%#8x  %s", off, bytes.TrimRight(l, "\r\n")))
			off += len(l)
		}
	default:
		for off := 0; off < min(len(p.Data), maxRaw); off += 16 {
			row := p.Data[off:min(off+16, len(p.Data))]
			text := bytes.Map(func(r rune) rune {
				if r < ' ' || r > '~' {
					return '.'
				}
				return r
			}, row)
			line(fmt.Sprintf("%#8x  %-47s  %s", off, spaced(row), text))
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (p *Place) dumpZip(line func(string), signed bool) {
	z, err := apk.NewZip(bytes.NewReader(p.Data), int64(len(p.Data)))
	if err != nil {
		line("damaged: " + err.Error())
		return
	}
	line(fmt.Sprintf("central directory at %#x, its end at %#x, %d entries", z.CentralDir, z.EOCD, len(z.Entries)))
	for i := range z.Entries {
		e := &z.Entries[i]
		method := map[uint16]string{apk.Stored: "stored", apk.Deflated: "deflated"}[e.Method]
		if method == "" {
			method = fmt.Sprintf("method %d", e.Method)
		}
		line(fmt.Sprintf("%#10x  %-8s  %10d  crc %08x  %s", e.DataOff, method, e.Size, e.CRC, e.Name))
	}
	for _, d := range z.Disagreements {
		line(fmt.Sprintf("%#10x  the zip says two things at once: %s", d.Off, d))
	}
	if !signed {
		return
	}
	s, err := z.Verify(0, 0)
	if err != nil {
		line("signatures: " + err.Error())
		return
	}
	line("signatures: " + s.Verdict.String())
	for _, x := range s.Schemes {
		words := "does not verify"
		switch {
		case !x.Checked:
			words = "not looked at by phones of these API levels"
		case x.Verified:
			words = "verifies"
		}
		line(fmt.Sprintf("  %s %s", x.ID, words))
	}
	for _, x := range s.Signers {
		line(fmt.Sprintf("  signer sha256 %x  %s  %s", x.SHA256, x.Key, x.Subject))
	}
	for _, x := range s.Problems {
		line("  " + x)
	}
}

func (p *Place) dumpOAT(line func(string)) {
	o, err := oat.Open(p.Data)
	if err != nil {
		line("damaged: " + err.Error())
		return
	}
	line(fmt.Sprintf("%s version %d %s", o.Kind, o.Version, o.ISA))
	for _, kv := range o.KeyValues {
		line(fmt.Sprintf("  %s = %q", kv.Key, kv.Value))
	}
	for i, d := range o.Dex {
		words := fmt.Sprintf("%d bytes at %#x", len(d.Data), d.Off)
		if d.Data == nil {
			words = d.Missing
		}
		line(fmt.Sprintf("  dex %d: %s, checksum %08x, of %q", i, words, d.Checksum, d.Location))
	}
	for _, g := range o.Gaps {
		line("  not read: " + g.Error())
	}
}

func dumpDEX(f *dex.File, symbol string, line func(string)) {
	if symbol == "" {
		line(fmt.Sprintf("DEX version %03d at %#x, %d bytes, checksum %08x, signature %x", f.Version, f.Offset, f.Size, f.Checksum, f.Signature))
		line(fmt.Sprintf("%d strings, %d types, %d protos, %d fields, %d methods, %d classes, %d call sites, %d method handles",
			f.NumStrings(), f.NumTypes(), f.NumProtos(), f.NumFields(), f.NumMethods(), f.NumClasses(), f.NumCallSites(), f.NumMethodHandles()))
	}
	var d dex.ClassData
	// Overlapping parts could make a small file tell without end: an honest one tells less than it is long.
	budget := f.Size + 1<<20
	for i := range f.NumClasses() {
		c := f.Class(i)
		name := f.Type(c.Type)
		if symbol != "" && symbol != name && !strings.HasPrefix(symbol, name+".") {
			continue
		}
		s := fmt.Sprintf("class %s access %#x", name, c.Access)
		if c.Super != dex.NoIndex {
			s += " extends " + f.Type(c.Super)
		}
		for t := range f.Interfaces(c) {
			s += " implements " + f.Type(t)
		}
		line(s)
		if err := f.ClassData(c, &d); err != nil {
			line("  damaged: " + err.Error())
		}
		for _, m := range slices.Concat(d.StaticFields, d.InstanceFields) {
			line(fmt.Sprintf("  field %s access %#x", f.FieldName(m.Field), m.Access))
		}
		for _, m := range slices.Concat(d.Direct, d.Virtual) {
			full := f.MethodName(m.Method)
			if symbol != "" && symbol != name && symbol != full {
				continue
			}
			code, err := f.Code(m.Code)
			if err != nil {
				line(fmt.Sprintf("  method %s access %#x damaged: %v", full, m.Access, err))
				continue
			}
			line(fmt.Sprintf("  method %s access %#x code at %#x, %d registers, %d units", full, m.Access, code.Off, code.Registers, code.Units()))
			if budget -= int64(len(code.Insns)) + 16; budget < 0 {
				line("the parts of this file overlap; the rest is not told")
				return
			}
			if symbol == "" {
				continue
			}
			var in dex.Insn
			for pc := uint32(0); pc < code.Units(); pc = in.Next {
				if err := in.Decode(code.Insns, pc); err != nil {
					line("    " + err.Error())
					break
				}
				line(fmt.Sprintf("    %#8x  %04x  %s", int64(code.InsnsOff)+2*int64(pc), pc, f.Disassemble(&in)))
			}
		}
	}
}

func dumpNode(n *apk.Node, depth int, line func(string)) {
	if n == nil {
		return
	}
	line(fmt.Sprintf("%#8x  %s%s", n.Off, strings.Repeat("  ", depth), element(n)))
	if t := strings.TrimSpace(n.Text); t != "" {
		line(fmt.Sprintf("%8s  %s%q", "", strings.Repeat("  ", depth+1), t))
	}
	for _, c := range n.Children {
		dumpNode(c, depth+1, line)
	}
}

func (p *Place) dumpResources(line func(string)) {
	r, err := apk.ParseResources(p.Data)
	if err != nil {
		line("damaged: " + err.Error())
	}
	line(fmt.Sprintf("packages %q", r.Packages()))
	for id, v := range r.All() {
		text := "(a bag)"
		if !v.IsBag {
			text = strconv.Quote(v.Text())
		}
		line(fmt.Sprintf("  %#08x  %s  [%s]  %s", id, r.Name(id), v.Config, text))
	}
}
