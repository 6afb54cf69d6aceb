package gifthorse

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gifthorse/check"
	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
	"gifthorse/verdict"
)

// Diff says what differs between two phones, two builds, a phone and the image it should hold, or the same phone on two
// days. Both results must be open: files and code that both have in the same size are hashed, on all cores.
//
// The areas are answers, findings, signers, apps, trust, adbkeys, services, actions, hosts, posture, properties,
// libraries, device, partitions and files. Findings are the same if their ids are; apps if their names are (where one phone has an
// app twice, name and path). Diff(b, a) says the same with added and removed exchanged. A Result's Program is not used.
//
// Not compared are owners, modes, labels and times of files, which most containers lose; files of a partition that only
// one of the two has; files outside of the phone; the order of init's commands; code of which one lies rewritten for a
// boot class path and the other does not.
func Diff(a, b *Result) *verdict.Difference {
	x, y := &side{Result: a}, &side{Result: b}
	d := &verdict.Difference{}
	compare := func(name string, of func(*side) []verdict.Item, needs ...evidence.Kind) {
		area := verdict.Compare(name, of(x), of(y))
		area.UnseenA, area.UnseenB = x.unseen(needs), y.unseen(needs)
		d.Areas = append(d.Areas, area)
	}
	x.nameApps(y)
	y.nameApps(x)
	both(x, y)
	all := []evidence.Kind{evidence.Code, evidence.Init, evidence.Manifests, evidence.Permissions, evidence.Properties, evidence.Signatures, evidence.TrustStore}
	compare("answers", (*side).answers)
	compare("findings", (*side).findings, all...)
	compare("signers", (*side).signers, evidence.Signatures)
	compare("apps", (*side).apps, evidence.Manifests, evidence.Permissions, evidence.Code)
	compare("trust", (*side).trust, evidence.TrustStore)
	compare("adbkeys", (*side).adbKeys, evidence.TrustStore)
	compare("services", (*side).services, evidence.Init)
	compare("actions", (*side).actions, evidence.Init)
	compare("hosts", (*side).hosts, evidence.Properties)
	compare("posture", func(s *side) []verdict.Item { return s.properties(true) }, evidence.Properties)
	compare("properties", func(s *side) []verdict.Item { return s.properties(false) }, evidence.Properties)
	compare("libraries", (*side).libraries, evidence.Code)
	compare("device", (*side).device, evidence.Properties)
	compare("partitions", (*side).partitions)
	files := verdict.Compare("files", x.files, y.files)
	d.Areas = append(d.Areas, files)
	d.Conformance = conformance(x, y, files)
	return d
}

// A side is one of two results that are compared.
type side struct {
	*Result
	paths map[evidence.Ref]string   // where files lie on the phone; made when first asked for
	ids   map[*phone.Package]string // by which apps are compared
	code  map[string]verdict.Fact   // the hash of the code of those apps and libraries that both have, by id
	files []verdict.Item            // of partitions that both have
}

// nameApps gives each app an id: its name, and its path too if one of the two phones has several of the name.
func (s *side) nameApps(other *side) {
	several := map[string]bool{}
	for _, r := range []*Result{s.Result, other.Result} {
		seen := map[string]bool{}
		for _, p := range r.Phone.Packages {
			several[p.Name] = several[p.Name] || seen[p.Name]
			seen[p.Name] = true
		}
	}
	s.ids = map[*phone.Package]string{}
	for _, p := range s.Phone.Packages {
		s.ids[p] = p.Name
		if several[p.Name] {
			s.ids[p] += " at " + s.pathOf(p)
		}
	}
}

// pathOf is where an app lies on the phone, or where what was found of it does.
func (s *side) pathOf(p *phone.Package) string {
	if p.File != nil {
		return p.File.Path
	}
	if s.paths == nil {
		s.paths = map[evidence.Ref]string{}
		for _, f := range s.Evidence.Files() {
			s.paths[f.Ref] = f.Path
		}
	}
	return s.paths[p.Manifest.File()]
}

