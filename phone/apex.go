package phone

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/format/boot"
)

// A Module is an APEX: a part of the system that is updated by itself. Its apps, libraries, services and authorities are among those of
// the phone, if the phone uses it.
type Module struct {
	Name        string // as its manifest says, "" if that could not be read
	Version     int64
	VersionName string
	File        *evidence.File // the container; of one that lies unpacked its manifest
	Mount       string         // "/apex/com.android.wifi"; "" if the phone does not use this file
	Packed      bool           // compressed
	System      bool           // it came with the phone

	Key      string    // SHA-256 of the key that the image is signed with, in AVB's form; "" if there is none
	Verified bool      // that key signed exactly this image
	Problem  string    // what is wrong with it, or why the phone does not use it
	Package  Signature // of the container, as of an app
}

// readModule checks one module.
func (b *builder) readModule(a *evidence.Apex) *Module {
	m := &Module{File: a.File, Mount: a.Mount, Packed: a.Packed, System: !strings.HasPrefix(a.File.Path, "/data/"), Problem: a.Why}
	b.listed(evidence.Manifests)
	if a.Gap != nil {
		b.failed(evidence.Manifests, *a.Gap)
		m.Problem = a.Gap.Detail
	} else {
		b.read(evidence.Manifests)
	}
	if a.Manifest != nil {
		m.Name, m.Version, m.VersionName = a.Manifest.Name, a.Manifest.Version, a.Manifest.VersionName
	}
	if a.Unpacked || a.Gap != nil {
		return m
	}
	if len(a.Key) > 0 {
		sum := sha256.Sum256(a.Key)
		m.Key = hex.EncodeToString(sum[:])
	}
	err := a.Verify()
	if m.Verified = err == nil; err != nil && m.Problem == "" {
		m.Problem = err.Error()
	}
	if err != nil && !errors.Is(err, boot.ErrMismatch) && !errors.Is(err, boot.ErrUnsigned) {
		b.gap(evidence.Signatures, gapOf(a.File.Ref, err))
	}
	if data, err := a.File.Data(); err == nil {
		if z, err := apk.NewZip(bytes.NewReader(data), int64(len(data))); err == nil {
			p := &Package{File: a.File}
			b.sign(p, z)
			m.Package = p.Signature
		}
	}
	return m
}

// inModule returns the module's folder that a file of a module lies in, such as "etc" of /apex/com.android.wifi/etc/init.rc.
func inModule(name string) (folder string, ok bool) {
	rest, ok := strings.CutPrefix(name, "/apex/")
	_, rest, sub := strings.Cut(rest, "/")
	return path.Dir(rest), ok && sub
}
