package program

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gifthorse/evidence"
	"gifthorse/knowledge"
	"gifthorse/phone"
)

// A cache keeps what following the ways of each app gave, on the disk, so that a phone checked again, or its next
// build, costs only what changed. It never changes what is found: an entry is used only if all that its app was judged
// by is the same. That is the program; the app, by its content; the code of the phone's libraries; and the answer to every
// question that was asked of the rest of the phone on the way (asks). An entry that is damaged or of another program
// is as good as none.
type cache struct {
	dir     string // made when the first entry is kept
	program string // hash of this program, the facts in it among the rest
}

// openCache returns nil if there is to be none, or if this program cannot tell itself from others.
func openCache(dir string) *cache {
	if dir == "" || thisProgram() == "" {
		return nil
	}
	return &cache{dir, thisProgram()}
}

var thisProgram = sync.OnceValue(func() string {
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
})

// A followed is what following the ways of one app gave.
type followed struct {
	Paths, Remote []Path
	Sent          []Sending
	Gaps          []evidence.Gap
	Unknown       int
}

// A question is one that was asked of the phone about what is not the app's own.
type question struct {
	Kind questionKind
	Name string
}

type questionKind uint8

const (
	askPermission questionKind = iota // what a permission is worth
	askAction                         // whether only the system may send it
	askPackage                        // what there is of this name
	askUID                            // which packages share it
	askProperty
	askDoorsByName   // which components other apps can reach, of this class
	askDoorsByAction // and with this action
	askClass         // whether any code on the phone names it: what none names has no number
)

// asks notes a question that a run asks of the phone.
func (r *run) asks(kind questionKind, name string) {
	if r.p.asked != nil {
		r.p.asked[r.home][question{kind, name}] = true
	}
}

// answer is what the phone answers, as a text that differs if the answer does.
func (p *Program) answer(q question) string {
	var b strings.Builder
	switch q.Kind {
	case askPermission:
		fmt.Fprintf(&b, "%+v", p.Phone.Guard(q.Name))
	case askAction:
		v, by := p.Phone.Protected(q.Name)
		fmt.Fprint(&b, v, by)
	case askPackage:
		if k := p.Phone.Package(q.Name); k != nil {
			b.WriteString(p.contents.of(k))
		}
	case askUID:
		if k := p.Phone.Package(q.Name); k != nil {
			fmt.Fprintf(&b, "%q", p.sharing(k))
		}
	case askProperty:
		v, ok := p.Phone.Property(q.Name)
		fmt.Fprint(&b, ok, v)
	case askClass:
		_, ok := p.syms.ids[q.Name]
		fmt.Fprint(&b, ok)
	case askDoorsByName, askDoorsByAction:
		doors := p.doors.byName
		if q.Kind == askDoorsByAction {
			doors = p.doors.byAction
		}
		for _, c := range doors[q.Name] {
			fmt.Fprint(&b, p.contents.names[c.Package], slices.Index(c.Package.Components, c), p.contents.of(c.Package))
		}
	}
	return b.String()
}

// contents knows the packages of a phone by what is in them, and their files by names that the next build's have too.
type contents struct {
	libraries string
	names     map[*phone.Package]string // `"com.a" 0`: of several of one name, the first
	packages  map[string]*phone.Package
	files     map[evidence.Ref]string // `"com.a" 0 code 1`
	refs      map[string]evidence.Ref
	sums      map[*phone.Package]func() string // each worked out when it is first asked for
}

func contentsOf(ph *phone.Phone) *contents {
	c := &contents{names: map[*phone.Package]string{}, packages: map[string]*phone.Package{}, files: map[evidence.Ref]string{},
		refs: map[string]evidence.Ref{}, sums: map[*phone.Package]func() string{}}
	file := func(at evidence.Ref, name string) {
		at = at.File()
		if _, twice := c.files[at]; !twice {
			c.files[at], c.refs[name] = name, at
		}
	}
	nth := map[string]int{}
	for _, k := range ph.Packages {
		name := fmt.Sprintf("%q %d", k.Name, nth[k.Name])
		nth[k.Name]++
		c.names[k], c.packages[name] = name, k
		c.sums[k] = sync.OnceValue(func() string { return sum(k) })
		file(k.Manifest, name+" manifest")
		for i, x := range k.Components {
			file(x.At, fmt.Sprint(name, " component ", i))
		}
		for i, x := range k.Code {
			file(x.Ref, fmt.Sprint(name, " code ", i))
		}
	}
	sums := make([]string, len(ph.Libraries))
	parallel(len(sums), func(i int) { sums[i] = sum(ph.Libraries[i]) })
	c.libraries = strings.Join(sums, " ")
	for i, l := range ph.Libraries {
		for j, x := range l.Code {
			file(x.Ref, fmt.Sprint("library ", i, " code ", j))
		}
	}
	return c
}

// of returns the sum of a package: two with the same sum are the same in all that may bear on what its code does.
func (c *contents) of(k *phone.Package) string { return c.sums[k]() }

// sum hashes a thing of the model with all that is in it, but for the addresses of the evidence it came from.
func sum(x any) string {
	s := summer{Hash: sha256.New()}
	s.value(reflect.ValueOf(x).Elem())
	return hex.EncodeToString(s.Sum(nil))
}

