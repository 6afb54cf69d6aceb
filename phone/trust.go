package phone

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"gifthorse/evidence"
	"gifthorse/format/prop"
	"gifthorse/knowledge"
)

// trustDirs hold the authorities that TLS trusts: the system's, those of the Conscrypt module in use since
// Android 14, and those that were added later.
var trustDirs = []string{"/system/etc/security/cacerts", "/apex/com.android.conscrypt/cacerts", "/system/apex/com.android.conscrypt/cacerts"}

func (b *builder) readTrust() {
	var files []*evidence.File
	for _, dir := range trustDirs {
		files = append(files, b.ev.Under(dir)...)
	}
	if len(files) == 0 && b.covers("/system/etc") {
		b.listed(evidence.TrustStore)
		b.failed(evidence.TrustStore, evidence.Gap{At: b.root(trustDirs[0]), Reason: evidence.Absent, Detail: trustDirs[0] + " is not in what was given"})
	}
	for _, f := range b.ev.Under("/data/misc/user") {
		if path.Base(path.Dir(f.Path)) == "cacerts-added" {
			files = append(files, f)
		}
	}
	for _, f := range files {
		if f.Link != "" {
			continue
		}
		data, ok := b.text(evidence.TrustStore, f)
		if !ok {
			continue
		}
		certs, err := prop.ParseCertificates(data)
		if len(certs) == 0 {
			if err != nil {
				b.spoiled(evidence.TrustStore, gapOf(f.Ref, err))
			}
			continue
		}
		// Of several the phone trusts the first.
		c := certs[0]
		t := Certificate{SHA256: hex.EncodeToString(c.SHA256[:]), Subject: c.Subject, Issuer: c.Issuer, At: f.Ref, Problem: c.Problem,
			Added: strings.HasPrefix(f.Path, "/data/")}
		info, ok := knowledge.CA(t.SHA256)
		if !ok { // some old ones are known by SHA-1 only
			sum := sha1.Sum(c.DER)
			info, ok = knowledge.CA(hex.EncodeToString(sum[:]))
		}
		if ok {
			t.Known, t.KnownAs = true, "AOSP "+strings.Join(info.Releases, ", ")
		}
		b.phone.Trust = append(b.phone.Trust, t)
	}
	slices.SortFunc(b.phone.Trust, func(x, y Certificate) int {
		return cmp.Or(cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.SHA256, y.SHA256), evidence.Compare(x.At, y.At))
	})
}

// adbKeyFiles are where adbd looks for keys (daemon/auth.cpp), that of the recovery system in its own ramdisk.
var adbKeyFiles = []string{"/adb_keys", "/product/etc/security/adb_keys", "/data/misc/adb/adb_keys", "/boot-ramdisk/adb_keys", "/recovery-ramdisk/adb_keys"}

func (b *builder) readADBKeys() {
	for _, name := range adbKeyFiles {
		f := b.ev.File(name)
		if f == nil {
			continue
		}
		data, ok := b.text(evidence.TrustStore, f)
		if !ok {
			continue
		}
		for _, k := range prop.ParseADBKeys(data) {
			b.phone.ADBKeys = append(b.phone.ADBKeys, ADBKey{k.Comment, k.Fingerprint, lineRef(f.Ref, k.Line)})
		}
	}
}

func (b *builder) readHosts() {
	f := b.ev.File("/system/etc/hosts")
	if f == nil {
		return
	}
	data, ok := b.text(evidence.Properties, f)
	if !ok {
		return
	}
	for _, h := range prop.ParseHosts(data) {
		if h.Ignored != "" {
			continue
		}
		for _, n := range h.Names {
			b.phone.Hosts = append(b.phone.Hosts, Host{h.IP, n, lineRef(f.Ref, h.Line)})
		}
	}
}
