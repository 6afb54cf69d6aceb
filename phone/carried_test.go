package phone

import (
	"slices"
	"strings"
	"testing"

	"gifthorse/evidence"
	"gifthorse/format/apk"
	"gifthorse/internal/make"
)

// TestCarriedCode finds the code among an app's assets by what it begins with, and no other.
func TestCarriedCode(t *testing.T) {
	dex := "dex\n035\x00" + strings.Repeat("d", 200)
	jar := func(entries ...make.Entry) string {
		b, err := make.Zip(entries)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	app := pack(t, head+`><application/></manifest>`,
		"classes.dex", dex,
		"assets/picture.png", dex,
		"assets/sub/data.bin", jar(make.Entry{Name: "classes.dex", Data: []byte(dex)}, make.Entry{Name: "classes2.dex", Data: []byte(dex)}),
		"assets/words.zip", jar(make.Entry{Name: "words.txt", Data: []byte("word")}),
		"assets/real.png", "\x89PNG"+strings.Repeat("p", 200),
		"assets/cut.zip", "PK\x03\x04"+strings.Repeat("z", 200),
		"res/raw/part", dex,
		"other/part.dex", dex)
	z, err := apk.NewZip(strings.NewReader(app), int64(len(app)))
	if err != nil {
		t.Fatal(err)
	}
	at := evidence.Ref{}.Inner("a.apk")
	code, gaps := carriedCode(z, []byte(app), at)
	var got []string
	for _, c := range code {
		if string(c.Data) != dex {
			t.Errorf("%s holds %q", c.Ref, c.Data)
		}
		got = append(got, c.Ref.String())
	}
	want := []string{"a.apk!assets/picture.png", "a.apk!assets/sub/data.bin!classes.dex", "a.apk!assets/sub/data.bin!classes2.dex", "a.apk!res/raw/part"}
	if !slices.Equal(got, want) || len(gaps) > 0 {
		t.Errorf("found %q, want %q; gaps %v", got, want, gaps)
	}

	var many []string
	for i := range maxCarried + 2 {
		many = append(many, "assets/"+strings.Repeat("a", i+1), dex)
	}
	app = pack(t, head+`><application/></manifest>`, many...)
	if z, err = apk.NewZip(strings.NewReader(app), int64(len(app))); err != nil {
		t.Fatal(err)
	}
	if code, gaps := carriedCode(z, []byte(app), at); len(code) != maxCarried || len(gaps) != 1 || gaps[0].Reason != evidence.TooLarge {
		t.Errorf("%d files, gaps %v", len(code), gaps)
	}
}