var (
	refType       = reflect.TypeFor[evidence.Ref]()
	fileType      = reflect.TypeFor[*evidence.File]()
	packageType   = reflect.TypeFor[*phone.Package]()
	componentType = reflect.TypeFor[*phone.Component]()
	entryType     = reflect.TypeFor[*Entry]()
	kindType      = reflect.TypeFor[*knowledge.FactKind]()
)

// A summer adds values to a hash, so that no two add the same.
type summer struct {
	hash.Hash
	room []byte
}

func (s *summer) number(n int64) {
	s.room = append(strconv.AppendInt(s.room[:0], n, 36), ' ')
	s.Write(s.room)
}

func (s *summer) value(v reflect.Value) {
	switch t := v.Type(); {
	case t == refType:
		return
	case t == fileType && !v.IsNil():
		s.value(v.Elem().FieldByName("Path"))
		return
	case t == packageType && !v.IsNil(): // the one that it is in
		s.value(v.Elem().FieldByName("Name"))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		s.number(b2i(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.number(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.number(int64(v.Uint()))
	case reflect.String:
		s.number(int64(v.Len()))
		io.WriteString(s, v.String())
	case reflect.Slice:
		s.number(int64(v.Len()))
		if v.Type().Elem().Kind() == reflect.Uint8 {
			s.Write(v.Bytes())
			return
		}
		for i := range v.Len() {
			s.value(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			// Each build gives apps that have no version of their own its own. No code is judged by it.
			if name := v.Type().Field(i).Name; name != "VersionName" && name != "VersionCode" {
				s.value(v.Field(i))
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			s.number(0)
			return
		}
		s.number(1)
		s.value(v.Elem())
	case reflect.Map:
		s.number(int64(v.Len()))
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			s.value(k)
			s.value(v.MapIndex(k))
		}
	default:
		panic("program: no sum of a " + v.Type().String())
	}
}

// The cache as a whole is bounded, and so is an entry: the largest of five phones has 32 KB.
const (
	maxCache = 256 << 20
	maxEntry = 32 << 20
)

// file names the entry of an app.
func (c *cache) file(p *Program, sp int) string {
	h := sha256.New()
	for _, s := range []string{c.program, strconv.Itoa(p.api), p.contents.libraries, p.contents.of(p.spaces[sp].pkg)} {
		fmt.Fprintln(h, s)
	}
	return filepath.Join(c.dir, hex.EncodeToString(h.Sum(nil)))
}

// load returns what is kept of an app, if it still holds.
func (c *cache) load(p *Program, sp int) (*followed, bool) {
	name := c.file(p, sp)
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxEntry || info.Size() < sha256.Size {
		return nil, false
	}
	data, err := os.ReadFile(name)
	if err != nil || len(data) < sha256.Size {
		return nil, false
	}
	if s := sha256.Sum256(data[sha256.Size:]); string(s[:]) != string(data[:sha256.Size]) {
		return nil, false
	}
	f, err := p.decode(sp, data[sha256.Size:])
	if err != nil {
		return nil, false
	}
	if time.Since(info.ModTime()) > 24*time.Hour { // what is used is thrown out last
		os.Chtimes(name, time.Time{}, time.Now())
	}
	return f, true
}

// keep stores what following an app gave. Where it cannot, nothing is lost but time.
func (c *cache) keep(p *Program, sp int, f *followed) {
	data, err := p.encode(sp, f)
	if err != nil || len(data) > maxEntry || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	tmp, err := os.CreateTemp(c.dir, "new")
	if err != nil {
		return
	}
	s := sha256.Sum256(data)
	_, err1 := tmp.Write(s[:])
	_, err2 := tmp.Write(data)
	if cmp.Or(err1, err2, tmp.Close()) != nil || os.Rename(tmp.Name(), c.file(p, sp)) != nil {
		os.Remove(tmp.Name())
	}
}

// trim throws out what was not used for longest, if there is too much.
func (c *cache) trim() {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	total := int64(0)
	for _, e := range list {
		if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
			infos = append(infos, i)
			total += i.Size()
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, i := range infos {
		if total <= maxCache {
			break
		}
		if os.Remove(filepath.Join(c.dir, i.Name())) == nil {
			total -= i.Size()
		}
	}
}

// encode writes what following an app gave, after the questions that were asked, with their answers.
func (p *Program) encode(sp int, f *followed) ([]byte, error) {
	w := &writer{c: p.contents, own: p.contents.names[p.spaces[sp].pkg], texts: map[string]int{}, entries: map[*Entry]int{}}
	asked := slices.SortedFunc(maps.Keys(p.asked[sp]), func(a, b question) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	w.value(reflect.ValueOf(asked))
	for _, q := range asked {
		w.text(p.answer(q))
	}
	w.value(reflect.ValueOf(f).Elem())
	return w.out, w.err
}

// decode is the reverse. It fails if the phone answers a question otherwise now.
func (p *Program) decode(sp int, data []byte) (*followed, error) {
	d := &reader{c: p.contents, own: p.spaces[sp].pkg, in: data}
	var asked []question
	d.value(reflect.ValueOf(&asked).Elem())
	for _, q := range asked {
		if was := d.text(); d.err == nil && p.answer(q) != was {
			return nil, errOther
		}
	}
	f := new(followed)
	d.value(reflect.ValueOf(f).Elem())
	if d.err == nil && len(d.in) > 0 {
		d.err = errDamaged
	}
	return f, d.err
}
