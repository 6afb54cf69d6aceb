package evidence

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"

	"gifthorse/format/apex"
	"gifthorse/format/apk"
	"gifthorse/format/boot"
)

// An Apex is a module of the system in a file of its own, whose contents apexd mounts at /apex when the phone starts.
// The files of those that the phone uses are among [Evidence.Files].
type Apex struct {
	File     *File          // the container; of one that lies unpacked on the system partition its manifest
	Manifest *apex.Manifest // nil if it could not be read: Gap says why
	Mount    string         // where its files are on the phone, such as "/apex/com.android.wifi"; "" if the phone does not use it
	Why      string         // why not, or by which right apexd would refuse it
	Packed   bool           // compressed: the phone unpacks the APEX in it
	Unpacked bool           // a folder that is mounted as it is, without an image (up to Android 12)
	Key      []byte         // the public key in the container, in AVB's form
	Gap      *Gap           // nil if its files were listed

	payload *File // the image
	verify  sync.Once
	broken  error
}

// Where apexd looks for APEXes (system/apex/apexd/apex_constants.h): those that came with the system, those that were
// installed, and what it unpacked of the compressed ones itself.
var (
	shippedApexes = set("/system/apex", "/system_ext/apex", "/product/apex", "/vendor/apex", "/odm/apex")
	activeApexes  = "/data/apex/active"
	madeApexes    = "/data/apex/decompressed"
)

// Apexes returns the modules in order of path, those that the phone does not use among them.
func (e *Evidence) Apexes() []*Apex { return e.apexes }

// Verify checks that the image is the one that the key in the container signed: the signature of its vbmeta structure, and its
// hash tree, for which all of it is read, once. It returns nil, an error that wraps [boot.ErrUnsigned] or [boot.ErrMismatch], or why
// this cannot be told. apexd uses no APEX whose signature does not hold. Of what came with the system it does not check the hash tree:
// that lies on a partition which has one itself.
func (a *Apex) Verify() error {
	a.verify.Do(func() {
		if a.broken = a.signed(); a.broken != nil {
			return
		}
		r, err := a.payload.reader()
		if err != nil {
			a.broken = err
			return
		}
		_, v, err := boot.NewFooter(r, a.payload.Size)
		if err == nil {
			err = boot.VerifyHashtree(&v.Hashtrees[0], io.NewSectionReader(r, 0, a.payload.Size))
		}
		a.broken = err
	})
	return a.broken
}

// signed checks what apexd checks before it mounts an image (ApexFile::VerifyApexVerity).
func (a *Apex) signed() error {
	if a.payload == nil {
		return Gap{a.File.Ref, Absent, "it has no image"}
	}
	r, err := a.payload.reader()
	if err != nil {
		return err
	}
	_, v, err := boot.NewFooter(r, a.payload.Size)
	switch {
	case err != nil:
		return err
	case v == nil:
		return fmt.Errorf("the image has no vbmeta footer: %w", boot.ErrUnsigned)
	}
	if err := v.Verify(); err != nil {
		return err
	}
	if !bytes.Equal(v.PublicKey, a.Key) {
		return fmt.Errorf("the key that signed the image is not the one in %s: %w", apex.PublicKey, boot.ErrMismatch)
	}
	if len(v.Hashtrees) == 0 {
		return fmt.Errorf("the image has no hash tree: %w", boot.ErrUnsigned)
	}
	if d := a.Manifest.RootDigest; d != "" && fmt.Sprintf("%x", v.Hashtrees[0].RootDigest) != d {
		return fmt.Errorf("the hash tree is not the one that the compressed APEX names: %w", boot.ErrMismatch)
	}
	return nil
}

