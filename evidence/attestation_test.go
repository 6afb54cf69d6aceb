package evidence

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	assemble "gifthorse/internal/make"
)

// Chains are found in whatever they were kept, alone and beside a phone, and are no part of it.
func TestAttestations(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return full
	}
	one := assemble.Attestation{Root: "one", Version: 3, Level: 1, Texts: map[int]string{710: "acme"}}.Chain()
	two := assemble.Attestation{Root: "two", Version: 4, Level: 1}.Chain()
	var text []byte
	for _, der := range one {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	file := write("chain.pem", text)
	for i, der := range two {
		write(fmt.Sprintf("folder/cert%d.der", i), der)
	}
	write("folder/readme.txt", []byte("how it was made"))
	write("phone/system/build.prop", []byte("ro.build.version.sdk=30\n"))
	write("phone/system/etc/own.pem", text) // of the phone, and not given along
	cut := write("cut.pem", text[:len(text)-200])
	backwards := write("backwards.der", slices.Concat(one[2], one[1], one[0]))
	list := write("status.json", []byte(`{"entries": {"1": {"status": "REVOKED"}}}`))
	for _, c := range []struct {
		name  string
		paths []string
		want  []string // address, certificates, in order
		gaps  int
	}{
		{"a file", []string{file}, []string{"chain.pem 3 true"}, 0},
		{"a folder of single certificates", []string{filepath.Join(dir, "folder")}, []string{"folder!cert0.der 3 true"}, 0},
		{"its files by name", []string{filepath.Join(dir, "folder/cert2.der"), filepath.Join(dir, "folder/cert0.der"), filepath.Join(dir, "folder/cert1.der")}, []string{"cert0.der 3 true"}, 0},
		{"a phone and two chains", []string{filepath.Join(dir, "phone"), file, filepath.Join(dir, "folder")}, []string{"chain.pem 3 true", "folder!cert0.der 3 true"}, 0},
		{"a phone", []string{filepath.Join(dir, "phone")}, nil, 0},
		{"from the root down", []string{backwards}, []string{"backwards.der 3 false"}, 0},
		{"one that is cut short", []string{cut}, []string{"cut.pem 2 true"}, 1},
	} {
		e, err := Open(context.Background(), append(c.paths, list), nil)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var got []string
		for _, a := range e.Attestations() {
			got = append(got, fmt.Sprint(strings.ReplaceAll(a.At.File().String(), "/", "!"), " ", len(a.Chain.Certificates), " ", a.Chain.InOrder))
		}
		if !slices.Equal(got, c.want) || len(e.StatusLists()) != 1 || len(e.Gaps()) != c.gaps {
			t.Errorf("%s: %q, want %q; %d lists, gaps %v", c.name, got, c.want, len(e.StatusLists()), e.Gaps())
		}
		e.Close()
	}
	for _, p := range []string{file, filepath.Join(dir, "folder")} {
		var b bytes.Buffer
		if err := Dump(context.Background(), p, Ref{}, func(s string) { b.WriteString(s + "\n") }); err != nil || !strings.Contains(b.String(), "verifies up to the root CN=") {
			t.Errorf("dump of %s: %v\n%s", p, err, b.String())
		}
	}
}
