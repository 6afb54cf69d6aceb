// Package apex reads what an APEX says of itself. An APEX is a part of the system that can be updated by itself: a zip
// in which a file system image lies, which apexd mounts below /apex when the phone starts.
//
// [Parse] reads the manifest in its present form, a protocol buffer, [ParseJSON] that of Android 10. The members of the
// container are opened by the caller, who has a reader of zip files: the payload [Payload] is an ext4, f2fs or erofs image,
// stored as it is, with a vbmeta footer signed by the key in [PublicKey]; a compressed APEX has the whole APEX
// in [Original] instead.
//
// Formats: system/apex/proto/apex_manifest.proto, system/apex/apexd/apex_file.cpp and apex_manifest.cpp, and apex_manifest.cpp
// of Android 10 for the JSON.
//
// # Not read
//
// The container's AndroidManifest.xml and its signature, which are those of an app. The image and its footer. apex_build_info.pb,
// which only the build reads.
package apex

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"gifthorse/internal/cursor"
)

// A FormatError says what is wrong with a manifest, and at which byte of it.
type FormatError = cursor.FormatError

// The members of the container that apexd looks at.
const (
	Payload      = "apex_payload.img"
	Original     = "original_apex"
	PublicKey    = "apex_pubkey"
	ManifestName = "apex_manifest.pb"
	ManifestJSON = "apex_manifest.json" // Android 10
)

// maxManifest bounds a manifest. The largest of AOSP's list some 40 libraries and have 1 KB.
const maxManifest = 1 << 20

// A Manifest says which module an APEX is.
type Manifest struct {
	Name        string // of the module, which is mounted at /apex/Name
	Version     int64  // of several of a name apexd mounts the highest
	VersionName string
	RootDigest  string // of a compressed APEX: the root of the hash tree of the payload in it, in hexadecimal
	SharedLibs  bool   // it holds libraries that others share; apexd mounts all versions of such
	NoCode      bool   // none of its code runs in apps
}

// Parse reads apex_manifest.pb.
func Parse(b []byte) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, cursor.Errorf(0, "manifest of %d bytes", len(b))
	}
	m := &Manifest{}
	err := cursor.Fields(b, 0, func(f cursor.Field) error {
		switch f.Num {
		case 1:
			m.Name = string(f.B)
		case 2:
			m.Version = int64(f.V)
		case 5:
			m.VersionName = string(f.B)
		case 6:
			m.NoCode = f.V != 0
		case 11:
			m.SharedLibs = f.V != 0
		case 12:
			return cursor.Fields(f.B, f.Off, func(f cursor.Field) error {
				if f.Num == 1 {
					m.RootDigest = string(f.B)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m.check()
}

// ParseJSON reads apex_manifest.json.
func ParseJSON(b []byte) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, cursor.Errorf(0, "manifest of %d bytes", len(b))
	}
	var j struct {
		Name        string
		Version     json.RawMessage // the JSON form of protocol buffers takes a number of 64 bits in quotes as well
		VersionName string
		NoCode      bool
	}
	if err := json.Unmarshal(b, &j); err != nil {
		off := int64(0)
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			off = e.Offset
		}
		return nil, cursor.Errorf(off, "manifest: %v", err)
	}
	v, err := strconv.ParseInt(strings.Trim(string(j.Version), `"`), 10, 64)
	if err != nil {
		return nil, cursor.Errorf(0, "manifest: version %q", j.Version)
	}
	m := &Manifest{Name: j.Name, Version: v, VersionName: j.VersionName, NoCode: j.NoCode}
	return m.check()
}

// check refuses what apexd refuses (ParseManifest), and a name that is no name of a folder in /apex.
func (m *Manifest) check() (*Manifest, error) {
	switch {
	case m.Name == "" || m.Name == "." || m.Name == ".." || strings.ContainsAny(m.Name, "/\x00") || len(m.Name) > 255:
		return nil, cursor.Errorf(0, "manifest: name %q", m.Name[:min(len(m.Name), 255)])
	case m.Version == 0:
		return nil, cursor.Errorf(0, "manifest of %q without a version", m.Name)
	}
	return m, nil
}