// openApexes finds the modules and lists the files of those that the phone uses. It runs when every other file has its path.
func (o *opener) openApexes() {
	e := o.e
	loose := map[*File]bool{}
	for _, a := range o.apps {
		loose[a.file] = a.kind == &apexKind
	}
	byName := map[string][]*Apex{}
	for _, f := range e.files {
		if o.e.ctx.Err() != nil {
			return
		}
		dir, base := path.Split(f.Path)
		dir = path.Clean(dir)
		var a *Apex
		switch ext := path.Ext(base); {
		case !f.Mode.IsRegular() || f.blob == nil:
			continue
		case (ext == ".apex" || ext == ".capex") && (shippedApexes[dir] || dir == activeApexes || dir == madeApexes), loose[f]:
			a = o.readApex(f)
		case (base == apex.ManifestName || base == apex.ManifestJSON) && shippedApexes[path.Dir(dir)]:
			if base == apex.ManifestJSON && e.byPath[dir+"/"+apex.ManifestName] != nil {
				continue
			}
			a = &Apex{File: f, Unpacked: true}
			b, err := f.Data()
			if err == nil {
				err = a.parse(b, base)
			}
			if err != nil {
				a.fail(e, err)
			}
		default:
			continue
		}
		e.apexes = append(e.apexes, a)
		if a.Manifest != nil {
			byName[a.Manifest.Name] = append(byName[a.Manifest.Name], a)
		}
	}
	// What lies below /apex already was pulled from a running phone.
	there := map[string]bool{}
	for name := range byName {
		there[name] = e.holds("/apex/" + name)
	}
	for _, a := range e.apexes {
		if a.Manifest == nil || byName[a.Manifest.Name] == nil {
			continue
		}
		all := byName[a.Manifest.Name]
		delete(byName, a.Manifest.Name)
		used := chooseApex(all)
		for _, other := range all {
			if other != used && other.Why == "" {
				other.Why = "another of the same name is used: " + used.File.Path
			}
		}
		if there[a.Manifest.Name] {
			used.Mount = "/apex/" + a.Manifest.Name
		} else {
			o.mount(used)
		}
	}
	e.sortLists()
}

// chooseApex finds which of several modules of one name the phone mounts (SelectApexForActivation in apexd.cpp,
// ApexFileRepository::AddDataApex): the highest version; of two alike the installed one. One that was installed needs the key of
// the one that came with the system and a signature that holds. Whether it does is not asked of those that came with the system, for a
// phone whose maker left the check out would use them too.
func chooseApex(all []*Apex) *Apex {
	var shipped, best *Apex
	rank := func(a *Apex) int { // among those of one version
		switch dir := path.Dir(a.File.Path); {
		case dir == activeApexes:
			return 3
		case dir == madeApexes:
			return 0
		case a.Unpacked: // what an unpacker laid beside the APEX is the same again
			return 1
		}
		return 2
	}
	for _, a := range all {
		if r := rank(a); (r == 1 || r == 2) && (shipped == nil || a.Manifest.Version > shipped.Manifest.Version || a.Manifest.Version == shipped.Manifest.Version && r > rank(shipped)) {
			shipped = a
		}
	}
	for _, a := range all {
		switch r := rank(a); {
		case (r == 1 || r == 2) && a != shipped, r == 0 && shipped != nil:
			continue
		case r == 3 && shipped != nil && !shipped.Unpacked && !bytes.Equal(a.Key, shipped.Key):
			a.Why = "apexd refuses it: its key is another than that of " + shipped.File.Path
			continue
		case r == 3 && shipped != nil && a.signed() != nil:
			a.Why = "apexd refuses it: " + explain(a.signed()).detail
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(a.Manifest.Version, best.Manifest.Version), cmp.Compare(rank(a), rank(best))) > 0 {
			best = a
		}
	}
	return best
}

func (a *Apex) fail(e *Evidence, err error) {
	if e.ctx.Err() != nil {
		return
	}
	if g, ok := errors.AsType[Gap](err); ok { // which is noted
		a.Gap = &g
		return
	}
	w := explain(err)
	a.Gap = &Gap{a.File.Ref, w.reason, "an APEX: " + w.detail}
	e.note(a.Gap.At, a.Gap.Reason, a.Gap.Detail)
}

