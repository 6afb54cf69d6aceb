package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gifthorse/evidence"
	"gifthorse/phone"

	"github.com/CycloneDX/cyclonedx-go"
)

// SBOM writes what a phone holds as a bill of materials in the form of CycloneDX 1.6 (ECMA-424), JSON: the
// platform, apps, modules (APEX), shared Java libraries, native libraries, what init's services start, and kernels that lie in boot
// images, with SHA-256, version, place on the phone and, as properties whose names begin with "gifthorse:", who signed them.
// There is no time stamp, and the serial number follows from the hashes of the inputs: the same input gives the same
// bytes. Files are hashed on all cores.
//
// A native library is an ELF file in a folder lib or lib64. Those that are packed into apps, firmware of other
// processors, licences and known weaknesses are not listed, so the list is said to be incomplete, or of unknown
// completeness where every file was read.
func SBOM(w io.Writer, s Scan) error {
	b := materials{refs: map[string]int{}}
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = serialNumber(s.Inputs)
	root := cyclonedx.Component{BOMRef: "phone", Type: cyclonedx.ComponentTypeDevice, Name: "inputs without a phone"}
	if s.Phone != nil {
		b.phone(s.Phone)
		d := device(s.Phone)
		if name := strings.TrimSpace(cmp.Or(d.Brand, d.Manufacturer) + " " + d.Model); name != "" {
			root.Name = name
		} else if len(s.Phone.Evidence.Roots()) > 0 {
			root.Name = "a phone that does not say which it is"
		} else {
			root.Type = cyclonedx.ComponentTypeFile
		}
		root.Version = d.Fingerprint
	}
	tool := []cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: "gifthorse", Version: s.Version}}
	bom.Metadata = &cyclonedx.Metadata{Tools: &cyclonedx.ToolsChoice{Components: &tool}, Component: &root}
	if b.list == nil {
		b.list = []cyclonedx.Component{}
	}
	bom.Components = &b.list
	whole := cyclonedx.CompositionAggregateUnknown
	if len(s.Gaps) > 0 {
		whole = cyclonedx.CompositionAggregateIncomplete
	}
	bom.Compositions = &[]cyclonedx.Composition{{Aggregate: whole, Assemblies: &[]cyclonedx.BOMReference{cyclonedx.BOMReference(root.BOMRef)}}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(out.Bytes()))
	return err
}

// serialNumber is a UUID of version 8 (RFC 9562: made by the application's own rule), or "" if an input has no hash.
func serialNumber(inputs []evidence.Input) string {
	var sums []string
	for _, in := range inputs {
		sum := hexSum(in.SHA256)
		if sum == "" {
			return ""
		}
		sums = append(sums, sum)
	}
	if len(sums) == 0 {
		return ""
	}
	slices.Sort(sums)
	u := sha256.Sum256([]byte("gifthorse bill of materials\n" + strings.Join(sums, "\n")))
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// materials are the components that are listed.
type materials struct {
	list []cyclonedx.Component
	refs map[string]int // how often each reference was wanted
	sums map[*evidence.File]string
}

func (b *materials) phone(ph *phone.Phone) {
	var files []*evidence.File
	for _, p := range ph.Packages {
		files = append(files, p.File)
	}
	for _, m := range ph.Modules {
		files = append(files, m.File)
	}
	for _, l := range ph.Libraries {
		files = append(files, l.File)
	}
	started := map[*evidence.File][]string{} // the services that start a file
	for i := range ph.Services {
		if f := ph.Services[i].Binary; f != nil {
			started[f] = append(started[f], ph.Services[i].Name)
			files = append(files, f)
		}
	}
	var native, kernels []*evidence.File
	for _, f := range ph.Evidence.Files() {
		if inLib(f) {
			native = append(native, f)
		}
	}
	for _, f := range ph.Evidence.Outside() {
		// Package evidence calls the parts of a boot image by what they are.
		if names := f.Ref.Names(); len(names) > 1 && names[len(names)-1] == "kernel" && f.Mode.IsRegular() {
			kernels = append(kernels, f)
		}
	}
	b.sums = sums(slices.Concat(files, kernels), native)

	if d := ph.Device; d.Android != "" {
		b.add("Android", d.Android, "", cyclonedx.Component{Type: cyclonedx.ComponentTypeOS}, "api", fmt.Sprint(ph.API), "security-patch", d.Patch, "build-type", d.BuildType, "build-tags", d.BuildTags,
			"platform-signer", strings.TrimSpace(ph.PlatformSigner.SHA256+" "+ph.PlatformSigner.Subject))
	}
	for _, f := range kernels {
		b.add("kernel", "", f.Ref.String(), cyclonedx.Component{Type: cyclonedx.ComponentTypeOS, Hashes: b.hashes(f)})
	}
	for _, p := range ph.Packages {
		a := app(p, b.sums)
		props := []string{"label", a.Label, "version-code", fmt.Sprint(a.VersionCode), "signature", a.Signature, "runs-as", a.UID}
		for _, c := range p.Signature.Signers {
			props = append(props, "signer", strings.TrimSpace(c.SHA256+" "+c.Subject))
		}
		version := a.Version
		if version == "" && a.VersionCode != 0 {
			version = fmt.Sprint(a.VersionCode)
		}
		b.add(a.Package, version, a.Path, cyclonedx.Component{Type: cyclonedx.ComponentTypeApplication, Hashes: b.hashes(p.File)}, props...)
	}
	for _, m := range ph.Modules {
		props := []string{"kind", "module", "mounted-at", m.Mount, "image-key", m.Key, "image-verified", fmt.Sprint(m.Verified), "problem", m.Problem}
		for _, c := range m.Package.Signers {
			props = append(props, "signer", strings.TrimSpace(c.SHA256+" "+c.Subject))
		}
		b.add(m.Name, fmt.Sprint(m.Version), m.File.Path, cyclonedx.Component{Type: cyclonedx.ComponentTypePlatform, Hashes: b.hashes(m.File)}, props...)
	}
	for _, l := range ph.Libraries {
		b.add(l.Name, "", l.Path, cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, Hashes: b.hashes(l.File)}, "kind", "java")
	}
	for _, f := range native {
		if _, ok := started[f]; b.sums[f] != "" && !ok {
			b.add(f.Path[strings.LastIndexByte(f.Path, '/')+1:], "", f.Path, cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, Hashes: b.hashes(f)}, "kind", "native")
		}
	}
	for _, f := range ph.Evidence.Files() {
		if of, ok := started[f]; ok {
			var props []string
			for _, name := range of {
				props = append(props, "init-service", name)
			}
			b.add(f.Path[strings.LastIndexByte(f.Path, '/')+1:], "", f.Path, cyclonedx.Component{Type: cyclonedx.ComponentTypeApplication, Hashes: b.hashes(f)}, props...)
		}
	}
}