// both finds what only shows when two phones are looked at together: which apps both have, and, where size does not tell it,
// whether code and files are the same.
func both(x, y *side) {
	x.code, y.code = map[string]verdict.Fact{}, map[string]verdict.Fact{}
	codeX, codeY := x.codeOf(), y.codeOf()
	var work []func()
	var mu sync.Mutex
	for id, a := range codeX {
		b, ok := codeY[id]
		if !ok {
			continue
		}
		x.code[id], y.code[id] = verdict.Fact{Name: "code", Unseen: true}, verdict.Fact{Name: "code", Unseen: true}
		if a.unseen || b.unseen || len(a.files) > 0 && len(b.files) > 0 && a.optimised() != b.optimised() {
			continue
		}
		work = append(work, func() {
			sumA, sumB := a.hash(), b.hash()
			mu.Lock()
			defer mu.Unlock()
			x.code[id], y.code[id] = fact("code", sumA), fact("code", sumB)
		})
	}
	work = append(work, sameFiles(x, y)...)
	atOnce(work)
}

// atOnce does all work on all cores.
func atOnce(work []func()) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(work) {
					return
				}
				work[i]()
			}
		})
	}
	wg.Wait()
}

// A code is that of an app or library.
type code struct {
	files  []phone.CodeFile
	unseen bool // some of it should be there and is not
}

// codeOf returns the code of apps and libraries by the id they are compared by.
func (s *side) codeOf() map[string]code {
	out := map[string]code{}
	add := func(id string, files []phone.CodeFile, gap *evidence.Gap) {
		c := out[id]
		out[id] = code{slices.Concat(c.files, files), c.unseen || gap != nil}
	}
	for _, p := range s.Phone.Packages {
		add(s.ids[p], p.Code, p.CodeGap)
	}
	for _, l := range s.Phone.Libraries {
		add(l.Path, l.Code, l.Gap)
	}
	return out
}

func (c code) optimised() bool {
	return slices.ContainsFunc(c.files, func(f phone.CodeFile) bool { return f.Optimised })
}