func (a *Apex) parse(b []byte, name string) (err error) {
	if name == apex.ManifestName {
		a.Manifest, err = apex.Parse(b)
	} else {
		a.Manifest, err = apex.ParseJSON(b)
	}
	return err
}

// readApex reads a container, and the one in it if it is compressed.
func (o *opener) readApex(f *File) *Apex {
	a := &Apex{File: f}
	if err := o.readContainer(a, f, false); err != nil {
		a.fail(o.e, err)
	}
	return a
}

func (o *opener) readContainer(a *Apex, f *File, inner bool) error {
	if why := o.mayOpen(f, 2); why != "" {
		return &failure{TooLarge, why}
	}
	b, err := f.all()
	if err != nil {
		return err
	}
	z, err := apk.NewZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	in := &zipFile{z, b}
	member := func(name string) *File {
		ent := z.Entry(name)
		if ent == nil {
			return nil
		}
		m := newFile(f.Ref.Inner(name), ent.Size, 0)
		m.blob = &blob{ev: o.e, src: o.zipSource(in, ent)}
		return m
	}
	small := func(names ...string) (b []byte, name string, err error) {
		for _, name := range names {
			m := member(name)
			if m == nil {
				continue
			}
			if m.Size > maxSmall {
				return nil, "", &failure{TooLarge, fmt.Sprintf("its %s has %d bytes", name, m.Size)}
			}
			b, err = m.blob.load() // whatever its checksum: apexd does not look at it
			return b, name, err
		}
		return nil, "", &failure{Absent, "it has no " + names[0]}
	}
	compressed := a.Manifest
	manifest, name, err := small(apex.ManifestName, apex.ManifestJSON)
	if err == nil {
		err = a.parse(manifest, name)
	}
	if err != nil {
		return err
	}
	key, _, err := small(apex.PublicKey)
	if err != nil && explain(err).reason != Absent {
		return err
	}
	if inner { // as apexd's ValidateDecompressedApex demands
		if compressed.Name != a.Manifest.Name || compressed.Version != a.Manifest.Version || !bytes.Equal(a.Key, key) {
			return &failure{Damaged, "the APEX in it has another name, version or key than it says"}
		}
		a.Manifest.RootDigest = compressed.RootDigest
	}
	a.Key = key
	if original := member(apex.Original); original != nil && !inner {
		a.Packed = true
		return o.readContainer(a, original, true)
	}
	image := member(apex.Payload)
	if image == nil {
		return &failure{Absent, "it has no " + apex.Payload}
	}
	if ent := z.Entry(apex.Payload); ent.Method != apk.Stored {
		return &failure{Damaged, "its image is compressed; no phone can mount it"}
	} else if _, bad := image.blob.src.(*failure); !bad {
		// Read in place, and not as a member of a zip, whose checksum apexd does not look at.
		image.blob.src = memory(b[ent.DataOff:][:ent.Size:ent.Size])
	}
	a.payload = image
	return nil
}

// mount lists the files of a module where they are on the phone.
func (o *opener) mount(a *Apex) {
	e := o.e
	at := "/apex/" + a.Manifest.Name
	if a.Unpacked {
		a.Mount = at
		e.mounts = append(e.mounts, mount{at, path.Dir(a.File.Path)})
		return
	}
	if a.payload == nil { // its gap is noted
		return
	}
	head, err := a.payload.head(headSize)
	if err == nil {
		if k := identify(head); k.do != fileSystem {
			err = &failure{Unsupported, "an image of unknown content"}
		} else {
			var list []entry
			if list, _, err = o.listFileSystem(a.payload, k.name); err == nil {
				a.Mount = at
				for _, ent := range list {
					o.put(ent.file, at+"/"+ent.name)
				}
			}
		}
	}
	if err != nil {
		a.fail(e, err)
		return
	}
	if err := a.signed(); err != nil {
		a.Why = explain(err).detail
	}
}

// A mount says that a folder is seen at another place as well.
type mount struct{ at, from string }