// inLib reports whether f is a file that may be a native library, by where it lies.
func inLib(f *evidence.File) bool {
	return f.Mode.IsRegular() && f.Link == "" && (strings.Contains(f.Path, "/lib/") || strings.Contains(f.Path, "/lib64/"))
}

// add lists a component. props are names and values in turn; what is empty is left out.
func (b *materials) add(name, version, path string, c cyclonedx.Component, props ...string) {
	c.Name, c.Version = name, version
	// In the form of a package URL; none of the kinds there are fits what comes with a phone.
	c.BOMRef = "pkg:generic/" + url.PathEscape(name)
	if version != "" {
		c.BOMRef += "@" + url.PathEscape(version)
	}
	if path != "" {
		c.BOMRef += "?path=" + url.QueryEscape(path)
		c.Evidence = &cyclonedx.Evidence{Occurrences: &[]cyclonedx.EvidenceOccurrence{{Location: path}}}
	}
	b.refs[c.BOMRef]++
	if n := b.refs[c.BOMRef]; n > 1 {
		c.BOMRef += fmt.Sprintf("#%d", n)
	}
	var list []cyclonedx.Property
	for i := 0; i+1 < len(props); i += 2 {
		if props[i+1] != "" {
			list = append(list, cyclonedx.Property{Name: "gifthorse:" + props[i], Value: props[i+1]})
		}
	}
	if list != nil {
		c.Properties = &list
	}
	b.list = append(b.list, c)
}

func (b *materials) hashes(f *evidence.File) *[]cyclonedx.Hash {
	if b.sums[f] == "" {
		return nil
	}
	return &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: b.sums[f]}}
}

// sums hashes files, nil ones passed over, and those of maybe that are ELF files. What cannot be read has no hash; it is
// among the gaps.
func sums(files, maybe []*evidence.File) map[*evidence.File]string {
	all := slices.Concat(files, maybe)
	out := make([]string, len(all))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				if f := all[i]; f != nil && (i < len(files) || isELF(f)) {
					if sum, err := f.SHA256(); err == nil {
						out[i] = hexSum(sum)
					}
				}
			}
		})
	}
	wg.Wait()
	byFile := map[*evidence.File]string{}
	for i, f := range all {
		if f != nil && out[i] != "" {
			byFile[f] = out[i]
		}
	}
	return byFile
}

func isELF(f *evidence.File) bool {
	r, err := f.ReaderAt()
	if err != nil {
		return false
	}
	var magic [4]byte
	_, err = r.ReadAt(magic[:], 0)
	return err == nil && string(magic[:]) == "\x7fELF"
}