// hash is "" if there is no code.
func (c code) hash() string {
	if len(c.files) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range c.files {
		for _, part := range [][]byte{f.Data, f.Shared} {
			sum := sha256.Sum256(part)
			h.Write(sum[:])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sameFiles describes the files of the partitions that both phones have, and returns the work that hashes those of the
// same size.
func sameFiles(x, y *side) (work []func()) {
	partsX, partsY := x.parts(), y.parts()
	list := func(s *side, own, other map[string]int) {
		for _, f := range s.Evidence.Files() {
			if _, ok := other[s.part(f)]; !ok {
				continue
			}
			item := verdict.Item{ID: f.Path, Name: f.Path}
			switch {
			case f.Link != "":
				item.Facts = []verdict.Fact{fact("link", f.Link)}
			case !f.Mode.IsRegular():
				item.Facts = []verdict.Fact{fact("kind", f.Mode.Type().String())}
			default:
				item.Facts = []verdict.Fact{{Name: "size", Values: []string{fmt.Sprint(f.Size)}, Unseen: f.Size < 0}}
			}
			s.files = append(s.files, item)
		}
	}
	list(x, partsX, partsY)
	list(y, partsY, partsX)
	for i := range x.files {
		j, ok := slices.BinarySearchFunc(y.files, x.files[i].ID, func(it verdict.Item, id string) int { return cmp.Compare(it.ID, id) })
		if !ok {
			continue
		}
		f, g := x.byPath(x.files[i].ID), y.byPath(y.files[j].ID)
		if f == nil || g == nil || f.Size != g.Size || f.Link != "" || g.Link != "" || !f.Mode.IsRegular() || !g.Mode.IsRegular() {
			continue
		}
		work = append(work, func() {
			for _, one := range []struct {
				f  *evidence.File
				to *verdict.Item
			}{{f, &x.files[i]}, {g, &y.files[j]}} {
				sum, err := one.f.SHA256()
				one.to.Facts = append(one.to.Facts, verdict.Fact{Name: "sha256", Values: []string{hex.EncodeToString(sum[:])}, Unseen: err != nil})
			}
		})
	}
	return work
}

// conformance counts the files of the partitions that both phones have.
func conformance(x, y *side, files verdict.Area) (out []verdict.Conformance) {
	counts := map[string]*verdict.Conformance{}
	of := func(s *side, path string) *verdict.Conformance {
		name := ""
		if f := s.byPath(path); f != nil {
			name = s.part(f)
		}
		c := counts[name]
		if c == nil {
			c = &verdict.Conformance{Partition: cmp.Or(name, "no partition")}
			counts[name] = c
		}
		return c
	}
	for _, it := range files.Added {
		of(y, it.ID).Added++
	}
	apart := map[string]bool{}
	for _, it := range files.Removed {
		of(x, it.ID).Removed++
		apart[it.ID] = true
	}
	for _, it := range files.Changed {
		of(x, it.ID).Changed++
		apart[it.ID] = true
	}
	unseen := func(it verdict.Item) bool {
		return slices.ContainsFunc(it.Facts, func(f verdict.Fact) bool { return f.Unseen })
	}
	for _, it := range x.files {
		if apart[it.ID] {
			continue
		}
		j, ok := slices.BinarySearchFunc(y.files, it.ID, func(o verdict.Item, id string) int { return cmp.Compare(o.ID, id) })
		if c := of(x, it.ID); ok && (unseen(it) || unseen(y.files[j])) {
			c.Unseen++
		} else {
			c.Same++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, *counts[name])
	}
	return out
}

func (s *side) byPath(p string) *evidence.File {
	files := s.Evidence.Files()
	i, ok := slices.BinarySearchFunc(files, p, func(f *evidence.File, p string) int { return cmp.Compare(f.Path, p) })
	if !ok {
		return nil
	}
	return files[i]
}

// parts counts the files of each partition. What lies in none, one app say, is of the partition "".
func (s *side) parts() map[string]int {
	out := map[string]int{}
	for _, r := range s.Evidence.Roots() {
		out[r.Path] = 0
	}
	for _, f := range s.Evidence.Files() {
		out[s.part(f)]++
	}
	return out
}

// part returns the innermost partition that holds a file.
func (s *side) part(f *evidence.File) (best string) {
	for _, r := range s.Evidence.Roots() {
		if strings.HasPrefix(f.Path, strings.TrimSuffix(r.Path, "/")+"/") && len(r.Path) > len(best) {
			best = r.Path
		}
	}
	return best
}

// unseen names the kinds of evidence that were not there or not read whole.
func (s *side) unseen(kinds []evidence.Kind) (out []string) {
	for _, k := range kinds {
		listed, failed := 0, 0
		for _, c := range s.Coverage {
			if c.What == k {
				listed, failed = listed+c.Listed, failed+c.Failed
			}
		}
		switch {
		case listed == 0:
			out = append(out, string(k)+": none was in what was given")
		case failed > 0:
			out = append(out, fmt.Sprintf("%s: %d of %d could not be read", k, failed, listed))
		}
	}
	return out
}

// fact is a fact with those values that are not empty.
func fact(name string, values ...string) verdict.Fact {
	return verdict.Fact{Name: name, Values: slices.DeleteFunc(values, func(v string) bool { return v == "" })}
}

// yes is a fact that holds or does not.
func yes(name string, holds bool) verdict.Fact {
	if !holds {
		return verdict.Fact{Name: name}
	}
	return fact(name, "yes")
}

func item(id string, facts ...verdict.Fact) verdict.Item {
	return verdict.Item{ID: id, Name: id, Facts: facts}
}

func (s *side) answers() (out []verdict.Item) {
	for _, a := range s.Verdict.Answers {
		out = append(out, item(string(a.Question), fact("level", string(a.Level))))
	}
	return append(out, item("decision", fact("decision", s.Verdict.Decision.ID)))
}

func (s *side) findings() (out []verdict.Item) {
	for i := range s.Findings {
		f := &s.Findings[i]
		it := item(f.ID(), fact("grade", string(f.Grade)), fact("guards", guards(f)...))
		it.Name = f.Text()
		if e := f.Entry; e != nil {
			it.Facts = append(it.Facts, fact("way in", strings.TrimSuffix(e.Component+", action "+e.Action, ", action ")))
		}
		if f.State != check.Present {
			it.Facts = append(it.Facts, fact("state", string(f.State)))
		}
		out = append(out, it)
	}
	return out
}

func guards(f *check.Finding) (out []string) {
	for _, g := range f.Gates {
		out = append(out, g.What+": "+g.Holds.String())
	}
	return out
}

func signer(p *phone.Package) (out []string) {
	for _, c := range p.Signature.Signers {
		out = append(out, strings.TrimSpace(c.SHA256+" "+c.Subject))
	}
	return out
}

func (s *side) signers() []verdict.Item {
	key := s.Phone.PlatformSigner
	out := []verdict.Item{item("(the platform)", verdict.Fact{Name: "signer", Values: []string{strings.TrimSpace(key.SHA256 + " " + key.Subject)}, Unseen: key.SHA256 == ""})}
	for _, p := range s.Phone.Packages {
		id := s.ids[p]
		if _, ok := s.code[id]; ok {
			out = append(out, item(id, verdict.Fact{Name: "signer", Values: signer(p), Unseen: p.File == nil},
				verdict.Fact{Name: "signature", Values: []string{p.Signature.Verdict}, Unseen: p.File == nil}, fact("schemes", p.Signature.Schemes...)))
		}
	}
	return out
}

func (s *side) apps() (out []verdict.Item) {
	for _, p := range s.Phone.Packages {
		id := s.ids[p]
		var has, lacks, doors []string
		for _, r := range p.Requested {
			if p.Has(r) {
				has = append(has, r)
			} else {
				lacks = append(lacks, r)
			}
		}
		for _, c := range p.Components {
			if c.Exported && c.Enabled {
				doors = append(doors, door(c))
			}
		}
		facts := []verdict.Fact{fact("label", p.Label), fact("path", s.pathOf(p)), fact("version", version(p)), fact("runs as", p.SharedUID),
			yes("privileged", p.Privileged), yes("signed as the platform", p.Platform), yes("debuggable", p.Debuggable), yes("always running", p.Persistent),
			yes("dormant", p.Dormant), fact("overlays", p.Overlay), fact("ways in", doors...), fact("permissions it has", has...), fact("permissions asked for and not given", lacks...)}
		if c, ok := s.code[id]; ok {
			facts = append(facts, c)
		} else {
			facts = append(facts, fact("signer", signer(p)...), fact("signature", p.Signature.Verdict))
		}
		out = append(out, item(id, facts...))
	}
	return out
}

func version(p *phone.Package) string {
	if p.VersionName == "" && p.VersionCode == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s (%d)", p.VersionName, p.VersionCode))
}

// door says what a component is and what guards it.
func door(c *phone.Component) string {
	name := string(c.Kind) + " " + c.Class() + ": "
	if c.Kind != phone.KindProvider {
		return name + guard(c.Guard)
	}
	return name + "reading " + guard(c.Read) + ", writing " + guard(c.Write)
}

func guard(g phone.Guard) string {
	if g.Permission == "" {
		return "no guard"
	}
	return g.Permission + " (" + g.Holds.String() + ")"
}

func (s *side) trust() (out []verdict.Item) {
	for _, c := range s.Phone.Trust {
		it := item(cmp.Or(c.SHA256, c.At.String()), fact("subject", c.Subject), fact("issuer", c.Issuer), fact("known", cmp.Or(c.KnownAs, "no: AOSP ships it in no release")),
			yes("added on the phone", c.Added), fact("problem", c.Problem))
		it.Name = cmp.Or(c.Subject, it.ID)
		out = append(out, it)
	}
	return out
}

func (s *side) adbKeys() (out []verdict.Item) {
	for _, k := range s.Phone.ADBKeys {
		out = append(out, item(cmp.Or(k.Fingerprint, "no key: "+k.Comment), fact("comment", k.Comment)))
	}
	return out
}

func (s *side) services() (out []verdict.Item) {
	for i := range s.Phone.Services {
		v := &s.Phone.Services[i]
		caps := fact("capabilities", slices.Clone(v.Caps)...)
		if v.AllCaps {
			caps.Values = append(caps.Values, "all")
		}
		var sockets []string
		for _, x := range v.Sockets {
			sockets = append(sockets, strings.TrimSpace(fmt.Sprintf("%s %s %o %s %s %s", x.Name, x.Type, x.Perm, x.User, x.Group, x.Context)))
		}
		out = append(out, item(v.Name, fact("command", strings.Join(v.Args, " ")), fact("user", v.User), fact("groups", slices.Clone(v.Groups)...), caps,
			fact("label", v.Label), fact("class", slices.Clone(v.Classes)...), fact("sockets", sockets...), fact("started by", slices.Clone(v.Start)...),
			yes("disabled", v.Disabled), yes("runs once", v.Oneshot)))
	}
	return out
}

// actions joins those of one trigger, from whatever files.
func (s *side) actions() (out []verdict.Item) {
	for _, a := range s.Phone.Actions {
		var lines []string
		for _, c := range a.Commands {
			lines = append(lines, strings.Join(append([]string{c.Name}, c.Args...), " "))
		}
		out = append(out, item("on "+strings.Join(a.Triggers, " && "), fact("commands", lines...)))
	}
	return out
}

func (s *side) hosts() (out []verdict.Item) {
	for _, h := range s.Phone.Hosts {
		out = append(out, item(h.Name, fact("address", h.IP)))
	}
	return out
}

// properties returns those that say how open the phone is, or all others.
func (s *side) properties(posture bool) (out []verdict.Item) {
	speaks := map[string]bool{}
	for _, p := range knowledge.Postures() {
		speaks[p.Property] = true
	}
	for _, p := range s.Phone.Properties {
		if speaks[p.Name] == posture {
			out = append(out, item(p.Name, verdict.Fact{Name: "value", Values: []string{p.Value}}))
		}
	}
	return out
}

func (s *side) libraries() (out []verdict.Item) {
	for _, l := range s.Phone.Libraries {
		facts := []verdict.Fact{fact("name", l.Name), yes("in every process", l.Boot), yes("in the system server", l.Server)}
		if c, ok := s.code[l.Path]; ok {
			facts = append(facts, c)
		}
		out = append(out, item(l.Path, facts...))
	}
	return out
}

func (s *side) device() (out []verdict.Item) {
	d := &s.Phone.Device
	api := ""
	if s.Phone.API > 0 {
		api = fmt.Sprint(s.Phone.API)
	}
	key := ""
	if chain := s.Phone.VerifiedBoot.Chain; len(chain) > 0 {
		key = chain[0].KeySHA256
	}
	for _, f := range []struct{ name, value string }{
		{"vbmeta digest", s.Phone.VerifiedBoot.Digest}, {"verified boot key", key},
		{"brand", d.Brand}, {"manufacturer", d.Manufacturer}, {"model", d.Model}, {"name", d.Name}, {"fingerprint", d.Fingerprint}, {"android", d.Android},
		{"api", api}, {"patch", d.Patch}, {"build type", d.BuildType}, {"build tags", d.BuildTags}, {"build date", d.BuildDate}, {"board", d.Board}, {"abi", d.ABI},
	} {
		if f.value != "" {
			out = append(out, item(f.name, fact("value", f.value)))
		}
	}
	return out
}

// partitions says which there are: what is in those that both have is told by files.
func (s *side) partitions() (out []verdict.Item) {
	for _, name := range slices.Sorted(maps.Keys(s.parts())) {
		out = append(out, item(cmp.Or(name, "files of no partition")))
	}
	return out
}
